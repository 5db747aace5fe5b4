/* SPDX-License-Identifier: BSD-2-Clause */
/* See mirror.h. There are two sockets. One is for dumps and waits for each answer. The other never
 * waits: it receives notifications, and carries the requests to resolve neighbours, whose errors
 * the kernel sends back on it too. */
#include "mirror.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../config/process.h"
#include "netlink.h"
#include "stacked.h"
#include "vlans.h"

#define BATCH_NS     5000000ull
#define RETRY_NS     100000000ull   /* after a failed dump */
#define FULL_NS	     12000000000ull /* spans two attempts to resolve a neighbour */
#define COST_SHARE   10
#define PAUSE_MAX_NS 200000000ull
/* The most messages that one wake-up handles. The remaining ones wait until other events had their
 * turn. */
#define EVENTS_MAX   64
#define EVENT_BUFFER (1 << 20)

enum { STALE_PORTS = 1, STALE_ROUTES = 2, STALE_NEIGHBOURS = 4, STALE_ALL = 7, TOUCHED = 8 };

struct sl_mirror {
	const struct sl_config *config;
	void (*refreshed)(void *context);
	void *context;
	struct nl_sock *dumps;
	struct nl_sock *events;
	struct nl_cache *links;
	struct nl_cache *routes;
	struct nl_cache *neighbours;
	struct event *readable;
	struct event *timer;
	uint32_t stale;
	uint64_t not_before_ns;
	uint32_t link_events;
	/* When the kernel's neighbour table was last found full, for IPv4 and for IPv6. */
	uint64_t full_ns[2];
	struct sl_net_port port[SL_PORTS_MAX];
	bool vlans_left_out;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void stale(struct sl_mirror *mirror, uint32_t what)
{
	uint64_t now = now_ns(), at = now + BATCH_NS;
	struct timeval wait;

	mirror->stale |= what;
	if (evtimer_pending(mirror->timer, NULL))
		return;
	if (at < mirror->not_before_ns)
		at = mirror->not_before_ns;
	wait.tv_sec = (time_t)((at - now) / 1000000000);
	wait.tv_usec = (suseconds_t)((at - now) % 1000000000 / 1000);
	evtimer_add(mirror->timer, &wait);
}

/* Ports */

/* Forgets the port's interface. Another interface may get its index, so the port is found by name
 * from now on. */
static void port_deleted(struct sl_mirror *mirror, struct nl_msg *msg)
{
	const struct nlmsghdr *header = nlmsg_hdr(msg);
	const struct ifinfomsg *info = nlmsg_data(header);

	/* A message of another family only says that the interface has left a bridge. */
	if (nlmsg_datalen(header) < (int)sizeof(*info) || info->ifi_family != AF_UNSPEC)
		return;
	for (size_t i = 0; i < mirror->config->dataplane.n_ports; i++)
		if (mirror->port[i].present && mirror->port[i].ifindex == (uint32_t)info->ifi_index)
			memset(&mirror->port[i], 0, sizeof(mirror->port[i]));
}

static int refresh_port(struct sl_mirror *mirror, size_t i)
{
	const struct sl_config_port *config = &mirror->config->dataplane.port[i];
	struct sl_net_port *port = &mirror->port[i];
	uint32_t downs = port->downs;
	int index = port->present ? (int)port->ifindex : 0, e = -NLE_NODEV;
	struct rtnl_link *link;

	if (config->kind != SL_PORT_KERNEL)
		return 0;
	if (index)
		e = rtnl_link_get_kernel(mirror->dumps, index, NULL, &link);
	if (e == -NLE_NODEV || e == -NLE_OBJ_NOTFOUND)
		e = rtnl_link_get_kernel(mirror->dumps, 0, config->device, &link);
	if (e == -NLE_NODEV || e == -NLE_OBJ_NOTFOUND) {
		memset(port, 0, sizeof(*port));
		return 0;
	}
	if (e < 0)
		return e;
	if (index && strcmp(rtnl_link_get_name(link), port->name) != 0)
		sl_log("port %s: interface %s is called %s now", config->name, port->name,
		       rtnl_link_get_name(link));
	sl_object_port(link, port);
	port->downs = downs;
	rtnl_link_put(link);
	return 0;
}

static int refresh_ports(struct sl_mirror *mirror)
{
	size_t n = mirror->config->dataplane.n_ports, left_out;
	int e;

	for (size_t i = 0; i < n; i++) {
		e = refresh_port(mirror, i);
		if (e < 0)
			return e;
	}
	e = nl_cache_refill(mirror->dumps, mirror->links);
	if (e < 0)
		return e;
	sl_stacked_find(mirror->links, mirror->port, n);
	left_out = sl_vlans_find(mirror->links, mirror->port);
	if (left_out && !mirror->vlans_left_out)
		sl_log("there is room for %d VLANs on top of ports; %zu are left out",
		       SL_PORTS_MAX - SL_PORT_VLANS, left_out);
	mirror->vlans_left_out = left_out;
	return 0;
}

const struct sl_net_port *sl_mirror_port(const struct sl_mirror *mirror)
{
	return mirror->port;
}

uint32_t sl_mirror_link_events(const struct sl_mirror *mirror)
{
	return mirror->link_events;
}

/* Routes */

struct route_visit {
	struct sl_mirror *mirror;
	void (*each)(void *context, const struct sl_mirror_route *route);
	void *context;
};

static void visit_route(struct nl_object *object, void *context)
{
	struct route_visit *visit = context;
	struct sl_mirror_route route;

	if (sl_object_route((struct rtnl_route *)object, visit->mirror->port, &route))
		visit->each(visit->context, &route);
}

void sl_mirror_routes(struct sl_mirror *mirror,
		      void (*each)(void *context, const struct sl_mirror_route *route),
		      void *context)
{
	struct route_visit visit = { .mirror = mirror, .each = each, .context = context };

	nl_cache_foreach(mirror->routes, visit_route, &visit);
}

/* Neighbours */

bool sl_mirror_neighbours_full(const struct sl_mirror *mirror, bool is_ipv6)
{
	uint64_t at = mirror->full_ns[is_ipv6];

	return at && now_ns() - at < FULL_NS;
}

struct neighbour_visit {
	struct sl_mirror *mirror;
	void (*each)(void *context, const struct sl_mirror_neighbour *neighbour);
	void *context;
};

static void visit_neighbour(struct nl_object *object, void *context)
{
	struct neighbour_visit *visit = context;
	struct sl_mirror_neighbour neighbour;

	if (sl_object_neighbour((struct rtnl_neigh *)object, visit->mirror->port, &neighbour))
		visit->each(visit->context, &neighbour);
}

void sl_mirror_neighbours(struct sl_mirror *mirror,
			  void (*each)(void *context, const struct sl_mirror_neighbour *neighbour),
			  void *context)
{
	struct neighbour_visit visit = { mirror, each, context };

	nl_cache_foreach(mirror->neighbours, visit_neighbour, &visit);
}

/* A neighbour goes through REACHABLE, STALE, DELAY and PROBE every few seconds. Only two changes
 * matter: another MAC address, or a neighbour that becomes resolved or unresolved. */
static void neighbour_changed(struct nl_cache *cache, struct nl_object *old, struct nl_object *new,
			      uint64_t diff, int action, void *context)
{
	struct sl_mirror *mirror = context;
	struct sl_mirror_neighbour before, after;
	bool was = old && sl_object_neighbour((struct rtnl_neigh *)old, mirror->port, &before);
	bool is = new &&sl_object_neighbour((struct rtnl_neigh *)new, mirror->port, &after);

	(void)cache;
	(void)diff;
	(void)action;
	if (was != is || (was && memcmp(&before, &after, sizeof(before))))
		stale(mirror, TOUCHED);
}

static void neighbour_event(struct nl_object *object, void *context)
{
	struct sl_mirror *mirror = context;
	int family = rtnl_neigh_get_family((struct rtnl_neigh *)object);

	if (family == AF_INET || family == AF_INET6)
		nl_cache_include_v2(mirror->neighbours, object, neighbour_changed, mirror);
}

void sl_mirror_ask(struct sl_mirror *mirror, const union sl_addr *addr, uint16_t port)
{
	int family = sl_addr_is4(addr) ? AF_INET : AF_INET6;
	size_t size = family == AF_INET ? 4 : 16;
	struct rtnl_neigh *neighbour;
	struct nl_addr *dst;
	struct nl_msg *msg;

	if (!mirror->port[port].present)
		return;
	neighbour = rtnl_neigh_alloc();
	dst = nl_addr_build(family, addr->b + 16 - size, size);
	if (neighbour && dst) {
		rtnl_neigh_set_family(neighbour, family);
		rtnl_neigh_set_ifindex(neighbour, (int)mirror->port[port].ifindex);
		rtnl_neigh_set_dst(neighbour, dst);
		rtnl_neigh_set_state(neighbour, NUD_NONE);
		rtnl_neigh_set_flags(neighbour, NTF_USE);
		if (!rtnl_neigh_build_add_request(neighbour, NLM_F_CREATE, &msg)) {
			/* Nobody waits for an answer, since a lost request is sent again. */
			nl_send_auto(mirror->events, msg);
			nlmsg_free(msg);
		}
	}
	nl_addr_put(dst);
	rtnl_neigh_put(neighbour);
}

/* Events */

/* Counts that a port was down. Otherwise nobody would notice a link that goes down and comes back
 * within one batch. */
static void note_down(struct sl_mirror *mirror, struct nlmsghdr *header)
{
	const struct ifinfomsg *link = nlmsg_data(header);

	if (nlmsg_datalen(header) < (int)sizeof(*link) || sl_object_link_up(link->ifi_flags))
		return;
	for (size_t i = 0; i < mirror->config->dataplane.n_ports; i++)
		if (mirror->port[i].present && mirror->port[i].ifindex == (uint32_t)link->ifi_index)
			mirror->port[i].downs++;
}

static int on_message(struct nl_msg *msg, void *context)
{
	struct sl_mirror *mirror = context;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	const struct rtmsg *route;

	switch (header->nlmsg_type) {
	case RTM_DELLINK:
		port_deleted(mirror, msg);
		/* fallthrough */
	case RTM_NEWLINK:
		mirror->link_events++;
		note_down(mirror, header);
		stale(mirror, STALE_PORTS | STALE_ROUTES);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		route = nlmsg_data(header);
		if (nlmsg_datalen(header) >= (int)sizeof(*route) &&
		    (route->rtm_table == RT_TABLE_LOCAL || route->rtm_table == RT_TABLE_MAIN))
			stale(mirror, STALE_ROUTES);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		stale(mirror, STALE_ROUTES);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		nl_msg_parse(msg, neighbour_event, mirror);
		break;
	}
	return NL_OK;
}

static int on_refusal(struct sockaddr_nl *from, struct nlmsgerr *refusal, void *context)
{
	struct sl_mirror *mirror = context;
	int family;

	(void)from;
	if (sl_object_table_full(refusal, &family))
		mirror->full_ns[family == AF_INET6] = now_ns();
	return NL_SKIP;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct sl_mirror *mirror = context;
	int e = 0;

	(void)fd;
	(void)what;
	for (int i = 0; i < EVENTS_MAX && e >= 0; i++)
		e = nl_recvmsgs_default(mirror->events);
	if (e < 0 && e != -NLE_AGAIN) {
		stale(mirror, STALE_ALL); /* ENOBUFS: messages were lost */
		mirror->link_events++;
	}
}

/* Dumps all that is stale. What can't be dumped stays stale. */
static int refresh(struct sl_mirror *mirror)
{
	int e;

	if (mirror->stale & STALE_PORTS) {
		e = refresh_ports(mirror);
		if (e < 0)
			return e;
		mirror->stale &= ~(uint32_t)STALE_PORTS;
	}
	if (mirror->stale & STALE_ROUTES) {
		e = nl_cache_refill(mirror->dumps, mirror->routes);
		if (e < 0)
			return e;
		mirror->stale &= ~(uint32_t)STALE_ROUTES;
	}
	if (mirror->stale & STALE_NEIGHBOURS) {
		e = nl_cache_refill(mirror->dumps, mirror->neighbours);
		if (e < 0)
			return e;
	}
	mirror->stale = 0;
	return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct sl_mirror *mirror = context;
	uint64_t begin = now_ns(), end, pause;

	(void)fd;
	(void)what;
	if (refresh(mirror) < 0) {
		mirror->not_before_ns = now_ns() + RETRY_NS;
		stale(mirror, 0);
		return;
	}
	mirror->refreshed(mirror->context);
	end = now_ns();
	pause = COST_SHARE * (end - begin);
	mirror->not_before_ns = end + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
}

void sl_mirror_touch(struct sl_mirror *mirror)
{
	stale(mirror, TOUCHED);
}

/* Opening */

static int open_events(struct sl_mirror *mirror)
{
	static const int groups[] = { RTNLGRP_LINK,	  RTNLGRP_NEIGH,       RTNLGRP_IPV4_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE };
	struct nl_sock *events = mirror->events;
	int e = nl_connect(events, NETLINK_ROUTE);

	if (e < 0)
		return e;
	nl_socket_disable_seq_check(events);
	nl_socket_disable_auto_ack(events);
	nl_socket_set_buffer_size(events, EVENT_BUFFER, 0);
	nl_socket_modify_cb(events, NL_CB_VALID, NL_CB_CUSTOM, on_message, mirror);
	nl_socket_modify_err_cb(events, NL_CB_CUSTOM, on_refusal, mirror);
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups) && e >= 0; i++)
		e = nl_socket_add_membership(events, groups[i]);
	if (e < 0)
		return e;
	nl_socket_add_membership(events, RTNLGRP_NEXTHOP); /* kernels before 5.3 have none */
	return nl_socket_set_nonblocking(events);
}

