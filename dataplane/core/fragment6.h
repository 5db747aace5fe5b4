/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* IPv6 fragments, by the rules and the table of fragment.h. The differences:
 *
 *   A fragment header marks them, and there are extension headers before and behind it. A first
 *   fragment contains all of them and the transport header (RFC 7112), later ones only those
 *   before the fragment header. Only the first one tells the protocol (RFC 8200, 4.5), so it is
 *   stored with the ports. Whether a later one overlaps the TCP header is checked as if that
 *   followed the fragment header directly; end hosts have to drop other overlaps (RFC 5722).
 */
#ifndef SL_CORE_FRAGMENT6_H
#define SL_CORE_FRAGMENT6_H

#include "fragment.h"
#include "icmp6.h"

/* Of a fragment whose fragment header is at `at`. */
SL_INLINE bool sl_fragment_bad6(const struct sl_ip6 *ip, const struct sl_ip6_extension *e,
				uint32_t l3, uint32_t at)
{
	uint32_t is = (uint32_t)(e->type << 8 | e->left);
	uint32_t before = at - l3 - (uint32_t)sizeof(*ip); /* the headers that every fragment has */
	uint32_t length = sl_ntohs(ip->length) - before - (uint32_t)sizeof(*e);

	/* The whole datagram, with these headers, may have 65,535 bytes. */
	return sl_fragment_bad(is & SL_IP6_OFFSET, length, is & SL_IP6_MORE) ||
	       (is & SL_IP6_OFFSET) + length + before > 65535;
}

/* What first and later fragments have in common. NULL: the packet's way ends here. at: its fragment
 * header. */
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
	to_vip = sl_is_vip(t, &o->dst6);
	if (to_vip && sl_martian6(&o->src6, &o->dst6)) {
		w->reason = SL_REASON_martian;
		return NULL;
	}
	if (to_vip)
		w->reason = SL_REASON_fragment_bad;
	return sl_fragment_bad6(ip, e, o->l3, at) ? NULL : ip;
}

/* A first fragment. layout: sl_layout6_first_fragment_impl(). */
SL_INLINE void sl_first_fragment6_classify(const struct sl_tables *t, const struct sl_packet *p,
					   uint64_t layout, struct sl_lookup *w)
{
	uint32_t at = layout >> 32 & 0xff;
	struct sl_parsed o;
	uint32_t where;
	bool to_vip;

	sl_parse6(p, (uint32_t)layout, &o);
	if (!sl_fragment_begin6(t, p, &o, at, w)) {
		sl_yield_shared(t, &o.dst6, w);
		return;
	}
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
	sl_yield_shared(t, &o.dst6, w);
}

/* A later fragment. layout: sl_layout6_impl(). Returns the client's port, or the pool's, if it goes
 * on. */
SL_INLINE sl_be16 sl_fragment6_classify(const struct sl_tables *t, const struct sl_packet *p,
					uint32_t layout, struct sl_lookup *w)
{
	const struct sl_ip6_extension *e;
	const struct sl_ip6 *ip;
	struct sl_parsed o;
	uint64_t value;

	sl_parse6(p, layout, &o);
	ip = sl_fragment_begin6(t, p, &o, o.l4, w);
	value = ip ? sl_fragment_classify_later(t, p, ip, sl_fragment_where(o.l3, o.l4), w, true)
		   : 0;
	sl_yield_shared(t, &o.dst6, w);
	if (!ip)
		return (sl_be16)0;
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
