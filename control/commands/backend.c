/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../model/server_ids.h"
#include "affinity_group.h"
#include "change.h"
#include "params.h"

/* Finds a backend by its name or as ADDRESS:PORT. A backend that is leaving is only returned if no
 * other fits, since a new one may have its name. */
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

/* A change of one backend that has begun, with what operators have set of it so far. */
struct change {
	struct sl_transaction *t;
	const struct sl_model_service *service; /* as published */
	const struct sl_model_backend *backend; /* NULL: it is being added */
	const struct sl_config_backend *file;	/* the file's; NULL: it has none */
	struct sl_operator_backend *override;
};

static int run(struct change *x, json_t **result, char error[SL_ERROR_MAX])
{
	int err = sl_affinity_group_share(x->t, x->service, x->override, error);

	return err ? sl_change_drop(x->t, err) : sl_change_run(x->t, result, error);
}

static int begin(struct change *x, struct sl_control *c, struct sl_rpc_call *call, const char *what,
		 const json_t *params, char error[SL_ERROR_MAX])
{
	int at = sl_param_service(c, params, error);

	*x = (struct change){ 0 };
	if (at < 0)
		return at;
	x->service = c->model->service[at];
	x->t = sl_change_begin(c, call, what, NULL);
	if (!x->t)
		return -ENOMEM;
	memcpy(x->t->service, x->service->conf.name, sizeof(x->t->service));
	x->t->always = true;
	return 0;
}

/* Finds the file's backend with this endpoint, and the operators' override, which it adds if
 * necessary. */
static int find_override(struct change *x, const union sl_addr *addr, uint16_t port)
{
	struct sl_transaction *t = x->t;
	struct sl_operator_service *s = sl_operators_get(t->operators, t->service);

	x->file = sl_config_find_backend(&t->c->config, t->service, addr, port);
	x->override = s ? sl_operator_backend_get(s, addr, port) : NULL;
	return x->override ? 0 : -ENOMEM;
}

static int begin_backend(struct change *x, struct sl_control *c, struct sl_rpc_call *call,
			 const char *what, const json_t *params, char error[SL_ERROR_MAX])
{
	const char *name = sl_param_text(params, "backend", error);
	int err = name ? begin(x, c, call, what, params, error) : -EINVAL;

	if (err)
		return err;
	x->backend = backend_of(x->service, name);
	if (!x->backend) {
		snprintf(error, SL_ERROR_MAX, "backend: service %s has no backend %s",
			 x->service->conf.name, name);
		err = -ENOENT;
	} else {
		err = find_override(x, &x->backend->addr, x->backend->port);
	}
	return err ? sl_change_drop(x->t, err) : 0;
}

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
	struct change x;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = begin(&x, c, call, "backend.add", params, error);
	if (err)
		return err;
	err = read_new_backend(c, params, x.service, &conf, &file, error);
	if (!err)
		err = check_new_backend(c, x.service, &conf, error);
	if (!err)
		err = find_override(&x, &conf.addr, conf.port);
	if (err)
		return sl_change_drop(x.t, err);
	set_added(x.override, &conf, file);
	return run(&x, result, error);
}

static void cut_service(struct sl_transaction *t, struct sl_model *next, size_t at)
{
	struct sl_model_service *s = sl_model_edit(next, at);
	const struct sl_operator_service *overrides =
		s ? sl_operators_find(t->operators, s->conf.name) : NULL;

	for (size_t i = 0; s && overrides && i < overrides->n_backends; i++) {
		const struct sl_operator_backend *w = &overrides->backend[i];
		struct sl_model_backend *b = sl_service_endpoint(s, &w->addr, w->port);

		if (w->cut && b)
			sl_backend_set_state(s, b, SL_STATE_GONE);
	}
}

/* Removes backends that are to go at once, which ends their connections. */
static void cut(struct sl_transaction *t, struct sl_model *next)
{
	int at = sl_model_find(next, t->service);

	if (at >= 0)
		cut_service(t, next, (size_t)at);
	for (size_t i = 0; !*t->service && i < next->n; i++)
		if (*next->service[i]->conf.affinity_group)
			cut_service(t, next, i);
}

int sl_backend_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "now", NULL };
	struct change x;
	bool now = false;
	int err = sl_params_known(params, keys, error);

	if (!err)
		err = sl_param_bool(params, "now", &now, error);
	if (!err)
		err = begin_backend(&x, context, call, "backend.remove", params, error);
	if (err)
		return err;
	*x.override = (struct sl_operator_backend){
		.addr = x.override->addr, .port = x.override->port, .removed = true, .cut = now
	};
	x.t->adjust = cut;
	return run(&x, result, error);
}

static int set_state(struct sl_control *c, struct sl_rpc_call *call, const char *what,
		     const json_t *params, bool draining, json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", NULL };
	static const char *const ready_keys[] = { "service", "backend", "force", NULL };
	bool in_file, force = false;
	struct change x;
	int err = sl_params_known(params, draining ? keys : ready_keys, error);

	if (!err && !draining)
		err = sl_param_bool(params, "force", &force, error);
	if (!err)
		err = begin_backend(&x, c, call, what, params, error);
	if (err)
		return err;
	if (x.backend->state == SL_STATE_LEAVING) {
		snprintf(error, SL_ERROR_MAX,
			 "backend: %s is being removed; `backend add` takes it back",
			 x.backend->name);
		return sl_change_drop(x.t, -EBUSY);
	}
	if (force && x.service->conf.health.kind == SL_HEALTH_NONE) {
		snprintf(error, SL_ERROR_MAX,
			 "force: service %s has no health checks that could be overruled",
			 x.service->conf.name);
		return sl_change_drop(x.t, -EINVAL);
	}
	x.override->forced = force;
	in_file = x.file && x.file->draining;
	x.override->state = draining == in_file && x.file ? SL_OPERATOR_SILENT
			    : draining			  ? SL_OPERATOR_DRAINING
							  : SL_OPERATOR_READY;
	return run(&x, result, error);
}

int sl_backend_drain_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX])
{
	return set_state(context, call, "backend.drain", params, true, result, error);
}

int sl_backend_ready_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX])
{
	return set_state(context, call, "backend.ready", params, false, result, error);
}

int sl_backend_weight_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "weight", NULL };
	const json_t *value = json_object_get(params, "weight");
	char why[SL_ERROR_MAX];
	uint32_t weight;
	struct change x;
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
	err = begin_backend(&x, context, call, "backend.weight", params, error);
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
	return run(&x, result, error);
}
