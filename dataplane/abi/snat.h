/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* SNAT ports: which flow of mode fullnat uses which address and port of a pool (NAPT, RFC 3022).
 *
 * Each address of a pool has a region: one word per port, 65,536 in all. The word is the key
 * (flow.h) of the flow that the port is mapped to, or 0. A reply is sent to an address and a port,
 * so one index leads to its flow, and the key tells the service and, for IPv4, the client. An IPv6
 * client lies in a second array at the same index. Where the VIP is a prefix, the key is a digest,
 * and the second array has client and VIP. They are stored after the key, before the flow's packet
 * is sent on; whoever maps the same flow stores the same.
 *
 * From a flow to its port there is a search. The flow's hash names some lines in the region of one
 * address, and a table of the pool names that address. Where a live flow isn't found there, the
 * other addresses are searched too: the pool may have had other addresses when the flow began, or
 * no free port there.
 *
 * Beside the key lies a word about the flow's TCP connection (core/window.h), which tells its own
 * FIN and RST from forged ones. Whoever takes a port sets that word to 0; engines update it by
 * compare-and-swap.
 *
 * A mapping has no time of its own. It holds while the flow's entry lives, and afterwards until
 * another flow needs the port. Writers of all engines meet here:
 *
 *     allocate  after the flow's entry was made: compare-and-swap of the word to the flow's key.
 *               The word was 0, or the key of a flow whose entry is gone or replaceable (flow.h).
 *               For an IPv6 flow the word first becomes SL_SNAT_BUSY with the time, then the
 *               client is stored, then the key.
 *     twice     two writers may allocate for the same flow at once. The writer that finds the
 *               other's mapping earlier in search order frees its own, as in the flow table.
 *     free      control frees ports of expired flows now and then. Engines reclaim them
 *               themselves where a pool has no free port left.
 */
#ifndef SL_ABI_SNAT_H
#define SL_ABI_SNAT_H

#include "address.h"

#define SL_SNAT_PORTS_PER_LINE 8 /* of a cache line */
#define SL_SNAT_LINES	       (65536 / SL_SNAT_PORTS_PER_LINE)
#define SL_SNAT_ADDRESSES_MAX  64  /* of a pool */
#define SL_SNAT_START_SLOTS    256 /* of a pool: they spread flows over its addresses */

struct sl_snat_line {
	uint64_t key[SL_SNAT_PORTS_PER_LINE]; /* flow keys */
	uint64_t tcp[SL_SNAT_PORTS_PER_LINE]; /* TCP windows (core/window.h) */
} __attribute__((aligned(128)));

/* Set in a word that is being written; flow keys never have this bit here. The low 48 bits are
 * ticks. */
#define SL_SNAT_BUSY	 (1ull << 63)
#define SL_SNAT_BUSY_MAX (1000000000ull >> 2) /* in ticks: a writer that takes longer is dead */

/* The client of a mapping, where the key doesn't tell it: of IPv6, or of a service whose VIP is a
 * prefix. Then also the address that the client has called, without its first two bytes, which are
 * the service record's. */
struct sl_snat_client {
	union sl_addr addr;
	union {
		sl_be16 port;	   /* in place of the VIP's first two bytes */
		union sl_addr vip; /* 0: not stored */
	};
} __attribute__((aligned(32)));

/* A pool is an extent of table blocks: this record, then SL_SNAT_START_SLOTS slots that hold
 * indices of addresses, then the addresses, two per block. It never changes while a live bank names
 * it. */
struct sl_snat_pool {
	uint32_t n; /* number of addresses */
	uint16_t first_port;
	uint16_t last_port;
	uint8_t reserved[56];
};

struct sl_snat_address {
	union sl_addr addr;
	uint32_t region; /* its number */
	uint32_t reserved[3];
};

#define SL_SNAT_ADDRESSES_PER_BLOCK 2 /* per block */

/* The number of blocks of a pool with n addresses. */
static inline uint32_t sl_snat_pool_blocks(uint32_t n)
{
	return 1 + SL_SNAT_START_SLOTS / 16 +
	       (n + SL_SNAT_ADDRESSES_PER_BLOCK - 1) / SL_SNAT_ADDRESSES_PER_BLOCK;
}

/* The index of a port's word, and of its client's record. */
static inline uint32_t sl_snat_port_index(uint32_t region, uint16_t port)
{
	return region * 65536 + port;
}

_Static_assert(sizeof(struct sl_snat_line) == 128, "two cache lines, of which a search reads one");
_Static_assert(sizeof(struct sl_snat_client) == 32, "half a cache line");
_Static_assert(sizeof(struct sl_snat_pool) == 64, "one record");
_Static_assert(sizeof(struct sl_snat_address) * SL_SNAT_ADDRESSES_PER_BLOCK == 64, "two a record");

#endif
