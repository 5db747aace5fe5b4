/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Hairpins: packets in mode nat whose client is the backend itself, or a host on its link.
 *
 * Their answer never comes to the client as the VIP's. A backend that is sent its own address drops
 * the packet as a martian, and one that has the client on its own link answers it past the gateway,
 * with its own address. So such packets are refused rather than sent. Full NAT doesn't need that:
 * there the backend answers an address of the pool.
 *
 * The backend's record says how many low bits of an address tell the hosts on its link apart
 * (link_bits). A client that differs from the backend in these alone is a neighbour of it; it is on
 * the same link if its packets come in by the port by which they would leave. A gateway between two
 * links of one subnet (proxy ARP) has them come in by another, and gets the answers.
 *
 * Only what may begin a flow is looked at: a SYN, and every packet of UDP, which doesn't say what
 * begins. What follows a SYN that was refused is never sent by any host.
 */
#ifndef SL_CORE_HAIRPIN_H
#define SL_CORE_HAIRPIN_H

#include "variant.h"

/* Whether the packet's client is a neighbour of the backend, or itself. Cheap, and without a
 * branch. */
SL_INLINE bool sl_hairpin_near(const struct sl_backend *b, const void *l3, bool is_ipv6)
{
	uint32_t bits = b->link_bits;
	const struct sl_ip6 *ip6 = l3;
	uint64_t high, low, wide;

	if (!is_ipv6) {
		sl_be32 client = ((const struct sl_ip4 *)l3)->src;
		uint32_t differ = (uint32_t)client ^ (uint32_t)b->addr.w[3];

		return !(__builtin_bswap32(differ) >> (bits & 31));
	}
	high = __builtin_bswap64(sl_addr_load(ip6->src).q[0] ^ b->addr.q[0]);
	low = __builtin_bswap64(sl_addr_load(ip6->src).q[1] ^ b->addr.q[1]);
	wide = bits >> 6 & 1; /* a prefix shorter than 64 */
	bits &= 63;
	return !(high >> (bits & -(uint32_t)wide) | (low >> bits & (wide - 1)));
}

/* Whether the packet of a neighbour would leave by the port that it came in by, or come back to its
 * sender. The caller checks afterwards that the tables are current. */
SL_INLINE bool sl_hairpin_turns(const struct sl_tables *t, const struct sl_packet *p,
				const struct sl_backend *b, const void *l3, bool is_ipv6)
{
	union sl_addr client = sl_l3_src(l3, is_ipv6);
	uint16_t egress = b->egress;

	if (sl_addr_equal(&client, &b->addr))
		return true;
	if (egress >= SL_PORT_VLANS) {
		const struct sl_port *port = sl_seam_port(t, egress);

		egress = port ? port->parent : egress;
	}
	return egress == p->ingress;
}

#endif
