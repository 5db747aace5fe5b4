/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The programs of full NAT (core/fullnat.h): to a service of it, the step in which a flow gets its
 * port, and to an address of a pool. Others have found out whose a packet is, and that it is to be
 * decided here: it may be the first fragment of one, or to a pool an ICMP error. Later fragments
 * stay where all are.
 */
#ifndef SL_BPF_FULLNAT_H
#define SL_BPF_FULLNAT_H

SL_INLINE void see_whole(struct xdp_md *ctx, const struct sl_packet *p, struct sl_parsed *o,
			 struct sl_work *w, bool six)
{
	if (six)
		sl_parse6(p, (uint32_t)sl_shape6_first_alone(ctx), o);
	else
		sl_parse_whole(p, o);
	w->l3 = (uint8_t)o->l3;
	w->l4 = (uint8_t)o->l4;
}

/* The service again; false: a publish came between. */
SL_INLINE bool see_service(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
			   struct sl_work *w, bool six)
{
	struct sl_parsed o = { 0 };
	const struct sl_service *s;
	union sl_addr dst;

	see_whole(ctx, p, &o, w, six);
	dst = six ? o.dst6 : sl_addr4(o.dst);
	s = sl_service_of(t, &dst, sl_endpoint(o.dport, o.protocol));
	if (o.kind != SL_PARSED_FLOW || !s || !(s->flags & SL_SERVICE_FULLNAT))
		return false;
	six ? sl_classify_service6(t, s, &o, w) : sl_classify_service(t, s, &o, w);
	return true;
}

SL_INLINE int fullnat(struct xdp_md *ctx, bool six)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_work w = { 0 };
	enum sl_reason reason = SL_REASON_torn_table;
	struct sl_tables t;
	uint16_t port = 0;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	t.peeks = false;
	if (see_service(ctx, &t, &p, &w, six))
		reason = sl_fullnat_with(&t, &p, &w, &port, six);
	if (reason == SL_ELSEWHERE) {
		go_on(ctx, &p, 0, six ? SL_TAIL_bind6 : SL_TAIL_bind, false);
		reason = SL_REASON_no_port;
	}
	return finish(ctx, &t, &p, reason, port, false);
}

SL_INLINE int bind_first(struct xdp_md *ctx, bool six)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_work w = { 0 };
	enum sl_reason reason = SL_REASON_torn_table;
	const struct handover *h = sl_map_at(handover, 0);
	struct sl_tables t;
	uint16_t port = 0;

	if (!h || !sl_tables_look(&t))
		return XDP_DROP;
	p.mtu = (uint16_t)h->mtu; /* what the search for a port came to */
	if (see_service(ctx, &t, &p, &w, six))
		reason = sl_fullnat_first_with(&t, &p, &w, &port, six);
	return finish(ctx, &t, &p, reason, port, false);
}

SL_INLINE int bound_back(struct xdp_md *ctx, bool six)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_parsed o = { 0 };
	struct sl_work w = { 0 };
	enum sl_reason reason = SL_REASON_bad_header;
	struct sl_tables t;
	uint16_t port = 0;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	see_whole(ctx, &p, &o, &w, six);
	sl_work_bound(&w, o.protocol, six);
	if (o.kind == SL_PARSED_FLOW)
		reason = sl_fullnat_back_with(&t, &p, &w, &port, six);
	else if (o.protocol == (six ? SL_PROTO_ICMP6 : SL_PROTO_ICMP))
		reason = six ? sl_icmp6_bound(&t, &p, &w, &port) : sl_icmp_bound(&t, &p, &w, &port);
	return finish(ctx, &t, &p, reason, port, false);
}

#endif
