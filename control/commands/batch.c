/* SPDX-License-Identifier: BSD-2-Clause */
#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../transaction/batch.h"
#include "../transaction/cut.h"
#include "change.h"
#include "params.h"
#include "table.h"

enum { REQUESTS_MAX = 1024 };

/* What no clone of the model shows: the file, and the end of the instance. */
static const char *const alone[] = { "reload", "detach", "batch" };

static const struct sl_rpc_method *find_method(const char *name, char error[SL_ERROR_MAX])
{
	const struct sl_rpc_method *method = NULL;

	for (size_t i = 0; i < sl_n_commands; i++)
		if (strcmp(sl_commands[i].name, name) == 0)
			method = &sl_commands[i];
	if (!method) {
		snprintf(error, SL_ERROR_MAX, "no method \"%.64s\"", name);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
		if (strcmp(alone[i], name) == 0)
			method = NULL;
	if (method && method->changes)
		return method;
	snprintf(error, SL_ERROR_MAX, "%s can't be in a batch with changes", name);
	return NULL;
}

static int stage(struct sl_control *c, struct sl_rpc_call *call, const json_t *request,
		 char error[SL_ERROR_MAX])
{
	const json_t *params = json_object_get(request, "params");
	const char *name = json_string_value(json_object_get(request, "method"));
	const struct sl_rpc_method *method;
	json_t *result = NULL;
	int err;

	if (!name || (params && !json_is_object(params))) {
		snprintf(error, SL_ERROR_MAX,
			 "must be an object with a method, and params in an object");
		return -EINVAL;
	}
	method = find_method(name, error);
	if (!method)
		return -EINVAL;
	err = method->call(c, call, params, &result, error);
	json_decref(result);
	return err;
}

/* "line 7", as whoever made the batch numbered it, or "request 3". */
static void name_request(const json_t *request, size_t at, int err, char error[SL_ERROR_MAX])
{
	const json_t *line = json_object_get(request, "line");
	char why[SL_ERROR_MAX];

	snprintf(why, sizeof(why), "%s", error[0] ? error : strerror(-err));
	snprintf(error, SL_ERROR_MAX, "%s %lld: %.400s; nothing was changed",
		 json_is_integer(line) ? "line" : "request",
		 json_is_integer(line) ? (long long)json_integer_value(line) : (long long)at + 1,
		 why);
}

static int stage_all(struct sl_control *c, struct sl_rpc_call *call, const json_t *requests,
		     char error[SL_ERROR_MAX])
{
	const json_t *request;
	size_t i;

	json_array_foreach (requests, i, request) {
		int err = stage(c, call, request, error);

		if (err) {
			name_request(request, i, err, error);
			return err;
		}
	}
	return 0;
}

static int read_requests(const json_t *params, const json_t **requests, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "requests", NULL };
	int err = sl_params_known(params, keys, error);

	if (err)
		return err;
	*requests = json_object_get(params, "requests");
	if (json_array_size(*requests) >= 1 && json_array_size(*requests) <= REQUESTS_MAX)
		return 0;
	snprintf(error, SL_ERROR_MAX, "requests: must be an array of 1 to %d requests",
		 REQUESTS_MAX);
	return -EINVAL;
}

int sl_batch_command(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	struct sl_control *c = context;
	struct sl_operators *operators;
	const json_t *requests = NULL;
	struct sl_transaction *t;
	json_t *notes;
	int err = read_requests(params, &requests, error);

	if (!err)
		err = sl_batch_open(c);
	if (err)
		return err;
	err = stage_all(c, call, requests, error);
	if (err) {
		sl_batch_close(c, NULL, NULL);
		return err;
	}
	sl_batch_close(c, &operators, &notes);
	t = sl_change_begin(c, call, "batch", NULL);
	if (!t) {
		sl_operators_free(operators);
		json_decref(notes);
		return -ENOMEM;
	}
	sl_operators_free(t->operators);
	t->operators = operators;
	json_array_extend(t->changes, notes);
	json_decref(notes);
	t->always = true;
	t->adjust = sl_cut_removed;
	return sl_change_run(t, result, error);
}
