/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Cuckoo hashing: at which index of its bank a small record lies.
 *
 * Services, reply entries and routes each have one table per bank. A record lies at one of two
 * indices, which follow from its key and the bank's seed. So a look-up reads at most two cache
 * lines, hit or miss. Control chooses a seed under which every record gets an index
 * (control/tables/place.c); a bank is at most half full, so a few tries suffice. The seed is no
 * secret: senders choose which keys are looked up, but never which keys are stored.
 */
#ifndef SL_ABI_CUCKOO_H
#define SL_ABI_CUCKOO_H

#include "address.h"

/* what: an endpoint (sl_endpoint()) or a prefix length. */
static inline uint64_t sl_cuckoo_hash(const union sl_addr *addr, uint32_t what, uint64_t seed)
{
	/* The first half is 0 for IPv4, so the compiler saves one multiply there. The second half
	 * is rotated, because neighbouring addresses differ in the last bytes, which are the word's
	 * top bits. */
	uint64_t h = addr->q[0] * 0x9e3779b97f4a7c15ull;

	h = ((h ^ h >> 32 ^ seed) + (addr->q[1] >> 32 | addr->q[1] << 32)) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	h = (h + what) * 0xa0761d6478bd642full;
	return h ^ h >> 32;
}

/* The two indices; size is a power of two. */
static inline uint32_t sl_cuckoo_first(uint64_t hash, uint32_t size)
{
	return (uint32_t)hash & (size - 1);
}

static inline uint32_t sl_cuckoo_second(uint64_t hash, uint32_t size)
{
	return (uint32_t)(hash >> 32) & (size - 1);
}

#endif
