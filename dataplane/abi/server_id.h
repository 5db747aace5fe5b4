/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Server ids: which backend the ids of QUIC connections name (core/quic.h).
 *
 * A service that has any has a hash table of them, an extent of the pool that slots lie in: buckets
 * of one cache line, a power of four of them, so that one word of the service says it all. An id
 * stands in one of the two buckets that follow from it, so that a look-up reads at most two lines,
 * hit or miss; control makes the table larger until all have a place (control/tables/server_ids.c).
 * Which ids there are is the operator's choice, never a sender's, so the hash has no key.
 *
 * An id is its bytes as one number, the first byte the highest. All of one service have the same
 * length, so no two are the same number.
 */
#ifndef SL_ABI_SERVER_ID_H
#define SL_ABI_SERVER_ID_H

#include <stdint.h>

#define SL_SERVER_ID_MAX	 8 /* bytes */
#define SL_SERVER_IDS_PER_BUCKET 4 /* of a bucket */

struct sl_server_id_bucket {
	uint64_t id[SL_SERVER_IDS_PER_BUCKET];
	uint32_t backend[SL_SERVER_IDS_PER_BUCKET]; /* its number in the service, from 1; 0: nothing
						       is here */
	uint32_t reserved[4];
};

#define SL_SERVER_ID_BUCKETS_MAX (1u << 14) /* buckets */

/* How many buckets there are for so many ids, or more. */
static inline uint32_t sl_server_id_buckets(uint32_t ids)
{
	uint32_t buckets = 1;

	while (buckets * SL_SERVER_IDS_PER_BUCKET < 2 * ids)
		buckets *= 4;
	return buckets;
}

/* What a service's record says of its table: 0..25 the first bucket's record (a pool has fewer),
 * 26..28 their number, as a power of four, 29..31 the bytes of an id, less one. */
static inline uint32_t sl_server_ids_pack(uint32_t first, uint32_t buckets, uint32_t bytes)
{
	return first | (uint32_t)__builtin_ctz(buckets) / 2 << 26 | (bytes - 1) << 29;
}

static inline uint32_t sl_server_ids_first(uint32_t word)
{
	return word & 0x3ffffff;
}

static inline uint32_t sl_server_ids_mask(uint32_t word)
{
	return (1u << 2 * (word >> 26 & 7)) - 1;
}

static inline uint32_t sl_server_ids_bytes(uint32_t word)
{
	return (word >> 29) + 1;
}

static inline uint64_t sl_server_id_hash(uint64_t id)
{
	uint64_t h = (id ^ id >> 32) * 0xd6e8feb86659fd93ull;

	h = (h ^ h >> 32) * 0xa0761d6478bd642full;
	return h ^ h >> 32;
}

/* Its two buckets; mask: their number less one. */
static inline uint32_t sl_server_id_first(uint64_t hash, uint32_t mask)
{
	return (uint32_t)hash & mask;
}

static inline uint32_t sl_server_id_second(uint64_t hash, uint32_t mask)
{
	return (uint32_t)(hash >> 32) & mask;
}

#endif
