/* SPDX-License-Identifier: BSD-2-Clause */
#include "apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overrides.h"
#include "stats.h"

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

/* Adoption */

static enum sl_backend_state state_of(const struct sl_backend *b)
{
	static const struct sl_backend nobody;

	if (memcmp(&b->addr, &nobody.addr, sizeof(b->addr)) == 0)
		return SL_STATE_FREE;
	if (!(b->flags & SL_BACKEND_SERVES))
		return SL_STATE_GONE;
	return b->flags & SL_BACKEND_TAKES_NEW ? SL_STATE_READY : SL_STATE_DRAINING;
}

static void adopt_backend(struct sl_model *m, struct sl_model_backend *to,
			  const struct sl_backend *from)
{
	*to = (struct sl_model_backend){ .addr = from->addr,
					 .port = sl_ntohs(from->port),
					 .state = state_of(from),
					 .weight = 1,
					 .traffic = from->traffic,
					 .known = from->flags & SL_BACKEND_RESOLVED,
					 .named = true };
	if (to->state != SL_STATE_FREE && to->traffic < m->n_traffics)
		sl_bit_set(m->traffics, to->traffic);
}

static int adopt_extents(struct sl_control *c, struct sl_model_service *s,
			 const struct sl_service *record)
{
	const struct sl_rows *slots = c->store.base[SL_ARRAY_slots];
	uint32_t now = sl_clock_ms();

	s->rows = sl_pool_adopt(c->rows, record->rows, s->n_rows / SL_ROWS_PER_RECORD);
	s->backends = sl_pool_adopt(c->backends, record->backends, s->n ? s->n : 1);
	s->opened_ms = calloc(s->n_rows, sizeof(*s->opened_ms));
	if (!s->rows || !s->backends || !s->opened_ms)
		return -EPROTO;
	/* When the windows opened isn't known: they begin anew, which only keeps them longer. */
	for (uint32_t i = 0; i < s->n_rows; i++)
		s->opened_ms[i] = now;
	s->windows = sl_rows_count(sl_rows_of(slots, s->rows->at), s->opened_ms, s->n_rows);
	return 0;
}

static int adopt_service(struct sl_control *c, struct sl_model *m, const struct sl_service *record)
{
	const struct sl_backend *backend = c->store.base[SL_ARRAY_backends];
	struct sl_config_service conf = { .vip = record->vip,
					  .protocol = (uint8_t)(record->endpoint >> 16),
					  .port = sl_ntohs((sl_be16)record->endpoint),
					  .scheduler = "maglev",
					  .mode = "nat",
					  .track_all = record->flags & SL_SERVICE_TRACK,
					  .flowless = record->flags & SL_SERVICE_FLOWLESS,
					  .table_size = record->row_mask + 1,
					  .idle_timeout_ms = 900000 };
	struct sl_model_service *s;
	int err;

	snprintf(conf.name, sizeof(conf.name), "adopted-%u", record->id);
	s = sl_model_add(m, &conf, sl_clock_ms(), &err);
	if (!s)
		return err;
	sl_bit_clear(m->ids, s->id);
	s->id = record->id;
	sl_bit_set(m->ids, s->id);
	s->n = record->n_backends;
	s->backend = calloc(s->n + 1u, sizeof(*s->backend));
	if (!s->backend)
		return -ENOMEM;
	err = adopt_extents(c, s, record);
	for (uint32_t i = 0; i < s->n && !err; i++)
		adopt_backend(m, &s->backend[i], &backend[record->backends + i]);
	return err;
}

/* Ids of services that went while no control ran: some entry may still name them. */
static void rest_unknown_ids(struct sl_control *c, struct sl_model *m)
{
	const struct sl_terms *terms = c->store.base[SL_ARRAY_terms];

	for (uint32_t id = 1; id < m->n_ids; id++) {
		if (sl_bit(m->ids, id) || !terms[id].lifetime[SL_FLOW_ESTABLISHED])
			continue;
		sl_bit_set(m->ids, id);
		sl_bit_set(m->resting, id);
	}
}

