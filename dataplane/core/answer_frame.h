/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Turns the packet at hand into the answer to its sender: an ICMP error that quotes it, or a TCP
 * reset. The frame goes back the way it came, by its MAC addresses and VLAN tags, because that way
 * reaches the sender. For IPv4 and IPv6.
 *
 * An error quotes as much as fits 576 bytes (RFC 1812, 4.3.2.3), or 1,280 for IPv6 (RFC 4443, 2.4).
 */
#ifndef SL_CORE_ANSWER_FRAME_H
#define SL_CORE_ANSWER_FRAME_H

#include "../abi/csum.h"
#include "classify.h"

/* In whole words, behind an IP header and an ICMP header. */
#define SL_ICMP_QUOTE  548u
#define SL_ICMP6_QUOTE 1232u

/* The packet to answer, as far as the answer depends on it. */
struct sl_answer_to {
	uint32_t end; /* offset at which the IP packet ends */
	uint8_t l3;
	uint8_t l4;
	uint8_t protocol;
	bool is_ipv6;
	bool whole; /* not a fragment */
	/* Addresses of the answer. */
	union sl_addr src;
	union sl_addr dst;
};

/* Writes the link header of the answer: the old one, now n bytes further back, with source and
 * destination exchanged. */
SL_INLINE bool sl_frame_return(struct sl_packet *p, uint32_t n, uint32_t l3)
{
	struct sl_link_words *link = sl_packet_at(p, 0, sizeof(*link) + n);
	const struct sl_link_words *was;

	if (!link)
		return false;
	was = (const void *)((const uint8_t *)link + n);
	for (uint32_t i = 0; i < 3; i++) {
		uint16_t dst = was->word[i];

		link->word[i] = was->word[i + 3];
		link->word[i + 3] = dst;
	}
	sl_link_tags(link, was, l3);
	return true;
}

/* The sum of all words from there to the frame's end. */
SL_INLINE uint16_t sl_sum_to_end_impl(const struct sl_packet *p, uint32_t from)
{
	uint64_t sum = 0;

	for (uint32_t at = 0; at < SL_ICMP6_QUOTE + sizeof(struct sl_icmp); at += 4) {
		const sl_u32_any *word = sl_packet_at(p, from + at, 4);

		if (!word)
			break;
		sum += *word;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	return sl_csum_fold((uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16 & 0xffff) +
			    (uint32_t)(sum >> 32));
}

/* Writes the network header of the answer, in front of `length` bytes of this protocol. */
SL_INLINE bool sl_frame_header(struct sl_packet *p, const struct sl_answer_to *a, uint8_t protocol,
			       uint32_t length)
{
	/* RFC 1812, 4.3.2.5: precedence of errors is internetwork control. */
	uint32_t tos = protocol == SL_PROTO_TCP ? 0 : 0xc0, l3 = a->l3, sum;
	struct sl_ip6 *ip6;
	struct sl_ip4 *ip;

	if (a->is_ipv6) {
		if (!(ip6 = sl_packet_at(p, l3, sizeof(*ip6))))
			return false;
		ip6->version_class_flow = sl_htonl(6u << 28 | tos << 20);
		ip6->length = sl_htons((uint16_t)length);
		ip6->next = protocol;
		ip6->hops = 64;
		sl_addr_store(ip6->src, &a->src);
		sl_addr_store(ip6->dst, &a->dst);
		return true;
	}
	if (!(ip = sl_packet_at(p, l3, sizeof(*ip))))
		return false;
	*ip = (struct sl_ip4){ .version_ihl = 0x45,
			       .tos = (uint8_t)tos,
			       .length = sl_htons((uint16_t)(sizeof(*ip) + length)),
			       .fragment = sl_htons(SL_IP4_DF), /* so it needs no id (RFC 6864) */
			       .ttl = 64,
			       .protocol = protocol,
			       .src = a->src.w[3],
			       .dst = a->dst.w[3] };
	sum = 0x45u | tos << 8;
	sum += (uint32_t)(uint16_t)ip->length + (uint16_t)ip->fragment;
	sum += 64u | (uint32_t)protocol << 8;
	ip->csum = (uint16_t)~sl_csum_fold(sum + sl_csum_addr(&a->src) + sl_csum_addr(&a->dst));
	return true;
}

/* The sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1). */
SL_INLINE uint32_t sl_pseudo_sum(const struct sl_answer_to *a, uint8_t protocol, uint32_t length)
{
	return sl_csum_addr(&a->src) + sl_csum_addr(&a->dst) +
	       (uint32_t)(uint16_t)sl_htons(protocol) +
	       (uint32_t)(uint16_t)sl_htons((uint16_t)length);
}

/* Writes an ICMP error. what: 0..7 type, 8..15 code, 16..31 MTU. */
SL_INLINE bool sl_frame_error(struct sl_packet *p, const struct sl_answer_to *a, uint32_t what)
{
	uint32_t most = a->is_ipv6 ? SL_ICMP6_QUOTE : SL_ICMP_QUOTE;
	uint32_t ip = a->is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4), sum = 0;
	uint32_t quote = a->end - a->l3 < most ? a->end - a->l3 : most;
	uint8_t protocol = a->is_ipv6 ? SL_PROTO_ICMP6 : SL_PROTO_ICMP;
	struct sl_icmp *icmp;

	quote &= ~3u;
	if (a->l3 + quote < a->l4 + 8u) /* RFC 792: at least this much of the transport header */
		return false;
	if (!sl_seam_cut(p, a->l3 + quote) || !sl_seam_grow(p, ip + sizeof(*icmp)) ||
	    !sl_frame_return(p, ip + sizeof(*icmp), a->l3) ||
	    !sl_frame_header(p, a, protocol, sizeof(*icmp) + quote) ||
	    !(icmp = sl_packet_at(p, a->l3 + ip, sizeof(*icmp))))
		return false;
	*icmp = (struct sl_icmp){ .type = (uint8_t)what,
				  .code = (uint8_t)(what >> 8),
				  .mtu = sl_htons((uint16_t)(what >> 16)) };
	if (a->is_ipv6)
		sum = sl_pseudo_sum(a, protocol, sizeof(*icmp) + quote);
	icmp->csum = (uint16_t)~sl_csum_fold(sum + sl_sum_to_end(p, a->l3 + ip));
	return true;
}