static int open_netlink(struct sl_mirror *mirror)
{
	int e;

	mirror->events = nl_socket_alloc();
	mirror->dumps = nl_socket_alloc();
	if (!mirror->events || !mirror->dumps)
		return -NLE_NOMEM;
	/* Subscribe before the first dump, so that no change between the two is missed. */
	e = open_events(mirror);
	if (e < 0)
		return e;
	e = nl_connect(mirror->dumps, NETLINK_ROUTE);
	if (e < 0)
		return e;
	nl_socket_set_buffer_size(mirror->dumps, EVENT_BUFFER, 0);
	e = rtnl_link_alloc_cache(mirror->dumps, AF_UNSPEC, &mirror->links);
	if (e < 0)
		return e;
	e = rtnl_route_alloc_cache(mirror->dumps, AF_UNSPEC, 0, &mirror->routes);
	if (e < 0)
		return e;
	e = rtnl_neigh_alloc_cache(mirror->dumps, &mirror->neighbours);
	if (e < 0)
		return e;
	mirror->stale = STALE_PORTS;
	return refresh(mirror);
}

int sl_mirror_open(struct sl_mirror **out, struct event_base *base, const struct sl_config *config,
		   void (*refreshed)(void *context), void *context, char error[SL_ERROR_MAX])
{
	struct sl_mirror *mirror = calloc(1, sizeof(*mirror));
	int e;

	*out = NULL;
	if (!mirror)
		goto no_memory;
	mirror->config = config;
	mirror->refreshed = refreshed;
	mirror->context = context;
	errno = 0;
	e = open_netlink(mirror);
	if (e < 0) {
		/* libnl has no code of its own for every errno. */
		int err = e == -NLE_FAILURE ? -errno : 0;

		snprintf(error, SL_ERROR_MAX, "netlink: %s", err ? strerror(-err) : nl_geterror(e));
		sl_mirror_close(mirror);
		if (err)
			return err;
		return e == -NLE_NOMEM ? -ENOMEM : e == -NLE_PERM ? -EPERM : -EIO;
	}
	mirror->readable = event_new(base, nl_socket_get_fd(mirror->events), EV_READ | EV_PERSIST,
				     on_readable, mirror);
	mirror->timer = evtimer_new(base, on_timer, mirror);
	if (!mirror->readable || !mirror->timer || event_add(mirror->readable, NULL))
		goto no_memory;
	*out = mirror;
	return 0;
no_memory:
	snprintf(error, SL_ERROR_MAX, "netlink: out of memory");
	sl_mirror_close(mirror);
	return -ENOMEM;
}

void sl_mirror_close(struct sl_mirror *mirror)
{
	if (!mirror)
		return;
	if (mirror->timer)
		event_free(mirror->timer);
	if (mirror->readable)
		event_free(mirror->readable);
	nl_cache_free(mirror->neighbours);
	nl_cache_free(mirror->routes);
	nl_cache_free(mirror->links);
	nl_socket_free(mirror->dumps);
	nl_socket_free(mirror->events);
	free(mirror);
}
