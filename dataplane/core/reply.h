/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Second half of the decision for a packet from a backend: its next hop, by the routes, the limits
 * that concern it, and the VIP in the place of the backend. Nothing is looked up of the flow but
 * where its end or a limit matters to its entry.
 */
#ifndef SL_CORE_REPLY_H
#define SL_CORE_REPLY_H

#include "copy.h"
#include "mss.h"
#include "nat.h"

/* The key of the flow that a reply belongs to. */
SL_INLINE uint64_t sl_reply_key(const struct sl_tables *t, uint16_t service,
				const union sl_addr *client, sl_be16 port, bool six)
{
	const struct sl_root *root = sl_seam_root(t);

	if (!six)
		return sl_flow_key4(service, client->w[3], port);
	return root ? sl_flow_key(service, sl_hash_source6(client, port, root->row_key)) : 0;
}

/* Outside full NAT any FIN or RST ends the flow. */
SL_INLINE uint8_t sl_reply_event(const struct sl_packet *p, const struct sl_work *w,
				 uint8_t protocol)
{
	const struct sl_tcp *tcp;

	if (protocol != SL_PROTO_TCP)
		return SL_EVENT_DATA;
	tcp = sl_packet_again(p, w->l4, sizeof(*tcp));
	return tcp && tcp->flags & (SL_TCP_FIN | SL_TCP_RST) ? SL_EVENT_END : SL_EVENT_DATA;
}

/* What a reply means to its flow's entry, and to the limits of its service. traffic: the backend's
 * id. */
SL_INLINE enum sl_reason sl_reverse_limit(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, const void *l3, uint8_t protocol,
					  const union sl_addr *client, sl_be16 port,
					  uint32_t traffic, uint16_t flags, uint8_t event, bool six)
{
	const struct sl_reverse *r = w->reverse;
	bool entry = flags & SL_SERVICE_ENTRY_FROM;
	bool ends = event == SL_EVENT_END || event == SL_EVENT_HALF_CLOSE;
	enum sl_bite bite = SL_BITE_NONE;
	uint32_t answer = SL_BITE_NONE;
	struct sl_limit_ask reply;

	if (!ends && !(flags & SL_SERVICE_LIMITED_FROM))
		return SL_REASON_to_client;
	reply = sl_route_about(t, p, l3, protocol, client, port, SL_FROM_BACKEND, six);
	reply.limits = r->limits;
	reply.n_limits = r->n_limits;
	reply.traffic = traffic;
	reply.picked = true;
	if (entry || ends)
		bite = sl_track_charge(t, sl_reply_key(t, r->service, client, port, six), event,
				       entry, &reply);
	if (bite == SL_BITE_DROP)
		return SL_REASON_limit_flow;
	if (flags & SL_SERVICE_LIMIT_FROM)
		answer = sl_limit_rest(t, &reply);
	if (sl_limit_bite(answer) == SL_BITE_DROP)
		return sl_limit_reason(answer);
	if (bite == SL_BITE_MARK || sl_limit_bite(answer) == SL_BITE_MARK)
		six ? sl_ecn_mark6(p, w->l3) : sl_ecn_mark(p, w->l3);
	return SL_REASON_to_client;
}

SL_INLINE enum sl_reason sl_route_reverse(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress, bool six,
					  enum sl_copy copy)
{
	const struct sl_reverse *r = w->reverse;
	const void *l3;
	const struct sl_udp *ports;
	const struct sl_route *route = sl_seam_route(t, w->at);
	uint16_t flags = sl_limits_here(copy, r->flags), mss = r->mss;
	uint32_t id = r->traffic, mtu;
	struct sl_traffic *traffic;
	enum sl_reason reason;
	union sl_addr hop;
	struct sl_nat n;
	uint8_t kind, protocol;

	/* Each is checked at once: clang may look twice at what is checked later. */
	if (!(l3 = sl_l3_again(p, w, six)) || !(ports = sl_packet_again(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	if (sl_unlikely(sl_l3_ttl(l3, six) <= 1))
		return SL_REASON_ttl_told;
	if (sl_unlikely(!route))
		return sl_seam_current(t) ? SL_REASON_no_route : SL_REASON_torn_table;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	sl_nat_of_reverse(&n, r);
	if (!n.port)
		n.port = ports->src;
	protocol = sl_l3_protocol(l3, r->endpoint, six);
	*egress = route->port;
	kind = route->kind;
	mtu = route->mtu;
	hop = route->gateway;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(kind != SL_ROUTE_VIA)) {
		if (kind != SL_ROUTE_LINK && kind != SL_ROUTE_ASK)
			return SL_REASON_no_route;
		if (!(hop.q[0] | hop.q[1]))
			hop = sl_l3_dst(l3, six);
		sl_seam_want(t, &hop);
		return SL_REASON_no_neighbour;
	}
	if (sl_unlikely(sl_l3_length(l3, six) > mtu)) {
		p->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
		return SL_REASON_too_big_told;
	}
	/* Before limits are asked: what both need wouldn't fit XDP's stack. */
	if (sl_unlikely(mss))
		sl_mss_reply(p, w->l3, w->l4, protocol, mss);
	if (sl_unlikely(flags & (SL_SERVICE_LOOKUP | SL_SERVICE_LIMITED_FROM))) {
		union sl_addr client = sl_l3_dst(l3, six);

		reason = sl_reverse_limit(t, p, w, l3, protocol, &client, ports->dst, id, flags,
					  sl_reply_event(p, w, protocol), six);
		if (reason != SL_REASON_to_client)
			return reason;
	}
	if (sl_unlikely(!sl_nat(p, w->l3, w->l4, protocol, &n, true, six)))
		return SL_REASON_bad_header;
	traffic = sl_seam_traffic(t, id);
	if (sl_likely(traffic)) {
		traffic->packets_out++;
		traffic->bytes_out += p->length;
	}
	return SL_REASON_to_client;
}

#endif
