/* SPDX-License-Identifier: BSD-2-Clause */
#include "params.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sl_param_text(const json_t *params, const char *key, char error[SL_ERROR_MAX])
{
	const char *text = json_string_value(json_object_get(params, key));

	if (!text)
		snprintf(error, SL_ERROR_MAX, "%s: missing, or not a string", key);
	return text;
}

int sl_params_known(const json_t *params, const char *const *keys, char error[SL_ERROR_MAX])
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)params, key, value) {
		size_t i = 0;

		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i]) {
			snprintf(error, SL_ERROR_MAX, "%s: there is no such parameter", key);
			return -EINVAL;
		}
	}
	return 0;
}

int sl_param_bool(const json_t *params, const char *key, bool *value, char error[SL_ERROR_MAX])
{
	const json_t *given = json_object_get(params, key);

	if (!given)
		return 0;
	if (!json_is_boolean(given)) {
		snprintf(error, SL_ERROR_MAX, "%s: must be true or false", key);
		return -EINVAL;
	}
	*value = json_is_true(given);
	return 0;
}

int sl_param_service(const struct sl_control *c, const json_t *params, char error[SL_ERROR_MAX])
{
	const char *name = sl_param_text(params, "service", error);
	int at = name ? sl_model_find(c->model, name) : -EINVAL;

	if (name && at < 0) {
		snprintf(error, SL_ERROR_MAX, "service: there is no service %s", name);
		return -ENOENT;
	}
	return at;
}

int sl_param_any_service(const struct sl_control *c, const json_t *params, int *at,
			 char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", NULL };
	int err = sl_params_known(params, keys, error);

	*at = -1;
	if (err || !json_object_get(params, "service"))
		return err;
	*at = sl_param_service(c, params, error);
	return *at < 0 ? *at : 0;
}

int sl_refuse(char error[SL_ERROR_MAX], int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return err;
}
