/* SPDX-License-Identifier: BSD-2-Clause */
#include "stacked.h"

#include <netlink/route/link.h>
#include <string.h>

enum {
	STACK_MAX = 64, /* the port's interface, and those on top of it */
	DEPTH_MAX = 8,
};

struct stack {
	struct sl_net_port *port;
	int ifindex[STACK_MAX]; /* the port's own first */
	size_t n;
};

static bool is_in(const struct stack *s, int ifindex)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->ifindex[i] == ifindex)
			return true;
	return false;
}

static bool is_one_of(const char *kind, const char *const *kinds)
{
	for (; kind && *kinds; kinds++)
		if (!strcmp(kind, *kinds))
			return true;
	return false;
}

/* Whether the interface was created on top of one in the stack. */
static bool stands_on(const struct stack *s, struct rtnl_link *link)
{
	static const char *const kinds[] = { "macvlan", "vlan", "ipvlan", NULL };
	int netns;

	return is_one_of(rtnl_link_get_type(link), kinds) &&
	       rtnl_link_get_link_netnsid(link, &netns) < 0 && is_in(s, rtnl_link_get_link(link));
}

static void take(struct stack *s, struct rtnl_link *link)
{
	struct nl_addr *addr = rtnl_link_get_addr(link);
	struct sl_net_port *port = s->port;
	const uint8_t *mac;

	s->ifindex[s->n++] = rtnl_link_get_ifindex(link);
	if (!addr || nl_addr_get_len(addr) != sizeof(port->mac))
		return;
	mac = nl_addr_get_binary_addr(addr);
	if (!memcmp(mac, port->mac, sizeof(port->mac)))
		return;
	for (size_t i = 0; i < port->n_other && i < SL_PORT_ADDRESSES; i++)
		if (!memcmp(mac, port->other_mac[i], sizeof(port->mac)))
			return;
	if (port->n_other < SL_PORT_ADDRESSES)
		memcpy(port->other_mac[port->n_other], mac, sizeof(port->mac));
	port->n_other++;
}

static void visit(struct nl_object *object, void *context)
{
	struct rtnl_link *link = (struct rtnl_link *)object;
	struct stack *s = context;

	if (s->n < STACK_MAX && !is_in(s, rtnl_link_get_ifindex(link)) && stands_on(s, link))
		take(s, link);
}

/* Adds the bonds, teams and bridges that interfaces of the stack belong to. */
static void visit_masters(struct nl_cache *links, struct stack *s)
{
	static const char *const kinds[] = { "bond", "team", "bridge", NULL };

	for (size_t i = 0; i < s->n && s->n < STACK_MAX; i++) {
		struct rtnl_link *link = rtnl_link_get(links, s->ifindex[i]);
		int index = link ? rtnl_link_get_master(link) : 0;
		struct rtnl_link *master = index ? rtnl_link_get(links, index) : NULL;

		if (master && !is_in(s, index) && is_one_of(rtnl_link_get_type(master), kinds))
			take(s, master);
		rtnl_link_put(master);
		rtnl_link_put(link);
	}
}

void sl_stacked_find(struct nl_cache *links, struct sl_net_port *port, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct stack s = { .port = &port[i], .ifindex = { (int)port[i].ifindex }, .n = 1 };
		size_t before = 0;

		memset(port[i].other_mac, 0, sizeof(port[i].other_mac));
		port[i].n_other = 0;
		for (int depth = 0; port[i].present && depth < DEPTH_MAX && before != s.n;
		     depth++) {
			before = s.n;
			visit_masters(links, &s);
			nl_cache_foreach(links, visit, &s);
		}
	}
}
