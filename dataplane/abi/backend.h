/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Slots and backends: the extents that a service record names.
 *
 * A service's slots map a flow's hash to a backend; its backends hold everything that a rewrite
 * needs, precomputed. Both lie in pools, in extents that never change while a live bank names
 * them: a change builds a new extent and publishes a record that names it. What server ids a
 * service has lies in extents of the slots' pool (server_id.h).
 *
 * A slot is one 32-bit word, so that it is read whole and 65,536 of them fit a 256 kB of cache:
 *
 *     29..28 state    27..14 prev    13..0 cur
 *
 * cur and prev count from 1 within the service's extent of backends; 0 is none. The number of a
 * backend is stable while the service lives, since flow entries hold it too.
 */
#ifndef SL_ABI_BACKEND_H
#define SL_ABI_BACKEND_H

#include "address.h"
#include "server_id.h"
#include "snat.h"

#define SL_BACKENDS_PER_SERVICE 16383
#define SL_SLOTS_PER_BLOCK	16

enum sl_slot_state {
	SL_SLOT_CLOSED, /* to cur, no look-up */
	SL_SLOT_OPEN,	/* moved less than the idle timeout ago: see core/route.h */
	SL_SLOT_MIXED,	/* entries may still disagree with cur: look up, but track nothing new */
};

struct sl_table_block {
	union {
		uint32_t slot[SL_SLOTS_PER_BLOCK];
		struct sl_server_id_bucket server_ids; /* in an extent of these */
		struct sl_snat_pool pool; /* in one of a pool of addresses, as the next */
		struct sl_snat_address address[SL_SNAT_ADDRESSES_PER_BLOCK];
	};
} __attribute__((aligned(64)));

/* The slots of an extent that begins with this record, as one array. */
static inline const uint32_t *sl_block_slots(const struct sl_table_block *blocks, uint32_t first)
{
	return (const uint32_t *)(const void *)(blocks + first);
}

static inline uint32_t sl_slot(uint32_t cur, uint32_t prev, enum sl_slot_state state)
{
	return cur | prev << 14 | (uint32_t)state << 28;
}

static inline uint32_t sl_slot_cur(uint32_t slot)
{
	return slot & 0x3fff;
}

static inline uint32_t sl_slot_prev(uint32_t slot)
{
	return slot >> 14 & 0x3fff;
}

static inline enum sl_slot_state sl_slot_state(uint32_t slot)
{
	return (enum sl_slot_state)(slot >> 28 & 3);
}

enum sl_backend_flags {
	SL_BACKEND_SERVES = 1,	   /* established flows may stay */
	SL_BACKEND_TAKES_NEW = 2,  /* new ones may come */
	SL_BACKEND_RESOLVED = 4,   /* the MAC addresses are right */
	SL_BACKEND_GUE_HEADER = 8, /* variant 0 of GUE, which has a header of its own */
	SL_BACKEND_NO_ROUTE = 16,  /* not resolved, and nobody can be asked: no route leads there */
};

/* dst_mac and src_mac stand as they stand in the frame. A record that is all zero serves nobody. */
struct sl_backend {
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t egress; /* index in ports */
	uint16_t flags;	 /* enum sl_backend_flags */
	union sl_addr addr;
	sl_be16 port;	   /* with GUE that of the tunnel */
	uint16_t ip_delta; /* checksum deltas of VIP → backend, see csum.h; in tunnels over IPv4 the
			    * sum of the outer header's words that are the same for every packet */
	uint16_t l4_delta;
	uint16_t mtu;	     /* the largest IP packet that fits the way there, as it comes */
	uint32_t counter_id; /* its id in the counters: stable while it lives */
	uint16_t mss;	     /* what a SYN may say at most; 0: whatever it says */
	uint8_t reserved;
	uint8_t entropy;      /* tunnels: low bits of the source that follow from the flow */
	union sl_addr source; /* tunnels: of the outer header, of the family of addr */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sl_table_block) == 64, "one cache line");
_Static_assert(sizeof(struct sl_backend) == 64, "one cache line");

#endif
