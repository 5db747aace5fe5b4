/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../desired/changes.h"
#include "../report/status.h"
#include "affinity_group.h"
#include "backend_change.h"
#include "change.h"
#include "params.h"

enum { DEADLINE_MAX_S = 30 * 24 * 3600 };

/* What is requested. */
struct wish {
	enum sl_operator_state state;
	bool force;
	uint64_t now;	     /* in seconds since 1970, the same for all that the command concerns */
	uint64_t deadline_s; /* from now; 0: none */
	bool then_remove;
	/* Whose state: exactly one of both. */
	const char *name;
	bool all_on;
	union sl_addr addr;
	const char *service; /* NULL: not given */
};

struct target {
	const struct sl_model_service *service;
	const struct sl_model_backend *backend;
};

/* Parameters */

static int read_deadline(const json_t *params, uint64_t *seconds, char error[SL_ERROR_MAX])
{
	const json_t *text = json_object_get(params, "deadline");
	char why[SL_ERROR_MAX];
	uint64_t ms;

	if (!text)
		return 0;
	if (!json_is_string(text))
		return sl_refuse(error, -EINVAL, "deadline: must be a string, such as \"60s\"");
	if (sl_config_parse_duration(json_string_value(text), &ms, why) != 0)
		return sl_refuse(error, -EINVAL, "deadline: %.400s", why);
	if (ms < 1000 || ms / 1000 > DEADLINE_MAX_S)
		return sl_refuse(error, -EINVAL,
				 "deadline: must be a second at least, and 30 days at most");
	*seconds = (ms + 999) / 1000;
	return 0;
}

static int read_subject(const json_t *params, struct wish *w, char error[SL_ERROR_MAX])
{
	char why[SL_ERROR_MAX];

	w->all_on = json_object_get(params, "all_on") != NULL;
	if (w->all_on && (json_object_get(params, "backend") || json_object_get(params, "service")))
		return sl_refuse(error, -EINVAL,
				 "all_on: means every service; leave backend and service out");
	if (!w->all_on) {
		w->name = sl_param_text(params, "backend", error);
		if (w->name && json_object_get(params, "service"))
			w->service = sl_param_text(params, "service", error);
		return w->name && (w->service || !json_object_get(params, "service")) ? 0 : -EINVAL;
	}
	if (!json_is_string(json_object_get(params, "all_on")))
		return sl_refuse(error, -EINVAL, "all_on: must be an address as a string");
	if (sl_config_parse_addr(json_string_value(json_object_get(params, "all_on")), &w->addr,
				 why) != 0)
		return sl_refuse(error, -EINVAL, "all_on: %.400s", why);
	return 0;
}

static int read_wish(const json_t *params, const char *const *keys, struct wish *w,
		     char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, keys, error);

	w->now = (uint64_t)time(NULL);
	if (!err)
		err = sl_param_bool(params, "force", &w->force, error);
	if (!err)
		err = sl_param_bool(params, "then_remove", &w->then_remove, error);
	if (!err)
		err = read_deadline(params, &w->deadline_s, error);
	return err ? err : read_subject(params, w, error);
}

/* Whose state it is */

static size_t numbers(const struct sl_model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->service[i]->n;
	return n;
}

static int find_all(const struct sl_control *c, const struct wish *w, struct target *target,
		    size_t *n)
{
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];

		for (uint32_t k = 0; k < s->n; k++) {
			const struct sl_model_backend *b = &s->backend[k];

			if ((b->state == SL_STATE_READY || b->state == SL_STATE_DRAINING) &&
			    sl_addr_equal(&b->addr, &w->addr))
				target[(*n)++] = (struct target){ s, b };
		}
	}
	return 0;
}

static int find_named(const struct sl_control *c, const struct wish *w, struct target *target,
		      size_t *n, char error[SL_ERROR_MAX])
{
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];
		const struct sl_model_backend *b;

		if (w->service && strcmp(w->service, s->conf.name) != 0)
			continue;
		b = sl_backend_named(s, w->name);
		if (b && *n)
			return sl_refuse(error, -EINVAL,
					 "service: services %s and %s have a backend %s each; say "
					 "which",
					 target[0].service->conf.name, s->conf.name, w->name);
		if (b)
			target[(*n)++] = (struct target){ s, b };
	}
	return 0;
}

