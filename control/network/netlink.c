/* SPDX-License-Identifier: BSD-2-Clause */
#include "netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <stddef.h>
#include <string.h>

#define KNOWN_STATES	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define KERNEL_LOWER_UP 0x10000 /* IFF_LOWER_UP: linux/if.h and net/if.h exclude each other */

/* Returns the port of an interface, or -1. */
static int port_of(const struct sl_net_port *ports, int ifindex)
{
	for (int i = 0; i < SL_PORTS_MAX; i++)
		if (ports[i].present && ports[i].ifindex == (uint32_t)ifindex)
			return i;
	return -1;
}

static bool addr_from_nl(struct nl_addr *from, int family, union sl_addr *to)
{
	size_t size = family == AF_INET ? 4 : 16, length = from ? nl_addr_get_len(from) : 0;

	memset(to, 0, sizeof(*to));
	if (family == AF_INET)
		to->b[10] = to->b[11] = 0xff;
	else if (family != AF_INET6)
		return false;
	if (length != 0 && length != size) /* length 0: a default route's destination */
		return false;
	if (length)
		memcpy(to->b + 16 - size, nl_addr_get_binary_addr(from), size);
	/* ::ffff:a.b.c.d is always an IPv4 address here. */
	return family == AF_INET || !sl_addr_is4(to);
}

/* Whether an IPv6 address is valid on one link only, so that it leads nowhere without the link. */
static bool link_scope(const union sl_addr *addr)
{
	return addr->b[0] == 0xff || (addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80);
}

bool sl_object_link_up(unsigned int flags)
{
	return flags & IFF_UP && flags & KERNEL_LOWER_UP;
}

/* Whether the interface is of a kind whose frames come from this machine's memory and not from a
 * wire, so that nobody has completed their checksums. */
static bool partial(struct rtnl_link *link)
{
	static const char *const kinds[] = {
		"veth", "netkit", "tun", "bridge", "macvlan", "macvtap"
	};
	const char *type = rtnl_link_get_type(link);

	for (size_t i = 0; type && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(type, kinds[i]) == 0)
			return true;
	return false;
}

void sl_object_port(struct rtnl_link *link, struct sl_net_port *port)
{
	unsigned int flags = rtnl_link_get_flags(link);
	struct nl_addr *mac = rtnl_link_get_addr(link);

	memset(port, 0, sizeof(*port));
	port->ifindex = (uint32_t)rtnl_link_get_ifindex(link);
	port->mtu = rtnl_link_get_mtu(link);
	port->present = true;
	port->partial = partial(link);
	port->up = sl_object_link_up(flags);
	strncpy(port->name, rtnl_link_get_name(link), sizeof(port->name) - 1);
	if (mac && nl_addr_get_len(mac) == sizeof(port->mac))
		memcpy(port->mac, nl_addr_get_binary_addr(mac), sizeof(port->mac));
}

static bool is_usable(const struct sl_net_port *ports, struct rtnl_nexthop *hop)
{
	return port_of(ports, rtnl_route_nh_get_ifindex(hop)) >= 0 &&
	       !(rtnl_route_nh_get_flags(hop) & RTNH_F_DEAD);
}

static bool has_carrier(struct rtnl_nexthop *hop)
{
	return !(rtnl_route_nh_get_flags(hop) & RTNH_F_LINKDOWN);
}

/* Returns the first next hop on a port that isn't dead, if possible one with carrier. */
static struct rtnl_nexthop *first_usable(const struct sl_net_port *ports, struct rtnl_route *route)
{
	struct rtnl_nexthop *hop, *second = NULL;

	for (int i = 0; i < rtnl_route_get_nnexthops(route); i++) {
		hop = rtnl_route_nexthop_n(route, i);
		if (!is_usable(ports, hop))
			continue;
		if (has_carrier(hop))
			return hop;
		if (!second)
			second = hop;
	}
	return second;
}

/* Returns the gateway of a next hop, of either family; NULL if it has none. */
static struct nl_addr *gateway_of(struct rtnl_nexthop *hop)
{
	struct nl_addr *gateway = rtnl_route_nh_get_gateway(hop);

	return gateway ? gateway : rtnl_route_nh_get_via(hop);
}

static uint32_t mtu_of(const struct sl_net_port *port, struct rtnl_route *route)
{
	uint32_t mtu;

	return !rtnl_route_get_metric(route, RTAX_MTU, &mtu) && mtu && mtu < port->mtu ? mtu
										       : port->mtu;
}

/* Takes all next hops of a multipath route that have a gateway and carrier. */
static void spread_out(const struct sl_net_port *ports, struct rtnl_route *route,
		       struct sl_mirror_route *out)
{
	for (int i = 0; i < rtnl_route_get_nnexthops(route); i++) {
		struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, i);
		struct nl_addr *gateway = gateway_of(hop);
		struct sl_net_hop to = { .weight = rtnl_route_nh_get_weight(hop) + 1u };

