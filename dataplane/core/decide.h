/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A packet's journey; an engine includes it by rare.h, which has what is rare besides:
 *
 *     sl_classify()   parse.h → classify.h    whose is it, and which row?
 *     sl_route()      forward.h or reply.h    where to, and the rewritten bytes
 *                     or fullnat.h
 *     sl_decide_end() answer.h                what the sender is told, if it can't go on
 *
 * ICMP and fragments take another way, from classify on: rare.h.
 *
 * Both are pure but for the tables: no clock, no log, no system call, no allocation. The verdict is
 * a reason (abi/reason.h), and for SL_FORWARD the port to leave by. SL_REASON_torn_table
 * means that the tables moved twice meanwhile: look at the root again and repeat. Nothing is
 * written then but what may be written twice (an ECN mark, a smaller MSS), and a limit may have
 * been charged.
 */
#ifndef SL_CORE_DECIDE_H
#define SL_CORE_DECIDE_H

#include "answer.h"
#include "arp.h"
#include "forward.h"
#include "fullnat.h"
#include "nd.h"
#include "reply.h"

/* Of a service or a backend that is limited, or of QUIC. */
SL_INLINE enum sl_reason sl_limited_with(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress, bool six)
{
	return w->todo == (six ? SL_TODO_SERVICE6 : SL_TODO_SERVICE)
		       ? sl_route_service(t, p, w, egress, six, SL_COPY_LIMITED)
		       : sl_route_reverse(t, p, w, egress, six, SL_COPY_LIMITED);
}

/* Of a service of full NAT. */
SL_INLINE enum sl_reason sl_fullnat_with(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress, bool six)
{
	return sl_route_service(t, p, w, egress, six, SL_COPY_FULLNAT);
}

SL_INLINE enum sl_reason sl_route6_with(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_work *w, uint16_t *egress)
{
	switch (w->todo) {
	case SL_TODO_SERVICE6:
		return sl_route_service(t, p, w, egress, true, SL_COPY_WHOLE);
	case SL_TODO_REVERSE6:
		return sl_route_reverse(t, p, w, egress, true, SL_COPY_WHOLE);
	case SL_TODO_ND:
		*egress = p->ingress;
		return sl_nd_answer(t, p, w->l3, w->l4) ? SL_REASON_nd_reply : SL_REASON_bad_header;
	default:
		return sl_seam_current(t) ? (enum sl_reason)w->reason : SL_REASON_torn_table;
	}
}

/* Rewrites the frame in place as the verdict says. */
SL_INLINE enum sl_reason sl_route(const struct sl_tables *t, struct sl_packet *p,
				  const struct sl_work *w, uint16_t *egress)
{
	if (sl_unlikely(sl_work_limited(w)))
		return sl_work_fullnat(w) ? sl_fullnat(t, p, w, egress)
					  : sl_limited(t, p, w, egress);
	switch (w->todo) {
	case SL_TODO_SERVICE:
		return sl_route_service(t, p, w, egress, false, SL_COPY_WHOLE);
	case SL_TODO_REVERSE:
		return sl_route_reverse(t, p, w, egress, false, SL_COPY_WHOLE);
	case SL_TODO_BOUND:
	case SL_TODO_BOUND6:
		return sl_fullnat_back(t, p, w, egress);
	case SL_TODO_SERVICE6:
	case SL_TODO_REVERSE6:
	case SL_TODO_ND:
		return sl_route6(t, p, w, egress);
	case SL_TODO_ARP:
		*egress = p->ingress;
		return sl_arp_answer(t, p, w->l3) ? SL_REASON_arp_reply : SL_REASON_bad_header;
	case SL_TODO_ICMP6:
	case SL_TODO_FIRST6:
	case SL_TODO_FRAGMENT6:
	case SL_TODO_ICMP:
	case SL_TODO_FIRST:
	case SL_TODO_FRAGMENT:
		return sl_rare(t, p, w->todo, egress);
	default:
		return sl_likely(sl_seam_current(t)) ? (enum sl_reason)w->reason
						     : SL_REASON_torn_table;
	}
}

#endif
