/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Forwarding modes ipip and gue: the packet as it is, behind a header to the backend.
 *
 *     ipip   IPv4 in IPv4 (RFC 2003)
 *     gue    behind UDP, for networks and NICs that spread by ports: Generic UDP Encapsulation
 *            (draft-ietf-intarea-gue), variant 1, where the packet follows UDP at once, or variant
 *            0 with a header of four bytes between
 *
 * The backend has the VIP itself, takes the header off and answers the client without us.
 *
 * Outer header. Control summed the words of it that are the same for all packets to a backend; what
 * a packet has of its own is added. TOS is the inner's: DSCP uniform, ECN in RFC 6040's normal
 * mode. DF is the inner's. What the tunnel's path says of its MTU comes to the outer source and
 * isn't passed on: control has to know that MTU. With DF no id is needed (RFC 6864); without, it
 * follows the inner one, set apart by flow. The inner TTL goes down by one, as a router's does (RFC
 * 2003, 3.1).
 *
 * Far sides spread what comes in over their cores by addresses and ports, and all that is in one
 * tunnel would come to one core: so the source's low bits and the UDP source port follow from the
 * flow. All fragments of a datagram count as one flow of their addresses.
 */
#ifndef SL_CORE_TUNNEL_H
#define SL_CORE_TUNNEL_H

#include "../abi/csum.h"
#include "../abi/hash.h"
#include "nat.h"
#include "seam.h"

enum { SL_TUNNEL_MOST = 32, SL_GUE_HEADER = 4, SL_TUNNEL_TTL = 64, SL_PORT_DYNAMIC = 0xc000 };

/* Of a backend's record, copied before it is known whether the tables moved. */
struct sl_tunnel {
	uint8_t mac[12] __attribute__((aligned(8)));
	sl_be32 src;
	sl_be32 dst;
	uint32_t mask;
	sl_be16 port;
	uint16_t sum;
	uint8_t mode;
	bool header;
};

/* Of the packet that goes inside. */
struct sl_inner {
	uint32_t hash;
	uint16_t length; /* host order */
	sl_be16 id;
	sl_be16 fragment;
	uint8_t tos;
};

SL_INLINE uint32_t sl_tunnel_size(const struct sl_tunnel *o)
{
	if (o->mode == SL_MODE_IPIP)
		return sizeof(struct sl_ip4);
	return sizeof(struct sl_ip4) + sizeof(struct sl_udp) + (o->header ? SL_GUE_HEADER : 0);
}

SL_INLINE bool sl_inner_read(const struct sl_packet *p, uint32_t l3, uint32_t l4,
			     const uint64_t key[2], struct sl_inner *in)
{
	const struct sl_ip4 *ip = sl_packet_at(p, l3, sizeof(*ip));
	const sl_u32_any *ports = sl_packet_at(p, l4, sizeof(*ports));
	bool whole;

	if (!ip)
		return false;
	in->length = sl_ntohs(ip->length);
	in->id = ip->id;
	in->fragment = ip->fragment;
	in->tos = ip->tos;
	whole = ports && !(sl_ntohs(ip->fragment) & SL_IP4_FRAGMENT);
	in->hash = (uint32_t)sl_hash_mix((uint64_t)(uint32_t)ip->src << 32 | (uint32_t)ip->dst,
					 whole ? *ports : 0, key);
	return true;
}

