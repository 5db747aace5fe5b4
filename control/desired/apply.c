/* SPDX-License-Identifier: BSD-2-Clause */
#include "apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../network/direct_from.h"
#include "../network/routes.h"
#include "../tables/server_ids.h"
#include "apply_limits.h"
#include "overrides.h"

__attribute__((format(printf, 2, 3))) static void note(json_t *changes, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (changes)
		json_array_append_new(changes, json_string(text));
}

/* Services */

static bool same_source(const struct sl_config_source *a, const struct sl_config_source *b)
{
	return sl_addr_equal(&a->prefix, &b->prefix) && a->entropy == b->entropy;
}

static bool same_pool(const struct sl_config_pool *a, const struct sl_config_pool *b)
{
	return strcmp(a->name, b->name) == 0 && a->n == b->n && a->first_port == b->first_port &&
	       a->last_port == b->last_port &&
	       memcmp(a->addr, b->addr, a->n * sizeof(a->addr[0])) == 0;
}

static bool same_mode(const struct sl_config_service *a, const struct sl_config_service *b)
{
	return a->mode == b->mode && same_source(&a->source, &b->source) &&
	       same_source(&a->source6, &b->source6) && a->gue_port == b->gue_port &&
	       a->gue_variant == b->gue_variant && a->mss == b->mss &&
	       same_pool(&a->pool, &b->pool);
}

/* But for the name. */
static bool same_conf(const struct sl_config_service *a, const struct sl_config_service *b)
{
	return strcmp(a->scheduler, b->scheduler) == 0 && same_mode(a, b) &&
	       a->last_port == b->last_port && a->track_all == b->track_all &&
	       a->flowless == b->flowless && a->affinity == b->affinity &&
	       a->refuses == b->refuses && a->vip_refuses == b->vip_refuses && a->quic == b->quic &&
	       a->table_size == b->table_size && a->idle_timeout_ms == b->idle_timeout_ms;
}

static void set_conf(struct sl_model_service *s, const struct sl_config_service *conf)
{
	bool refill = strcmp(s->conf.scheduler, conf->scheduler) != 0 ||
		      s->conf.table_size != conf->table_size || s->conf.flowless != conf->flowless;

	s->rewrite |= !same_mode(&s->conf, conf);
	s->rehash |= s->conf.affinity != conf->affinity;
	s->conf = *conf;
	s->conf.backend = NULL;
	s->conf.n_backends = 0;
	s->refill |= refill;
}

/* Backends */

struct wanted {
	struct sl_config_backend conf;
	uint32_t file_weight;
	bool draining;
};

/* What the file and an override make of one backend; false: it isn't wanted. */
static bool want_from_file(struct sl_control *c, const char *service,
			   const struct sl_config_backend *conf, struct wanted *w)
{
	char endpoint[SL_ENDPOINT_TEXT];
	json_t *o, *weight;

	*w = (struct wanted){ .conf = *conf, .file_weight = conf->weight };
	sl_endpoint_format(&conf->addr, conf->port, endpoint);
	o = sl_override_find(c->overrides, service, endpoint);
	if (!o)
		return true;
	if (json_is_true(json_object_get(o, "removed")))
		return false;
	weight = json_object_get(o, "weight");
	if (weight && json_integer_value(json_object_get(o, "file_weight")) == conf->weight)
		w->conf.weight = (uint32_t)json_integer_value(weight);
	w->draining = json_object_get(o, "state") != NULL;
	return true;
}

/* One that only an override names. */
static bool want_from_override(const char *endpoint, const json_t *o, struct wanted *w)
{
	char error[SL_ERROR_MAX];
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *id = json_string_value(json_object_get(o, "server_id"));

	if (!json_is_true(json_object_get(o, "added")) || !name)
		return false;
	*w = (struct wanted){ .draining = json_object_get(o, "state") != NULL };
	if (id && sl_config_parse_server_id(id, &w->conf.server_id, error) != 0)
		return false;
	w->conf.weight = (uint32_t)json_integer_value(json_object_get(o, "weight"));
	return w->conf.weight &&
	       sl_backend_parse(endpoint, &w->conf.addr, &w->conf.port, error) == 0 &&
	       sl_config_parse_name(name, w->conf.name, error) == 0;
}

static const struct sl_config_backend *endpoint_of(const struct sl_config_service *conf,
						   const union sl_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < conf->n_backends; i++)
		if (conf->backend[i].port == port && sl_addr_equal(&conf->backend[i].addr, addr))
			return &conf->backend[i];
	return NULL;
}

