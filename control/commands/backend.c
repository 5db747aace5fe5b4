/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../desired/drains.h"
#include "../model/server_ids.h"
#include "../transaction/cut.h"
#include "backend_change.h"
#include "change.h"
#include "params.h"

/* Reads the server id. If the file has this backend, it must be the file's. */
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

/* Reads a backend to be added. If the file has it, *file is the file's, and parameters that are
 * missing are taken from there. */
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

static int check_new_backend(struct sl_control *c, const struct sl_model_service *s,
			     const struct sl_config_backend *conf, char error[SL_ERROR_MAX])
{
	const struct sl_model_backend *same = sl_service_endpoint(s, &conf->addr, conf->port);
	struct sl_next_hop hop = { 0 };
	char addr[SL_ADDR_TEXT], why[SL_ERROR_MAX];

	sl_addr_format(&conf->addr, addr);
	for (size_t i = 0; i < c->model->n; i++) {
		if (!sl_config_vip_has(&c->model->service[i]->conf, &conf->addr))
			continue;
		snprintf(error, SL_ERROR_MAX, "address: %s is %s VIP of service %s", addr,
			 c->model->service[i]->conf.vip_host_bits ? "in the" : "the",
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
	for (uint32_t k = 0; *s->conf.affinity_group && k < s->n; k++) {
		const struct sl_model_backend *b = &s->backend[k];

		if (b == same || b->state == SL_STATE_FREE || b->state == SL_STATE_GONE ||
		    !sl_addr_equal(&b->addr, &conf->addr))
			continue;
		snprintf(error, SL_ERROR_MAX,
			 "address: %s is backend %s already; in an affinity_group each host may be "
			 "there once",
			 addr, b->name);
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

/* Makes the override for an added backend: all of the backend, or the differences to the file's. */
static void set_added(struct sl_operator_backend *w, const struct sl_config_backend *conf,
		      const struct sl_config_backend *file)
{
	*w = (struct sl_operator_backend){ .addr = conf->addr, .port = conf->port };
	if (!file) {
		w->added = true;
		memcpy(w->name, conf->name, sizeof(w->name));
		w->server_id = conf->server_id;
		w->weight = conf->weight;
		return;
	}
	if (file->draining) /* it is added in order to be used */
		w->state = SL_OPERATOR_READY;
	if (file->weight != conf->weight) {
		w->weight = conf->weight;
		w->file_weight = file->weight;
	}
}

int sl_backend_add_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "address",   "port", "name",
					    "weight",  "server_id", NULL };
	const struct sl_config_backend *file = NULL;
	struct sl_config_backend conf = { 0 };
	struct sl_control *c = context;
	struct sl_backend_change x;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = sl_backend_change_begin(&x, c, call, "backend.add", params, error);
	if (err)
		return err;
	err = read_new_backend(c, params, x.service, &conf, &file, error);
	if (!err)
		err = check_new_backend(c, x.service, &conf, error);
	if (!err)
		err = sl_backend_change_find(&x, &conf.addr, conf.port);
	if (err)
		return sl_change_drop(x.t, err);
	set_added(x.override, &conf, file);
	sl_drain_drop(x.overrides, &conf.addr, conf.port);
	return sl_backend_change_run(&x, result, error);
}

int sl_backend_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "now", NULL };
	struct sl_backend_change x;
	bool now = false;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = sl_param_bool(params, "now", &now, error);
	if (!err)
		err = sl_backend_change_begin_named(&x, context, call, "backend.remove", params,
						    error);
	if (err)
		return err;
	sl_operator_backend_remove(x.override, now);
	sl_drain_drop(x.overrides, &x.backend->addr, x.backend->port);
	x.t->adjust = sl_cut_removed;
	return sl_backend_change_run(&x, result, error);
}

int sl_backend_weight_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "weight", NULL };
	const json_t *value = json_object_get(params, "weight");
	char why[SL_ERROR_MAX];
	uint32_t weight;
	struct sl_backend_change x;
	int err = sl_params_known(params, keys, error);

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
	err = sl_backend_change_begin_named(&x, context, call, "backend.weight", params, error);
	if (err)
		return err;
	if (x.backend->state == SL_STATE_LEAVING) {
		snprintf(error, SL_ERROR_MAX,
			 "backend: %s is being removed; `backend add` takes it back",
			 x.backend->name);
		return sl_change_drop(x.t, -EBUSY);
	}
	x.override->file_weight = x.file ? x.file->weight : 0;
	x.override->weight = x.file && x.file->weight == weight ? 0 : weight;
	if (!x.override->weight)
		x.override->file_weight = 0;
	return sl_backend_change_run(&x, result, error);
}
