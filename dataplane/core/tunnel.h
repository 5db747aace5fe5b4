/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Forwarding modes ipip and gue: the unchanged packet behind an outer header to the backend.
 *
 *     ipip   IP in IP: RFC 2003 (4 in 4), RFC 4213 (6 in 4), RFC 2473 (both in 6)
 *     gue    Generic UDP Encapsulation (draft-ietf-intarea-gue), for networks and NICs that spread
 *            packets by ports. Variant 1: the packet follows UDP at once. Variant 0: there is a
 *            header of four bytes in between.
 *
 * The inner packet has the VIP's address family, the outer header the backend's; any combination is
 * possible. The backend has the VIP itself, removes the outer header and answers the client
 * directly. The inner TTL or hop limit is decremented, as a router does (RFC 2003, 3.1; RFC 2473,
 * 3.1).
 *
 * TOS or traffic class is copied to the outer header: DSCP in the uniform model, ECN in RFC 6040's
 * normal mode. ICMP errors about the tunnel's path MTU go to the outer source and aren't passed on,
 * so control has to know that MTU.
 *
 * Outer IPv4: control summed the words that are the same for all packets to a backend, and the
 * packet's own words are added. DF is copied from the inner packet, and is always set for inner
 * IPv6, which routers don't fragment (RFC 4213, 3.2.2). With DF the id doesn't matter (RFC 6864);
 * without, it is the inner id plus a number that depends on the flow.
 *
 * Outer IPv6: routers never fragment, whatever the inner DF says. The UDP checksum is 0, as RFC
 * 6935 allows for tunnels on the conditions of RFC 6936, which hold: the inner packet has its own
 * checksum, and a packet that a bit error leads to a wrong host ends there, because that host has
 * neither the tunnel nor the VIP. Computing one would mean to sum the whole packet.
 *
 * Receivers spread packets over their cores by addresses and ports, and all packets in one tunnel
 * would go to one core. So the low bits of the source, the UDP source port and the IPv6 flow label
 * (RFC 6438) follow from the flow's hash. All fragments of a datagram count as one flow of their
 * addresses; of IPv6 only those whose fragment header comes first, the others may differ.
 */
#ifndef SL_CORE_TUNNEL_H
#define SL_CORE_TUNNEL_H

#include "../abi/csum.h"
#include "../abi/hash.h"
#include "nat.h"
#include "seam.h"

enum {
	SL_TUNNEL_MAX = 52, /* IPv6, UDP and GUE's header */
	SL_GUE_HEADER = 4,
	SL_TUNNEL_TTL = 64,
	SL_PORT_DYNAMIC = 0xc000
};

/* A copy of the backend's record, made before it is known whether the tables changed, and what the
 * flow adds to it. */
struct sl_tunnel {
	uint8_t mac[12] __attribute__((aligned(8)));
	union sl_addr src;
	union sl_addr dst;
	sl_be16 port;
	uint16_t sum; /* IPv4: sum of the constant words */
	uint8_t mode;
	bool header;
	bool is_ipv6; /* family of the outer header */
};

/* The inner packet. */
struct sl_inner {
	uint32_t hash;
	uint32_t length;
	sl_be16 id;
	sl_be16 fragment;
	uint8_t tos;
	bool is_ipv6;
};

/* What follows the outer IP header in mode gue. */
struct sl_gue {
	struct sl_udp udp;
	uint32_t header; /* only in variant 0 */
} SL_WIRE;

/* The longest outer headers. Even if the real one is shorter, the packet has this many bytes. */
struct sl_outer4 {
	struct sl_ip4 ip;
	struct sl_gue gue;
} SL_WIRE;

struct sl_outer6 {
	struct sl_ip6 ip;
	struct sl_gue gue;
} SL_WIRE;

_Static_assert(sizeof(struct sl_outer6) == SL_TUNNEL_MAX, "the longest there is");

/* Size of what is between the outer IP header and the packet. */
SL_INLINE uint32_t sl_gue_size(const struct sl_tunnel *o)
{
	if (o->mode == SL_MODE_IPIP)
		return 0;
	return sizeof(struct sl_udp) + (o->header ? SL_GUE_HEADER : 0);
}

SL_INLINE uint8_t sl_inner_protocol(const struct sl_inner *in)
{
	return in->is_ipv6 ? SL_PROTO_IP6 : SL_PROTO_IPIP;
}

SL_INLINE uint8_t sl_outer_protocol(const struct sl_tunnel *o, const struct sl_inner *in)
{
	return o->mode == SL_MODE_IPIP ? sl_inner_protocol(in) : SL_PROTO_UDP;
}

