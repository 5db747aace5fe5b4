/* SPDX-License-Identifier: BSD-2-Clause */
#include "generator.h"

#include <string.h>

#include "../dataplane/abi/csum.h"
#include "../dataplane/core/wire.h"

/* The offsets of a frame's four stores. No header field straddles two of them. */
enum { PIECE_LINK = 0, PIECE_IP = 14, PIECE_TUPLE = 30, PIECE_TCP = 46 };

#define TUPLE_BITS 43
#define TUPLE_MASK ((1ull << TUPLE_BITS) - 1)

/* UDP length of a datagram that fills the frame, in network order */
#define UDP_LENGTH ((uint32_t)sl_htons(SL_FRAME - PIECE_IP - sizeof(struct sl_ip4)))

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

static struct sl_frame_kind kind_of(struct frame f, uint8_t flags)
{
	uint16_t pseudo[2] = { sl_htons(SL_PROTO_TCP), sl_htons(sizeof(struct sl_tcp)) };
	struct sl_frame_kind kind;

	f.tcp.flags = flags;
	memcpy(&kind.flags_window, (const uint8_t *)&f + PIECE_TCP, sizeof(kind.flags_window));
	kind.sum = sum(&f.ip.dst, 4) + sum(&f.tcp, sizeof(f.tcp)) + sum(pseudo, sizeof(pseudo));
	return kind;
}

/* The pseudo header's words that kind_of() doesn't sum: it counts only the first 4 bytes of the
 * VIP, so for IPv6 the rest of it and the sources' first half are missing. */
static void init_ipv6(struct sl_generator *g, const union sl_addr *vip)
{
	const uint8_t link_end[2] = { 0x86, 0xdd }, first[2] = { 0x60, 0 };
	const uint8_t head[8] = { 0, 0, 0, sizeof(struct sl_tcp), SL_PROTO_TCP, 64 };
	uint8_t link[16];
	uint32_t rest;

	memcpy(link, &g->link, sizeof(link));
	memcpy(link + 12, link_end, sizeof(link_end));
	memcpy(link + PIECE_IP, first, sizeof(first));
	memcpy(&g->link, link, sizeof(link));
	memcpy(&g->ip6_head, head, 6);
	memcpy(&g->vip6, vip, sizeof(g->vip6));
	g->is_ipv6 = true;
	g->source6 = 0x1000ull << 48 | 0xb80d0120ull; /* 2001:db8:0:10::/64, in network order */
	rest = sum(vip, sizeof(*vip)) + sum(&g->source6, sizeof(g->source6));
	g->syn.sum += rest;
	g->ack.sum += rest;
	g->fin.sum += rest;
}

void sl_generator_init(struct sl_generator *g, const union sl_addr *vip, sl_be16 port,
		       const uint8_t mac[6], bool syn, bool datagrams)
{
	struct frame f = {
		.eth = { .src = { 2, 'c', 'l', 'i', 'e', 'n' }, .type = sl_htons(SL_ETH_IP4) },
		.ip = { .version_ihl = 0x45,
			.length = sl_htons(sizeof(struct sl_ip4) + sizeof(struct sl_tcp)),
			.fragment = sl_htons(0x4000),
			.ttl = 64,
			.protocol = SL_PROTO_TCP,
			.dst = sl_addr_is4(vip) ? vip->w[3] : 0 },
		.tcp = { .dst = port, .offset = 0x50, .window = sl_htons(1024) },
	};
	const uint8_t *bytes = (const uint8_t *)&f;

	memcpy(f.eth.dst, mac, sizeof(f.eth.dst));
	if (datagrams) {
		f.ip.protocol = SL_PROTO_UDP;
		f.ip.length = sl_htons(sizeof(f) - sizeof(f.eth));
	}
	*g = (struct sl_generator){ .random = 0x853c49e6748fea9bull,
				    .vip = f.ip.dst,
				    .port = port };
	memcpy(&g->link, bytes + PIECE_LINK, sizeof(g->link));
	memcpy(&g->ip_head, bytes + PIECE_IP, sizeof(g->ip_head));
	memcpy(&g->ttl_protocol, bytes + PIECE_IP + 8, sizeof(g->ttl_protocol));
	g->ip_sum = sum(&f.ip, sizeof(f.ip));
	g->syn = kind_of(f, SL_TCP_SYN);
	g->ack = kind_of(f, SL_TCP_ACK);
	g->fin = kind_of(f, SL_TCP_FIN | SL_TCP_ACK);
	if (!sl_addr_is4(vip))
		init_ipv6(g, vip);
	g->usual = syn ? g->syn : g->ack;
	g->udp_sum = sum(&f.ip.dst, 4) + f.tcp.dst + sl_htons(SL_PROTO_UDP) + 2u * UDP_LENGTH;
}

