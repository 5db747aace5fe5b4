/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Forwarding mode NAT, in both directions: addresses, ports, checksums, TTL or hop limit, MAC
 * addresses.
 *
 * Control computed the checksum deltas (abi/csum.h), so a rewrite adds a delta and never sums a
 * packet. The packet's checksum has to be complete, which partial.h sees to.
 *
 * For a reply the only look-up is that of the backend's address, port and protocol, which name the
 * service. The destination is the client.
 */
#ifndef SL_CORE_NAT_H
#define SL_CORE_NAT_H

#include "../abi/backend.h"
#include "../abi/csum.h"
#include "../abi/service.h"
#include "wire.h"

/* mac: in the order of the frame, destination first. */
SL_INLINE void sl_eth_address(struct sl_eth *eth, const uint8_t mac[12])
{
	*(sl_u64_any *)(void *)eth = *(const sl_u64_any *)(const void *)mac;
	*(sl_u32_any *)(void *)&eth->src[2] = *(const sl_u32_any *)(const void *)(mac + 8);
}

/* Decrements the TTL. It is the first byte of a 16-bit word that it shares with the protocol; one
 * less there is one less in the word as it lies in memory, and in one's complement the number
 * before 0 is 0xfffe. */
SL_INLINE void sl_ip4_dec_ttl(struct sl_ip4 *ip, uint16_t delta)
{
	ip->ttl--;
	ip->csum = sl_csum_add(ip->csum, (uint16_t)(delta - 1 - !delta));
}

/* A UDP checksum of 0 means that the sender computed none (RFC 768). Over IPv6 the receiver drops
 * such packets, unless it expects them (RFC 8200, 8.1; RFC 6936): it stays 0 there too, and the
 * backend decides. */
SL_INLINE void sl_udp_csum(struct sl_udp *udp, uint16_t delta)
{
	uint16_t sum;

	if (!udp->csum)
		return;
	sum = sl_csum_add(udp->csum, delta);
	udp->csum = sum ? sum : 0xffff;
}

SL_INLINE void sl_l4_csum(const struct sl_packet *p, uint32_t l4, uint8_t protocol, uint16_t delta)
{
	if (sl_likely(protocol == SL_PROTO_TCP)) {
		struct sl_tcp *tcp = sl_packet_at_parsed(p, l4, sizeof(*tcp));

		if (tcp)
			tcp->csum = sl_csum_add(tcp->csum, delta);
	} else {
		struct sl_udp *udp = sl_packet_at_parsed(p, l4, sizeof(*udp));

		if (udp)
			sl_udp_csum(udp, delta);
	}
}

/* What a rewrite stores. Copied from the tables before it is known whether they changed. */
struct sl_nat {
	uint64_t index; /* of the backend's record; only sl_resolve_backend() sets this */
	uint32_t mtu;
	uint8_t mac[12] __attribute__((aligned(8)));
	union sl_addr addr;
	sl_be16 port;
	uint16_t ip_delta; /* of IPv4 */
	uint16_t l4_delta;
};

/* Sets everything but the MAC addresses, for a packet from a backend. */
SL_INLINE void sl_nat_of_reply(struct sl_nat *n, const struct sl_reply_entry *r)
{
	n->addr = r->vip;
	n->port = r->port;
	n->ip_delta = r->ip_delta;
	n->l4_delta = r->l4_delta;
}

SL_INLINE void sl_nat_of_backend(struct sl_nat *n, const struct sl_backend *b)
{
	__builtin_memcpy(n->mac, b->dst_mac, sizeof(n->mac));
	n->addr = b->addr;
	n->port = b->port;
	n->ip_delta = b->ip_delta;
	n->l4_delta = b->l4_delta;
}

/* Replaces an address of the network header, and decrements the TTL or hop limit. */
SL_INLINE void sl_nat_l3(void *l3, const struct sl_nat *n, bool to_client, bool is_ipv6)
{
	struct sl_ip4 *ip = l3;
	struct sl_ip6 *ip6 = l3;

	if (is_ipv6) {
		sl_addr_store(to_client ? ip6->src : ip6->dst, &n->addr);
		ip6->hops--;
		return;
	}
	if (to_client)
		ip->src = n->addr.w[3];
	else
		ip->dst = n->addr.w[3];
	sl_ip4_dec_ttl(ip, n->ip_delta);
}

/* Towards the backend destination address and port are replaced, towards the client the source. */
SL_INLINE bool sl_nat(const struct sl_packet *p, uint32_t l3, uint32_t l4, uint8_t protocol,
		      const struct sl_nat *n, bool to_client, bool is_ipv6)
{
	struct sl_eth *eth;
	struct sl_udp *ports; /* TCP's ports are at the same offsets */
	void *ip;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!(eth = sl_packet_at_parsed(p, 0, sizeof(*eth))) ||
	    !(ip = sl_packet_at_parsed(p, l3,
				       is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4))) ||
	    !(ports = sl_packet_at_parsed(p, l4, sizeof(*ports))))
		return false;
	sl_eth_address(eth, n->mac);
	if (to_client)
		ports->src = n->port;
	else
		ports->dst = n->port;
	sl_l4_csum(p, l4, protocol, n->l4_delta);
	sl_nat_l3(ip, n, to_client, is_ipv6);
	return true;
}

/* Replaces source or destination of a network header, where no delta was precomputed. Returns the
 * delta of the transport's checksum. */
SL_INLINE uint16_t sl_nat_address(void *l3, const union sl_addr *addr, bool source, bool is_ipv6)
{
	struct sl_ip4 *ip = l3;
	struct sl_ip6 *ip6 = l3;
	union sl_addr before;
	uint16_t delta;

	if (is_ipv6) {
		before = sl_addr_load(source ? ip6->src : ip6->dst);
		sl_addr_store(source ? ip6->src : ip6->dst, addr);
		return sl_csum_delta_addr(&before, addr);
	}
	before = sl_addr4(source ? ip->src : ip->dst);
	if (source)
		ip->src = addr->w[3];
	else
		ip->dst = addr->w[3];
	delta = sl_csum_delta_addr(&before, addr);
	ip->csum = sl_csum_add(ip->csum, delta);
	return delta;
}

SL_INLINE sl_be16 sl_nat_port(struct sl_udp *ports, sl_be16 port, bool source)
{
	sl_be16 before = source ? ports->src : ports->dst;

	if (source)
		ports->src = port;
	else
		ports->dst = port;
	return before;
}

/* Replaces source or destination, address and port, and updates all checksums. */
SL_INLINE bool sl_nat_endpoint(struct sl_packet *p, uint32_t l3, uint32_t l4, uint8_t protocol,
			       const union sl_addr *addr, sl_be16 port, bool source, bool is_ipv6)
{
	struct sl_udp *ports;
	uint16_t delta;
	sl_be16 before;
	void *ip;

	if (!(ports = sl_packet_at_parsed(p, l4, sizeof(*ports))) ||
	    !(ip = sl_packet_at_parsed(p, l3,
				       is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4))))
		return false;
	before = sl_nat_port(ports, port, source);
	delta = sl_nat_address(ip, addr, source, is_ipv6);
	sl_l4_csum(p, l4, protocol,
		   sl_csum_fold((uint32_t)delta + (uint16_t)~before + (uint16_t)port));
	return true;
}

#endif
