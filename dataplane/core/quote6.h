/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The packet that an ICMPv6 error quotes, like quote.h for IPv4. Its extension headers are followed
 * to TCP or UDP by the rules of parse6.h, also through the fragment header of a first fragment.
 */
#ifndef SL_CORE_QUOTE6_H
#define SL_CORE_QUOTE6_H

#include "parse6.h"
#include "quote.h"

struct sl_quote6 {
	union sl_addr src;
	union sl_addr dst;
	struct sl_quote in; /* ports, protocol and offsets */
};

SL_INLINE bool sl_icmp6_is_error(uint8_t type)
{
	return type == SL_ICMP6_UNREACHABLE || type == SL_ICMP6_TOO_BIG ||
	       type == SL_ICMP6_TIME_EXCEEDED || type == SL_ICMP6_PARAMETER;
}

/* The layout of the packet at offset `at`, as sl_chain_walk() returns it. */
SL_INLINE uint32_t sl_quote6_layout_impl(const struct sl_packet *p, uint32_t at, uint32_t end)
{
	const struct sl_ip6 *ip = sl_packet_at(p, at, sizeof(*ip));

	if (!ip)
		return SL_PARSED_BAD << 16;
	return (uint32_t)sl_chain_walk(p, at + (uint32_t)sizeof(*ip), ip->next, end, true);
}

SL_INLINE bool sl_quote6_parse(const struct sl_packet *p, uint32_t at, uint32_t end,
			       uint32_t layout, struct sl_quote6 *q)
{
	const struct sl_ip6 *ip = sl_packet_at(p, at, sizeof(*ip));
	const struct sl_udp *ports;

	if (!ip)
		return false;
	q->in.l3 = at;
	q->in.l4 = sl_layout_l4(layout);
	q->in.end = end;
	q->in.protocol = sl_layout_protocol(layout);
	q->src = sl_addr_load(ip->src);
	q->dst = sl_addr_load(ip->dst);
	if (sl_addr_is4(&q->src) || sl_addr_is4(&q->dst)) /* the tables use these for IPv4 */
		return false;
	if (sl_ntohl(ip->version_class_flow) >> 28 != 6 ||
	    sl_layout_kind(layout) != SL_PARSED_IP6 || q->in.l4 + SL_QUOTE_MIN > end ||
	    (q->in.protocol != SL_PROTO_TCP && q->in.protocol != SL_PROTO_UDP))
		return false;
	ports = sl_packet_at(p, q->in.l4, sizeof(*ports));
	if (!ports)
		return false;
	q->in.sport = ports->src;
	q->in.dport = ports->dst;
	return true;
}

#endif