/* A bijection on 43 bits: different flows have different tuples. */
static inline uint64_t mix(uint64_t i)
{
	i = (i + 0x2545f4914f6ull) * 0x9e3779b97f4a7c15ull & TUPLE_MASK;
	i ^= i >> 22;
	i = i * 0xd6e8feb86659fd93ull & TUPLE_MASK;
	return i ^ i >> 22;
}

/* A flow is the second half of its source address, and its port. */
static __attribute__((noinline)) void write_frame6(const struct sl_generator *g,
						   const struct sl_frame_kind *kind,
						   struct rte_mbuf *m, uint64_t flow)
{
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t tuple = mix(flow);
	uint32_t low = __builtin_bswap32(0x10000000u | (uint32_t)(tuple >> 15));
	uint16_t sport = __builtin_bswap16((uint16_t)(0x8000u | (tuple & 0x7fff)));
	uint64_t source = (uint64_t)low << 32;
	uint16_t csum = (uint16_t)~sl_csum_fold(kind->sum + (low & 0xffff) + (low >> 16) + sport);
	uint64_t ports = sport | (uint32_t)g->port << 16;
	uint64_t flags = (uint64_t)kind->flags_window << 32;
	uint32_t end = csum;

	_mm_storeu_si128((__m128i *)(void *)at, g->link);
	memcpy(at + 16, &g->ip6_head, 8);
	_mm_storeu_si128((__m128i *)(void *)(at + 22),
			 _mm_set_epi64x((long long)source, (long long)g->source6));
	_mm_storeu_si128((__m128i *)(void *)(at + 38), g->vip6);
	memcpy(at + 54, &ports, 8);
	memcpy(at + 62, &flags, 8);
	memcpy(at + 70, &end, 4);
}

/* back: a reply, with source and destination exchanged. The sums are the same. */
static inline void write_frame4(const struct sl_generator *g, const struct sl_frame_kind *kind,
				struct rte_mbuf *m, uint64_t flow, bool back)
{
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t tuple = mix(flow);
	uint32_t src = __builtin_bswap32(0x10000000u | (uint32_t)(tuple >> 15));
	uint16_t sport = __builtin_bswap16((uint16_t)(0x8000u | (tuple & 0x7fff)));
	uint32_t src_sum = (src & 0xffff) + (src >> 16);
	uint16_t ip_csum = (uint16_t)~sl_csum_fold(g->ip_sum + src_sum);
	uint16_t tcp_csum = (uint16_t)~sl_csum_fold(kind->sum + src_sum + sport);
	uint32_t from = back ? (uint32_t)g->vip : src, to = back ? src : (uint32_t)g->vip;
	uint64_t from_port = back ? g->port : sport, to_port = back ? sport : g->port;
	uint64_t ip_rest = g->ttl_protocol | (uint64_t)ip_csum << 16 | (uint64_t)from << 32;
	uint64_t seq = 0, ends, tcp_rest;

	if (__builtin_expect(g->more_ports, false)) {
		to_port = sl_htons((uint16_t)(sl_ntohs(g->port) + (flow & g->more_ports)));
		seq = to_port;
		tcp_csum = (uint16_t)~sl_csum_fold((uint16_t)~tcp_csum + (uint16_t)~g->port +
						   2 * (uint32_t)to_port);
	}
	ends = to | from_port << 32 | to_port << 48;
	tcp_rest = kind->flags_window | (uint64_t)tcp_csum << 32;
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_LINK), g->link);
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_IP),
			 _mm_set_epi64x((long long)ip_rest, (long long)g->ip_head));
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_TUPLE),
			 _mm_set_epi64x((long long)seq, (long long)ends));
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_TCP),
			 _mm_set_epi64x(0, (long long)tcp_rest));
}

static inline void write_frame(const struct sl_generator *g, const struct sl_frame_kind *kind,
			       struct rte_mbuf *m, uint64_t flow)
{
	if (__builtin_expect(g->is_ipv6, false))
		write_frame6(g, kind, m, flow);
	else
		write_frame4(g, kind, m, flow, false);
}

