/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Second pass of the decision for a packet from a backend: finds its next hop by the routes,
 * applies the limits, and puts the VIP in place of the backend. The flow is looked up only if the
 * packet ends it or a limit is kept in its entry.
 */
#ifndef SL_CORE_REPLY_H
#define SL_CORE_REPLY_H

#include "mss.h"
#include "nat.h"
#include "variant.h"

/* The key of the flow that a reply belongs to. */
SL_INLINE uint64_t sl_reply_key(const struct sl_tables *t, uint16_t service,
				const union sl_addr *client, sl_be16 port, bool is_ipv6)
{
	const struct sl_root *root = sl_seam_root(t);

	if (!is_ipv6)
		return sl_flow_key4(service, client->w[3], port);
	return root ? sl_flow_key(service, sl_hash_source6(client, port, root->slot_key)) : 0;
}

/* What a reply means for its flow, in all modes but fullnat: any FIN or RST ends it. */
SL_INLINE uint8_t sl_reply_event(const struct sl_packet *p, const struct sl_lookup *w,
				 uint8_t protocol)
{
	const struct sl_tcp *tcp;

	if (protocol != SL_PROTO_TCP)
		return SL_EVENT_DATA;
	tcp = sl_packet_at_parsed(p, w->l4, sizeof(*tcp));
	return tcp && tcp->flags & (SL_TCP_FIN | SL_TCP_RST) ? SL_EVENT_END : SL_EVENT_DATA;
}

/* Updates the flow's entry for a reply, if the event ends the flow or one side of it, and applies
 * the limits of its service. key: the flow's; 0: it follows from client and port. */
SL_INLINE enum sl_reason sl_reply_limit(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_lookup *w, const void *l3, uint8_t protocol,
					const union sl_addr *client, sl_be16 port,
					uint32_t counter_id, uint16_t flags, uint8_t event,
					uint64_t key, bool is_ipv6)
{
	const struct sl_reply_entry *r = w->reply;
	bool entry = flags & SL_SERVICE_ENTRY_FROM;
	bool ends = event == SL_EVENT_END || event == SL_EVENT_HALF_CLOSE;
	enum sl_policer_verdict verdict = SL_POLICER_PASS;
	uint32_t answer = SL_POLICER_PASS;
	struct sl_policer_query query;

	if (!ends && !(flags & SL_SERVICE_LIMITED_FROM))
		return SL_REASON_to_client;
	query = sl_policer_query_of(t, p, l3, protocol, client, port, SL_FROM_BACKEND, is_ipv6);
	query.limits = r->limits;
	query.n_limits = r->n_limits;
	query.counter_id = counter_id;
	query.picked = true;
	if (entry || ends)
		verdict = sl_track_charge(
			t, key ? key : sl_reply_key(t, r->service, client, port, is_ipv6), event,
			entry, &query);
	if (verdict == SL_POLICER_DROP)
		return SL_REASON_limit_flow;
	if (flags & SL_SERVICE_LIMIT_FROM)
		answer = sl_limit_check(t, &query);
	if (sl_limit_verdict(answer) == SL_POLICER_DROP)
		return sl_limit_reason(answer);
	if (verdict == SL_POLICER_MARK || sl_limit_verdict(answer) == SL_POLICER_MARK)
		is_ipv6 ? sl_ecn_mark6(p, w->l3) : sl_ecn_mark(p, w->l3);
	return SL_REASON_to_client;
}

SL_INLINE enum sl_reason sl_route_reply(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_lookup *w, uint16_t *egress, bool is_ipv6,
					enum sl_variant variant)
{
	const struct sl_reply_entry *r = w->reply;
	const void *l3;
	const struct sl_udp *ports;
	const struct sl_route *route = sl_seam_route(t, w->at);
	uint16_t flags = sl_variant_flags(variant, r->flags), mss = r->mss;
	uint32_t id = r->counter_id, mtu;
	struct sl_backend_counters *backend_counters;
	enum sl_reason reason;
	struct sl_nat n;
	uint8_t kind, protocol;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!(l3 = sl_l3_header(p, w, is_ipv6)) ||
	    !(ports = sl_packet_at_parsed(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	if (sl_unlikely(sl_l3_ttl(l3, is_ipv6) <= 1))
		return SL_REASON_ttl_answered;
	if (sl_unlikely(!route))
		return sl_seam_current(t) ? SL_REASON_no_route : SL_REASON_torn_table;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	sl_nat_of_reply(&n, r);
	if (!n.port)
		n.port = ports->src;
	protocol = sl_l3_protocol(l3, r->endpoint, is_ipv6);
	*egress = route->port;
	kind = route->kind;
	mtu = route->mtu;
	if (sl_unlikely(kind != SL_ROUTE_VIA)) {
		union sl_addr client = sl_l3_dst(l3, is_ipv6);

		reason = sl_route_resolve(t, route, &client, n.mac);
		if (reason != SL_REASON_to_client)
			return reason;
	}
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(sl_l3_length(l3, is_ipv6) > mtu)) {
		p->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
		return SL_REASON_too_big_answered;
	}
	/* Before the limits: both together don't fit XDP's stack. */
	if (sl_unlikely(mss))
		sl_mss_reply(p, w->l3, w->l4, protocol, mss);
	if (sl_unlikely(flags & (SL_SERVICE_LOOKUP | SL_SERVICE_LIMITED_FROM))) {
		union sl_addr client = sl_l3_dst(l3, is_ipv6);

		reason = sl_reply_limit(t, p, w, l3, protocol, &client, ports->dst, id, flags,
					sl_reply_event(p, w, protocol), 0, is_ipv6);
		if (reason != SL_REASON_to_client)
			return reason;
	}
	if (sl_unlikely(!sl_nat(p, w->l3, w->l4, protocol, &n, true, is_ipv6)))
		return SL_REASON_bad_header;
	backend_counters = sl_seam_backend_counters(t, id);
	if (sl_likely(backend_counters)) {
		backend_counters->packets_out++;
		backend_counters->bytes_out += p->length;
	}
	return SL_REASON_to_client;
}

#endif
