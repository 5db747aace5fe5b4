/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Parses IPv6, as parse.h does IPv4.
 *
 * The walk follows the extension headers that RFC 8200 and RFC 4302 define (hop-by-hop options,
 * routing, fragment, AH, destination options): at most SL_EXTENSIONS_MAX of them, as many as RFC
 * 8200, 4.1 lists, and only while the next header begins within the frame's first SL_L4_MAX bytes.
 * Otherwise the packet is SL_PARSED_CHAIN, and so is one whose routing header has segments left,
 * because its destination isn't the final one. An atomic fragment header (RFC 6946) is skipped. Any
 * other fragment header ends the walk, unless the caller wants to go on through that of a first
 * fragment, which must have all headers (RFC 7112).
 */
#ifndef SL_CORE_PARSE6_H
#define SL_CORE_PARSE6_H

#include "parse.h"

enum {
	SL_EXTENSIONS_MAX = 6,
	SL_L4_MAX = 255,
};

SL_INLINE bool sl_is_extension(uint32_t next)
{
	return next == SL_PROTO_HOP_BY_HOP || next == SL_PROTO_ROUTING ||
	       next == SL_PROTO_FRAGMENT || next == SL_PROTO_AH || next == SL_PROTO_DESTINATION;
}

SL_INLINE uint32_t sl_layout_l4(uint32_t layout)
{
	return layout & 0xff;
}

SL_INLINE uint8_t sl_layout_protocol(uint32_t layout)
{
	return (uint8_t)(layout >> 8);
}

SL_INLINE uint8_t sl_layout_kind(uint32_t layout)
{
	return (uint8_t)(layout >> 16);
}

/* Walks the extension headers from l4 on; the packet ends at `end`. Returns 0..7 the offset and
 * 8..15 the protocol of what comes after them, or of the fragment header, and 16..23 the kind:
 * SL_PARSED_IP6 if the walk reached the end of the chain. through: skips the header of a first
 * fragment, once, and returns its offset in 32..39. */
SL_INLINE uint64_t sl_chain_walk(const struct sl_packet *p, uint32_t l4, uint32_t protocol,
				 uint32_t end, bool through)
{
	uint64_t first = 0;

	for (int i = 0; i < SL_EXTENSIONS_MAX && sl_is_extension(protocol); i++) {
		const struct sl_ip6_extension *e = sl_packet_at(p, l4, sizeof(*e));
		uint32_t length;

		if (!e || l4 + sizeof(*e) > end)
			return first | SL_PARSED_BAD << 16;
		length = (e->length + 1u) * 8;
		if (protocol == SL_PROTO_AH) {
			length = (e->length + 2u) * 4;
		} else if (protocol == SL_PROTO_FRAGMENT) {
			uint32_t is = (e->type << 8 | e->left) & SL_IP6_FRAGMENT;

			if (is && (!through || is != SL_IP6_MORE || first))
				return first | l4 | protocol << 8 |
				       (is == SL_IP6_MORE ? SL_PARSED_FIRST_FRAGMENT
							  : SL_PARSED_FRAGMENT)
					       << 16;
			if (is)
				first = (uint64_t)l4 << 32;
			length = sizeof(*e);
		} else if ((protocol == SL_PROTO_ROUTING && e->left) ||
			   (protocol == SL_PROTO_HOP_BY_HOP && i)) {
			return first | SL_PARSED_CHAIN << 16;
		}
		protocol = e->next;
		l4 += length;
		if (l4 > end)
			return first | SL_PARSED_BAD << 16;
		if (l4 > SL_L4_MAX)
			return first | SL_PARSED_CHAIN << 16;
	}
	return first | (sl_is_extension(protocol) ? SL_PARSED_CHAIN << 16
						  : l4 | protocol << 8 | SL_PARSED_IP6 << 16);
}

SL_INLINE uint64_t sl_layout6_walk(const struct sl_packet *p, uint32_t l3, bool through)
{
	const struct sl_ip6 *ip = sl_packet_at(p, l3, sizeof(*ip));
	uint32_t l4 = l3 + (uint32_t)sizeof(*ip), end, least;
	uint64_t layout = l3 << 24;

	if (!ip || sl_ntohl(ip->version_class_flow) >> 28 != 6)
		return layout | SL_PARSED_OTHER << 16;
	end = l4 + sl_ntohs(ip->length);
	if (end > p->length)
		return layout | SL_PARSED_BAD << 16;
	layout |= sl_chain_walk(p, l4, ip->next, end, through);
	l4 = (uint32_t)layout;
	least = sl_layout_protocol(l4) == SL_PROTO_TCP	 ? (uint32_t)sizeof(struct sl_tcp)
		: sl_layout_protocol(l4) == SL_PROTO_UDP ? (uint32_t)sizeof(struct sl_udp)
							 : 0;
	if (sl_layout_kind(l4) != SL_PARSED_IP6 || !least)
		return layout;
	l4 = sl_layout_l4(l4);
	if (l4 + least > end || !sl_packet_at(p, l4, least))
		return layout ^ (SL_PARSED_IP6 ^ SL_PARSED_BAD) << 16;
	return layout ^ (SL_PARSED_IP6 ^ SL_PARSED_FLOW) << 16;
}

/* The header layout of a packet as one number, since an engine may compute it elsewhere (seam.h):
 * 0..7 the offset of the transport header, or of a fragment header, 8..15 its protocol, 16..23 the
 * kind, 24..31 l3. */
SL_INLINE uint32_t sl_layout6_impl(const struct sl_packet *p, uint32_t l3)
{
	return (uint32_t)sl_layout6_walk(p, l3, false);
}

/* The layout of a first fragment as if it were a whole packet. 32..39: the offset of its fragment
 * header, 0 if there is none. */
SL_INLINE uint64_t sl_layout6_first_fragment_impl(const struct sl_packet *p, uint32_t l3)
{
	return sl_layout6_walk(p, l3, true);
}

/* Reads the values at these offsets. */
SL_INLINE void sl_parse6(const struct sl_packet *p, uint32_t layout, struct sl_parsed *o)
{
	const struct sl_ip6 *ip;
	const struct sl_udp *ports;

	*o = (struct sl_parsed){ .kind = SL_PARSED_OTHER, .l3 = layout >> 24 };
	if (sl_layout_kind(layout) == SL_PARSED_OTHER ||
	    !(ip = sl_packet_at_parsed(p, o->l3, sizeof(*ip))))
		return;
	o->src6 = sl_addr_load(ip->src);
	o->dst6 = sl_addr_load(ip->dst);
	/* ::ffff:a.b.c.d never occurs on the wire, and stands for IPv4 in the tables. */
	if (sl_addr_is4(&o->src6) || sl_addr_is4(&o->dst6))
		return;
	o->ttl = ip->hops;
	o->l4 = sl_layout_l4(layout);
	o->protocol = sl_layout_protocol(layout);
	o->kind = sl_layout_kind(layout);
	if (o->kind != SL_PARSED_FLOW || !(ports = sl_packet_at_parsed(p, o->l4, sizeof(*ports))))
		return;
	o->sport = ports->src; /* TCP's ports are at the same offsets */
	o->dport = ports->dst;
}

#endif