/* write_frame() for UDP. The payload is the flow's number and zeros. */
static inline void write_datagram(const struct sl_generator *g, struct rte_mbuf *m, uint32_t flow)
{
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t tuple = mix(flow);
	uint32_t src = __builtin_bswap32(0x10000000u | (uint32_t)(tuple >> 15));
	uint16_t sport = __builtin_bswap16((uint16_t)(0x8000u | (tuple & 0x7fff)));
	uint32_t src_sum = (src & 0xffff) + (src >> 16);
	uint32_t flow_sum = (flow & 0xffff) + (flow >> 16);
	uint16_t ip_csum = (uint16_t)~sl_csum_fold(g->ip_sum + src_sum);
	uint16_t udp_csum = (uint16_t)~sl_csum_fold(g->udp_sum + src_sum + sport + flow_sum);
	uint64_t ip_rest = g->ttl_protocol | (uint64_t)ip_csum << 16 | (uint64_t)src << 32;
	uint64_t ends = (uint32_t)g->vip | (uint64_t)sport << 32 | (uint64_t)g->port << 48;
	uint64_t rest =
		UDP_LENGTH | (uint64_t)(udp_csum ? udp_csum : 0xffff) << 16 | (uint64_t)flow << 32;

	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_LINK), g->link);
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_IP),
			 _mm_set_epi64x((long long)ip_rest, (long long)g->ip_head));
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_TUPLE),
			 _mm_set_epi64x((long long)rest, (long long)ends));
	_mm_storeu_si128((__m128i *)(void *)(at + PIECE_TCP), _mm_setzero_si128());
}

static inline uint32_t next_flow(struct sl_generator *g)
{
	g->random = g->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((g->random >> 32) * g->flows >> 32);
}

static inline void write_random(struct sl_generator *g, struct rte_mbuf *m)
{
	write_frame(g, &g->usual, m, next_flow(g));
}

/* A SYN of the newest connection, then the next packet of older ones: all four kinds in turn. */
static inline void write_churn(struct sl_generator *g, struct rte_mbuf *m)
{
	uint64_t step = g->next % SL_CHURN_PACKETS, oldest = g->next / SL_CHURN_PACKETS;
	const struct sl_frame_kind *kind = step == 0 ? &g->syn : step == 3 ? &g->fin : &g->ack;

	write_frame(g, kind, m, oldest + (SL_CHURN_PACKETS - 1 - step) * SL_CHURN_APART);
	g->next++;
}

/* SYNs of strangers come when they are due, even if the receiver is late. */
static inline uint16_t write_strangers(struct sl_generator *g, struct rte_mbuf **frame, uint16_t n)
{
	uint64_t now = __builtin_ia32_rdtsc();
	uint16_t i = 0;

	if (!g->flood_every)
		return 0;
	if (!g->flood_next)
		g->flood_next = now;
	for (; i < n && (int64_t)(now - g->flood_next) >= 0; i++) {
		write_frame(g, &g->syn, frame[i], SL_STRANGERS + g->strangers++);
		g->flood_next += g->flood_every;
	}
	return i;
}

void sl_generator_write(struct sl_generator *g, struct rte_mbuf **frame, uint16_t n)
{
	struct sl_generator local = *g; /* so that gcc keeps it in registers */
	uint16_t i = 0;

	switch (local.order) {
	case SL_ORDER_ONCE:
		for (; i < n; i++)
			write_frame(&local, &local.usual, frame[i], local.next++);
		break;
	case SL_ORDER_CHURN:
		for (; i < n; i++)
			write_churn(&local, frame[i]);
		break;
	case SL_ORDER_REPLIES:
		for (; i < n; i++)
			write_frame4(&local, &local.usual, frame[i], next_flow(&local), true);
		break;
	case SL_ORDER_DATAGRAMS:
		for (; i < n; i++)
			write_datagram(&local, frame[i], next_flow(&local));
		break;
	case SL_ORDER_FLOOD:
		i = write_strangers(&local, frame, n);
		/* fallthrough */
	case SL_ORDER_RANDOM:
		for (; i < n; i++)
			write_random(&local, frame[i]);
	}
	g->random = local.random;
	g->next = local.next;
	g->strangers = local.strangers;
	g->flood_next = local.flood_next;
}

uint16_t sl_generator_fill(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			   uint16_t room, void *user)
{
	struct sl_generator *g = user;

	(void)device, (void)queue, (void)room;
	if (!g->left) { /* a worker that is told to stop may still ask for packets */
		rte_pktmbuf_free_bulk(frame, n);
		return 0;
	}
	sl_generator_write(g, frame, n);
	g->left = g->left > n ? g->left - n : 0;
	if (!g->left)
		atomic_store_explicit(g->stop, true, memory_order_relaxed);
	return n;
}
