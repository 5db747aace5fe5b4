/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Packets that are rare and take much to decide: ICMP and fragments. The same two halves as for all
 * others, apart from them, so that neither the stack nor the verifier's budget of the common path
 * pays: a function of its own in the worker, a program of its own in XDP (bpf/engine.bpf.c). Speed
 * matters little here, so offsets are checked again wherever they are used.
 */
#ifndef SL_CORE_RARE_H
#define SL_CORE_RARE_H

#include "icmp.h"

/* Whose is it? What ends here is the kernel's or dropped. */
SL_INLINE void sl_rare_classify(const struct sl_tables *t, const struct sl_packet *p,
				struct sl_work *w)
{
	struct sl_parsed o;

	sl_parse(p, &o);
	w->l3 = (uint8_t)o.l3;
	w->l4 = (uint8_t)o.l4;
	w->hash = 0;
	if (o.kind == SL_PARSED_IP4 && o.protocol == SL_PROTO_ICMP)
		sl_icmp_classify(t, p, &o, w);
	else
		sl_work_end(w, o.kind == SL_PARSED_FRAGMENT && sl_vip_is(t, o.dst)
				       ? SL_REASON_fragment
				       : SL_REASON_not_ours);
}

SL_INLINE enum sl_reason sl_rare_route(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_work *w, uint16_t *egress)
{
	switch (w->todo) {
	case SL_TODO_ECHO:
		*egress = p->ingress;
		return sl_icmp_echo(t, p, w);
	case SL_TODO_ERROR_TO_BACKEND:
		return sl_icmp_to_backend(t, p, w, egress);
	case SL_TODO_ERROR_TO_CLIENT:
		return sl_icmp_to_client(t, p, w, egress);
	default:
		return sl_seam_current(t) ? (enum sl_reason)w->reason : SL_REASON_torn_table;
	}
}

/* Both halves. */
SL_INLINE enum sl_reason sl_rare_with(const struct sl_tables *t, struct sl_packet *p,
				      uint16_t *egress)
{
	struct sl_work w;

	sl_rare_classify(t, p, &w);
	return sl_rare_route(t, p, &w, egress);
}

#endif
