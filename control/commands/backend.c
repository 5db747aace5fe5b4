/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../desired/apply.h"
#include "../desired/overrides.h"
#include "../model/server_ids.h"
#include "../report/status.h"
#include "../tables/counters.h"
#include "../tables/publish.h"
#include "params.h"

/* A backend by its name or as ADDRESS:PORT. One that leaves may have handed on its name. */
static struct sl_model_backend *backend_of(const struct sl_model_service *s, const char *name)
{
	struct sl_model_backend *leaving = NULL;
	char endpoint[SL_ENDPOINT_TEXT];

	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (b->state == SL_STATE_FREE || b->state == SL_STATE_GONE ||
		    (strcmp(b->name, name) != 0 &&
		     strcmp(sl_endpoint_format(&b->addr, b->port, endpoint), name) != 0))
			continue;
		if (b->state != SL_STATE_LEAVING)
			return b;
		leaving = b;
	}
	return leaving;
}

/* Changes: begin on a clone, end by publishing it and writing down what was set. */

struct change {
	struct sl_control *c;
	struct sl_model *next;
	struct sl_model_service *service;
	struct sl_model_backend *backend;
	char endpoint[SL_ENDPOINT_TEXT];
};

static int change_service(struct change *x, struct sl_control *c, const json_t *params,
			  char error[SL_ERROR_MAX])
{
	int at = sl_param_service(c, params, error);

	*x = (struct change){ .c = c };
	if (at < 0)
		return at;
	x->next = sl_model_clone(c->model);
	x->service = x->next ? sl_model_edit(x->next, (size_t)at) : NULL;
	if (x->service)
		return 0;
	sl_model_free(x->next, 0);
	return -ENOMEM;
}

static int change_backend(struct change *x, struct sl_control *c, const json_t *params,
			  char error[SL_ERROR_MAX])
{
	const char *name = sl_param_text(params, "backend", error);
	int err = name ? change_service(x, c, params, error) : -EINVAL;

	if (err)
		return err;
	x->backend = backend_of(x->service, name);
	if (x->backend) {
		sl_endpoint_format(&x->backend->addr, x->backend->port, x->endpoint);
		return 0;
	}
	snprintf(error, SL_ERROR_MAX, "backend: service %s has no backend %s",
		 x->service->conf.name, name);
	sl_model_free(x->next, 0);
	return -ENOENT;
}

/* Publishes. On success the override of the backend can be changed, and *result is the answer. */
static int end_change(struct change *x, json_t **result, char error[SL_ERROR_MAX])
{
	struct sl_published out;
	int err = sl_publish(x->c, x->next, &out, error);

	if (!err)
		*result = sl_report_published(&out);
	return err;
}

/* What was published stands even if it can't be written down: the answer then says so. */
static int write_down(struct sl_control *c, json_t *result)
{
	char error[SL_ERROR_MAX];

	if (sl_overrides_save(c, error) != 0) {
		sl_log("%s", error);
		json_object_set_new(result, "text", json_string(error));
	}
	return 0;
}

static json_t *override_of(const struct change *x)
{
	return sl_override_get(x->c->overrides, x->service->conf.name, x->endpoint);
}

/* An override that says nothing that the file doesn't. */
static void drop_if_empty(const struct change *x)
{
	if (json_object_size(override_of(x)) == 0)
		sl_override_drop(x->c->overrides, x->service->conf.name, x->endpoint);
}

/* As in the file, where that has this backend. */
static int read_server_id(const json_t *params, const struct sl_config_service *conf,
			  const struct sl_config_backend *file, struct sl_server_id *id,
			  char error[SL_ERROR_MAX])
{
	const json_t *value = json_object_get(params, "server_id");
	char text[SL_SERVER_ID_TEXT] = "none", why[SL_ERROR_MAX] = "must be a text";
	int err = 0;

	if (file)
		*id = file->server_id;
	if (!value)
		return 0;
	if (!json_is_string(value) ||
	    sl_config_parse_server_id(json_string_value(value), id, why) != 0 ||
	    sl_server_id_check(conf, id, why) != 0)
		err = -EINVAL;
	if (!err && file && !sl_server_id_same(id, &file->server_id)) {
		if (file->server_id.bytes)
			sl_server_id_format(&file->server_id, text);
		snprintf(why, sizeof(why), "the configuration says %s of this backend", text);
		err = -EINVAL;
	}
	if (err)
		snprintf(error, SL_ERROR_MAX, "server_id: %.*s", SL_ERROR_MAX - 16, why);
	return err;
}