int sl_adopt(struct sl_control *c, char error[SL_ERROR_MAX])
{
	const uint32_t *count = c->store.count;
	const struct sl_root *root = sl_store_root(&c->store);
	const struct sl_service *record =
		(const struct sl_service *)c->store.base[SL_ARRAY_services] +
		(root->generation & 1) * (count[SL_ARRAY_services] / 2);
	struct sl_model *m = sl_model_new(count[SL_ARRAY_terms],
					  count[SL_ARRAY_traffic] / count[SL_ARRAY_tally]);

	if (!m)
		return -ENOMEM;
	for (uint32_t i = 0; root->generation && i < count[SL_ARRAY_services] / 2; i++) {
		int err;

		if (!record[i].vip.q[1] || record[i].flags & SL_SERVICE_VIP)
			continue;
		err = adopt_service(c, m, &record[i]);
		if (err) {
			snprintf(error, SL_ERROR_MAX,
				 "generation %llu can't be adopted: its services contradict each "
				 "other (%s); `sluice-control --fresh` starts over",
				 (unsigned long long)root->generation, strerror(-err));
			sl_model_free(m, 0);
			return err;
		}
	}
	rest_unknown_ids(c, m);
	c->model = m;
	return 0;
}

/* Services */

static bool same_conf(const struct sl_config_service *a, const struct sl_config_service *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->scheduler, b->scheduler) == 0 &&
	       strcmp(a->mode, b->mode) == 0 && a->track_all == b->track_all &&
	       a->flowless == b->flowless && a->table_size == b->table_size &&
	       a->idle_timeout_ms == b->idle_timeout_ms;
}

static void set_conf(struct sl_model_service *s, const struct sl_config_service *conf)
{
	bool refill = strcmp(s->conf.scheduler, conf->scheduler) != 0 ||
		      s->conf.table_size != conf->table_size || s->conf.flowless != conf->flowless;

	if (conf->track_all && !s->conf.track_all)
		s->track_since_ms = sl_clock_ms();
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
	char error[SL_ERROR_MAX], addr[SL_ENDPOINT_TEXT];
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *colon = strrchr(endpoint, ':');

	if (!json_is_true(json_object_get(o, "added")) || !name || !colon)
		return false;
	*w = (struct wanted){ .draining = json_object_get(o, "state") != NULL };
	snprintf(addr, sizeof(addr), "%.*s", (int)(colon - endpoint), endpoint);
	w->conf.port = (uint16_t)strtoul(colon + 1, NULL, 10);
	w->conf.weight = (uint32_t)json_integer_value(json_object_get(o, "weight"));
	return w->conf.weight && w->conf.port &&
	       sl_config_parse_addr(addr, &w->conf.addr, error) == 0 &&
	       sl_config_parse_name(name, w->conf.name, error) == 0;
}

static int apply_backend(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			 const struct wanted *w, json_t *changes)
{
	struct sl_model_backend *b = sl_service_endpoint(s, &w->conf.addr, w->conf.port);
	enum sl_backend_state state = w->draining ? SL_STATE_DRAINING : SL_STATE_READY;
	int err;

	if (!b) {
		b = sl_service_add(m, s, &w->conf, &err);
		if (!b)
			return err;
		sl_stats_begin(c, b->traffic);
		b->file_weight = w->file_weight;
		b->state = state;
		note(changes, "service %s: backend %s added with weight %u", s->conf.name, b->name,
		     b->weight);
		return 0;
	}
	if (b->name[0] && b->weight != w->conf.weight)
		note(changes, "service %s: backend %s: weight %u -> %u", s->conf.name, b->name,
		     b->weight, w->conf.weight);
	if (b->name[0] && b->state != state)
		note(changes, "service %s: backend %s: %s", s->conf.name, b->name,
		     state == SL_STATE_READY ? "ready" : "draining");
	memcpy(b->name, w->conf.name, sizeof(b->name));
	b->file_weight = w->file_weight;
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
	int err = apply_backend(c, m, s, w, changes);

	if (err) {
		snprintf(error, SL_ERROR_MAX,
			 "service %s: no room for backend %s: raise capacity.backends",
			 s->conf.name, w->conf.name);
		return err;
	}
	keep[sl_service_endpoint(s, &w->conf.addr, w->conf.port) - s->backend] = true;
	return 0;
}

