/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Neighbours that an engine has heard itself: who asks for a VIP by ARP or a neighbour solicitation
 * tells its own address and MAC address, and will need our answers to it within the millisecond.
 * The kernel, and through it control, takes longer to find it out.
 *
 * An entry stands in for a next hop that the kernel doesn't know, for a few seconds, and only on
 * the port that it was heard on: the routes say whether the address is on that link. Once control
 * has published what the kernel knows, nobody reads the entry.
 *
 * All engines write the table at once, and a new entry replaces the one at its place. `check`
 * covers all other fields, so an entry that two writers, or a writer and a reader, met in fits
 * nothing and no lock is needed.
 */
#ifndef SL_ABI_LEARNED_H
#define SL_ABI_LEARNED_H

#include "flow.h"
#include "hash.h"

#define SL_LEARNED_ENTRIES 4096
#define SL_LEARNED_LIFE	   (3000000000u >> SL_TICK_SHIFT) /* as long as Linux asks for one */

struct sl_learned {
	union sl_addr addr;
	uint64_t where; /* 63..16 the MAC address as it lies in memory, 15..0 the port */
	uint64_t time;	/* in ticks, when it was heard */
	uint64_t check; /* sl_learned_check() */
	uint8_t pad[24];
} __attribute__((aligned(64)));

static inline uint64_t sl_learned_hash(const union sl_addr *addr, const uint64_t key[2])
{
	return sl_hash_mix(addr->q[0], addr->q[1], key);
}

/* hash: sl_learned_hash() of the address. */
static inline uint64_t sl_learned_check(uint64_t hash, uint64_t where, uint64_t time,
					const uint64_t key[2])
{
	return sl_hash_mix(hash ^ where, time, key);
}

_Static_assert(sizeof(struct sl_learned) == 64, "one cache line");

#endif
