/* SPDX-License-Identifier: BSD-2-Clause */
#include "generator.h"

#include <string.h>

#include "../dataplane/abi/csum.h"
#include "../dataplane/core/wire.h"

/* Where the four pieces of a frame begin: each header field lies in one of them. */
enum { PIECE_LINK = 0, PIECE_IP = 14, PIECE_TUPLE = 30, PIECE_TCP = 46 };

#define TUPLE_BITS 43
#define TUPLE_MASK ((1ull << TUPLE_BITS) - 1)

struct frame {
	struct sl_eth eth;
	struct sl_ip4 ip;
	struct sl_tcp tcp;
	uint8_t padding[6];
} SL_WIRE;

_Static_assert(sizeof(struct frame) == SL_FRAME, "the shortest frame");
_Static_assert(offsetof(struct frame, ip) == PIECE_IP, "two bytes with the first piece");
_Static_assert(offsetof(struct frame, ip.dst) == PIECE_TUPLE, "destination and ports");
_Static_assert(offsetof(struct frame, tcp.offset) == PIECE_TCP, "flags, window, checksum");

static uint32_t sum(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint32_t total = 0;

	for (size_t i = 0; i < bytes; i += 2) {
		uint16_t word;

		memcpy(&word, at + i, 2);
		total += word;
	}
	return total;
}

void sl_generator_init(struct sl_generator *g, sl_be32 vip, sl_be16 port, const uint8_t mac[6],
		       bool syn)
{
	struct frame f = {
		.eth = { .src = { 2, 'c', 'l', 'i', 'e', 'n' }, .type = sl_htons(SL_ETH_IP4) },
		.ip = { .version_ihl = 0x45,
			.length = sl_htons(sizeof(struct sl_ip4) + sizeof(struct sl_tcp)),
			.fragment = sl_htons(0x4000),
			.ttl = 64,
			.protocol = SL_PROTO_TCP,
			.dst = vip },
		.tcp = { .dst = port,
			 .offset = 0x50,
			 .flags = syn ? SL_TCP_SYN : SL_TCP_ACK,
			 .window = sl_htons(1024) },
	};
	uint16_t pseudo[2] = { sl_htons(SL_PROTO_TCP), sl_htons(sizeof(struct sl_tcp)) };
	const uint8_t *bytes = (const uint8_t *)&f;

	memcpy(f.eth.dst, mac, sizeof(f.eth.dst));
	*g = (struct sl_generator){ .random = 0x853c49e6748fea9bull, .vip = vip, .port = port };
	memcpy(&g->link, bytes + PIECE_LINK, sizeof(g->link));
	memcpy(&g->ip_head, bytes + PIECE_IP, sizeof(g->ip_head));
	memcpy(&g->ttl_protocol, bytes + PIECE_IP + 8, sizeof(g->ttl_protocol));
	memcpy(&g->tcp_flags_window, bytes + PIECE_TCP, sizeof(g->tcp_flags_window));
	g->ip_sum = sum(&f.ip, sizeof(f.ip));
	g->tcp_sum = sum(&f.ip.dst, 4) + sum(&f.tcp, sizeof(f.tcp)) + sum(pseudo, sizeof(pseudo));
}

/* A bijection on 43 bits: distinct flows keep distinct tuples. */
static inline uint64_t mix(uint64_t i)
{
	i = (i + 0x2545f4914f6ull) * 0x9e3779b97f4a7c15ull & TUPLE_MASK;
	i ^= i >> 22;
	i = i * 0xd6e8feb86659fd93ull & TUPLE_MASK;
	return i ^ i >> 22;
}

static inline void write_frame(const struct sl_generator *g, uint8_t *at, uint64_t flow)
{
	uint64_t tuple = mix(flow);
	uint32_t src = __builtin_bswap32(0x10000000u | (uint32_t)(tuple >> 15));
	uint16_t sport = __builtin_bswap16((uint16_t)(0x8000u | (tuple & 0x7fff)));
	uint32_t src_sum = (src & 0xffff) + (src >> 16);
	uint16_t ip_csum = (uint16_t)~sl_csum_fold(g->ip_sum + src_sum);
	uint16_t tcp_csum = (uint16_t)~sl_csum_fold(g->tcp_sum + src_sum + sport);
	uint64_t ip_rest = g->ttl_protocol | (uint64_t)ip_csum << 16 | (uint64_t)src << 32;
	uint64_t ends = (uint32_t)g->vip | (uint64_t)sport << 32 | (uint64_t)g->port << 48;
	uint64_t tcp_rest = g->tcp_flags_window | (uint64_t)tcp_csum << 32;

	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_LINK), g->link);
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_IP),
			 _mm_set_epi64x((long long)ip_rest, (long long)g->ip_head));
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_TUPLE), _mm_set_epi64x(0, (long long)ends));
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_TCP),
			 _mm_set_epi64x(0, (long long)tcp_rest));
}

uint16_t sl_generator_fill(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			   uint16_t room, void *user)
{
	struct sl_generator *g = user, local = *g;

	(void)device, (void)queue, (void)room;
	if (!local.left) { /* a worker that is told to stop may still ask for what has arrived */
		rte_pktmbuf_free_bulk(frame, n);
		return 0;
	}
	if (local.order == SL_ORDER_RANDOM)
		for (uint16_t i = 0; i < n; i++) {
			local.random =
				local.random * 6364136223846793005ull + 1442695040888963407ull;
			write_frame(&local, rte_pktmbuf_mtod(frame[i], uint8_t *),
				    (local.random >> 32) * local.flows >> 32);
		}
	else
		for (uint16_t i = 0; i < n; i++)
			write_frame(&local, rte_pktmbuf_mtod(frame[i], uint8_t *), local.next++);
	g->random = local.random;
	g->next = local.next;
	g->left = local.left > n ? local.left - n : 0;
	if (!g->left)
		atomic_store_explicit(local.stop, true, memory_order_relaxed);
	return n;
}
