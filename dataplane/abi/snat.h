/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Full NAT: which flow has which address and port of a pool (RFC 3022, NAPT).
 *
 * Each address of a pool has a region: a word for each of its 65,536 ports, which is the key of the
 * flow (flow.h) that is bound to that port, or 0. So a reply, which is to an address and a port,
 * finds its flow by an index, and the key says which service it is and, of IPv4, which client. An
 * IPv6 client stands in a second array under the same index.
 *
 * From the flow to its port it's a search: of the lines that follow from the flow's hash, in the
 * region of one address, which a table of the pool's names; in those of all others for a flow that
 * is known and isn't found there, since the pool had other addresses when it began, or no room.
 *
 * A binding has no time of its own. It holds while its flow's entry lives, and as long again as
 * nobody else needs the port. Writers of all engines meet here:
 *
 *     bind    after the flow's entry was made. Compare-and-swap from 0, or from the key of a flow
 *             whose entry is gone or takeable (flow.h), to the key. Of an IPv6 flow to SL_BINDING_
 *             BUSY with the time, then the client, then the key.
 *     twice   two writers may bind the same flow at once; the one who finds the other's binding
 *             earlier in the order of the search takes its own back, as in the flow table.
 *     free    control clears what is dead now and then; engines take it over themselves where a
 *             pool has no port left.
 */
#ifndef SL_ABI_SNAT_H
#define SL_ABI_SNAT_H

#include "address.h"

#define SL_SNAT_PORTS_PER_LINE 8 /* of a line */
#define SL_SNAT_LINES	       (65536 / SL_SNAT_PORTS_PER_LINE)
#define SL_SNAT_ADDRESSES_MAX  64  /* of a pool */
#define SL_SNAT_START_SLOTS    256 /* of a pool: which address is tried first */

struct sl_snat_line {
	uint64_t key[SL_SNAT_PORTS_PER_LINE]; /* of flows */
} __attribute__((aligned(64)));

/* Never a key's: that bit is the flow table's own. Below: ticks, of 48 bits. */
#define SL_SNAT_BUSY	 (1ull << 63)
#define SL_SNAT_BUSY_MAX (1000000000ull >> 2) /* ticks: who is busy for longer is dead */

/* An IPv6 client. */
struct sl_snat_client {
	union sl_addr addr;
	sl_be16 port;
	uint8_t reserved[14];
} __attribute__((aligned(32)));

/* A pool is an extent of the slots' pool: this record, then SL_SNAT_START_SLOTS slots, which hold
 * indices of addresses, then the addresses, two a record. It never changes while a live bank names
 * it. */
struct sl_snat_pool {
	uint32_t n; /* addresses */
	uint16_t first_port;
	uint16_t last_port;
	uint8_t reserved[56];
};

struct sl_snat_address {
	union sl_addr addr;
	uint32_t region; /* by its number */
	uint32_t reserved[3];
};

#define SL_SNAT_ADDRESSES_PER_BLOCK 2 /* of a record */

/* How many records a pool of so many addresses is. */
static inline uint32_t sl_snat_pool_blocks(uint32_t n)
{
	return 1 + SL_SNAT_START_SLOTS / 16 +
	       (n + SL_SNAT_ADDRESSES_PER_BLOCK - 1) / SL_SNAT_ADDRESSES_PER_BLOCK;
}

/* The index of a port's word, or of the client's record. */
static inline uint32_t sl_snat_port_index(uint32_t region, uint16_t port)
{
	return region * 65536 + port;
}

_Static_assert(sizeof(struct sl_snat_line) == 64, "one cache line");
_Static_assert(sizeof(struct sl_snat_client) == 32, "half a cache line");
_Static_assert(sizeof(struct sl_snat_pool) == 64, "one record");
_Static_assert(sizeof(struct sl_snat_address) * SL_SNAT_ADDRESSES_PER_BLOCK == 64, "two a record");

#endif