/* Another id, or none any more. */
static void set_server_id(struct sl_model_service *s, struct sl_model_backend *b,
			  const struct sl_server_id *id, json_t *changes)
{
	char before[SL_SERVER_ID_TEXT] = "none", now[SL_SERVER_ID_TEXT] = "none";

	if (sl_server_id_same(&b->server_id, id))
		return;
	if (b->server_id.bytes)
		sl_server_id_format(&b->server_id, before);
	if (id->bytes)
		sl_server_id_format(id, now);
	if (b->name[0])
		note(changes, "service %s: backend %s: server_id %s -> %s", s->conf.name, b->name,
		     before, now);
	b->server_id = *id;
}

static int apply_backend(struct sl_model *m, struct sl_model_service *s, const struct wanted *w,
			 json_t *changes)
{
	struct sl_model_backend *b = sl_service_endpoint(s, &w->conf.addr, w->conf.port);
	enum sl_backend_state state = w->draining ? SL_STATE_DRAINING : SL_STATE_READY;
	int err;

	if (!b) {
		b = sl_service_add(m, s, &w->conf, &err);
		if (!b)
			return err;
		b->file_weight = w->file_weight;
		b->state = state;
		note(changes, "service %s: backend %s added with weight %u", s->conf.name, b->name,
		     b->weight);
		return 0;
	}
	if (b->name[0] && strcmp(b->name, w->conf.name) != 0)
		note(changes, "service %s: backend %s is called %s now", s->conf.name, b->name,
		     w->conf.name);
	if (b->name[0] && b->weight != w->conf.weight)
		note(changes, "service %s: backend %s: weight %u -> %u", s->conf.name, w->conf.name,
		     b->weight, w->conf.weight);
	else if (b->name[0] && b->file_weight != w->file_weight)
		note(changes, "service %s: backend %s: weight %u stays, the file says %s",
		     s->conf.name, w->conf.name, b->weight,
		     !w->file_weight			? "nothing now"
		     : w->file_weight == w->conf.weight ? "so too now"
							: "another now");
	if (b->name[0] && b->state != state)
		note(changes, "service %s: backend %s: %s", s->conf.name, w->conf.name,
		     state == SL_STATE_READY ? "ready" : "draining");
	memcpy(b->name, w->conf.name, sizeof(b->name));
	b->file_weight = w->file_weight;
	set_server_id(s, b, &w->conf.server_id, changes);
	sl_backend_set_weight(s, b, w->conf.weight);
	sl_backend_set_state(s, b, state);
	return 0;
}

/* Who is in the model but not in `keep` leaves. */
static void dismiss(struct sl_model_service *s, const bool *keep, json_t *changes)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (keep[i] || (b->state != SL_STATE_READY && b->state != SL_STATE_DRAINING))
			continue;
		if (!b->name[0])
			snprintf(b->name, sizeof(b->name), "number-%u", i + 1);
		note(changes, "service %s: backend %s leaves", s->conf.name, b->name);
		sl_backend_set_state(s, b, SL_STATE_LEAVING);
	}
}

static int apply_one(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
		     const struct wanted *w, bool *keep, json_t *changes, char error[SL_ERROR_MAX])
{
	int err = apply_backend(m, s, w, changes);

	if (err) {
		snprintf(error, SL_ERROR_MAX,
			 "service %s: no room for backend %s: %u rest until their flows end; try "
			 "again later or raise capacity.backends (%u)",
			 s->conf.name, w->conf.name, sl_model_resting_backends(m),
			 c->config.capacity.backends);
		return err;
	}
	keep[sl_service_endpoint(s, &w->conf.addr, w->conf.port) - s->backend] = true;
	return 0;
}

/* An added backend keeps its server id where the file leaves room for it. */
static void check_added_id(const struct sl_config_service *conf, struct sl_config_backend *added)
{
	char why[SL_ERROR_MAX];
	int err = sl_server_id_check(conf, &added->server_id, why);

	for (size_t i = 0; i < conf->n_backends && !err; i++)
		err = sl_server_id_clash(&added->server_id, conf->backend[i].name,
					 &conf->backend[i].server_id, why);
	if (!err)
		return;
	sl_log("service %s: added backend %s has no server_id any more: %.*s", conf->name,
	       added->name, SL_ERROR_MAX / 2, why);
	added->server_id = (struct sl_server_id){ 0 };
}

