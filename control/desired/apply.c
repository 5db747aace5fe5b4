/* SPDX-License-Identifier: BSD-2-Clause */
#include "apply.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/server_ids.h"
#include "../network/direct_from.h"
#include "../network/routes.h"
#include "apply_limits.h"
#include "changes.h"

/* Services */

static bool same_source(const struct sl_config_source *a, const struct sl_config_source *b)
{
	return sl_addr_equal(&a->prefix, &b->prefix) && a->entropy == b->entropy;
}

static bool same_pool(const struct sl_config_snat_pool *a, const struct sl_config_snat_pool *b)
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

/* Compares everything but the name. */
static bool same_conf(const struct sl_config_service *a, const struct sl_config_service *b)
{
	return strcmp(a->scheduler, b->scheduler) == 0 && same_mode(a, b) &&
	       a->last_port == b->last_port && a->track_all == b->track_all &&
	       a->flowless == b->flowless && a->drains_udp_at_once == b->drains_udp_at_once &&
	       a->affinity == b->affinity && strcmp(a->affinity_group, b->affinity_group) == 0 &&
	       a->rejects == b->rejects && a->vip_rejects == b->vip_rejects &&
	       a->shared_vip == b->shared_vip && a->forwards_hairpins == b->forwards_hairpins &&
	       a->quic == b->quic && a->table_size == b->table_size &&
	       a->idle_timeout_ms == b->idle_timeout_ms &&
	       sl_health_conf_same(&a->health, &b->health);
}

static void set_conf(struct sl_model_service *s, const struct sl_config_service *conf)
{
	bool refill = strcmp(s->conf.scheduler, conf->scheduler) != 0 ||
		      s->conf.table_size != conf->table_size || s->conf.flowless != conf->flowless;

	s->rewrite |=
		!same_mode(&s->conf, conf) || s->conf.forwards_hairpins != conf->forwards_hairpins;
	s->rehash |= s->conf.affinity != conf->affinity ||
		     s->slot_endpoint != sl_config_slot_endpoint(conf);
	s->unpick |= s->conf.pick != SL_PICK_HASH && conf->pick == SL_PICK_HASH;
	s->slot_endpoint = sl_config_slot_endpoint(conf);
	s->conf = *conf;
	s->conf.backend = NULL;
	s->conf.n_backends = 0;
	s->conf.setting = NULL; /* it points into the file's tree, which a reload frees */
	s->refill |= refill;
}

/* Backends */

/* Sets or removes the server id. */
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
		sl_note(changes, "service %s: backend %s: server_id %s -> %s", s->conf.name,
			b->name, before, now);
	b->server_id = *id;
}

static const char *state_text(enum sl_backend_state state, uint8_t held, bool maintenance)
{
	return state == SL_STATE_READY	       ? "ready"
	       : state != SL_STATE_DRAINING    ? "leaving"
	       : maintenance		       ? "maintenance"
	       : held == 1u << SL_LAYER_HEALTH ? "held back by health"
					       : "draining";
}

/* Returns the layers that hold the backend back. Health holds one that nobody has checked yet, but
 * not one that serves already. */
static uint8_t held_by(const struct sl_effective_backend *e, const struct sl_model_backend *b)
{
	if (!e->unchecked || (b && b->state == SL_STATE_READY))
		return e->held;
	return e->held | 1u << SL_LAYER_HEALTH;
}

/* Finds a backend that was adopted in state GONE, because it served nobody: it may have been
 * cut. */
static struct sl_model_backend *find_cut(struct sl_model_service *s, const union sl_addr *addr,
					 uint16_t port)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (b->state == SL_STATE_GONE && !b->name[0] && b->port == port &&
		    sl_addr_equal(&b->addr, addr))
			return b;
	}
	return NULL;
}

/* Whether existing flows are taken from the backend too. A UDP packet doesn't tell whether its flow
 * is new, and a busy flow never ends, so a UDP backend that is down gets no packets at all; where
 * drain_udp says so, one that drains doesn't either. */
static bool cuts(const struct sl_model_service *s, uint8_t held, bool maintenance)
{
	if (maintenance || (held && s->conf.drains_udp_at_once))
		return true;
	return held >> SL_LAYER_HEALTH & 1 && s->conf.protocol == IPPROTO_UDP;
}