/* The flow's hash covers both addresses and the ports; of an IPv6 VIP only the last 32 bits. */
SL_INLINE void sl_inner_read4(const struct sl_ip4 *ip, uint32_t ports, const uint64_t key[2],
			      struct sl_inner *in)
{
	in->is_ipv6 = false;
	in->length = sl_ntohs(ip->length);
	in->id = ip->id;
	in->fragment = ip->fragment;
	in->tos = ip->tos;
	if (sl_ntohs(ip->fragment) & SL_IP4_FRAGMENT)
		ports = 0;
	in->hash = (uint32_t)sl_hash_mix((uint64_t)(uint32_t)ip->src << 32 | (uint32_t)ip->dst,
					 ports, key);
}

SL_INLINE void sl_inner_read6(const struct sl_ip6 *ip, uint32_t ports, const uint64_t key[2],
			      struct sl_inner *in)
{
	union sl_addr src = sl_addr_load(ip->src), dst = sl_addr_load(ip->dst);

	in->is_ipv6 = true;
	in->length = sl_ntohs(ip->length) + (uint32_t)sizeof(*ip);
	in->id = 0;
	in->fragment = sl_htons(SL_IP4_DF);
	in->tos = (uint8_t)(sl_ntohl(ip->version_class_flow) >> 20);
	if (ip->next == SL_PROTO_FRAGMENT)
		ports = 0;
	in->hash = (uint32_t)sl_hash_mix(sl_hash_mix(src.q[0], src.q[1], key),
					 (uint64_t)(uint32_t)dst.w[3] << 32 | ports, key);
}

SL_INLINE bool sl_inner_read(const struct sl_packet *p, uint32_t l3, uint32_t l4,
			     const uint64_t key[2], struct sl_inner *in)
{
	const struct sl_ip4 *ip = sl_packet_at(p, l3, sizeof(*ip));
	const sl_u32_any *ports = sl_packet_at(p, l4, sizeof(*ports));
	const struct sl_ip6 *ip6;

	if (!ip)
		return false;
	if (ip->version_ihl >> 4 != 6) {
		sl_inner_read4(ip, ports ? *ports : 0, key, in);
		return true;
	}
	ip6 = sl_packet_at(p, l3, sizeof(*ip6));
	if (!ip6)
		return false;
	sl_inner_read6(ip6, ports ? *ports : 0, key, in);
	return true;
}

/* Decrements the TTL or hop limit. */
SL_INLINE bool sl_inner_dec_ttl(const struct sl_packet *p, uint32_t at, bool is_ipv6)
{
	struct sl_ip4 *ip = sl_packet_at(p, at, sizeof(*ip));

	if (!ip)
		return false;
	if (is_ipv6)
		((struct sl_ip6 *)(void *)ip)->hops--;
	else
		sl_ip4_dec_ttl(ip, 0);
	return true;
}

/* Replaces the low bits of the source by bits of the flow's hash. */
SL_INLINE void sl_tunnel_spread(struct sl_tunnel *o, uint32_t hash, uint8_t entropy)
{
	uint32_t mask = entropy < 32 ? (1u << entropy) - 1 : ~0u;
	uint32_t bits = (uint32_t)sl_htonl(hash & mask);

	o->src.w[3] = (sl_be32)((uint32_t)o->src.w[3] | bits);
	o->sum = sl_csum_fold((uint32_t)o->sum + (bits & 0xffff) + (bits >> 16));
}

/* Reads the backend's record, for a flow with this hash. */
SL_INLINE void sl_tunnel_read(struct sl_tunnel *o, const struct sl_backend *b, uint32_t hash)
{
	__builtin_memcpy(o->mac, b->dst_mac, sizeof(o->mac));
	o->src = b->source;
	o->dst = b->addr;
	o->is_ipv6 = !sl_addr_is4(&o->dst);
	o->port = b->port;
	o->sum = b->ip_delta;
	o->header = b->flags & SL_BACKEND_GUE_HEADER;
	sl_tunnel_spread(o, hash, b->entropy);
}

/* size: of everything in front of the packet, here and below. */
SL_INLINE void sl_outer4_write(struct sl_ip4 *ip, const struct sl_tunnel *o,
			       const struct sl_inner *in, uint32_t size)
{
	bool df = sl_ntohs(in->fragment) & SL_IP4_DF;
	uint32_t sum = o->sum;

	ip->version_ihl = 0x45;
	ip->tos = in->tos;
	ip->length = sl_htons((uint16_t)(in->length + size));
	ip->id = df ? (sl_be16)0 : sl_htons((uint16_t)(sl_ntohs(in->id) + (in->hash >> 16)));
	ip->fragment = df ? sl_htons(SL_IP4_DF) : (sl_be16)0;
	ip->ttl = SL_TUNNEL_TTL;
	ip->protocol = sl_outer_protocol(o, in);
	ip->src = o->src.w[3];
	ip->dst = o->dst.w[3];
	sum += (uint32_t)in->tos << 8;
	sum += (uint32_t)(uint16_t)ip->length + (uint16_t)ip->id + (uint16_t)ip->fragment;
	ip->csum = (uint16_t)~sl_csum_fold(sum);
}

