/* SPDX-License-Identifier: BSD-2-Clause */
#include "vlans.h"

#include <linux/if_ether.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vlan.h>
#include <string.h>

#include "netlink.h"

struct search {
	struct sl_net_port *port;
	bool found[SL_PORTS_MAX];
	size_t left_out;
	bool add; /* false: only update those that have a port already */
};

/* Returns the port that the link is a VLAN of, or SL_PORT_VLANS if there is none. */
static uint16_t parent_of(const struct search *s, struct rtnl_link *link)
{
	uint16_t i = 0;
	int netns;

	if (!rtnl_link_is_vlan(link) || rtnl_link_get_link_netnsid(link, &netns) >= 0 ||
	    rtnl_link_vlan_get_protocol(link) != __builtin_bswap16(ETH_P_8021Q))
		return SL_PORT_VLANS;
	while (i < SL_PORT_VLANS &&
	       !(s->port[i].present && (int)s->port[i].ifindex == rtnl_link_get_link(link)))
		i++;
	return i;
}

static void visit(struct nl_object *object, void *context)
{
	struct rtnl_link *link = (struct rtnl_link *)object;
	struct search *s = context;
	uint16_t parent = parent_of(s, link), vlan;
	uint32_t ifindex = (uint32_t)rtnl_link_get_ifindex(link), i, empty = SL_PORTS_MAX;

	if (parent == SL_PORT_VLANS)
		return;
	for (i = SL_PORT_VLANS; i < SL_PORTS_MAX && s->port[i].ifindex != ifindex; i++)
		if (!s->port[i].vlan && empty == SL_PORTS_MAX)
			empty = i;
	if (i == SL_PORTS_MAX && s->add)
		i = empty;
	if (i == SL_PORTS_MAX) {
		s->left_out += s->add;
		return;
	}
	vlan = (uint16_t)rtnl_link_vlan_get_id(link);
	sl_object_port(link, &s->port[i]);
	s->port[i].parent = parent;
	s->port[i].vlan = vlan;
	s->found[i] = true;
}

size_t sl_vlans_find(struct nl_cache *links, struct sl_net_port port[SL_PORTS_MAX])
{
	struct search s = { .port = port };

	nl_cache_foreach(links, visit, &s);
	for (uint32_t i = SL_PORT_VLANS; i < SL_PORTS_MAX; i++)
		if (!s.found[i])
			memset(&port[i], 0, sizeof(port[i]));
	s.add = true;
	nl_cache_foreach(links, visit, &s);
	return s.left_out;
}