static void note_weight(const struct sl_model_service *s, const struct sl_model_backend *b,
			const struct sl_effective_backend *e, json_t *changes)
{
	if (b->weight != e->conf.weight)
		sl_note(changes, "service %s: backend %s: weight %u -> %u", s->conf.name,
			e->conf.name, b->weight, e->conf.weight);
	else if (b->file_weight != e->file_weight)
		sl_note(changes, "service %s: backend %s: weight %u stays, the file says %s",
			s->conf.name, e->conf.name, b->weight,
			!e->file_weight			   ? "nothing now"
			: e->file_weight == e->conf.weight ? "so too now"
							   : "another now");
}

static void note_share(const struct sl_model_service *s, const struct sl_model_backend *b,
		       const struct sl_effective_backend *e, json_t *changes)
{
	if (b->share == e->share)
		return;
	if (e->share < SL_SHARE_WHOLE)
		sl_note(changes, "service %s: backend %s: slow start, %u/%u of its weight",
			s->conf.name, e->conf.name, e->share, SL_SHARE_WHOLE);
	else
		sl_note(changes, "service %s: backend %s: slow start ends", s->conf.name,
			e->conf.name);
}

static int apply_backend(struct sl_model *m, struct sl_model_service *s,
			 const struct sl_effective_backend *e, json_t *changes)
{
	struct sl_model_backend *b = sl_service_endpoint(s, &e->conf.addr, e->conf.port);
	uint8_t held = held_by(e, b);
	enum sl_backend_state state = held ? SL_STATE_DRAINING : SL_STATE_READY;
	int err;

	if (!b && cuts(s, held, e->maintenance))
		b = find_cut(s, &e->conf.addr, e->conf.port);
	if (!b) {
		b = sl_service_add(m, s, &e->conf, &err);
		if (!b)
			return err;
		b->state = state;
		sl_note(changes, "service %s: backend %s added with weight %u%s", s->conf.name,
			b->name, b->weight,
			held == 1u << SL_LAYER_HEALTH ? ", to be checked first"
			: e->maintenance	      ? ", in maintenance"
			: held			      ? ", draining"
						      : "");
	} else {
		if (b->name[0] && strcmp(b->name, e->conf.name) != 0)
			sl_note(changes, "service %s: backend %s is called %s now", s->conf.name,
				b->name, e->conf.name);
		if (b->name[0]) /* not if it was adopted, since its weight isn't known then */
			note_weight(s, b, e, changes);
		note_share(s, b, e, changes);
		if (b->name[0] && (b->state != state || b->maintenance != e->maintenance))
			sl_note(changes, "service %s: backend %s: %s -> %s", s->conf.name,
				e->conf.name, state_text(b->state, b->held, b->maintenance),
				state_text(state, held, e->maintenance));
		if (b->name[0] && b->state == state && b->maintenance == e->maintenance &&
		    (b->held ^ held) >> SL_LAYER_HEALTH & 1)
			sl_note(changes, "service %s: backend %s: health %s", s->conf.name,
				e->conf.name,
				held >> SL_LAYER_HEALTH & 1 ? "holds it back too"
							    : "doesn't hold it back any more");
		if (b->name[0] && b->forced != e->forced)
			sl_note(changes, "service %s: backend %s: %s", s->conf.name, e->conf.name,
				e->forced ? "health is overruled" : "health counts again");
		memcpy(b->name, e->conf.name, sizeof(b->name));
		set_server_id(s, b, &e->conf.server_id, changes);
		sl_backend_set_weight(s, b, e->conf.weight);
		sl_backend_set_state(s, b, state);
	}
	b->file_weight = e->file_weight;
	b->from = (uint8_t)e->from;
	b->weight_by = (uint8_t)e->weight_by;
	sl_backend_set_share(s, b, e->share);
	sl_backend_set_cut(s, b, cuts(s, held, e->maintenance));
	b->maintenance = e->maintenance;
	b->held = held;
	b->forced = e->forced;
	return 0;
}

/* Lets all backends leave that aren't in `keep`. */
static void dismiss(struct sl_model_service *s, const bool *keep, json_t *changes)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (keep[i] || (b->state != SL_STATE_READY && b->state != SL_STATE_DRAINING))
			continue;
		if (!b->name[0])
			snprintf(b->name, sizeof(b->name), "number-%u", i + 1);
		sl_note(changes, "service %s: backend %s leaves", s->conf.name, b->name);
		/* One that leaves would serve its flows again. */
		sl_backend_set_state(s, b,
				     b->cut || s->conf.drains_udp_at_once ? SL_STATE_GONE
									  : SL_STATE_LEAVING);
	}
}