SL_INLINE void sl_outer_write(struct sl_ip4 *ip, const struct sl_tunnel *o,
			      const struct sl_inner *in, uint32_t size)
{
	bool df = sl_ntohs(in->fragment) & SL_IP4_DF;
	uint32_t entropy = (uint32_t)sl_htonl(in->hash & o->mask), sum = o->sum;

	ip->version_ihl = 0x45;
	ip->tos = in->tos;
	ip->length = sl_htons((uint16_t)(in->length + size));
	ip->id = df ? (sl_be16)0 : sl_htons((uint16_t)(sl_ntohs(in->id) + (in->hash >> 16)));
	ip->fragment = df ? sl_htons(SL_IP4_DF) : (sl_be16)0;
	ip->ttl = SL_TUNNEL_TTL;
	ip->protocol = o->mode == SL_MODE_IPIP ? SL_PROTO_IPIP : SL_PROTO_UDP;
	ip->src = (sl_be32)((uint32_t)o->src | entropy);
	ip->dst = o->dst;
	sum += (uint32_t)in->tos << 8;
	sum += (uint32_t)(uint16_t)ip->length + (uint16_t)ip->id + (uint16_t)ip->fragment;
	sum += (entropy & 0xffff) + (entropy >> 16);
	ip->csum = (uint16_t)~sl_csum_fold(sum);
}

/* Checksum 0: over IPv4 the inner one is enough (RFC 768), and nothing here is worth another. */
SL_INLINE void sl_udp_write(struct sl_udp *udp, const struct sl_tunnel *o,
			    const struct sl_inner *in, uint32_t size)
{
	udp->src = sl_htons((uint16_t)(SL_PORT_DYNAMIC | (in->hash & 0x3fff)));
	udp->dst = o->port;
	udp->length = sl_htons((uint16_t)(in->length + size - sizeof(struct sl_ip4)));
	udp->csum = 0;
}

/* All that can stand before the packet; whatever does, so many bytes are there. */
struct sl_outer {
	struct sl_ip4 ip;
	struct sl_udp udp;
	uint32_t gue;
} SL_WIRE;

/* The link header to the front, and what was found out in between. */
SL_INLINE bool sl_tunnel_wrap(struct sl_packet *p, uint32_t l3, const struct sl_tunnel *o,
			      const struct sl_inner *in)
{
	uint32_t size = sl_tunnel_size(o);
	struct sl_link_words *link = sl_packet_at(p, 0, sizeof(*link) + SL_TUNNEL_MOST);
	struct sl_ip4 *inner = sl_packet_at(p, l3 + size, sizeof(*inner));
	struct sl_outer *outer;

	if (!inner)
		return false;
	sl_ip4_hop(inner, 0);
	if (!link)
		return false;
	sl_link_tags(link, (const void *)((const uint8_t *)link + size), l3);
	sl_eth_address((struct sl_eth *)(void *)link, o->mac);
	outer = sl_packet_at(p, l3, sizeof(*outer));
	if (!outer)
		return false;
	sl_outer_write(&outer->ip, o, in, size);
	if (o->mode == SL_MODE_IPIP)
		return true;
	sl_udp_write(&outer->udp, o, in, size);
	if (o->header)
		outer->gue = (uint32_t)sl_htonl(SL_PROTO_IPIP << 16);
	return true;
}

SL_INLINE int sl_tunnel(const struct sl_tables *t, struct sl_packet *p, const struct sl_backend *b,
			uint32_t l3, uint32_t l4, uint8_t mode)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_tunnel o = { .mode = mode };
	struct sl_inner in;

	if (!root)
		return SL_REASON_bad_index;
	__builtin_memcpy(o.mac, b->dst_mac, sizeof(o.mac));
	o.src = b->source.w[3];
	o.dst = b->addr.w[3];
	o.mask = b->entropy < 32 ? (1u << b->entropy) - 1 : ~0u;
	o.port = b->port;
	o.sum = b->ip_delta;
	o.header = b->flags & SL_BACKEND_GUE_HEADER;
	if (!sl_inner_read(p, l3, l4, root->row_key, &in))
		return SL_REASON_bad_header;
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	if (!sl_seam_grow(p, sl_tunnel_size(&o)))
		return SL_REASON_no_room;
	return sl_tunnel_wrap(p, l3, &o, &in) ? SL_REASON_to_backend : SL_REASON_bad_header;
}

#endif
