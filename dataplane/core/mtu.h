/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A packet that doesn't fit the way on.
 *
 * What fits is the largest IP packet as it comes: the next hop's MTU, less what a tunnel puts in
 * front, computed by control. With DF its sender is told how much that is (RFC 1191), from whom it
 * wrote to, and sends smaller ones from then on. Without DF a router would cut it in pieces; that
 * isn't for a load balancer, so it is dropped and counted. Senders that care about speed set DF.
 */
#ifndef SL_CORE_MTU_H
#define SL_CORE_MTU_H

#include "icmp_error.h"

/* Of IPv4. */
SL_INLINE enum sl_reason sl_mtu_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t l3,
				       uint32_t mtu)
{
	const struct sl_ip4 *ip = sl_packet_at(p, l3, sizeof(*ip));
	uint32_t what = sl_icmp_what(SL_ICMP_UNREACHABLE, SL_ICMP_FRAG_NEEDED, (uint16_t)mtu);

	if (!ip || !(sl_ntohs(ip->fragment) & SL_IP4_DF))
		return SL_REASON_too_big;
	return sl_icmp_error(t, p, l3, what) == SL_ICMP_BUILT ? SL_REASON_too_big_told
							      : SL_REASON_too_big;
}

#endif
