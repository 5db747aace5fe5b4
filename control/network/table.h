/* SPDX-License-Identifier: BSD-2-Clause */
/* The next hops of all addresses, as the records that engines search.
 *
 * A table is built as a whole from the configuration's next hops, the mirrored routes and
 * neighbours, and the addresses that were requested. It never changes afterwards. Two tables are
 * equal if their bytes are, which is how net.c knows whether anything changed. Only net.c calls
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
	uint32_t length[SL_TABLE_LENGTHS]; /* the prefix lengths in use, longest first */
	size_t first[SL_TABLE_LENGTHS];	   /* the first record of each length */
	size_t n_lengths;
	struct sl_net_group *group; /* in the order in which routes first name them */
	size_t n_groups;
	size_t left_out; /* next hops of multipath routes for which there was no room */
};

/* Returns the index of a port's VLAN, or SL_PORTS_MAX if there is none. */
uint32_t sl_net_vlan(const struct sl_net_port port[SL_PORTS_MAX], uint32_t parent, uint32_t vlan);

/* Builds a table. `port` is net.c's array, in which every port has a MAC address. Also updates the
 * entries in watch: which are gateways, which are resolved, and which have a route. Returns 0 or
 * -ENOMEM. */
int sl_table_build(struct sl_table *table, const struct sl_config *config, struct sl_mirror *mirror,
		   const struct sl_net_port *port, struct sl_watch *watch);
void sl_table_free(struct sl_table *table);

bool sl_table_equal(const struct sl_table *a, const struct sl_table *b);

/* Returns the record of the longest prefix that holds addr, or NULL. */
const struct sl_route *sl_table_find(const struct sl_table *table, const union sl_addr *addr);

/* Returns the number of low address bits by which hosts differ on the link of addr at that port. 0:
 * addr isn't on a link, or is alone on it. A default route without a gateway counts as no link,
 * since it isn't known which hosts answer there directly. */
uint32_t sl_table_link_bits(const struct sl_table *table, const union sl_addr *addr, uint16_t port);

/* Whether the record is the configuration's, so that no neighbour has to be resolved. */
bool sl_table_configured(const struct sl_config *config, const struct sl_route *route);

#endif
