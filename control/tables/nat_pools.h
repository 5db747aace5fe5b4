/* SPDX-License-Identifier: BSD-2-Clause */
/* Full NAT's side of control: which region each address of a pool has, the pools as engines see
 * them, and ports whose flows are dead (abi/snat.h).
 *
 * A region is an address's for as long as any service that is published has it, and some seconds
 * more; who wants more regions than there are is told. An engine frees ports itself where a pool
 * has none left; what is freed here keeps it from having to, and is what is counted.
 */
#ifndef SL_CONTROL_TABLES_NAT_POOLS_H
#define SL_CONTROL_TABLES_NAT_POOLS_H

#include "../daemon.h"

struct sl_region {
	union sl_addr addr; /* ::0: nobody's */
	uint32_t used;	    /* ports that were bound when it was last gone through */
	uint32_t seen;	    /* so far, this time */
	uint32_t idle_ms;   /* since when no service has it; 0: one has */
};

/* A service's pool, or none. 0, or -ENOSPC with a message: there is no region or no slot left. */
int sl_nat_pools_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX]);

/* What a live record names. -EPROTO: it can't be. */
int sl_nat_pools_adopt(struct sl_control *c, struct sl_model_service *s,
		       const struct sl_service *record);

/* The number of the region of one of the pool's addresses, which has one. */
uint32_t sl_nat_pools_region(const struct sl_control *c, const union sl_addr *addr);

/* Goes on clearing. */
void sl_nat_pools_tick(struct sl_control *c);

/* How many turns look at every port once. */
uint32_t sl_nat_pools_turns(const struct sl_control *c);

/* Ports of a pool, and how many of them are bound, as last counted. */
struct sl_nat_pools_use {
	uint64_t ports;
	uint64_t used;
};
struct sl_nat_pools_use sl_nat_pools_use(const struct sl_control *c,
					 const struct sl_config_snat_pool *pool);

/* All pools of the file. */
json_t *sl_nat_pools_report(const struct sl_control *c);

#endif
