/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts libnl's objects to the mirror's. All functions are pure. `ports` is an array of
 * SL_PORTS_MAX ports as last seen; objects of other interfaces are ignored. Only mirror.c calls
 * this. */
#ifndef SL_CONTROL_NETWORK_NETLINK_H
#define SL_CONTROL_NETWORK_NETLINK_H

#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>

#include "mirror.h"

/* Whether the interface is administratively up and has carrier. */
bool sl_object_link_up(unsigned int flags);

void sl_object_port(struct rtnl_link *link, struct sl_net_port *port);

/* Converts a route. Returns false for a route that isn't mirrored: of another table, with TOS,
 * multicast, IPv6 that is valid on one link only, and IPv6 routes that cache what was learnt of one
 * host (an MTU, a redirect). */
bool sl_object_route(struct rtnl_route *route, const struct sl_net_port *ports,
		     struct sl_mirror_route *out);

/* Converts a neighbour. Returns false if it isn't resolved or isn't on one of the ports. */
bool sl_object_neighbour(struct rtnl_neigh *from, const struct sl_net_port *ports,
			 struct sl_mirror_neighbour *to);

/* Whether the kernel refused to create a neighbour because its table is full (gc_thresh3). *family
 * says which table. */
bool sl_object_table_full(const struct nlmsgerr *refusal, int *family);

#endif