static int apply_backends(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			  const struct sl_config_service *conf, json_t *changes,
			  char error[SL_ERROR_MAX])
{
	json_t *overrides = json_object_get(json_object_get(c->overrides, "services"), conf->name);
	size_t most = s->n + conf->n_backends + json_object_size(overrides) + 1;
	bool *keep = calloc(most, sizeof(*keep));
	const char *endpoint;
	char why[SL_ERROR_MAX];
	struct wanted w;
	json_t *o;
	int err = keep ? 0 : -ENOMEM;

	for (size_t i = 0; i < conf->n_backends && !err; i++)
		if (want_from_file(c, conf->name, &conf->backend[i], &w))
			err = apply_one(c, m, s, &w, keep, changes, error);
	json_object_foreach (overrides, endpoint, o) {
		const struct sl_model_backend *named;

		if (err || !want_from_override(endpoint, o, &w) ||
		    endpoint_of(conf, &w.conf.addr, w.conf.port))
			continue;
		if (sl_mode_check_addr(conf, &w.conf.addr, why) != 0 ||
		    sl_mode_check_port(conf, w.conf.port, why) != 0) {
			sl_log("service %s: added backend %s: %.*s", s->conf.name, w.conf.name,
			       SL_ERROR_MAX / 2, why);
			continue;
		}
		check_added_id(conf, &w.conf);
		named = sl_service_backend(s, w.conf.name);
		if (!named || named == sl_service_endpoint(s, &w.conf.addr, w.conf.port))
			err = apply_one(c, m, s, &w, keep, changes, error);
		else
			sl_log("service %s: added backend %s: the file has one of that name now",
			       s->conf.name, w.conf.name);
	}
	if (!err) {
		dismiss(s, keep, changes);
		err = sl_servers_check(s, error);
	}
	free(keep);
	return err;
}

/* Where a flow's port stands follows from the pool's ports: with others no flow would be found. */
static int check_pool(const struct sl_config_service *was, const struct sl_config_service *is,
		      char error[SL_ERROR_MAX])
{
	const struct sl_config_pool *a = &was->pool, *b = &is->pool;
	bool shared = false;

	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t k = 0; k < b->n; k++)
			shared |= sl_addr_equal(&a->addr[i], &b->addr[k]);
	if (!shared || (a->first_port == b->first_port && a->last_port == b->last_port))
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "pool %s: ports can't change while service %s uses it, or its flows would lose "
		 "theirs; make another pool of other addresses",
		 b->name, is->name);
	return -EBUSY;
}

static int apply_service(struct sl_control *c, struct sl_model *next,
			 const struct sl_config_service *conf, json_t *changes,
			 char error[SL_ERROR_MAX])
{
	int at = sl_model_find_same(next, conf);
	struct sl_model_service *s;
	bool renamed, same, tracked;
	int err = 0;

	if (at < 0) {
		s = sl_model_add(next, conf, sl_clock_ms(), &err);
		if (!s) {
			snprintf(error, SL_ERROR_MAX,
				 "service %s: no room: %u that were removed rest until their flows "
				 "end; try again later or raise capacity.services (%u)",
				 conf->name, sl_model_resting_services(next),
				 c->config.capacity.services);
			return err;
		}
		note(changes, "service %s added", conf->name);
		tracked = true;
	} else {
		s = sl_model_edit(next, (size_t)at);
		if (!s)
			return -ENOMEM;
		err = check_pool(&s->conf, conf, error);
		if (err)
			return err;
		tracked = sl_service_tracks(s);
		renamed = strcmp(s->conf.name, conf->name) != 0;
		same = same_conf(&s->conf, conf);
		if (renamed)
			note(changes, "service %s is called %s now", s->conf.name, conf->name);
		if (!same)
			note(changes, "service %s changed", conf->name);
		if (renamed || !same)
			set_conf(s, conf);
	}
	err = sl_limits_apply(c, next, s, conf, sl_live_limits(c->overrides, conf->name), changes,
			      error);
	if (err)
		return err;
	if (!tracked)
		sl_service_begin_tracking(s, sl_clock_ms());
	return apply_backends(c, next, s, conf, changes, error);
}

const struct sl_config_backend *sl_file_backend(const struct sl_control *c, const char *service,
						const union sl_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < c->config.n_services; i++) {
		if (strcmp(c->config.service[i].name, service) == 0)
			return endpoint_of(&c->config.service[i], addr, port);
	}
	return NULL;
}

