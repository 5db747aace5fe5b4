/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Keyed hashes of a flow. Engines find a flow's slot and buckets with them; control finds the slot
 * that a flow entry belongs to.
 *
 * The hash is two multiplies by secret odd factors with a fold in between. Without the key a sender
 * can't aim at a slot or a bucket, and nothing that it sees reveals the key. SipHash-1-3 would cost
 * 19 cycles more and jhash 4 ns; anybody can aim at linear hashes (CRC, Toeplitz).
 *
 * The slot key is derived from the configuration's group of gateways, so that every node picks the
 * same slots, also after a restart. The bucket key is random per instance. Slots and buckets must
 * not depend on the same bits, or all flows of a bucket would share a backend; here they don't even
 * share a key.
 *
 * A client's address and port together are the source in a flow's key, which has 48 bits for it
 * (flow.h). For IPv4 they fit. For IPv6 the source is a digest: it has to tell clients apart,
 * because nobody compares the addresses themselves, and nobody may be able to construct a collision
 * with another client. So it is SipHash-1-3 under the slot key, and the slot follows from the
 * digest alone.
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

static inline uint64_t sl_hash_rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

static inline __attribute__((always_inline)) void sl_hash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = sl_hash_rotate(v[1], 13) ^ v[0];
	v[0] = sl_hash_rotate(v[0], 32);
	v[2] += v[3];
	v[3] = sl_hash_rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = sl_hash_rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = sl_hash_rotate(v[1], 17) ^ v[2];
	v[2] = sl_hash_rotate(v[2], 32);
}

/* The source of an IPv6 flow: the upper 48 bits of SipHash-1-3 over address and port, 18 bytes as
 * they lie in the packet. */
static inline __attribute__((always_inline)) uint64_t
sl_hash_source6(const union sl_addr *src, sl_be16 port, const uint64_t key[3])
{
	uint64_t block[3] = { src->q[0], src->q[1], 18ull << 56 | (uint16_t)port };
	uint64_t v[4] = { key[2] ^ 0x736f6d6570736575ull, key[0] ^ 0x646f72616e646f6dull,
			  key[2] ^ 0x6c7967656e657261ull, key[0] ^ 0x7465646279746573ull };

	for (int i = 0; i < 3; i++) {
		v[3] ^= block[i];
		sl_hash_round(v);
		v[0] ^= block[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sl_hash_round(v);
	return (v[0] ^ v[1] ^ v[2] ^ v[3]) >> 16;
}

/* The source of a flow of either family, as in its key. */
static inline uint64_t sl_hash_source(const union sl_addr *client, sl_be16 port,
				      const uint64_t key[3])
{
	return sl_addr_is4(client) ? (uint64_t)(uint32_t)client->w[3] << 16 | (uint16_t)port
				   : sl_hash_source6(client, port, key);
}

/* The source in the key of a flow that a client has with one address of a prefix: its flows with
 * the others are other flows. */
static inline uint64_t sl_hash_source_vip(uint64_t source, const union sl_addr *vip,
					  const uint64_t key[2])
{
	return sl_hash_mix(source, vip->q[0] * 0x9e3779b97f4a7c15ull ^ vip->q[1], key) >> 16;
}

/* The slot of an IPv4 flow. src and dst are as in the header; endpoint is the service's. */
static inline uint32_t sl_hash_slot(sl_be32 src, sl_be16 sport, sl_be32 dst, uint32_t endpoint,
				    const uint64_t key[2])
{
	uint64_t a = (uint64_t)(uint32_t)src << 32 | (uint32_t)dst;
	uint64_t b = (uint64_t)(uint16_t)sport << 32 | endpoint;

	return (uint32_t)(sl_hash_mix(a, b, key) >> 32);
}

/* The same from the source in a flow's key, for either family. Of the VIP only the last 32 bits
 * count. */
static inline uint32_t sl_hash_slot_of(uint64_t source, const union sl_addr *vip, uint32_t endpoint,
				       const uint64_t key[2])
{
	return sl_hash_slot((sl_be32)(uint32_t)(source >> 16), (sl_be16)(uint16_t)source, vip->w[3],
			    endpoint, key);
}

/* Both buckets of a flow follow from this hash: the first from its low half, the second from the
 * high half of a further multiply. */
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