SL_INLINE void sl_outer6_write(struct sl_ip6 *ip, const struct sl_tunnel *o,
			       const struct sl_inner *in, uint32_t size)
{
	ip->version_class_flow = sl_htonl(6u << 28 | (uint32_t)in->tos << 20 | in->hash >> 12);
	ip->length = sl_htons((uint16_t)(in->length + size - sizeof(*ip)));
	ip->next = sl_outer_protocol(o, in);
	ip->hops = SL_TUNNEL_TTL;
	sl_addr_store(ip->src, &o->src);
	sl_addr_store(ip->dst, &o->dst);
}

/* Checksum 0: for IPv4 the inner checksum suffices (RFC 768), for IPv6 see above. */
SL_INLINE void sl_gue_write(struct sl_gue *gue, const struct sl_tunnel *o,
			    const struct sl_inner *in)
{
	gue->udp.src = sl_htons((uint16_t)(SL_PORT_DYNAMIC | (in->hash & 0x3fff)));
	gue->udp.dst = o->port;
	gue->udp.length = sl_htons((uint16_t)(in->length + sl_gue_size(o)));
	gue->udp.csum = 0;
	if (o->header)
		gue->header = (uint32_t)sl_htonl((uint32_t)sl_inner_protocol(in) << 16);
}

SL_INLINE bool sl_outer_write(const struct sl_packet *p, uint32_t l3, const struct sl_tunnel *o,
			      const struct sl_inner *in, uint32_t size)
{
	struct sl_outer4 *outer4;
	struct sl_outer6 *outer6;
	struct sl_gue *gue;

	if (o->is_ipv6) {
		if (!(outer6 = sl_packet_at(p, l3, sizeof(*outer6))))
			return false;
		sl_outer6_write(&outer6->ip, o, in, size);
		gue = &outer6->gue;
	} else {
		if (!(outer4 = sl_packet_at(p, l3, sizeof(*outer4))))
			return false;
		sl_outer4_write(&outer4->ip, o, in, size);
		gue = &outer4->gue;
	}
	if (o->mode == SL_MODE_GUE)
		sl_gue_write(gue, o, in);
	return true;
}

/* Sets the EtherType of a link header that ends at l3: its last word. */
SL_INLINE void sl_link_type(struct sl_link_words *link, uint32_t l3, uint16_t type)
{
	for (uint32_t i = 6; i < 11; i++)
		if (2 * i + 2 == l3)
			link->word[i] = (uint16_t)sl_htons(type);
}

/* Moves the link header to the front, and writes the outer headers behind it. */
SL_INLINE bool sl_tunnel_wrap(const struct sl_packet *p, uint32_t l3, const struct sl_tunnel *o,
			      const struct sl_inner *in, uint32_t size)
{
	struct sl_link_words *link = sl_packet_at(p, 0, sizeof(*link));
	const struct sl_link_words *was = sl_packet_at(p, size, sizeof(*was));

	if (!link || !was || !sl_inner_dec_ttl(p, l3 + size, in->is_ipv6))
		return false;
	sl_link_tags(link, was, l3);
	sl_link_type(link, l3, o->is_ipv6 ? SL_ETH_IP6 : SL_ETH_IP4);
	sl_eth_address((struct sl_eth *)(void *)link, o->mac);
	return sl_outer_write(p, l3, o, in, size);
}

SL_INLINE int sl_tunnel(const struct sl_tables *t, struct sl_packet *p, const struct sl_backend *b,
			uint32_t l3, uint32_t l4, uint8_t mode)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_tunnel o = { .mode = mode };
	struct sl_inner in = { 0 };
	uint32_t size;

	if (!root)
		return SL_REASON_bad_index;
	if (!sl_inner_read(p, l3, l4, root->slot_key, &in))
		return SL_REASON_bad_header;
	sl_tunnel_read(&o, b, in.hash);
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	size = (o.is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4)) + sl_gue_size(&o);
	if (!sl_seam_grow(p, size))
		return SL_REASON_no_room;
	return sl_tunnel_wrap(p, l3, &o, &in, size) ? SL_REASON_to_backend : SL_REASON_bad_header;
}

#endif
