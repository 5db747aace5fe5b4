/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Parses a packet: where its headers are, and whether they are consistent.
 *
 * The results are offsets and values, never pointers, so they stay valid when the frame's start
 * moves. Parsing judges nothing, because an inconsistent packet may be none of ours: `kind` says
 * how far parsing got, and classify.h drops an inconsistent packet only if its destination is ours.
 */
#ifndef SL_CORE_PARSE_H
#define SL_CORE_PARSE_H

#include "wire.h"

enum sl_parsed_kind {
	SL_PARSED_OTHER,	  /* neither IP nor ARP, or too short to tell */
	SL_PARSED_ARP,		  /* complete ARP for Ethernet and IPv4 */
	SL_PARSED_IP6,		  /* l3 is set, parse6.h goes on; after that: as IP4, for IPv6 */
	SL_PARSED_IP4,		  /* src, dst and protocol are set, there are no ports */
	SL_PARSED_FRAGMENT,	  /* as IP4: a fragment, but not the first */
	SL_PARSED_FIRST_FRAGMENT, /* as IP4: the first fragment of a datagram */
	SL_PARSED_CHAIN,	  /* as IP4: IPv6 extension headers that can't be followed */
	SL_PARSED_BAD,		  /* as IP4: truncated, or a length contradicts the frame */
	SL_PARSED_FLOW,		  /* TCP or UDP: all members are set */
};

struct sl_parsed {
	sl_be32 src; /* of IPv4 */
	sl_be32 dst;
	union sl_addr src6; /* of IPv6 */
	union sl_addr dst6;
	sl_be16 sport;
	sl_be16 dport;
	uint8_t kind;
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t ttl; /* or hop limit */
	/* Offsets from the frame's first byte. 32-bit words, because a wide load stalls after
	 * narrow stores. */
	uint32_t l3;
	uint32_t l4;
};

/* Finds the network header behind at most two VLAN tags; *type: its EtherType. */
SL_INLINE uint32_t sl_parse_link(const struct sl_packet *p, uint16_t *type)
{
	const struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	uint32_t at = sizeof(*eth);

	*type = 0;
	if (!eth)
		return at;
	*type = sl_ntohs(eth->type);
	if (sl_likely(*type == SL_ETH_IP4))
		return at;
	for (int i = 0; i < 2 && (*type == SL_ETH_VLAN || *type == SL_ETH_QINQ); i++) {
		const struct sl_vlan *vlan = sl_packet_at(p, at, sizeof(*vlan));

		*type = vlan ? sl_ntohs(vlan->type) : 0;
		at += sizeof(*vlan);
	}
	return at;
}

/* Reads the ports, and for TCP the flags. left: bytes from the transport header on. */
SL_INLINE uint8_t sl_parse_transport(const struct sl_packet *p, struct sl_parsed *o, uint32_t left)
{
	if (sl_likely(o->protocol == SL_PROTO_TCP)) {
		const struct sl_tcp *tcp = sl_packet_at(p, o->l4, sizeof(*tcp));

		if (sl_unlikely(!tcp || left < sizeof(*tcp)))
			return SL_PARSED_BAD;
		o->sport = tcp->src;
		o->dport = tcp->dst;
		o->tcp_flags = tcp->flags;
		return SL_PARSED_FLOW;
	}
	if (o->protocol == SL_PROTO_UDP) {
		const struct sl_udp *udp = sl_packet_at(p, o->l4, sizeof(*udp));

		if (sl_unlikely(!udp || left < sizeof(*udp)))
			return SL_PARSED_BAD;
		o->sport = udp->src;
		o->dport = udp->dst;
		o->tcp_flags = 0;
		return SL_PARSED_FLOW;
	}
	return SL_PARSED_IP4;
}

SL_INLINE void sl_parse(const struct sl_packet *p, struct sl_parsed *o)
{
	const struct sl_ip4 *ip;
	uint32_t header, length;
	uint16_t type;

	o->l3 = sl_parse_link(p, &type);
	o->l4 = o->l3;
	o->kind = SL_PARSED_OTHER;
	o->src = o->dst = 0;
	o->protocol = 0;
	if (sl_unlikely(type != SL_ETH_IP4)) {
		if (type == SL_ETH_IP6)
			o->kind = SL_PARSED_IP6;
		else if (type == SL_ETH_ARP && sl_packet_at(p, o->l3, sizeof(struct sl_arp)))
			o->kind = SL_PARSED_ARP;
		return;
	}
	ip = sl_packet_at(p, o->l3, sizeof(*ip));
	if (sl_unlikely(!ip || ip->version_ihl >> 4 != 4))
		return;
	o->src = ip->src;
	o->dst = ip->dst;
	o->protocol = ip->protocol;
	o->ttl = ip->ttl;
	header = (ip->version_ihl & 15u) * 4;
	length = sl_ntohs(ip->length);
	o->l4 = o->l3 + header;
	if (sl_unlikely(header < sizeof(*ip) || length < header || length + o->l3 > p->length))
		o->kind = SL_PARSED_BAD;
	else if (sl_unlikely(sl_ntohs(ip->fragment) & SL_IP4_FRAGMENT))
		o->kind = sl_ntohs(ip->fragment) & SL_IP4_OFFSET ? SL_PARSED_FRAGMENT
								 : SL_PARSED_FIRST_FRAGMENT;
	else
		o->kind = sl_parse_transport(p, o, length - header);
}

/* Whether an IPv4 header has a source route option, loose or strict (RFC 791, 3.1). header: its
 * length. */
SL_INLINE bool sl_source_routed_impl(const struct sl_packet *p, uint32_t l3, uint32_t header)
{
	uint32_t at = l3 + sizeof(struct sl_ip4), end = l3 + header;

	for (int i = 0; i < 40 && at < end; i++) {
		const uint8_t *option;
		uint32_t kind, length, not_nop, nop;

		/* As mss.h has it: l3 + 60 is the most. */
		sl_opaque(at);
		at &= 127;
		option = sl_packet_at(p, at, 2);
		if (!option)
			return false;
		kind = option[0];
		not_nop = kind ^ SL_IP4_NO_OPERATION;
		sl_opaque(not_nop);
		nop = (not_nop - 1) >> 31;
		length = (option[1] & (nop - 1)) | nop;
		if (kind == SL_IP4_OPTIONS_END || !length)
			return false;
		if (kind == SL_IP4_LOOSE_ROUTE || kind == SL_IP4_STRICT_ROUTE)
			return true;
		at += length;
	}
	return false;
}

/* Parses a first fragment as if it were a whole packet. */
SL_INLINE void sl_parse_whole(const struct sl_packet *p, struct sl_parsed *o)
{
	const struct sl_ip4 *ip;

	sl_parse(p, o);
	if (o->kind != SL_PARSED_FIRST_FRAGMENT)
		return;
	ip = sl_packet_at_parsed(p, o->l3, sizeof(*ip));
	if (ip)
		o->kind = sl_parse_transport(p, o, sl_ntohs(ip->length) - (o->l4 - o->l3));
}

#endif