		if (!gateway || !is_usable(ports, hop) || !has_carrier(hop) ||
		    !addr_from_nl(gateway, nl_addr_get_family(gateway), &to.gateway))
			continue;
		if (out->n_hops == SL_HOPS) {
			out->n_left_out++;
			continue;
		}
		to.port = (uint16_t)port_of(ports, rtnl_route_nh_get_ifindex(hop));
		to.mtu = mtu_of(&ports[to.port], route);
		memcpy(to.src_mac, ports[to.port].mac, sizeof(to.src_mac));
		out->hop[out->n_hops++] = to;
	}
}

static void lead_out(const struct sl_net_port *ports, struct rtnl_route *route,
		     struct sl_mirror_route *out)
{
	struct rtnl_nexthop *hop = first_usable(ports, route);
	struct sl_route *record = &out->record;
	struct nl_addr *gateway;

	record->kind = SL_ROUTE_NONE;
	if (!hop)
		return;
	gateway = gateway_of(hop);
	if (gateway && !addr_from_nl(gateway, nl_addr_get_family(gateway), &record->gateway))
		return;
	record->kind = gateway ? SL_ROUTE_ASK : SL_ROUTE_LINK;
	record->port = (uint16_t)port_of(ports, rtnl_route_nh_get_ifindex(hop));
	record->mtu = mtu_of(&ports[record->port], route);
	memcpy(record->src_mac, ports[record->port].mac, sizeof(record->src_mac));
	if (gateway && rtnl_route_get_nnexthops(route) > 1)
		spread_out(ports, route, out);
}

/* Returns the port that has the address of a route in table local, or -1. */
static int owner(const struct sl_net_port *ports, struct rtnl_route *route)
{
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);

	return hop ? port_of(ports, rtnl_route_nh_get_ifindex(hop)) : -1;
}

bool sl_object_route(struct rtnl_route *route, const struct sl_net_port *ports,
		     struct sl_mirror_route *out)
{
	struct nl_addr *dst = rtnl_route_get_dst(route);
	uint32_t table = rtnl_route_get_table(route);
	int family = rtnl_route_get_family(route);

	memset(out, 0, offsetof(struct sl_mirror_route, hop));
	if ((table != RT_TABLE_LOCAL && table != RT_TABLE_MAIN) || rtnl_route_get_tos(route) ||
	    rtnl_route_get_flags(route) & RTM_F_CLONED ||
	    !addr_from_nl(dst, family, &out->record.prefix) || link_scope(&out->record.prefix))
		return false;
	out->record.length = (family == AF_INET ? 96 : 0) + (dst ? nl_addr_get_prefixlen(dst) : 0);
	out->local = table == RT_TABLE_LOCAL;
	out->priority = rtnl_route_get_priority(route);
	out->own = -1;
	switch (rtnl_route_get_type(route)) {
	case RTN_UNICAST:
		lead_out(ports, route, out);
		return true;
	case RTN_LOCAL:
		out->own = out->local && out->record.length == 128 ? owner(ports, route) : -1;
		/* fallthrough */
	case RTN_BROADCAST:
	case RTN_ANYCAST:
		out->record.kind = SL_ROUTE_LOCAL;
		return true;
	case RTN_MULTICAST:
		return false;
	default:
		out->record.kind = SL_ROUTE_NONE;
		return true;
	}
}

bool sl_object_neighbour(struct rtnl_neigh *from, const struct sl_net_port *ports,
			 struct sl_mirror_neighbour *to)
{
	int port = port_of(ports, rtnl_neigh_get_ifindex(from));
	struct nl_addr *mac = rtnl_neigh_get_lladdr(from);

	memset(to, 0, sizeof(*to));
	if (port < 0 || !(rtnl_neigh_get_state(from) & KNOWN_STATES) ||
	    rtnl_neigh_get_flags(from) & NTF_PROXY || !mac ||
	    nl_addr_get_len(mac) != sizeof(to->mac) ||
	    !addr_from_nl(rtnl_neigh_get_dst(from), rtnl_neigh_get_family(from), &to->addr))
		return false;
	to->port = (uint16_t)port;
	memcpy(to->mac, nl_addr_get_binary_addr(mac), sizeof(to->mac));
	return true;
}

bool sl_object_table_full(const struct nlmsgerr *refusal, int *family)
{
	const struct ndmsg *request = NLMSG_DATA(&refusal->msg);

	if (refusal->error != -ENOBUFS || refusal->msg.nlmsg_type != RTM_NEWNEIGH ||
	    refusal->msg.nlmsg_len < NLMSG_LENGTH(sizeof(*request)))
		return false;
	*family = request->ndm_family;
	return true;
}
