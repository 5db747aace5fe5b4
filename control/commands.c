/* SPDX-License-Identifier: BSD-2-Clause */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "instance.h"
#include "overrides.h"
#include "publish.h"
#include "report.h"
#include "stats.h"

/* Parameters */

static const char *text_of(const json_t *params, const char *key, char error[SL_ERROR_MAX])
{
	const char *text = json_string_value(json_object_get(params, key));

	if (!text)
		snprintf(error, SL_ERROR_MAX, "%s: missing, or not a string", key);
	return text;
}

static int known_keys(const json_t *params, const char *const *keys, char error[SL_ERROR_MAX])
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

static int service_of(const struct sl_control *c, const json_t *params, char error[SL_ERROR_MAX])
{
	const char *name = text_of(params, "service", error);
	int at = name ? sl_model_find(c->model, name) : -EINVAL;

	if (name && at < 0) {
		snprintf(error, SL_ERROR_MAX, "service: there is no service %s", name);
		return -ENOENT;
	}
	return at;
}

/* A backend by its name or as ADDRESS:PORT. */
static struct sl_model_backend *backend_of(const struct sl_model_service *s, const char *name)
{
	struct sl_model_backend *b = sl_service_backend(s, name);
	char endpoint[SL_ENDPOINT_TEXT];

