/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The XDP programs of mode fullnat (core/fullnat.h):
 *
 *     sl_xdp_fullnat     a packet to a service of the mode
 *     sl_xdp_snat_new    the same packet, if its flow has no port of the pool yet
 *     sl_xdp_snat_reply  a packet or an ICMP error to an address of a pool
 *
 * and one of each for IPv6. Other programs have classified the packet and decided that XDP handles
 * it, then came here by a tail call. It may be a first fragment; later fragments are decided by the
 * programs for fragments.
 */
#ifndef SL_BPF_FULLNAT_H
#define SL_BPF_FULLNAT_H

SL_INLINE void parse_whole(struct xdp_md *ctx, const struct sl_packet *p, struct sl_parsed *o,
			   struct sl_lookup *w, bool is_ipv6)
{
	if (is_ipv6)
		sl_parse6(p, (uint32_t)sl_layout6_first_fragment_global(ctx), o);
	else
		sl_parse_whole(p, o);
	w->l3 = (uint8_t)o->l3;
	w->l4 = (uint8_t)o->l4;
}

/* Classifies the packet again. False: a publish came in between, and it is no packet of the mode
 * any more. */
SL_INLINE bool find_service(struct xdp_md *ctx, const struct sl_tables *t,
			    const struct sl_packet *p, struct sl_lookup *w, bool is_ipv6)
{
	struct sl_parsed o = { 0 };
	const struct sl_service *s;
	union sl_addr dst;

	parse_whole(ctx, p, &o, w, is_ipv6);
	dst = is_ipv6 ? o.dst6 : sl_addr4(o.dst);
	s = sl_service_of(t, &dst, sl_endpoint(o.dport, o.protocol));
	if (o.kind != SL_PARSED_FLOW || !s || !(s->flags & SL_SERVICE_FULLNAT))
		return false;
	is_ipv6 ? sl_classify_service6(t, s, &o, w) : sl_classify_service(t, s, &o, w);
	return true;
}

SL_INLINE int fullnat(struct xdp_md *ctx, bool is_ipv6)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_lookup w = { 0 };
	enum sl_reason reason = SL_REASON_torn_table;
	struct sl_tables t;
	uint16_t port = 0;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.inline_lookup = false;
	if (find_service(ctx, &t, &p, &w, is_ipv6))
		reason = sl_fullnat_impl(&t, &p, &w, &port, is_ipv6);
	if (reason == SL_RETRY_SLOW_PATH) {
		hand_over(ctx, &p, 0, is_ipv6 ? SL_TAIL_snat_new6 : SL_TAIL_snat_new, false);
		reason = SL_REASON_no_port;
	}
	return finish(ctx, &t, &p, w.l3, reason, port, false);
}

SL_INLINE int snat_new(struct xdp_md *ctx, bool is_ipv6)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_lookup w = { 0 };
	enum sl_reason reason = SL_REASON_torn_table;
	const struct handoff *handoff = sl_map_at(handoffs, 0);
	struct sl_tables t;
	uint16_t port = 0;

	if (!handoff || !sl_tables_snapshot(&t))
		return XDP_DROP;
	p.mtu = (uint16_t)handoff->mtu;
	if (find_service(ctx, &t, &p, &w, is_ipv6))
		reason = sl_fullnat_new_flow_impl(&t, &p, &w, &port, is_ipv6);
	return finish(ctx, &t, &p, w.l3, reason, port, false);
}

SL_INLINE int snat_reply(struct xdp_md *ctx, bool is_ipv6)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_parsed o = { 0 };
	struct sl_lookup w = { 0 };
	enum sl_reason reason = SL_REASON_bad_header;
	struct sl_tables t;
	uint16_t port = 0;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	parse_whole(ctx, &p, &o, &w, is_ipv6);
	sl_lookup_snat_reply(&w, o.protocol, is_ipv6);
	if (o.kind == SL_PARSED_FLOW)
		reason = sl_fullnat_reply_impl(&t, &p, &w, &port, is_ipv6);
	else if (o.protocol == (is_ipv6 ? SL_PROTO_ICMP6 : SL_PROTO_ICMP))
		reason = is_ipv6 ? sl_icmp6_snat(&t, &p, &w, &port)
				 : sl_icmp_snat(&t, &p, &w, &port);
	return finish(ctx, &t, &p, w.l3, reason, port, false);
}

#endif
