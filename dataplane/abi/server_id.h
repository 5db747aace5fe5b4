/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* QUIC server ids: which backend a connection id names (core/quic.h).
 *
 * A service with server ids has a hash table of them, an extent of table blocks. A bucket is one
 * cache line, and the number of buckets is a power of four, so that one word of the service record
 * describes the table. An id lies in one of two buckets that follow from its hash, so a look-up
 * reads at most two cache lines, hit or miss. Control makes the table larger until every id has
 * room (control/tables/server_ids.c). The hash needs no key, because operators choose the ids, not
 * senders.
 *
 * An id is its bytes read as one number, first byte highest. All ids of a service have the same
 * length, so different ids are different numbers.
 */
#ifndef SL_ABI_SERVER_ID_H
#define SL_ABI_SERVER_ID_H

#include <stdint.h>

#define SL_SERVER_ID_MAX	 8 /* bytes */
#define SL_SERVER_IDS_PER_BUCKET 4 /* per bucket */

struct sl_server_id_bucket {
	uint64_t id[SL_SERVER_IDS_PER_BUCKET];
	uint32_t backend[SL_SERVER_IDS_PER_BUCKET]; /* backend number, from 1; 0: empty */
	uint32_t reserved[4];
};

#define SL_SERVER_ID_BUCKETS_MAX (1u << 14) /* most buckets of a table */

/* How many buckets a table for this many ids has. */
static inline uint32_t sl_server_id_buckets(uint32_t ids)
{
	uint32_t buckets = 1;

	while (buckets * SL_SERVER_IDS_PER_BUCKET < 2 * ids)
		buckets *= 4;
	return buckets;
}

/* Packs a service's table into one word: 0..25 its first block, 26..28 the number of buckets as a
 * power of four, 29..31 the bytes of an id, less one. (There are fewer than 2^26 blocks.) */
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

/* The two buckets of an id; mask: the number of buckets less one. */
static inline uint32_t sl_server_id_first(uint64_t hash, uint32_t mask)
{
	return (uint32_t)hash & mask;
}

static inline uint32_t sl_server_id_second(uint64_t hash, uint32_t mask)
{
	return (uint32_t)(hash >> 32) & mask;
}

#endif
