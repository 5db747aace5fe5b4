/* SPDX-License-Identifier: BSD-2-Clause */
#include "saved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../config/endpoint.h"
#include "../desired/state_file.h"

enum { VERSION = 1 };
#define FILE_NAME "health.json"

bool sl_health_saved_holds(const struct sl_health_verdict *v)
{
	return v->state == SL_HEALTH_DOWN && !v->panic;
}

static json_t *write_one(const struct sl_health_verdict *v)
{
	json_t *json = json_pack("{s:s, s:I}", "state", sl_health_state_text(v->state), "since",
				 (json_int_t)v->since);

	if (v->cause[0])
		json_object_set_new(json, "cause", json_string(v->cause));
	if (v->panic)
		json_object_set_new(json, "panic", json_true());
	if (v->share < SL_SHARE_WHOLE)
		json_object_set_new(json, "share", json_integer(v->share));
	if (v->held != sl_health_saved_holds(v))
		json_object_set_new(json, "held", json_boolean(v->held));
	return json;
}

int sl_health_save(const struct sl_health *health, char error[SL_ERROR_MAX])
{
	const struct sl_control *c = health->c;
	json_t *services = json_object(), *json;
	char endpoint[SL_ENDPOINT_TEXT];
	char *text;
	int err;

	for (size_t i = 0; i < c->n_verdicts; i++) {
		const struct sl_health_verdict *v = c->verdict[i];

		if (v->state == SL_HEALTH_CHECKING)
			continue;
		if (!json_object_get(services, v->service))
			json_object_set_new(services, v->service, json_object());
		json_object_set_new(json_object_get(services, v->service),
				    sl_endpoint_format(&v->addr, v->port, endpoint), write_one(v));
	}
	json = json_pack("{s:i, s:o}", "version", VERSION, "services", services);
	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	err = text ? sl_state_file_write(c->config.state_dir, FILE_NAME, text, false, error)
		   : -ENOMEM;
	free(text);
	return err;
}

/* False: it isn't what we write. */
static bool read_one(const char *service, const char *endpoint, const json_t *json,
		     struct sl_health_verdict *v)
{
	const char *state = json_string_value(json_object_get(json, "state"));
	const char *cause = json_string_value(json_object_get(json, "cause"));
	char why[SL_ERROR_MAX];
	json_int_t share;

	*v = (struct sl_health_verdict){ 0 };
	if (!state || sl_config_parse_name(service, v->service, why) != 0 ||
	    sl_backend_parse(endpoint, &v->addr, &v->port, why) != 0)
		return false;
	v->state = strcmp(state, "down") == 0 ? SL_HEALTH_DOWN : SL_HEALTH_UP;
	v->since = (uint64_t)json_integer_value(json_object_get(json, "since"));
	v->panic = json_is_true(json_object_get(json, "panic"));
	share = json_integer_value(json_object_get(json, "share"));
	v->returned = share > 0 && share < SL_SHARE_WHOLE;
	v->share = v->returned ? (uint8_t)share : SL_SHARE_WHOLE;
	v->held = json_object_get(json, "held") ? json_is_true(json_object_get(json, "held"))
						: sl_health_saved_holds(v);
	snprintf(v->cause, sizeof(v->cause), "%s", cause ? cause : "");
	return strcmp(state, "down") == 0 || strcmp(state, "up") == 0;
}

static bool read_all(const json_t *json, void (*take)(void *, const struct sl_health_verdict *),
		     void *context)
{
	const json_t *services = json_object_get(json, "services");
	json_t *backends, *one;
	const char *service, *endpoint;
	struct sl_health_verdict v;
	bool good = json_is_object(services) &&
		    json_integer_value(json_object_get(json, "version")) == VERSION;

	if (!good)
		return false;
	json_object_foreach ((json_t *)(uintptr_t)services, service, backends) {
		json_object_foreach (backends, endpoint, one) {
			if (read_one(service, endpoint, one, &v))
				take(context, &v);
			else
				good = false;
		}
	}
	return good;
}

void sl_health_load(const char *state_dir,
		    void (*take)(void *context, const struct sl_health_verdict *v), void *context)
{
	char error[SL_ERROR_MAX];
	int fd = sl_state_file_open(state_dir, FILE_NAME, error);
	json_t *json;

	if (fd == -ENOENT)
		return;
	if (fd < 0) {
		sl_log("states of health are found anew: %s", error);
		return;
	}
	json = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	close(fd);
	if (!json || !read_all(json, take, context))
		sl_log("states of health are found anew: %s/" FILE_NAME " isn't what we write",
		       state_dir);
	json_decref(json);
}
