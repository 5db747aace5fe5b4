/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The two keyed hashes of a flow: how engines find its row and its buckets, and how control finds
 * the row of an entry.
 *
 * Two multiplies by secret odd factors with a fold between: a packet's sender can't aim at a row or
 * a bucket without the key, and nothing that it sees gives the key away. SipHash-1-3 would cost 19
 * cycles more and jhash 4 ns; linear hashes (CRC, Toeplitz) can be aimed at by anybody.
 *
 * The row key belongs to the group of gateways and the configuration, so that every node and every
 * restart picks the same rows. The bucket key is random for the instance. Rows and buckets must not
 * come from the same bits, or all flows of a bucket would share a backend: here not even the key is
 * the same.
 */
#ifndef SL_ABI_HASH_H
#define SL_ABI_HASH_H

#include "address.h"

static inline uint64_t sl_hash_mix(uint64_t a, uint64_t b, const uint64_t key[2])
{
	uint64_t h = (a ^ key[0]) * (key[1] | 1);

	h ^= h >> 32;
	h = (h + b) * (key[0] | 1);
	return h ^ h >> 32;
}

/* Row of an IPv4 flow: source and destination as in the header, endpoint of the service. */
static inline uint32_t sl_hash_row(sl_be32 src, sl_be16 sport, sl_be32 dst, uint32_t endpoint,
				   const uint64_t key[2])
{
	uint64_t a = (uint64_t)(uint32_t)src << 32 | (uint32_t)dst;
	uint64_t b = (uint64_t)(uint16_t)sport << 32 | endpoint;

	return (uint32_t)(sl_hash_mix(a, b, key) >> 32);
}

/* Both buckets of a flow key follow from one hash: the low half, and another multiply's high. */
static inline uint64_t sl_hash_flow(uint64_t flow, const uint64_t key[2])
{
	return sl_hash_mix(flow, 0, key);
}

static inline uint32_t sl_hash_reduce(uint32_t hash, uint32_t n)
{
	return (uint32_t)((uint64_t)hash * n >> 32);
}

static inline uint32_t sl_hash_bucket(uint64_t hash, uint32_t buckets)
{
	return sl_hash_reduce((uint32_t)hash, buckets);
}

static inline uint32_t sl_hash_bucket2(uint64_t hash, uint32_t buckets, const uint64_t key[2])
{
	return sl_hash_reduce((uint32_t)(hash * (key[1] | 1) >> 32), buckets);
}

#endif