static int apply_backends(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			  const struct sl_config_service *conf, json_t *changes,
			  char error[SL_ERROR_MAX])
{
	json_t *overrides = json_object_get(json_object_get(c->overrides, "services"), conf->name);
	size_t most = s->n + conf->n_backends + json_object_size(overrides) + 1;
	bool *keep = calloc(most, sizeof(*keep));
	const char *endpoint;
	struct wanted w;
	json_t *o;
	int err = keep ? 0 : -ENOMEM;

	for (size_t i = 0; i < conf->n_backends && !err; i++)
		if (want_from_file(c, conf->name, &conf->backend[i], &w))
			err = apply_one(c, m, s, &w, keep, changes, error);
	json_object_foreach (overrides, endpoint, o) {
		const struct sl_model_backend *named;

		if (err || !want_from_override(endpoint, o, &w))
			continue;
		named = sl_service_backend(s, w.conf.name);
		if (!named || named == sl_service_endpoint(s, &w.conf.addr, w.conf.port))
			err = apply_one(c, m, s, &w, keep, changes, error);
		else
			sl_log("service %s: added backend %s: the file has one of that name now",
			       s->conf.name, w.conf.name);
	}
	if (!err)
		dismiss(s, keep, changes);
	free(keep);
	return err;
}

static int apply_service(struct sl_control *c, struct sl_model *next,
			 const struct sl_config_service *conf, json_t *changes,
			 char error[SL_ERROR_MAX])
{
	int at = sl_model_find_endpoint(next, &conf->vip, conf->protocol, conf->port);
	struct sl_model_service *s;
	int err = 0;

	if (at < 0) {
		s = sl_model_add(next, conf, sl_clock_ms(), &err);
		if (!s) {
			snprintf(error, SL_ERROR_MAX,
				 "service %s: no room: raise capacity.services (%u)", conf->name,
				 c->config.capacity.services);
			return err;
		}
		note(changes, "service %s added", conf->name);
	} else {
		s = sl_model_edit(next, (size_t)at);
		if (!s)
			return -ENOMEM;
		if (!same_conf(&s->conf, conf)) {
			note(changes, "service %s changed", conf->name);
			set_conf(s, conf);
		}
	}
	return apply_backends(c, next, s, conf, changes, error);
}

int sl_apply(struct sl_control *c, const struct sl_config *config, struct sl_model *next,
	     json_t *changes, char error[SL_ERROR_MAX])
{
	int err = 0;

	for (size_t i = next->n; i-- > 0;) {
		const struct sl_config_service *have = &next->service[i]->conf;
		bool wanted = false;

		for (size_t k = 0; k < config->n_services && !wanted; k++) {
			const struct sl_config_service *w = &config->service[k];

			wanted = w->protocol == have->protocol && w->port == have->port &&
				 sl_addr_equal(&w->vip, &have->vip);
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
	struct sl_route *route = calloc(n + 1, sizeof(*route));
	bool changed;

	if (!route)
		return false;
	sl_net_routes(c->net, route, n);
	for (size_t i = 0; i < n; i++)
		if (worth_a_record(&route[i]))
			route[kept++] = route[i];
	if (kept > c->config.capacity.routes) {
		sl_log("routes: %zu don't fit; the shortest prefixes are left out: raise "
		       "capacity.routes (%u)",
		       kept, c->config.capacity.routes);
		kept = c->config.capacity.routes;
	}
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
