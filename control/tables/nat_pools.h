/* SPDX-License-Identifier: BSD-2-Clause */
/* The control side of full NAT (abi/snat.h). It gives each address of a SNAT pool a region, builds
 * the records of pools, and frees ports whose flows have expired.
 *
 * An address has its region while a published service has the address, and for some seconds
 * afterwards. If there aren't enough regions, the publish fails with a message. Engines reclaim
 * ports themselves where a pool has no free port left. Control frees ports so that they needn't,
 * and counts the ports in use.
 */
#ifndef SL_CONTROL_TABLES_NAT_POOLS_H
#define SL_CONTROL_TABLES_NAT_POOLS_H

#include "../daemon.h"

struct sl_region {
	union sl_addr addr; /* ::0: the region is free */
	uint32_t used;	    /* ports in use when the region was last gone through */
	uint32_t seen;	    /* ports in use found so far, this time */
	uint32_t idle_ms;   /* since when no service has the address; 0: one has it */
};

/* Builds the records of a service's SNAT pool, if it has one. Returns 0, -ENOMEM, or -ENOSPC with a
 * message: no region or no table blocks are free. */
int sl_nat_pools_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX]);

/* Rebuilds the pool of a service from its live record. Returns 0, or -EPROTO if the record is
 * invalid. */
int sl_nat_pools_adopt(struct sl_control *c, struct sl_model_service *s,
		       const struct sl_service *record);

/* Returns the index of an address's region; the number of regions if it has none. */
uint32_t sl_nat_pools_region(const struct sl_control *c, const union sl_addr *addr);

/* To be called at each tick. Frees ports of expired flows in the next part of the regions. */
void sl_nat_pools_tick(struct sl_control *c);

/* The number of ticks that look at every port once. */
uint32_t sl_nat_pools_turns(const struct sl_control *c);

/* The ports of a pool, and how many of them were in use when last counted. */
struct sl_nat_pools_use {
	uint64_t ports;
	uint64_t used;
};
struct sl_nat_pools_use sl_nat_pools_use(const struct sl_control *c,
					 const struct sl_config_snat_pool *pool);

/* Returns an array of all pools in the configuration file, which the caller owns. */
json_t *sl_nat_pools_report(const struct sl_control *c);

#endif
