/* SPDX-License-Identifier: BSD-2-Clause */
/* See net.h. When the mirror says that something changed, a new table is built and compared with
 * the old one. If they differ, the user's changed() is called. A timer sends the requests that the
 * watch list finds due. */
#include "net.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../config/process.h"
#include "mirror.h"
#include "neighbours.h"
#include "table.h"

#define TICK_US	    250000
#define DEFAULT_MTU 1500

struct sl_net {
	const struct sl_config *config;
	void (*changed)(void *context);
	void *context;
	struct sl_mirror *mirror;
	struct sl_watch *watch;
	struct sl_table table;
	struct event *tick;
	uint8_t device_mac[SL_PORTS_CONFIG_MAX][6];
	struct sl_net_port port[SL_PORTS_MAX];
	bool vlans_left_out;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void send_due(struct sl_net *net)
{
	struct sl_watch_entry *entry = TAILQ_FIRST(&net->watch->used);
	uint64_t now = now_ns();

	for (; entry; entry = TAILQ_NEXT(entry, link))
		if (entry->active && sl_watch_due(entry, now))
			sl_mirror_ask(net->mirror, &entry->addr, entry->port);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	send_due(context);
}

static void take_address(void *context, const struct sl_mirror_route *route)
{
	const union sl_addr *addr = &route->record.prefix;
	struct sl_net_port *port = context;
	union sl_addr *own;

	if (route->own < 0)
		return;
	own = sl_addr_is4(addr) ? &port[route->own].addr4 : &port[route->own].addr6;
	if (!(own->q[0] | own->q[1]) || memcmp(addr, own, sizeof(*own)) < 0)
		*own = *addr;
}

/* Puts the MAC addresses of the configuration before those that were found. */
static void add_macs(const struct sl_config_port *conf, struct sl_net_port *port)
{
	uint8_t found[SL_PORT_ADDRESSES][6];
	uint32_t n = port->n_other;

	memcpy(found, port->other_mac, sizeof(found));
	memset(port->other_mac, 0, sizeof(port->other_mac));
	memcpy(port->other_mac, conf->macs, conf->n_macs * sizeof(conf->macs[0]));
	for (uint32_t i = 0, at = conf->n_macs; i < n && at < SL_PORT_ADDRESSES; i++, at++)
		memcpy(port->other_mac[at], found[i], sizeof(found[i]));
	port->n_other = n + conf->n_macs;
}

/* Makes a port for the VLAN of a configured next hop, unless there is one already. Returns false if
 * there is no room for it. */
static bool take_vlan(const struct sl_config_next_hop *hop, struct sl_net_port *port)
{
	const struct sl_net_port *parent = &port[hop->port];
	uint32_t at = sl_net_vlan(port, hop->port, hop->vlan);

	if (!hop->vlan || at != SL_PORTS_MAX)
		return true;
	for (at = SL_PORT_VLANS; at < SL_PORTS_MAX && port[at].vlan;)
		at++;
	if (at == SL_PORTS_MAX)
		return false;
	port[at] = (struct sl_net_port){ .mtu = parent->mtu,
					 .up = parent->up,
					 .parent = (uint16_t)hop->port,
					 .vlan = (uint16_t)hop->vlan };
	memcpy(port[at].mac, parent->mac, sizeof(port[at].mac));
	return true;
}

static void take_vlans(struct sl_net *net, struct sl_net_port *port)
{
	bool left_out = false;

	for (size_t i = 0; i < net->config->n_next_hops; i++)
		left_out |= !take_vlan(&net->config->next_hop[i], port);
	if (left_out && !net->vlans_left_out)
		sl_log("next_hops: there is room for %d VLANs; those of others lead nowhere",
		       SL_PORTS_MAX - SL_PORT_VLANS);
	net->vlans_left_out = left_out;
}

static void take_ports(struct sl_net *net, struct sl_net_port port[SL_PORTS_MAX])
{
	memcpy(port, sl_mirror_port(net->mirror), SL_PORTS_MAX * sizeof(*port));
	for (size_t i = 0; i < net->config->dataplane.n_ports; i++) {
		add_macs(&net->config->dataplane.port[i], &port[i]);
		if (net->config->dataplane.port[i].kind == SL_PORT_KERNEL)
			continue;
		memcpy(port[i].mac, net->device_mac[i], sizeof(port[i].mac));
		port[i].mtu = DEFAULT_MTU;
	}
	take_vlans(net, port);
	sl_mirror_routes(net->mirror, take_address, port);
}

/* Rebuilds the table. Returns whether any answer is different now. Without memory the old table
 * stays, and another attempt follows. */
static bool rebuild(struct sl_net *net)
{
	struct sl_net_port port[SL_PORTS_MAX];
	struct sl_table table;
	bool same;

	take_ports(net, port);
	if (sl_table_build(&table, net->config, net->mirror, port, net->watch)) {
		sl_table_free(&table);
		sl_mirror_touch(net->mirror);
		return false;
	}
	if (table.left_out && !net->table.left_out)
		sl_log("routes: %zu next hops of multipath routes are left out: there is room for "
		       "%d of a route, and for %d groups of them",
		       table.left_out, SL_HOPS, SL_HOP_GROUPS);
	same = sl_table_equal(&table, &net->table) && !memcmp(port, net->port, sizeof(port));
	sl_table_free(&net->table);
	net->table = table;
	memcpy(net->port, port, sizeof(port));
	return !same;
}

static void on_refreshed(void *context)
{
	struct sl_net *net = context;
	bool news = rebuild(net);

	send_due(net);
	if (news)
		net->changed(net->context);
}

int sl_net_open(struct sl_net **out, struct event_base *base, const struct sl_config *config,
		void (*changed)(void *context), void *context, char error[SL_ERROR_MAX])
{
	struct sl_net *net = calloc(1, sizeof(*net));
	struct timeval tick = { .tv_usec = TICK_US };
	int e = -ENOMEM;

	*out = NULL;
	snprintf(error, SL_ERROR_MAX, "network: out of memory");
	if (!net)
		return e;
	net->config = config;
	net->changed = changed;
	net->context = context;
	/* A locally administered address stands in until the dataplane reports the device's own. */
	for (size_t i = 0; i < SL_PORTS_CONFIG_MAX; i++)
		memcpy(net->device_mac[i], (uint8_t[]){ 0x02, 's', 'l', 0, 0, (uint8_t)i }, 6);
	net->watch = sl_watch_new();
	net->tick = event_new(base, -1, EV_PERSIST, on_tick, net);
	if (!net->watch || !net->tick || evtimer_add(net->tick, &tick))
		goto fail;
	e = sl_mirror_open(&net->mirror, base, config, on_refreshed, net, error);
	if (e)
		goto fail;
	rebuild(net);
	send_due(net);
	error[0] = 0;
	*out = net;
	return 0;
fail:
	sl_net_close(net);
	return e;
}

void sl_net_close(struct sl_net *net)
{
	if (!net)
		return;
	sl_mirror_close(net->mirror);
	if (net->tick)
		event_free(net->tick);
	sl_table_free(&net->table);
	sl_watch_free(net->watch);
	free(net);
}

const struct sl_net_port *sl_net_port(const struct sl_net *net, uint32_t port)
{
	bool is_vlan = port >= SL_PORT_VLANS && port < SL_PORTS_MAX && net->port[port].vlan;

	return port < net->config->dataplane.n_ports || is_vlan ? &net->port[port] : NULL;
}

uint32_t sl_net_link_events(const struct sl_net *net)
{
	return sl_mirror_link_events(net->mirror);
}

bool sl_net_neighbours_full(const struct sl_net *net, bool is_ipv6)
{
	return sl_mirror_neighbours_full(net->mirror, is_ipv6);
}

void sl_net_set_mac(struct sl_net *net, uint32_t port, const uint8_t mac[6])
{
	if (port >= net->config->dataplane.n_ports || !memcmp(net->device_mac[port], mac, 6))
		return;
	memcpy(net->device_mac[port], mac, 6);
	if (net->config->dataplane.port[port].kind != SL_PORT_KERNEL)
		sl_mirror_touch(net->mirror);
}

void sl_net_configured(struct sl_net *net)
{
	rebuild(net);
	send_due(net);
}

bool sl_net_is_own(const struct sl_net *net, const union sl_addr *addr)
{
	const struct sl_route *route = sl_table_find(&net->table, addr);

	return route && route->kind == SL_ROUTE_LOCAL;
}

const union sl_addr *sl_net_own_in(const struct sl_net *net, const union sl_addr *prefix,
				   uint32_t length)
{
	uint32_t bytes = length / 8;
	uint8_t mask = (uint8_t)(0xff00u >> length % 8);

	for (size_t i = 0; i < net->table.n; i++) {
		const struct sl_route *r = &net->table.route[i];

		if (r->kind == SL_ROUTE_LOCAL && r->length == 128 &&
		    memcmp(&r->prefix, prefix, bytes) == 0 &&
		    (bytes == sizeof(*prefix) || !((r->prefix.b[bytes] ^ prefix->b[bytes]) & mask)))
			return &r->prefix;
	}
	return NULL;
}

/* Whether the address itself is the next hop. It isn't if a next hop of the configuration has the
 * prefix. */
static bool is_host(const struct sl_net *net, const struct sl_route *route)
{
	static const union sl_addr none;

	return route->kind >= SL_ROUTE_LINK && sl_addr_equal(&route->gateway, &none) &&
	       (route->length == 128 || !sl_table_configured(net->config, route));
}

void sl_net_next_hop(struct sl_net *net, const union sl_addr *addr, struct sl_next_hop *hop)
{
	const struct sl_route *route = sl_table_find(&net->table, addr);

	memset(hop, 0, sizeof(*hop));
	hop->kind = SL_ROUTE_NONE;
	if (!route)
		return;
	hop->kind = route->kind == SL_ROUTE_LINK ? SL_ROUTE_ASK : (enum sl_route_kind)route->kind;
	hop->port = route->port;
	hop->mtu = route->mtu;
	hop->gateway = route->gateway;
	if (is_host(net, route))
		hop->link_bits = sl_table_link_bits(&net->table, addr, route->port);
	memcpy(hop->dst_mac, route->dst_mac, sizeof(hop->dst_mac));
	memcpy(hop->src_mac, route->src_mac, sizeof(hop->src_mac));
}

size_t sl_net_routes(struct sl_net *net, struct sl_route *route, size_t max)
{
	size_t n = net->table.n < max ? net->table.n : max;

	if (n)
		memcpy(route, net->table.route, n * sizeof(*route));
	return net->table.n;
}

size_t sl_net_groups(const struct sl_net *net, const struct sl_net_group **group)
{
	*group = net->table.group;
	return net->table.n_groups;
}

void sl_net_ask(struct sl_net *net, const union sl_addr *addr)
{
	static const union sl_addr none;
	const struct sl_route *route = sl_table_find(&net->table, addr);
	bool made;

	if (!route || route->kind < SL_ROUTE_LINK || sl_table_configured(net->config, route) ||
	    route->port & SL_EGRESS_GROUP)
		return;
	if (!sl_addr_equal(&route->gateway, &none))
		addr = &route->gateway;
	if (sl_watch_ask(net->watch, addr, route->port, now_ns(), &made))
		sl_mirror_ask(net->mirror, addr, route->port);
	if (made)
		sl_mirror_touch(net->mirror); /* so that its record becomes ASK */
}
