/* SPDX-License-Identifier: BSD-2-Clause */
/* All that is known of where addresses are reached, as the records that engines search.
 *
 * A table is built whole from the configuration's next hops, the mirrored routes and neighbours,
 * and the addresses that were asked for; it never changes afterwards. Two tables are the same if
 * their bytes are: that is how net.c knows whether there is anything to tell. Only net.c calls
 * this.
 */
#ifndef SL_CONTROL_NETWORK_TABLE_H
#define SL_CONTROL_NETWORK_TABLE_H

#include "mirror.h"
#include "neighbours.h"
#include "net.h"

#define SL_TABLE_LENGTHS 129

struct sl_table {
	struct sl_route *route; /* longest prefix first, then by address */
	size_t n;
	uint32_t length[SL_TABLE_LENGTHS]; /* those in use, longest first */
	size_t first[SL_TABLE_LENGTHS];	   /* of each in route */
	size_t n_lengths;
	struct sl_net_group *group; /* in the order in which routes first name them */
	size_t n_groups;
	size_t left_out; /* next hops of multipath routes that there was no room for */
};

/* The index of a VLAN of a port; SL_PORTS_MAX: there is no such. */
uint32_t sl_net_vlan(const struct sl_net_port port[SL_PORTS_MAX], uint32_t parent, uint32_t vlan);

/* port: as net.c gives them, with a MAC address for every port. Marks in watch which next hops
 * are gateways, are resolved, are led to. 0 or -ENOMEM. */
int sl_table_build(struct sl_table *table, const struct sl_config *config, struct sl_mirror *mirror,
		   const struct sl_net_port *port, struct sl_watch *watch);
void sl_table_free(struct sl_table *table);

bool sl_table_equal(const struct sl_table *a, const struct sl_table *b);

/* The record of the longest prefix that holds addr, or NULL. */
const struct sl_route *sl_table_find(const struct sl_table *table, const union sl_addr *addr);

/* The low bits of an address by which hosts differ that are on the link of addr, at that port; 0:
 * it is on none, or alone there. A default route without a gateway is no link: which hosts answer
 * there directly isn't known. */
uint32_t sl_table_link_bits(const struct sl_table *table, const union sl_addr *addr, uint16_t port);

/* Whether the record is the configuration's: nobody needs to be asked then. */
bool sl_table_configured(const struct sl_config *config, const struct sl_route *route);

#endif