/* What params don't say is as in the file, where it has this backend, in `*file`. */
static int read_new_backend(const struct sl_control *c, const json_t *params,
			    const struct sl_model_service *s, struct sl_config_backend *conf,
			    const struct sl_config_backend **file, char error[SL_ERROR_MAX])
{
	const json_t *port = json_object_get(params, "port");
	const json_t *weight = json_object_get(params, "weight");
	const char *name = json_string_value(json_object_get(params, "name"));
	const char *addr = sl_param_text(params, "address", error);
	char endpoint[SL_ENDPOINT_TEXT], why[SL_ERROR_MAX];

	if (!addr)
		return -EINVAL;
	if (sl_config_parse_addr(addr, &conf->addr, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "address: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	if (sl_mode_check_addr(&s->conf, &conf->addr, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "address: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	conf->port = sl_config_backend_port(&s->conf);
	if (port && (!json_is_integer(port) || json_integer_value(port) < 1 ||
		     json_integer_value(port) > 65535)) {
		snprintf(error, SL_ERROR_MAX, "port: must be a number from 1 to 65535");
		return -EINVAL;
	}
	if (port)
		conf->port = (uint16_t)json_integer_value(port);
	if (sl_mode_check_port(&s->conf, conf->port, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "port: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	*file = sl_config_find_backend(&c->config, s->conf.name, &conf->addr, conf->port);
	conf->weight = *file ? (*file)->weight : 1;
	if (weight && !json_is_integer(weight)) {
		snprintf(error, SL_ERROR_MAX, "weight: must be a number");
		return -EINVAL;
	}
	if (weight && sl_config_parse_weight(json_integer_value(weight), &conf->weight, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "weight: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	if (name && *file && strcmp(name, (*file)->name) != 0) {
		snprintf(error, SL_ERROR_MAX, "name: the configuration calls this backend %s",
			 (*file)->name);
		return -EINVAL;
	}
	if (!name)
		name = *file ? (*file)->name
			     : sl_endpoint_format(&conf->addr, conf->port, endpoint);
	if (sl_config_parse_name(name, conf->name, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "name: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	return read_server_id(params, &s->conf, *file, &conf->server_id, error);
}

static int check_new_backend(struct sl_control *c, struct sl_model_service *s,
			     const struct sl_config_backend *conf, char error[SL_ERROR_MAX])
{
	const struct sl_model_backend *same = sl_service_endpoint(s, &conf->addr, conf->port);
	struct sl_next_hop hop = { 0 };
	char addr[SL_ADDR_TEXT], why[SL_ERROR_MAX];

	sl_addr_format(&conf->addr, addr);
	for (size_t i = 0; i < c->model->n; i++) {
		if (!sl_addr_equal(&c->model->service[i]->conf.vip, &conf->addr))
			continue;
		snprintf(error, SL_ERROR_MAX, "address: %s is the VIP of service %s", addr,
			 c->model->service[i]->conf.name);
		return -EINVAL;
	}
	if (same && same->state != SL_STATE_LEAVING) {
		snprintf(error, SL_ERROR_MAX, "address: %s port %u is backend %s already", addr,
			 conf->port, same->name);
		return -EEXIST;
	}
	if (sl_service_backend(s, conf->name) && sl_service_backend(s, conf->name) != same) {
		snprintf(error, SL_ERROR_MAX, "name: service %s has a backend %s already",
			 s->conf.name, conf->name);
		return -EEXIST;
	}
	if (sl_service_id_clash(s, same, &conf->server_id, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "server_id: %.*s", SL_ERROR_MAX - 16, why);
		return -EEXIST;
	}
	sl_net_next_hop(c->net, &conf->addr, &hop);
	if (hop.kind == SL_ROUTE_LOCAL || hop.kind == SL_ROUTE_NONE) {
		snprintf(error, SL_ERROR_MAX,
			 hop.kind == SL_ROUTE_LOCAL
				 ? "address: %s is the gateway's own"
				 : "address: no route through a port of the dataplane leads to %s; "
				   "see `ip route get %s`",
			 addr, addr);
		return -EHOSTUNREACH;
	}
	return 0;
}

/* What an added backend is beside the file: an override of it, or all of it. */
static void remember_added(const struct change *x, const struct sl_config_backend *conf,
			   const struct sl_config_backend *file)
{
	json_t *o = override_of(x);
	char id[SL_SERVER_ID_TEXT];

	json_object_clear(o);
	if (!file) {
		json_object_set_new(o, "added", json_true());
		json_object_set_new(o, "name", json_string(conf->name));
	}
	if (!file && conf->server_id.bytes)
		json_object_set_new(o, "server_id",
				    json_string(sl_server_id_format(&conf->server_id, id)));
	if (!file || file->weight != conf->weight)
		json_object_set_new(o, "weight", json_integer(conf->weight));
	if (file && file->weight != conf->weight)
		json_object_set_new(o, "file_weight", json_integer(file->weight));
	drop_if_empty(x);
}

int sl_backend_add_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "address",   "port", "name",
					    "weight",  "server_id", NULL };
	const struct sl_config_backend *file = NULL;
	struct sl_config_backend conf = { 0 };
	struct sl_control *c = context;
	struct sl_model_backend *b;
	struct change x;
	int err = sl_params_known(params, keys, error);

	(void)call;
	if (!err)
		err = change_service(&x, c, params, error);
	if (err)
		return err;
	err = read_new_backend(c, params, x.service, &conf, &file, error);
	if (!err)
		err = check_new_backend(c, x.service, &conf, error);
	if (err)
		goto fail;
	b = sl_service_endpoint(x.service, &conf.addr, conf.port);
	if (b) { /* it was leaving, and comes back */
		memcpy(b->name, conf.name, sizeof(b->name));
		b->server_id = conf.server_id;
		sl_backend_set_weight(x.service, b, conf.weight);
		sl_backend_set_state(x.service, b, SL_STATE_READY);
	} else {
		b = sl_service_add(x.next, x.service, &conf, &err);
		if (!b) {
			snprintf(error, SL_ERROR_MAX,
				 "service %s has no room for another backend: %u rest until their "
				 "flows end; try again later or raise capacity.backends (%u)",
				 x.service->conf.name, sl_model_resting_backends(x.next),
				 c->config.capacity.backends);
			goto fail;
		}
	}
	b->file_weight = file ? file->weight : 0;
	sl_net_ask(c->net, &b->addr);
	sl_service_resolve(x.service, c->net);
	sl_endpoint_format(&conf.addr, conf.port, x.endpoint);
	err = end_change(&x, result, error);
	if (err)
		return err;
	remember_added(&x, &conf, file);
	return write_down(c, *result);
fail:
	sl_model_free(x.next, 0);
	return err;
}

int sl_backend_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "now", NULL };
	struct sl_control *c = context;
	struct change x;
	bool in_file;
	int err = sl_params_known(params, keys, error);

	(void)call;
	if (!err)
		err = change_backend(&x, c, params, error);
	if (err)
		return err;
	in_file = sl_config_find_backend(&c->config, x.service->conf.name, &x.backend->addr,
					 x.backend->port);
	sl_backend_set_state(x.service, x.backend,
			     json_is_true(json_object_get(params, "now")) ? SL_STATE_GONE
									  : SL_STATE_LEAVING);
	err = end_change(&x, result, error);
	if (err)
		return err;
	if (in_file) {
		json_object_clear(override_of(&x));
		json_object_set_new(override_of(&x), "removed", json_true());
	} else {
		sl_override_drop(c->overrides, x.service->conf.name, x.endpoint);
	}
	return write_down(c, *result);
}

static int set_state(struct sl_control *c, const json_t *params, enum sl_backend_state state,
		     json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", NULL };
	struct change x;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = change_backend(&x, c, params, error);
	if (err)
		return err;
	if (x.backend->state == SL_STATE_LEAVING) {
		snprintf(error, SL_ERROR_MAX,
			 "backend: %s is being removed; `backend add` takes it back",
			 x.backend->name);
		sl_model_free(x.next, 0);
		return -EBUSY;
	}
	sl_backend_set_state(x.service, x.backend, state);
	err = end_change(&x, result, error);
	if (err)
		return err;
	if (state == SL_STATE_DRAINING)
		json_object_set_new(override_of(&x), "state", json_string("draining"));
	else
		json_object_del(override_of(&x), "state");
	drop_if_empty(&x);
	return write_down(c, *result);
}

int sl_backend_drain_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX])
{
	(void)call;
	return set_state(context, params, SL_STATE_DRAINING, result, error);
}

int sl_backend_ready_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX])
{
	(void)call;
	return set_state(context, params, SL_STATE_READY, result, error);
}

int sl_backend_weight_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "weight", NULL };
	const json_t *value = json_object_get(params, "weight");
	struct sl_control *c = context;
	char why[SL_ERROR_MAX];
	uint32_t weight, file_weight;
	struct change x;
	int err = sl_params_known(params, keys, error);

	(void)call;
	if (err)
		return err;
	if (!json_is_integer(value)) {
		snprintf(error, SL_ERROR_MAX, "weight: missing, or not a number");
		return -EINVAL;
	}
	if (sl_config_parse_weight(json_integer_value(value), &weight, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "weight: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	err = change_backend(&x, c, params, error);
	if (err)
		return err;
	file_weight = x.backend->file_weight;
	sl_backend_set_weight(x.service, x.backend, weight);
	err = end_change(&x, result, error);
	if (err)
		return err;
	if (file_weight == weight) {
		json_object_del(override_of(&x), "weight");
		json_object_del(override_of(&x), "file_weight");
	} else {
		json_object_set_new(override_of(&x), "weight", json_integer(weight));
		if (file_weight)
			json_object_set_new(override_of(&x), "file_weight",
					    json_integer(file_weight));
	}
	drop_if_empty(&x);
	return write_down(c, *result);
}
