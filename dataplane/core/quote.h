/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The packet that an ICMP error quotes: its IP header and at least 8 bytes more (RFC 792), which
 * are the ports and the checksum of UDP. The rest may be truncated anywhere.
 *
 * The quoted address and port are changed back to those that the error's receiver knows, and so are
 * the quoted checksums, as far as they are there. Each word that changes also changes the sum of
 * the ICMP message.
 */
#ifndef SL_CORE_QUOTE_H
#define SL_CORE_QUOTE_H

#include "nat.h"

enum { SL_QUOTE_MIN = 8 }; /* bytes after the IP header */

/* The errors that quote a packet of a flow. Redirects and source quenches aren't passed on. */
SL_INLINE bool sl_icmp_is_error(uint8_t type)
{
	return type == SL_ICMP_UNREACHABLE || type == SL_ICMP_TIME_EXCEEDED ||
	       type == SL_ICMP_PARAMETER;
}

/* Offsets from the frame's first byte. */
struct sl_quote {
	sl_be32 src;
	sl_be32 dst;
	sl_be16 sport;
	sl_be16 dport;
	uint8_t protocol; /* TCP or UDP */
	uint32_t l3;
	uint32_t l4;
	uint32_t end; /* of the message; what follows is the frame's padding */
};

/* False: it isn't a packet of a flow, or too short. */
SL_INLINE bool sl_quote_parse(const struct sl_packet *p, uint32_t at, uint32_t end,
			      struct sl_quote *q)
{
	const struct sl_ip4 *ip = sl_packet_at(p, at, sizeof(*ip));
	const struct sl_udp *ports;
	uint32_t header;

	if (!ip || at + sizeof(*ip) > end || ip->version_ihl >> 4 != 4)
		return false;
	header = (ip->version_ihl & 15u) * 4;
	q->l3 = at;
	q->l4 = at + header;
	q->end = end;
	q->protocol = ip->protocol;
	q->src = ip->src;
	q->dst = ip->dst;
	if (header < sizeof(*ip) || q->l4 + SL_QUOTE_MIN > end ||
	    sl_ntohs(ip->fragment) & SL_IP4_OFFSET ||
	    (q->protocol != SL_PROTO_TCP && q->protocol != SL_PROTO_UDP))
		return false;
	ports = sl_packet_at(p, q->l4, sizeof(*ports));
	if (!ports)
		return false;
	q->sport = ports->src;
	q->dport = ports->dst;
	return true;
}

/* By how much a sum grows when a word changes. */
SL_INLINE uint32_t sl_word_delta(uint16_t from, uint16_t to)
{
	return (uint32_t)(uint16_t)~from + to;
}

/* Updates the transport's checksum in the quote, if it is there. Returns by how much the message's
 * sum grows. */
SL_INLINE uint32_t sl_quote_csum(struct sl_packet *p, const struct sl_quote *q, uint16_t delta)
{
	uint16_t before, after;

	if (q->protocol == SL_PROTO_TCP) {
		struct sl_tcp *tcp = sl_packet_at(p, q->l4, offsetof(struct sl_tcp, urgent));

		if (!tcp || q->l4 + offsetof(struct sl_tcp, urgent) > q->end)
			return 0;
		before = tcp->csum;
		tcp->csum = after = sl_csum_apply(before, delta);
	} else {
		struct sl_udp *udp = sl_packet_at(p, q->l4, sizeof(*udp));

		if (!udp || !udp->csum)
			return 0;
		before = udp->csum;
		after = sl_csum_apply(before, delta);
		udp->csum = after = after ? after : 0xffff;
	}
	return sl_word_delta(before, after);
}

/* Replaces source or destination of the quoted packet, where no delta was precomputed. Returns by
 * how much the message's sum grows. */
SL_INLINE uint32_t sl_quote_nat_endpoint(struct sl_packet *p, const struct sl_quote *q,
					 const union sl_addr *addr, sl_be16 port, bool source,
					 bool is_ipv6)
{
	void *l3 = sl_packet_at(p, q->l3, is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
	struct sl_udp *ports = sl_packet_at(p, q->l4, sizeof(*ports));
	uint16_t csum = 0, delta;
	uint32_t grown;
	sl_be16 before;

	if (!l3 || !ports)
		return 0;
	if (!is_ipv6)
		csum = ((struct sl_ip4 *)l3)->csum;
	delta = sl_nat_address(l3, addr, source, is_ipv6);
	grown = delta;
	if (!is_ipv6)
		grown += sl_word_delta(csum, ((struct sl_ip4 *)l3)->csum);
	before = sl_nat_port(ports, port, source);
	grown += sl_word_delta((uint16_t)before, (uint16_t)port);
	delta = sl_csum_fold((uint32_t)delta + (uint16_t)~before + (uint16_t)port);
	return grown + sl_quote_csum(p, q, delta);
}

/* Replaces the quoted source or destination by n's address and port. *grown: by how much the
 * message's sum grows. */
SL_INLINE bool sl_quote_nat(struct sl_packet *p, const struct sl_quote *q, const struct sl_nat *n,
			    bool source, uint32_t *grown)
{
	struct sl_ip4 *ip = sl_packet_at(p, q->l3, sizeof(*ip));
	struct sl_udp *ports = sl_packet_at(p, q->l4, sizeof(*ports));
	uint16_t before;

	if (!ip || !ports)
		return false;
	before = ip->csum;
	ip->csum = sl_csum_apply(before, n->ip_delta);
	*grown = n->ip_delta + sl_word_delta(before, ip->csum);
	if (source) {
		*grown += sl_word_delta(ports->src, n->port);
		ip->src = n->addr.w[3];
		ports->src = n->port;
	} else {
		*grown += sl_word_delta(ports->dst, n->port);
		ip->dst = n->addr.w[3];
		ports->dst = n->port;
	}
	*grown += sl_quote_csum(p, q, n->l4_delta);
	return true;
}

#endif
