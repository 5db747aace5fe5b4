/* SPDX-License-Identifier: BSD-2-Clause */
/* libnl's objects, read as what the mirror gives to others. Pure functions: ports are all
 * SL_PORTS_MAX of them as last seen; an interface that is none of them isn't ours. Only
 * mirror.c calls this.
 */
#ifndef SL_CONTROL_NETWORK_NETLINK_H
#define SL_CONTROL_NETWORK_NETLINK_H

#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>

#include "mirror.h"

/* Set up, and with carrier. */
bool sl_object_link_up(unsigned int flags);

void sl_object_port(struct rtnl_link *link, struct sl_net_port *port);

/* False for what isn't looked up: other tables, TOS, multicast, IPv6 on one link only, and what
 * IPv6 has learnt of one host (an MTU, a redirect). */
bool sl_object_route(struct rtnl_route *route, const struct sl_net_port *ports,
		     struct sl_mirror_route *out);

/* False for what isn't a resolved neighbour on a port of ours. */
bool sl_object_neighbour(struct rtnl_neigh *from, const struct sl_net_port *ports,
			 struct sl_mirror_neighbour *to);

/* Whether the kernel refused to make a neighbour because it has as many as it may have
 * (gc_thresh3); *family says in which of its tables. */
bool sl_object_table_full(const struct nlmsgerr *refusal, int *family);

#endif
