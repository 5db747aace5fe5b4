/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* IPv6: from bytes to a tuple, as parse.h does it for IPv4.
 *
 * Extension headers are walked while they are ones that RFC 8200 and RFC 4302 tell how to pass over
 * (hop-by-hop options, routing, fragment, AH, destination options), SL_EXTENSIONS_MAX of them at
 * most, as many as RFC 8200, 4.1 lists, and while the next begins within SL_L4_MAX bytes of the
 * frame. What goes beyond, and a routing header that has segments left (the destination is another
 * then), is SL_PARSED_CHAIN. A fragment header that says "all of it" (RFC 6946) is passed over; any
 * other ends the walk, which goes on behind that of a first fragment where it's asked to: RFC 7112
 * wants all headers in there.
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

/* From l4 to what is none of its headers, or to a fragment's: where that stands, 8..15 the
 * protocol, and 16..23 the kind, which is SL_PARSED_IP6 if the chain has led to its end. through:
 * the header of a first fragment is passed over, once, and stands at 32..39. The packet ends at
 * `end`. */
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

/* What stands where, as one number, since an engine may have to find it out elsewhere (seam.h):
 * 0..7 the offset of the transport header, or of a fragment's, 8..15 its protocol, 16..23 the kind,
 * 24..31 l3. */
SL_INLINE uint32_t sl_layout6_impl(const struct sl_packet *p, uint32_t l3)
{
	return (uint32_t)sl_layout6_walk(p, l3, false);
}

/* The same of a first fragment as if it were the whole packet; 32..39 where its fragment header
 * stands, 0 for none. */
SL_INLINE uint64_t sl_layout6_first_fragment_impl(const struct sl_packet *p, uint32_t l3)
{
	return sl_layout6_walk(p, l3, true);
}

/* The values that stand there. */
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
	/* No packet carries ::ffff:a.b.c.d, and the tables mean IPv4 by it. */
	if (sl_addr_is4(&o->src6) || sl_addr_is4(&o->dst6))
		return;
	o->ttl = ip->hops;
	o->l4 = sl_layout_l4(layout);
	o->protocol = sl_layout_protocol(layout);
	o->kind = sl_layout_kind(layout);
	if (o->kind != SL_PARSED_FLOW || !(ports = sl_packet_at_parsed(p, o->l4, sizeof(*ports))))
		return;
	o->sport = ports->src; /* TCP's stand there too */
	o->dport = ports->dst;
}

#endif