/* Writes a reset (RFC 9293, 3.5.2 and 3.10.7.1). The receiver accepts it if its sequence number is
 * the one that the receiver last acknowledged, or if it acknowledges all that the receiver sent. */
SL_INLINE bool sl_frame_reset(struct sl_packet *p, const struct sl_answer_to *a)
{
	const struct sl_tcp *was = sl_packet_at(p, a->l4, sizeof(*was));
	uint32_t ip = a->is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4);
	struct sl_tcp reset = { .offset = sizeof(reset) / 4 << 4 }, *tcp;

	if (!was || !a->whole || was->flags & SL_TCP_RST)
		return false;
	reset.src = was->dst;
	reset.dst = was->src;
	if (was->flags & SL_TCP_ACK) {
		reset.seq = was->ack;
		reset.flags = SL_TCP_RST;
	} else {
		uint32_t length = a->end - a->l4 - (was->offset >> 4) * 4u;

		length += !!(was->flags & SL_TCP_SYN) + !!(was->flags & SL_TCP_FIN);
		reset.ack = sl_htonl(sl_ntohl(was->seq) + length);
		reset.flags = SL_TCP_RST | SL_TCP_ACK;
	}
	if (!sl_seam_cut(p, a->l3 + ip + (uint32_t)sizeof(*tcp)) || !sl_frame_return(p, 0, a->l3) ||
	    !sl_frame_header(p, a, SL_PROTO_TCP, sizeof(*tcp)) ||
	    !(tcp = sl_packet_at(p, a->l3 + ip, sizeof(*tcp))))
		return false;
	*tcp = reset;
	tcp->csum = (uint16_t)~sl_csum_fold(sl_pseudo_sum(a, SL_PROTO_TCP, sizeof(*tcp)) +
					    sl_sum_to_end(p, a->l3 + ip));
	return true;
}

#endif
