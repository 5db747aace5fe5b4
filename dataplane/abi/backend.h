/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Slots and backends: the extents that a service record names.
 *
 * A service's look-up table maps a flow's hash to a slot, and a slot names the flow's backend. A
 * backend record holds everything that a rewrite needs, precomputed. Tables and backends lie in
 * extents (runs of records) that never change while a live bank names them: control makes a change
 * by writing a new extent and publishing a service record that names it. A service's QUIC server
 * ids and SNAT pools lie in extents of the same array, table_blocks (server_id.h, snat.h).
 *
 * A slot is one 32-bit word, so that it is read whole and 65,536 of them fit 256 kB of cache:
 *
 *     29..28 state    27..14 prev    13..0 cur
 *
 * cur and prev are backend numbers. They count from 1 within the service's extent of backends; 0
 * means none. A backend's number is stable while the service lives, since flow entries hold it too.
 */
#ifndef SL_ABI_BACKEND_H
#define SL_ABI_BACKEND_H

#include "address.h"
#include "server_id.h"
#include "snat.h"

#define SL_BACKENDS_PER_SERVICE 16383
#define SL_SLOTS_PER_BLOCK	16

enum sl_slot_state {
	SL_SLOT_CLOSED, /* use cur without a flow look-up */
	SL_SLOT_OPEN,	/* cur changed less than the idle timeout ago: see core/route.h */
	SL_SLOT_MIXED,	/* entries may disagree with cur: look up, track no new flows */
};

struct sl_table_block {
	union {
		uint32_t slot[SL_SLOTS_PER_BLOCK];
		struct sl_server_id_bucket server_ids; /* a block of a server id table */
		struct sl_snat_pool pool;	       /* the first block of a SNAT pool */
		struct sl_snat_address address[SL_SNAT_ADDRESSES_PER_BLOCK];
	};
} __attribute__((aligned(64)));

/* The slots of an extent that begins with block `first`, as one array. */
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
	SL_BACKEND_SERVES = 1,	   /* established flows may stay here */
	SL_BACKEND_TAKES_NEW = 2,  /* new flows may be sent here */
	SL_BACKEND_RESOLVED = 4,   /* the next hop's MAC addresses are known */
	SL_BACKEND_GUE_HEADER = 8, /* GUE variant 0, which has a header of its own */
	SL_BACKEND_NO_ROUTE = 16,  /* unresolved, because no route leads there */
};

/* dst_mac and src_mac are in the order of the frame. A record of all zeros gets no packets. */
struct sl_backend {
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t egress; /* index in ports, or a next hop group (next_hop.h) */
	uint16_t flags;	 /* enum sl_backend_flags */
	union sl_addr addr;
	sl_be16 port;	   /* in mode gue the tunnel's port */
	uint16_t ip_delta; /* checksum deltas of VIP → backend, see csum.h; for IPv4 */
	uint16_t l4_delta;
	uint16_t mtu;	     /* largest packet that fits, without the outer header */
	uint32_t counter_id; /* its index in the backend counters: stable while it lives */
	uint16_t mss;	     /* upper bound on the MSS of a SYN; 0: leave it */
	uint8_t link_bits; /* low bits of an address that tell hosts on its link apart; 0: none do,
			    * so that it is on no link or alone there (core/hairpin.h) */
	uint8_t entropy;   /* tunnels: low bits of source that follow from the flow */
	union sl_addr source; /* tunnels: the outer source, of addr's family */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sl_table_block) == 64, "one cache line");
_Static_assert(sizeof(struct sl_backend) == 64, "one cache line");

#endif