static int not_found(const struct sl_control *c, const struct wish *w, char error[SL_ERROR_MAX])
{
	char addr[SL_ADDR_TEXT];

	if (w->all_on)
		return sl_refuse(error, -ENOENT, "all_on: no backend has the address %s",
				 sl_addr_format(&w->addr, addr));
	if (!w->service)
		return sl_refuse(error, -ENOENT, "backend: no service has a backend %s", w->name);
	if (sl_model_find(c->model, w->service) < 0)
		return sl_refuse(error, -ENOENT, "service: there is no service %s", w->service);
	return sl_refuse(error, -ENOENT, "backend: service %s has no backend %s", w->service,
			 w->name);
}

/* The same command, given again: its drain */

static bool same_drain(const struct sl_drain *d, const struct wish *w)
{
	uint64_t seconds = d->deadline ? d->deadline - d->began : 0;

	return d->then_remove == w->then_remove && seconds == w->deadline_s &&
	       (w->then_remove || w->deadline_s) && w->state == SL_OPERATOR_DRAINING &&
	       !sl_drain_is_forgotten(d, w->now);
}

static bool is_about(const struct wish *w, const char *service, const struct sl_drain *d)
{
	char endpoint[SL_ENDPOINT_TEXT];

	if (w->all_on)
		return sl_addr_equal(&d->addr, &w->addr);
	return (!w->service || strcmp(w->service, service) == 0) &&
	       (strcmp(d->name, w->name) == 0 ||
		strcmp(sl_endpoint_format(&d->addr, d->port, endpoint), w->name) == 0);
}

static void name_drain(json_t *list, const char *service, const char *backend,
		       const union sl_addr *addr, uint16_t port)
{
	char text[SL_ADDR_TEXT];

	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:s, s:i}", "service", service, "name", backend,
					"address", sl_addr_format(addr, text), "port", (int)port));
}

static bool is_there(const struct sl_control *c, const char *service, const struct sl_drain *d)
{
	int at = sl_model_find(c->model, service);
	const struct sl_model_backend *b =
		at < 0 ? NULL : sl_service_endpoint(c->model->service[at], &d->addr, d->port);

	return b && b->state != SL_STATE_LEAVING;
}

/* Lists drains that this command began and that have ended with a removal. */
static void list_ended(const struct sl_control *c, const struct wish *w, json_t *list)
{
	for (size_t i = 0; i < c->operators->n; i++) {
		const struct sl_operator_service *s = &c->operators->service[i];

		for (size_t k = 0; k < s->n_drains; k++) {
			const struct sl_drain *d = &s->drain[k];

			if (d->end != SL_DRAIN_RUNS && same_drain(d, w) &&
			    is_about(w, s->name, d) && !is_there(c, s->name, d))
				name_drain(list, s->name, d->name, &d->addr, d->port);
		}
	}
}

/* Setting it */

static int set_drain(struct sl_backend_change *x, const struct wish *w)
{
	const struct sl_model_backend *b = x->backend;
	const struct sl_drain *had = sl_drain_find(x->overrides, &b->addr, b->port);
	struct sl_drain d = {
		.addr = b->addr, .port = b->port, .began = w->now, .then_remove = w->then_remove
	};

	if (had && same_drain(had, w))
		return 0;
	sl_drain_drop(x->overrides, &b->addr, b->port);
	if (!w->then_remove && !w->deadline_s)
		return 0;
	if (w->deadline_s)
		d.deadline = d.began + w->deadline_s;
	memcpy(d.name, b->name, sizeof(d.name));
	return sl_drain_set(x->overrides, &d);
}

