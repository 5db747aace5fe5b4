/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's links, routes and neighbours, as of the last notification. Only net.c and table.c
 * call this.
 *
 * A notification says that something changed, and a dump says what. The kernel drops routes
 * silently when their link goes down or an address is removed, so routes are dumped again after any
 * change of links, addresses or routes. A port is found by its interface's name, and from then on
 * by its index, so an interface may be missing, renamed, or deleted and created again. Neighbours
 * are the exception: they change often and never silently, so their notifications are applied one
 * by one. After an overrun of the socket everything is dumped.
 *
 * Changes are gathered for 5 ms, or for ten times what the last refresh and its consequences took
 * (200 ms at most). So the mirror takes a tenth of control's time even under a storm of
 * notifications.
 */
#ifndef SL_CONTROL_NETWORK_MIRROR_H
#define SL_CONTROL_NETWORK_MIRROR_H

#include "net.h"

struct sl_mirror;

/* A route. record.kind is LOCAL, NONE, LINK, or ASK with the gateway that has to be resolved. */
struct sl_mirror_route {
	struct sl_route record;
	uint32_t priority; /* the metric: the lowest wins */
	bool local;	   /* of table local */
	int own; /* the port that has this address, if it is one of the gateway's own; else -1 */
	/* For a multipath route, the next hops that have a gateway. The first is also in record. */
	uint32_t n_hops; /* 0: not a multipath route */
	uint32_t n_left_out;
	struct sl_net_hop hop[SL_HOPS];
};

struct sl_mirror_neighbour {
	union sl_addr addr;
	uint16_t port;
	uint8_t mac[6];
};

/* Opens the mirror. refreshed(context) is called from the event loop after a refresh, and rebuilds
 * what depends on the mirror. Returns 0, or -errno with a message in error. */
int sl_mirror_open(struct sl_mirror **mirror, struct event_base *base,
		   const struct sl_config *config, void (*refreshed)(void *context), void *context,
		   char error[SL_ERROR_MAX]);
void sl_mirror_close(struct sl_mirror *mirror);

/* Returns an array of SL_PORTS_MAX ports: those of the configuration, and VLANs (vlans.h). A port
 * without a kernel interface is all zero. */
const struct sl_net_port *sl_mirror_port(const struct sl_mirror *mirror);

/* Returns a counter that grows with each notification about any link. */
uint32_t sl_mirror_link_events(const struct sl_mirror *mirror);

/* Visits all routes of all mirrored families, in no order. */
void sl_mirror_routes(struct sl_mirror *mirror,
		      void (*each)(void *context, const struct sl_mirror_route *route),
		      void *context);

/* Visits all neighbours on ports whose MAC address is known. */
void sl_mirror_neighbours(struct sl_mirror *mirror,
			  void (*each)(void *context, const struct sl_mirror_neighbour *neighbour),
			  void *context);

/* Whether the kernel lately had no room for a neighbour of the family that it should resolve. */
bool sl_mirror_neighbours_full(const struct sl_mirror *mirror, bool is_ipv6);

/* Makes the mirror call refreshed() after the batch, although nothing changed in the kernel. */
void sl_mirror_touch(struct sl_mirror *mirror);

/* Tells the kernel that a neighbour is in use, so that it resolves or revalidates it. */
void sl_mirror_ask(struct sl_mirror *mirror, const union sl_addr *addr, uint16_t port);

#endif
