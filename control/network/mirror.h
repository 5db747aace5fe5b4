/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's links, routes and neighbours, as of the last notification. Only net.c and
 * table.c call this.
 *
 * A notification says that something changed; a dump says what. The kernel drops routes silently
 * when their link goes down or an address goes away, so routes are dumped again after any change
 * of links, addresses or routes. Ports are found by name and from then on by index, so that an
 * interface may be missing, renamed, or deleted and made again. Neighbours are the exception: they
 * change often and never silently, so their notifications are applied one by one. After an overrun
 * all is dumped.
 *
 * Changes are gathered for 5 ms, or for ten times what the last refresh and its consequences took
 * (200 ms at most): under a storm of notifications the mirror costs a tenth of control's time.
 */
#ifndef SL_CONTROL_NETWORK_MIRROR_H
#define SL_CONTROL_NETWORK_MIRROR_H

#include "net.h"

struct sl_mirror;

/* A route. record.kind is LOCAL, NONE, LINK, or ASK with the gateway that is to be resolved. */
struct sl_mirror_route {
	struct sl_route record;
	uint32_t priority; /* metric: the lowest wins */
	bool local;	   /* of table local */
	int own;	   /* the port that has this address, where it is the gateway's; else -1 */
	/* Of a multipath route the next hops with a gateway, the first of which is the record's. */
	uint32_t n_hops; /* 0: there is one only */
	uint32_t n_left_out;
	struct sl_net_hop hop[SL_HOPS];
};

struct sl_mirror_neighbour {
	union sl_addr addr;
	uint16_t port;
	uint8_t mac[6];
};

/* refreshed(context) is called from the event loop after a refresh, and rebuilds what
 * depends on the mirror. */
int sl_mirror_open(struct sl_mirror **mirror, struct event_base *base,
		   const struct sl_config *config, void (*refreshed)(void *context), void *context,
		   char error[SL_ERROR_MAX]);
void sl_mirror_close(struct sl_mirror *mirror);

/* SL_PORTS_MAX of them: as many as config has, and VLANs (vlans.h). Those that no kernel interface
 * stands for stay all zero. */
const struct sl_net_port *sl_mirror_port(const struct sl_mirror *mirror);

/* Grows with each notification about links, of whichever interfaces. */
uint32_t sl_mirror_link_events(const struct sl_mirror *mirror);

/* All routes, of all families that are mirrored, in no order. */
void sl_mirror_routes(struct sl_mirror *mirror,
		      void (*each)(void *context, const struct sl_mirror_route *route),
		      void *context);

/* All neighbours on our ports whose MAC address is known. */
void sl_mirror_neighbours(struct sl_mirror *mirror,
			  void (*each)(void *context, const struct sl_mirror_neighbour *neighbour),
			  void *context);

/* Whether the kernel had no room for a neighbour of the family when it was asked for one lately. */
bool sl_mirror_neighbours_full(const struct sl_mirror *mirror, bool is_ipv6);

/* Has refreshed() called after the batch, although nothing changed in the kernel. */
void sl_mirror_touch(struct sl_mirror *mirror);

/* Tells the kernel that a neighbour is in use: it resolves or revalidates it. */
void sl_mirror_ask(struct sl_mirror *mirror, const union sl_addr *addr, uint16_t port);

#endif
