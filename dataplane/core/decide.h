/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The decision: what happens to a packet. An engine includes rare.h, which includes this.
 *
 *     sl_classify()    parse.h, classify.h     whose packet is it, which slot or route?
 *     sl_route()       forward.h or reply.h    which backend or next hop; rewrites the packet
 *                      or fullnat.h
 *     sl_decide_end()  answer.h                answers the sender, if the packet can't go on
 *
 * ICMP and fragments take another way after classification: rare.h.
 *
 * Apart from the tables these are pure functions: no clock, no log, no system call, no allocation.
 * The verdict is a reason (abi/reason.h), and for SL_FORWARD the egress port. SL_REASON_torn_table
 * means that the tables changed twice meanwhile, and the caller has to take a new snapshot and
 * start over. At that point only such changes have been made to the packet as may be made twice (an
 * ECN mark, a smaller MSS), though a limit may have been charged.
 */
#ifndef SL_CORE_DECIDE_H
#define SL_CORE_DECIDE_H

#include "answer.h"
#include "arp.h"
#include "forward.h"
#include "fullnat.h"
#include "nd.h"
#include "reply.h"

/* A packet on the extended path, except full NAT. */
SL_INLINE enum sl_reason sl_extended_impl(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress, bool is_ipv6)
{
	return w->packet_class == (is_ipv6 ? SL_CLASS_SERVICE6 : SL_CLASS_SERVICE)
		       ? sl_route_service(t, p, w, egress, is_ipv6, SL_VARIANT_EXTENDED)
		       : sl_route_reply(t, p, w, egress, is_ipv6, SL_VARIANT_EXTENDED);
}

/* A packet to a service in mode fullnat. */
SL_INLINE enum sl_reason sl_fullnat_impl(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_lookup *w, uint16_t *egress, bool is_ipv6)
{
	return sl_route_service(t, p, w, egress, is_ipv6, SL_VARIANT_FULLNAT);
}

SL_INLINE enum sl_reason sl_route6_impl(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_lookup *w, uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_SERVICE6:
		return sl_route_service(t, p, w, egress, true, SL_VARIANT_PLAIN);
	case SL_CLASS_REPLY6:
		return sl_route_reply(t, p, w, egress, true, SL_VARIANT_PLAIN);
	case SL_CLASS_ND:
		*egress = p->ingress;
		return sl_nd_answer(t, p, w->l3, w->l4) ? SL_REASON_nd_reply : SL_REASON_bad_header;
	default:
		return sl_seam_current(t) ? (enum sl_reason)w->reason : SL_REASON_torn_table;
	}
}

/* Rewrites the frame in place as the verdict says. */
SL_INLINE enum sl_reason sl_route(const struct sl_tables *t, struct sl_packet *p,
				  const struct sl_lookup *w, uint16_t *egress)
{
	if (sl_unlikely(sl_needs_extended_path(w)))
		return sl_lookup_is_fullnat(w) ? sl_fullnat(t, p, w, egress)
					       : sl_extended(t, p, w, egress);
	switch (w->packet_class) {
	case SL_CLASS_SERVICE:
		return sl_route_service(t, p, w, egress, false, SL_VARIANT_PLAIN);
	case SL_CLASS_REPLY:
		return sl_route_reply(t, p, w, egress, false, SL_VARIANT_PLAIN);
	case SL_CLASS_SNAT_REPLY:
	case SL_CLASS_SNAT_REPLY6:
		return sl_fullnat_reply(t, p, w, egress);
	case SL_CLASS_SERVICE6:
	case SL_CLASS_REPLY6:
	case SL_CLASS_ND:
		return sl_route6(t, p, w, egress);
	case SL_CLASS_ARP:
		*egress = p->ingress;
		return sl_arp_answer(t, p, w->l3) ? SL_REASON_arp_reply : SL_REASON_bad_header;
	case SL_CLASS_ICMP6:
	case SL_CLASS_FIRST_FRAGMENT6:
	case SL_CLASS_FRAGMENT6:
	case SL_CLASS_ICMP:
	case SL_CLASS_FIRST_FRAGMENT:
	case SL_CLASS_FRAGMENT:
		return sl_rare(t, p, w->packet_class, egress);
	default:
		return sl_likely(sl_seam_current(t)) ? (enum sl_reason)w->reason
						     : SL_REASON_torn_table;
	}
}

#endif