static int apply_backends(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			  const struct sl_effective *e, json_t *changes, char error[SL_ERROR_MAX])
{
	bool *keep = calloc(s->n + e->n_backends + 1, sizeof(*keep));
	int err = keep ? 0 : -ENOMEM;

	for (size_t i = 0; i < e->n_backends && !err; i++) {
		const struct sl_effective_backend *b = &e->backend[i];

		err = apply_backend(m, s, b, changes);
		if (!err)
			keep[sl_service_endpoint(s, &b->conf.addr, b->conf.port) - s->backend] =
				true;
		else
			snprintf(error, SL_ERROR_MAX,
				 "service %s: no room for backend %s: %u rest until their flows "
				 "end; try again later or raise capacity.backends (%u)",
				 s->conf.name, b->conf.name, sl_model_quarantined_backends(m),
				 c->config.capacity.backends);
	}
	if (!err) {
		dismiss(s, keep, changes);
		err = sl_service_check_ids(s, error);
	}
	free(keep);
	return err;
}

/* Checks that the ports of a SNAT pool stay the same. The position of a flow's port depends on
 * them, so existing flows wouldn't be found with others. */
static int check_pool(const struct sl_config_service *was, const struct sl_config_service *is,
		      char error[SL_ERROR_MAX])
{
	const struct sl_config_snat_pool *a = &was->pool, *b = &is->pool;
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

/* Checks that a new service's VIP isn't one of the gateway's own addresses. A service takes every
 * port of its VIP, unless shared_vip leaves the other ports to the kernel: the operator has to
 * decide that. A service that exists already goes on: the address may have been added meanwhile, or
 * is about to move here. */
static int check_vip(const struct sl_control *c, const struct sl_config_service *conf,
		     char error[SL_ERROR_MAX])
{
	char vip[SL_VIP_TEXT], addr[SL_ADDR_TEXT], place[SL_PATH_MAX + 32] = "";
	const union sl_addr *own;

	if (conf->shared_vip || !c->net)
		return 0;
	own = sl_net_own_in(c->net, &conf->vip, 128u - conf->vip_host_bits);
	if (!own)
		return 0;
	if (conf->line)
		snprintf(place, sizeof(place), "%s:%d: ", c->file, conf->line);
	snprintf(error, SL_ERROR_MAX,
		 "%sservice %s: vip %s %s an address of the gateway itself%s%s, whose other ports "
		 "(ssh too) and ping would be cut off; take it off the interface (`ip addr`), give "
		 "another, or write shared_vip = true, which leaves to the kernel what is for no "
		 "service",
		 place, conf->name, sl_vip_format(conf, vip), conf->vip_host_bits ? "has" : "is",
		 conf->vip_host_bits ? ", " : "",
		 conf->vip_host_bits ? sl_addr_format(own, addr) : "");
	return -EINVAL;
}

static int apply_service(struct sl_control *c, struct sl_model *next, const struct sl_effective *e,
			 json_t *changes, char error[SL_ERROR_MAX])
{
	const struct sl_config_service *conf = &e->conf;
	int at = sl_model_find_same(next, conf);
	struct sl_model_service *s;
	bool renamed, same, tracked;
	int err = 0;

	if (at < 0) {
		err = check_vip(c, conf, error);
		if (err)
			return err;
		s = sl_model_add(next, conf, sl_clock_ms(), &err);
		if (!s) {
			snprintf(error, SL_ERROR_MAX,
				 "service %s: no room: %u that were removed rest until their flows "
				 "end; try again later or raise capacity.services (%u)",
				 conf->name, sl_model_quarantined_services(next),
				 c->config.capacity.services);
			return err;
		}
		sl_note(changes, "service %s added", conf->name);
		tracked = true;
	} else {
		s = sl_model_edit(next, (size_t)at);
		if (!s)
			return -ENOMEM;
		err = check_pool(&s->conf, conf, error);
		if (!err && s->conf.shared_vip && !conf->shared_vip)
			err = check_vip(c, conf, error);
		if (err)
			return err;
		tracked = sl_service_tracks(s);
		renamed = strcmp(s->conf.name, conf->name) != 0;
		same = same_conf(&s->conf, conf);
		if (renamed)
			sl_note(changes, "service %s is called %s now", s->conf.name, conf->name);
		if (!same)
			sl_note(changes, "service %s changed", conf->name);
		if (renamed || !same)
			set_conf(s, conf);
	}
	s->from = (uint8_t)e->from;
	s->set_live = e->set;
	err = sl_limits_apply(c, next, s, e, changes, error);
	if (err)
		return err;
	if (!tracked)
		sl_service_begin_tracking(s, sl_clock_ms());
	return apply_backends(c, next, s, e, changes, error);
}

static void remove_service(struct sl_model *next, size_t at, json_t *changes)
{
	sl_note(changes, "service %s removed", next->service[at]->conf.name);
	sl_model_remove(next, at, 0);
}

int sl_apply_service(struct sl_control *c, const struct sl_layers *layers, const char *service,
		     struct sl_model *next, json_t *changes, char error[SL_ERROR_MAX])
{
	struct sl_effective e;
	int err = sl_effective_make(layers, service, true, &e, error);
	int at = sl_model_find(next, service);

	if (err == -ENOENT && at >= 0)
		remove_service(next, (size_t)at, changes);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = apply_service(c, next, &e, changes, error);
	sl_effective_free(&e);
	return err;
}

static bool desired(const struct sl_effective *e, size_t n, const struct sl_config_service *have)
{
	for (size_t i = 0; i < n; i++)
		if (sl_config_same_service(&e[i].conf, have))
			return true;
	return false;
}

/* Whether a service that was added live can't be served any more, since the gateway got its VIP as
 * an address of its own meanwhile. That mustn't keep all others from being served at a start. */
static bool leaves_out(const struct sl_control *c, const struct sl_model *next,
		       const struct sl_effective *e, char error[SL_ERROR_MAX])
{
	if (e->from != SL_LAYER_OPERATORS || sl_model_find_same(next, &e->conf) >= 0 ||
	    check_vip(c, &e->conf, error) == 0)
		return false;
	sl_log("service %s is left out: %s", e->conf.name, error);
	error[0] = '\0';
	return true;
}

int sl_apply(struct sl_control *c, const struct sl_layers *layers, struct sl_model *next,
	     json_t *changes, char error[SL_ERROR_MAX])
{
	struct sl_effective *e;
	size_t made;
	int err = sl_effective_make_all(layers, &e, &made);

	if (err)
		return err;
	/* Remove first, since that may make room for what is added. */
	for (size_t i = next->n; i-- > 0 && !err;)
		if (!desired(e, made, &next->service[i]->conf))
			remove_service(next, i, changes);
	for (size_t i = 0; i < made && !err; i++)
		if (!leaves_out(c, next, &e[i], error))
			err = apply_service(c, next, &e[i], changes, error);
	sl_effective_free_all(e, made);
	return err;
}

/* The network */

/* Fills the port's table of MAC addresses. Unused places hold the port's own. */
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
		port[i].partial = p->partial;
		port[i].addr4 = p->addr4;
		port[i].addr6 = p->addr6;
		fill_addresses(&port[i], p);
		note_addresses(c, i, p);
	}
	for (uint32_t i = SL_PORT_VLANS; i < SL_PORTS_MAX; i++) {
		const struct sl_net_port *p = sl_net_port(c->net, i);

		if (!p)
			continue;
		port[i].parent = p->parent;
		port[i].vlan =
			p->vlan == c->config.dataplane.port[p->parent].native_vlan ? 0 : p->vlan;
	}
	changed = memcmp(port, next->port, sizeof(port)) != 0;
	memcpy(next->port, port, sizeof(port));
	return changed;
}