	for (uint32_t i = 0; i < s->n && !b; i++) {
		const struct sl_model_backend *each = &s->backend[i];

		if (each->state != SL_STATE_FREE && each->state != SL_STATE_GONE &&
		    strcmp(sl_endpoint_format(&each->addr, each->port, endpoint), name) == 0)
			b = &s->backend[i];
	}
	return b;
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
	int at = service_of(c, params, error);

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
	const char *name = text_of(params, "backend", error);
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

static json_t *published(const struct sl_published *out)
{
	return json_pack("{s:I, s:b, s:i, s:i, s:f}", "generation", (json_int_t)out->generation,
			 "acknowledged", out->acknowledged == out->workers, "workers",
			 (int)out->workers, "workers_acknowledged", (int)out->acknowledged,
			 "commit_us", out->commit_us);
}

/* Publishes. On success the override of the backend can be changed, and *result is the answer. */
static int end_change(struct change *x, json_t **result, char error[SL_ERROR_MAX])
{
	struct sl_published out;
	int err = sl_publish(x->c, x->next, &out, error);

	if (!err)
		*result = published(&out);
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

/* backend.* */

static int read_new_backend(const json_t *params, const struct sl_model_service *s,
			    struct sl_config_backend *conf, char error[SL_ERROR_MAX])
{
	const json_t *port = json_object_get(params, "port");
	const json_t *weight = json_object_get(params, "weight");
	const char *name = json_string_value(json_object_get(params, "name"));
	const char *addr = text_of(params, "address", error);
	char endpoint[SL_ENDPOINT_TEXT], why[SL_ERROR_MAX];

	if (!addr)
		return -EINVAL;
	if (sl_config_parse_addr(addr, &conf->addr, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "address: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	if (!sl_addr_is4(&conf->addr)) {
		snprintf(error, SL_ERROR_MAX, "address: %s is not of the VIP's family", addr);
		return -EINVAL;
	}
	conf->port = s->conf.port;
	if (port && (!json_is_integer(port) || json_integer_value(port) < 1 ||
		     json_integer_value(port) > 65535)) {
		snprintf(error, SL_ERROR_MAX, "port: must be a number from 1 to 65535");
		return -EINVAL;
	}
	if (port)
		conf->port = (uint16_t)json_integer_value(port);
	conf->weight = 1;
	if (weight && !json_is_integer(weight)) {
		snprintf(error, SL_ERROR_MAX, "weight: must be a number");
		return -EINVAL;
	}
	if (weight && sl_config_parse_weight(json_integer_value(weight), &conf->weight, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "weight: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	if (!name)
		name = sl_endpoint_format(&conf->addr, conf->port, endpoint);
	if (sl_config_parse_name(name, conf->name, why) != 0) {
		snprintf(error, SL_ERROR_MAX, "name: %.*s", SL_ERROR_MAX - 16, why);
		return -EINVAL;
	}
	return 0;
}

static int check_new_backend(struct sl_control *c, struct sl_model_service *s,
			     const struct sl_config_backend *conf, char error[SL_ERROR_MAX])
{
	const struct sl_model_backend *same = sl_service_endpoint(s, &conf->addr, conf->port);
	struct sl_next_hop hop = { 0 };
	char addr[SL_ADDR_TEXT];

	sl_addr_format(&conf->addr, addr);
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

static int backend_add(void *context, const json_t *params, json_t **result,
		       char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "address", "port", "name", "weight", NULL };
	struct sl_config_backend conf = { 0 };
	struct sl_control *c = context;
	struct sl_model_backend *b;
	struct change x;
	json_t *o;
	int err = known_keys(params, keys, error);

	if (!err)
		err = change_service(&x, c, params, error);
	if (err)
		return err;
	err = read_new_backend(params, x.service, &conf, error);
	if (!err)
		err = check_new_backend(c, x.service, &conf, error);
	if (err)
		goto fail;
	b = sl_service_endpoint(x.service, &conf.addr, conf.port);
	if (b) { /* it was leaving, and comes back */
		memcpy(b->name, conf.name, sizeof(b->name));
		sl_backend_set_weight(x.service, b, conf.weight);
		sl_backend_set_state(x.service, b, SL_STATE_READY);
	} else {
		b = sl_service_add(x.next, x.service, &conf, &err);
		if (!b) {
			snprintf(error, SL_ERROR_MAX,
				 "service %s has no room for another backend: raise "
				 "capacity.backends (%u)",
				 x.service->conf.name, c->config.capacity.backends);
			goto fail;
		}
		sl_stats_begin(c, b->traffic);
	}
	sl_net_ask(c->net, &b->addr);
	sl_service_resolve(x.service, c->net);
	sl_endpoint_format(&conf.addr, conf.port, x.endpoint);
	err = end_change(&x, result, error);
	if (err)
		return err;
	o = override_of(&x);
	json_object_clear(o);
	json_object_set_new(o, "added", json_true());
	json_object_set_new(o, "name", json_string(conf.name));
	json_object_set_new(o, "weight", json_integer(conf.weight));
	return write_down(c, *result);
fail:
	sl_model_free(x.next, 0);
	return err;
}

static int backend_remove(void *context, const json_t *params, json_t **result,
			  char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "now", NULL };
	struct sl_control *c = context;
	struct change x;
	bool in_file;
	int err = known_keys(params, keys, error);

	if (!err)
		err = change_backend(&x, c, params, error);
	if (err)
		return err;
	in_file = x.backend->file_weight != 0;
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
	int err = known_keys(params, keys, error);

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

static int backend_drain(void *context, const json_t *params, json_t **result,
			 char error[SL_ERROR_MAX])
{
	return set_state(context, params, SL_STATE_DRAINING, result, error);
}

static int backend_ready(void *context, const json_t *params, json_t **result,
			 char error[SL_ERROR_MAX])
{
	return set_state(context, params, SL_STATE_READY, result, error);
}

static int backend_weight(void *context, const json_t *params, json_t **result,
			  char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "backend", "weight", NULL };
	const json_t *value = json_object_get(params, "weight");
	struct sl_control *c = context;
	char why[SL_ERROR_MAX];
	uint32_t weight, file_weight;
	struct change x;
	int err = known_keys(params, keys, error);

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

/* reload */

/* What is fixed while the instance lives. */
static int check_same_instance(const struct sl_config *old, const struct sl_config *new,
			       char error[SL_ERROR_MAX])
{
	const struct sl_config_dataplane *a = &old->dataplane, *b = &new->dataplane;
	const char *what = NULL;

	if (strcmp(old->instance, new->instance) != 0)
		what = "instance";
	else if (memcmp(&old->capacity, &new->capacity, sizeof(old->capacity)) != 0)
		what = "dataplane.capacity";
	else if (memcmp(old->row_key, new->row_key, sizeof(old->row_key)) != 0)
		what = "group";
	else if (a->n_ports != b->n_ports || a->tables != b->tables)
		what = "dataplane.ports";
	for (size_t i = 0; i < a->n_ports && !what; i++)
		if (strcmp(a->port[i].name, b->port[i].name) != 0 ||
		    strcmp(a->port[i].device, b->port[i].device) != 0 ||
		    a->port[i].queues != b->port[i].queues)
			what = "dataplane.ports";
	if (!what)
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "%s: %s can't change while the instance lives; stop both processes and start "
		 "with `sluice-control --fresh`",
		 new->file, what);
	return -EINVAL;
}

int sl_reload(struct sl_control *c, json_t *changes, char error[SL_ERROR_MAX])
{
	enum sl_engine_wish engine = c->config.dataplane.engine;
	struct sl_published out;
	struct sl_config config;
	struct sl_model *next;
	int err = sl_config_read(c->file, &config, error);

	if (err)
		return -EINVAL;
	err = check_same_instance(&c->config, &config, error);
	if (err)
		goto fail;
	next = sl_model_clone(c->model);
	err = next ? sl_apply(c, &config, next, changes, error) : -ENOMEM;
	if (err) {
		sl_model_free(next, 0);
		goto fail;
	}
	if (!sl_apply_network(c, next) && engine == config.dataplane.engine &&
	    json_array_size(changes) == 0) {
		sl_model_free(next, 0); /* no difference: nothing to publish */
		goto taken;
	}
	c->config.dataplane.engine = config.dataplane.engine;
	err = sl_publish(c, next, &out, error);
	if (err) {
		c->config.dataplane.engine = engine;
		goto fail;
	}
	if (engine != config.dataplane.engine)
		json_array_append_new(changes, json_string("dataplane.engine changed"));
taken:
	/* Ports stay what they were: the network's mirror goes on pointing into the old ones. */
	free(c->config.service);
	c->config.service = config.service;
	c->config.n_services = config.n_services;
	config.service = NULL;
	config.n_services = 0;
fail:
	sl_config_free(&config);
	return err;
}

static int reload(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX])
{
	struct sl_control *c = context;
	json_t *changes = json_array();
	struct sl_published out;
	int err;

	(void)params;
	if (!changes)
		return -ENOMEM;
	err = sl_reload(c, changes, error);
	if (err) {
		json_decref(changes);
		return err;
	}
	sl_acknowledged(c, &out);
	*result = published(&out);
	json_object_set_new(*result, "changes", changes);
	return 0;
}

/* Reading */

static int status(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX])
{
	(void)params, (void)error;
	*result = sl_report_status(context);
	return 0;
}

static int service_list(void *context, const json_t *params, json_t **result,
			char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	json_t *list = json_array();

	(void)params, (void)error;
	for (size_t i = 0; i < c->model->n; i++)
		json_array_append_new(list, sl_report_service(c, c->model->service[i]));
	*result = json_pack("{s:o}", "services", list);
	return 0;
}

static int service_show(void *context, const json_t *params, json_t **result,
			char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int at = service_of(c, params, error);
	json_t *list = json_array();

	if (at < 0) {
		json_decref(list);
		return at;
	}
	sl_report_backends(c, c->model->service[at], list);
	*result = sl_report_service(c, c->model->service[at]);
	json_object_set_new(*result, "backend_list", list);
	return 0;
}

static int backend_list(void *context, const json_t *params, json_t **result,
			char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int at = -1;
	json_t *list;

	if (json_object_get(params, "service")) {
		at = service_of(c, params, error);
		if (at < 0)
			return at;
	}
	list = json_array();
	for (size_t i = 0; i < c->model->n; i++)
		if (at < 0 || (size_t)at == i)
			sl_report_backends(c, c->model->service[i], list);
	*result = json_pack("{s:o}", "backends", list);
	return 0;
}

static int stats(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX])
{
	(void)params, (void)error;
	*result = sl_report_stats(context);
	return 0;
}

static int generation(void *context, const json_t *params, json_t **result,
		      char error[SL_ERROR_MAX])
{
	(void)params, (void)error;
	*result = sl_report_generation(context);
	return 0;
}

/* Answers first, then ends: nothing is left to serve. */
static int detach(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX])
{
	static const struct timeval soon = { .tv_usec = 100000 };
	struct sl_control *c = context;
	int err = sl_instance_remove(c, error);

	(void)params;
	if (err)
		return err;
	sl_log("detached: the XDP programs are off, the pins are removed");
	event_base_loopexit(c->base, &soon);
	*result = json_pack("{s:s}", "text",
			    "detached: the XDP programs are off and the pins removed; "
			    "sluice-control ends");
	return 0;
}

const struct sl_rpc_method sl_commands[] = {
	{ "status", false, status },
	{ "service.list", false, service_list },
	{ "service.show", false, service_show },
	{ "backend.list", false, backend_list },
	{ "backend.add", true, backend_add },
	{ "backend.remove", true, backend_remove },
	{ "backend.drain", true, backend_drain },
	{ "backend.ready", true, backend_ready },
	{ "backend.weight", true, backend_weight },
	{ "stats", false, stats },
	{ "generation", false, generation },
	{ "reload", true, reload },
	{ "detach", true, detach },
};
const size_t sl_n_commands = sizeof(sl_commands) / sizeof(sl_commands[0]);