static int set_state(struct sl_backend_change *x, const struct wish *w, char error[SL_ERROR_MAX])
{
	bool in_file = x->file && x->file->draining;

	if (x->backend->state == SL_STATE_LEAVING)
		return sl_refuse(error, -EBUSY,
				 "backend: %s is being removed; `backend add` takes it back",
				 x->backend->name);
	if (w->force && x->service->conf.health.kind == SL_HEALTH_NONE)
		return sl_refuse(error, -EINVAL,
				 "force: service %s has no health checks that could be overruled",
				 x->service->conf.name);
	x->override->forced = w->force;
	x->override->state = w->state;
	/* What the file says need not be said again. */
	if (x->file && w->state == (in_file ? SL_OPERATOR_DRAINING : SL_OPERATOR_READY))
		x->override->state = SL_OPERATOR_SILENT;
	return set_drain(x, w);
}

/* Edits the overrides of all targets. */
static int set_all(struct sl_transaction *t, const struct wish *w, const struct target *target,
		   size_t n, json_t *names, char error[SL_ERROR_MAX])
{
	struct sl_backend_change x = { .t = t };
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		const struct sl_model_backend *b = target[i].backend;

		x.service = target[i].service;
		x.backend = b;
		err = sl_backend_change_find(&x, &b->addr, b->port);
		if (!err)
			err = set_state(&x, w, error);
		if (!err)
			name_drain(names, x.service->conf.name, b->name, &b->addr, b->port);
		if (!err && !w->all_on)
			err = sl_affinity_group_share(x.t, x.service, x.overrides, x.override,
						      error);
	}
	return err;
}

/* Answers without a change. Takes names. */
static int answer_ended(const struct sl_control *c, json_t *names, json_t **result)
{
	struct sl_published out;

	sl_acknowledged((struct sl_control *)(uintptr_t)c, &out);
	*result = sl_report_published(&out);
	json_object_set_new(*result, "changes", json_array());
	json_object_set_new(*result, "backends", names);
	return 0;
}

static int run(struct sl_control *c, struct sl_rpc_call *call, const char *what,
	       const struct wish *w, json_t **result, char error[SL_ERROR_MAX])
{
	struct target *target = calloc(numbers(c->model) + 1, sizeof(*target));
	json_t *names = json_array(), *answer;
	struct sl_transaction *t = NULL;
	size_t n = 0;
	int err = target && names ? 0 : -ENOMEM;

	if (!err)
		err = w->all_on ? find_all(c, w, target, &n) : find_named(c, w, target, &n, error);
	if (!err && (w->all_on || !n || target[0].backend->state == SL_STATE_LEAVING))
		list_ended(c, w, names);
	if (json_array_size(names) && (!n || target[0].backend->state == SL_STATE_LEAVING)) {
		free(target);
		return answer_ended(c, names, result);
	}
	if (!err && !n)
		err = not_found(c, w, error);
	if (!err) {
		t = sl_change_begin(c, call, what, &answer);
		err = t ? 0 : -ENOMEM;
	}
	if (!err) {
		t->always = true;
		if (n == 1)
			memcpy(t->service, target[0].service->conf.name, sizeof(t->service));
		err = set_all(t, w, target, n, names, error);
		json_object_set(answer, "backends", names);
	}
	free(target);
	json_decref(names);
	if (err)
		return t ? sl_change_drop(t, err) : err;
	return sl_change_run(t, result, error);
}

int sl_backend_drain_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service",	"backend",     "all_on",
					    "deadline", "then_remove", NULL };
	struct wish w = { .state = SL_OPERATOR_DRAINING };
	int err = read_wish(params, keys, &w, error);

	return err ? err : run(context, call, "backend.drain", &w, result, error);
}

int sl_backend_ready_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "all_on", "force", NULL };
	struct wish w = { .state = SL_OPERATOR_READY };
	int err = read_wish(params, keys, &w, error);

	return err ? err : run(context, call, "backend.ready", &w, result, error);
}

int sl_backend_maintenance_command(void *context, struct sl_rpc_call *call, const json_t *params,
				   json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "all_on", NULL };
	struct wish w = { .state = SL_OPERATOR_MAINTENANCE };
	int err = read_wish(params, keys, &w, error);

	return err ? err : run(context, call, "backend.maintenance", &w, result, error);
}