/* Whether a route needs a record. A host that is being resolved doesn't: the record of its prefix
 * covers it. So a scan of the clients' subnet doesn't fill the bank. */
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
	n = sl_direct_from_routes(&c->config, route, kept);
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

/* Takes over the groups: after the routes that name them, and before the backends that do. */
static bool apply_groups(struct sl_control *c, struct sl_model *next)
{
	const struct sl_net_group *from;
	size_t n = sl_net_groups(c->net, &from);
	struct sl_net_group *group;

	if (n == next->n_groups && (!n || !memcmp(from, next->group, n * sizeof(*from))))
		return false;
	group = calloc(n + 1, sizeof(*group));
	if (!group)
		return false;
	memcpy(group, from, n * sizeof(*group));
	free(next->group);
	next->group = group;
	next->n_groups = n;
	return true;
}

bool sl_apply_network(struct sl_control *c, struct sl_model *next)
{
	bool changed = apply_ports(c, next);

	changed |= apply_routes(c, next);
	changed |= apply_groups(c, next);
	for (size_t i = 0; i < next->n; i++) {
		const struct sl_model_service *s = next->service[i];

		if (sl_service_is_stale(s, c->net)) {
			struct sl_model_service *edited = sl_model_edit(next, i);

			if (!edited)
				continue;
			sl_service_resolve(edited, c->net);
			changed = true;
			s = edited;
		}
		for (uint32_t k = 0; k < s->n; k++)
			if (s->backend[k].state != SL_STATE_FREE &&
			    s->backend[k].hop.kind == SL_ROUTE_ASK)
				sl_net_ask(c->net, &s->backend[k].addr);
	}
	return changed;
}
