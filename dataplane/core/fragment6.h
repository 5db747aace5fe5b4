/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Fragments of IPv6, by fragment.h's rules and its table. What is different:
 *
 *   A header of its own says that it is one, and extension headers stand before and behind it: a
 *   first fragment holds all of them and the transport's (RFC 7112), others those before alone.
 *   Only the first one tells the protocol (RFC 8200, 4.5), so that is remembered with the ports.
 *   Whether one reaches into the TCP header is asked as if nothing stood between that and the
 *   fragment header; all else that overlaps is for the end hosts to drop (RFC 5722).
 */
#ifndef SL_CORE_FRAGMENT6_H
#define SL_CORE_FRAGMENT6_H

#include "fragment.h"
#include "icmp6.h"

/* Of a fragment whose own header is at `at`. */
SL_INLINE bool sl_fragment_bad6(const struct sl_ip6 *ip, const struct sl_ip6_extension *e,
				uint32_t l3, uint32_t at)
{
	uint32_t is = (uint32_t)(e->type << 8 | e->left);
	uint32_t before = at - l3 - (uint32_t)sizeof(*ip); /* headers that each fragment has */
	uint32_t length = sl_ntohs(ip->length) - before - (uint32_t)sizeof(*e);

	/* The whole may have 65,535 bytes, these headers among them. */
	return sl_fragment_bad(is & SL_IP6_OFFSET, length, is & SL_IP6_MORE) ||
	       (is & SL_IP6_OFFSET) + length + before > 65535;
}

/* What both kinds have in common; NULL: it ends here, or has ended. at: its own header. */
SL_INLINE const struct sl_ip6 *sl_fragment_begin6(const struct sl_tables *t,
						  const struct sl_packet *p,
						  const struct sl_parsed *o, uint32_t at,
						  struct sl_lookup *w)
{
	const struct sl_ip6 *ip = sl_packet_at(p, o->l3, sizeof(*ip));
	const struct sl_ip6_extension *e = sl_packet_at(p, at, sizeof(*e));
	bool to_vip;

	w->l3 = (uint8_t)o->l3;
	w->l4 = (uint8_t)o->l4;
	sl_lookup_decided(w, SL_REASON_not_ours);
	if (!ip || !e || o->kind == SL_PARSED_OTHER)
		return NULL;
	to_vip = sl_service_find(t, &o->dst6, 0) != NULL;
	if (to_vip && sl_martian6(&o->src6, &o->dst6)) {
		w->reason = SL_REASON_martian;
		return NULL;
	}
	if (to_vip)
		w->reason = SL_REASON_fragment_bad;
	return sl_fragment_bad6(ip, e, o->l3, at) ? NULL : ip;
}

/* The first one of a datagram. shape: sl_layout6_first_fragment_impl(). */
SL_INLINE void sl_first_fragment6_classify(const struct sl_tables *t, const struct sl_packet *p,
					   uint64_t layout, struct sl_lookup *w)
{
	uint32_t at = layout >> 32 & 0xff;
	struct sl_parsed o;
	uint32_t where;
	bool to_vip;

	sl_parse6(p, (uint32_t)layout, &o);
	if (!sl_fragment_begin6(t, p, &o, at, w))
		return;
	where = sl_fragment_where(o.l3, at);
	to_vip = w->reason != SL_REASON_not_ours;
	if (o.kind == SL_PARSED_FLOW) {
		sl_fragment_classify_first(t, p, &o, where, w, true);
	} else if (to_vip && o.kind == SL_PARSED_CHAIN) {
		w->reason = SL_REASON_header_chain;
	} else if (to_vip && o.kind == SL_PARSED_IP6) {
		if (o.protocol == SL_PROTO_ICMP6)
			sl_fragment_classify_icmp(t, p, &o, where, w, true);
		else
			w->reason = SL_REASON_no_service;
	}
}

/* Any other. shape: sl_layout6_impl(). The client's port, where it goes on, or the pool's. */
SL_INLINE sl_be16 sl_fragment6_classify(const struct sl_tables *t, const struct sl_packet *p,
					uint32_t layout, struct sl_lookup *w)
{
	const struct sl_ip6_extension *e;
	const struct sl_ip6 *ip;
	struct sl_parsed o;
	uint64_t value;

	sl_parse6(p, layout, &o);
	ip = sl_fragment_begin6(t, p, &o, o.l4, w);
	if (!ip)
		return (sl_be16)0;
	value = sl_fragment_classify_later(t, p, ip, sl_fragment_where(o.l3, o.l4), w, true);
	e = sl_packet_at(p, o.l4, sizeof(*e));
	if (w->packet_class == SL_CLASS_DECIDED || w->packet_class == SL_CLASS_FRAGMENT_ECHO || !e)
		return (sl_be16)0;
	if (!sl_fragment_udp(value) &&
	    ((e->type << 8 | e->left) & SL_IP6_OFFSET) < (int)sizeof(struct sl_tcp))
		sl_lookup_decided(w, w->packet_class == SL_CLASS_FRAGMENT_TO_CLIENT
					     ? SL_REASON_not_ours
					     : SL_REASON_fragment_bad);
	return w->packet_class == SL_CLASS_FRAGMENT_TO_BACKEND ? sl_fragment_sport(value)
							       : sl_fragment_dport(value);
}

#endif