int sl_apply(struct sl_control *c, const struct sl_config *config, struct sl_model *next,
	     json_t *changes, char error[SL_ERROR_MAX])
{
	int err = 0;

	for (size_t i = next->n; i-- > 0;) {
		const struct sl_config_service *have = &next->service[i]->conf;
		bool wanted = false;

		for (size_t k = 0; k < config->n_services && !wanted; k++) {
			wanted = sl_config_same_service(&config->service[k], have);
		}
		if (wanted)
			continue;
		note(changes, "service %s removed", have->name);
		sl_model_remove(next, i, 0);
	}
	for (size_t i = 0; i < config->n_services && !err; i++)
		err = apply_service(c, next, &config->service[i], changes, error);
	return err;
}

/* The network */

/* In places that are free stands the port's own. */
static void fill_addresses(struct sl_port *port, const struct sl_net_port *p)
{
	for (uint32_t i = 0; i < SL_PORT_ADDRESSES; i++)
		port->address[i] = sl_port_address(i < p->n_other ? p->other_mac[i] : p->mac);
}

static void note_addresses(struct sl_control *c, uint32_t port, const struct sl_net_port *p)
{
	uint64_t bit = 1ull << port;

	if (p->n_other > SL_PORT_ADDRESSES && !(c->macs_left_out & bit))
		sl_log("port %s: there are %u MAC addresses on top of it, and only %d are taken; "
		       "frames to the others are the kernel's",
		       c->config.dataplane.port[port].name, p->n_other, SL_PORT_ADDRESSES);
	c->macs_left_out =
		p->n_other > SL_PORT_ADDRESSES ? c->macs_left_out | bit : c->macs_left_out & ~bit;
}

static bool apply_ports(struct sl_control *c, struct sl_model *next)
{
	struct sl_port port[SL_PORTS_MAX] = { 0 };
	bool changed;

	next->n_ports = (uint32_t)c->config.dataplane.n_ports;
	for (uint32_t i = 0; i < next->n_ports; i++) {
		const struct sl_net_port *p = sl_net_port(c->net, i);

		port[i].ifindex = p->ifindex;
		port[i].mtu = p->mtu;
		memcpy(port[i].mac, p->mac, 6);
		port[i].addr4 = p->addr4;
		port[i].addr6 = p->addr6;
		fill_addresses(&port[i], p);
		note_addresses(c, i, p);
	}
	changed = memcmp(port, next->port, sizeof(port)) != 0;
	memcpy(next->port, port, sizeof(port));
	return changed;
}

/* Hosts that are being asked for are covered by the record of their prefix: left out, so that a
 * scan of the client's subnet doesn't fill the bank. */
static bool worth_a_record(const struct sl_route *r)
{
	return r->kind != SL_ROUTE_ASK || r->gateway.q[0] || r->gateway.q[1];
}

static bool apply_routes(struct sl_control *c, struct sl_model *next)
{
	size_t n = sl_net_routes(c->net, NULL, 0), kept = 0;
	struct sl_route *route = calloc(n + SL_DIRECT_FROM_MAX + 1, sizeof(*route));
	bool changed;

	if (!route)
		return false;
	sl_net_routes(c->net, route, n);
	for (size_t i = 0; i < n; i++)
		if (worth_a_record(&route[i]))
			route[kept++] = route[i];
	n = sl_exempt_routes(&c->config, route, kept);
	kept = sl_routes_fit(route, n, c->config.capacity.routes, SL_PREFIX_LENGTHS);
	if (n > kept && !c->routes_left_out)
		sl_log("routes: %zu don't fit; %zu are left out, hosts first, then the longest "
		       "prefixes: raise capacity.routes (%u)",
		       n, n - kept, c->config.capacity.routes);
	c->routes_left_out = n - kept;
	changed = kept != next->n_routes ||
		  (kept && memcmp(route, next->route, kept * sizeof(*route)) != 0);
	free(next->route);
	next->route = route;
	next->n_routes = kept;
	return changed;
}

bool sl_apply_network(struct sl_control *c, struct sl_model *next)
{
	bool changed = apply_ports(c, next);

	changed |= apply_routes(c, next);
	for (size_t i = 0; i < next->n; i++) {
		struct sl_model_service *s = sl_model_edit(next, i);

		if (!s)
			continue;
		changed |= sl_service_resolve(s, c->net);
		for (uint32_t k = 0; k < s->n; k++)
			if (s->backend[k].state != SL_STATE_FREE &&
			    s->backend[k].hop.kind == SL_ROUTE_ASK)
				sl_net_ask(c->net, &s->backend[k].addr);
	}
	return changed;
}
