/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A packet's journey, and the one header that an engine includes:
 *
 *     sl_classify()   parse.h → classify.h    whose is it, and which row?
 *     sl_route()      route.h → nat.h         which backend, and the rewritten bytes
 *
 * ICMP and fragments take another way, from classify on: rare.h.
 *
 * Both are pure but for the tables: no clock, no log, no system call, no allocation. The verdict is
 * a reason (abi/reason.h), and for SL_FORWARD the port to leave by. SL_REASON_torn_table with
 * nothing written means that the tables moved twice meanwhile: look at the root again and repeat.
 */
#ifndef SL_CORE_DECIDE_H
#define SL_CORE_DECIDE_H

#include "arp.h"
#include "nat.h"
#include "rare.h"
#include "route.h"

/* Classify had the flow's hash at hand if the service looked flows up then. */
SL_INLINE uint64_t ask_hash(const struct sl_tables *t, const struct sl_service *s,
			    const struct sl_work *w, sl_be32 src, sl_be16 sport)
{
	const struct sl_root *root = sl_seam_root(t);

	if (sl_likely(w->hash))
		return w->hash;
	return root ? sl_hash_flow(sl_flow_key4(s->id, src, sport), root->flow_key) : 0;
}

/* The row of the work at hand, and through it the backend; 0 for none. */
SL_INLINE uint32_t sl_route_pick(const struct sl_tables *t, const struct sl_work *w,
				 const struct sl_ip4 *ip, sl_be16 sport, enum sl_event event)
{
	const struct sl_service *s = w->service;
	const uint32_t *at = sl_seam_row(t, (uint64_t)s->rows * SL_ROWS_PER_RECORD + w->at);
	uint32_t row;

	if (sl_unlikely(!at))
		return 0;
	row = *(const volatile uint32_t *)at;
	if (sl_likely(sl_row_state(row) == SL_ROW_CLOSED && !(s->flags & SL_SERVICE_TRACK)))
		return sl_row_cur(row);
	return sl_track(t, &(struct sl_ask){ .key = sl_flow_key4(s->id, ip->src, sport),
					     .hash = ask_hash(t, s, w, ip->src, sport),
					     .now = sl_seam_now(t),
					     .row = row,
					     .backends = s->backends,
					     .n_backends = s->n_backends,
					     .event = (uint8_t)event,
					     .always = s->flags & SL_SERVICE_TRACK });
}

SL_INLINE enum sl_reason sl_route_service(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress)
{
	const struct sl_service *s = w->service;
	const struct sl_ip4 *ip = sl_packet_again(p, w->l3, sizeof(*ip));
	const struct sl_udp *ports = sl_packet_again(p, w->l4, sizeof(*ports));
	enum sl_event event = SL_EVENT_DATA;
	const struct sl_backend *b;
	struct sl_service_tally *tally;
	struct sl_traffic *traffic;
	uint32_t backend, id;
	uint16_t flags;
	struct sl_nat n;

	if (!ip || !ports)
		return SL_REASON_bad_header;
	if (sl_likely(ip->protocol == SL_PROTO_TCP)) {
		const struct sl_tcp *tcp = sl_packet_again(p, w->l4, sizeof(*tcp));

		event = tcp ? sl_event_of(tcp->flags) : event;
	}
	if (sl_unlikely(ip->ttl <= 1)) {
		tally = sl_seam_tally(t, s->id);
		if (tally)
			tally->ttl_exceeded++;
		return SL_REASON_ttl_exceeded;
	}
	backend = sl_route_pick(t, w, ip, ports->src, event);
	if (sl_unlikely(!backend || backend > s->n_backends)) {
		tally = sl_seam_tally(t, s->id);
		if (!sl_seam_current(t))
			return SL_REASON_torn_table;
		if (tally)
			tally->no_backend++;
		return backend ? SL_REASON_bad_index : SL_REASON_no_backend;
	}
	b = sl_seam_backend(t, (uint64_t)s->backends + backend - 1);
	if (sl_unlikely(!b))
		return SL_REASON_bad_index;
	__builtin_memcpy(n.mac, b->dst_mac, sizeof(n.mac));
	n.addr = b->addr.w[3];
	n.port = b->port;
	n.ip_delta = b->ip_delta;
	n.l4_delta = b->l4_delta;
	*egress = b->egress;
	flags = b->flags;
	id = b->traffic;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(!(flags & SL_BACKEND_RESOLVED))) {
		tally = sl_seam_tally(t, s->id);
		if (tally)
			tally->no_neighbour++;
		return SL_REASON_no_neighbour;
	}
	if (sl_unlikely(!sl_nat_to_backend(p, w->l3, w->l4, &n)))
		return SL_REASON_bad_header;
	traffic = sl_seam_traffic(t, id);
	if (sl_likely(traffic)) {
		traffic->packets_in++;
		traffic->bytes_in += p->length;
		if (sl_unlikely(event == SL_EVENT_BEGIN))
			traffic->connections++;
	}
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_route_reverse(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress)
{
	const struct sl_reverse *r = w->reverse;
	const struct sl_ip4 *ip = sl_packet_again(p, w->l3, sizeof(*ip));
	const struct sl_udp *ports = sl_packet_again(p, w->l4, sizeof(*ports));
	const struct sl_route *route = sl_seam_route(t, w->at);
	uint16_t service = r->service, flags = r->flags;
	uint32_t id = r->traffic;
	struct sl_traffic *traffic;
	union sl_addr hop;
	struct sl_nat n;
	uint8_t kind;

	if (!ip || !ports)
		return SL_REASON_bad_header;
	if (sl_unlikely(ip->ttl <= 1))
		return SL_REASON_ttl_exceeded;
	if (sl_unlikely(!route))
		return sl_seam_current(t) ? SL_REASON_no_route : SL_REASON_torn_table;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	n.addr = r->vip.w[3];
	n.port = r->port;
	n.ip_delta = r->ip_delta;
	n.l4_delta = r->l4_delta;
	*egress = route->port;
	kind = route->kind;
	hop = route->gateway;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(kind != SL_ROUTE_VIA)) {
		if (kind != SL_ROUTE_LINK && kind != SL_ROUTE_ASK)
			return SL_REASON_no_route;
		if (!(hop.q[0] | hop.q[1]))
			hop = sl_addr4(ip->dst);
		sl_seam_want(t, &hop);
		return SL_REASON_no_neighbour;
	}
	if (flags & SL_SERVICE_LOOKUP && ip->protocol == SL_PROTO_TCP) {
		const struct sl_tcp *tcp = sl_packet_again(p, w->l4, sizeof(*tcp));

		if (tcp && tcp->flags & (SL_TCP_FIN | SL_TCP_RST))
			sl_track_end(t, sl_flow_key4(service, ip->dst, ports->dst));
	}
	if (sl_unlikely(!sl_nat_to_client(p, w->l3, w->l4, &n)))
		return SL_REASON_bad_header;
	traffic = sl_seam_traffic(t, id);
	if (sl_likely(traffic)) {
		traffic->packets_out++;
		traffic->bytes_out += p->length;
	}
	return SL_REASON_to_client;
}

/* Of copies, so that gcc may keep the packet in registers everywhere else. */
SL_INLINE enum sl_reason sl_route_rare(const struct sl_tables *t, struct sl_packet *p,
				       uint16_t *egress)
{
	struct sl_packet copy = *p;
	uint16_t port = *egress;
	enum sl_reason reason = sl_rare(t, &copy, &port);

	*p = copy;
	*egress = port;
	return reason;
}

/* Rewrites the frame in place as the verdict says. */
SL_INLINE enum sl_reason sl_route(const struct sl_tables *t, struct sl_packet *p,
				  const struct sl_work *w, uint16_t *egress)
{
	switch (w->todo) {
	case SL_TODO_SERVICE:
		return sl_route_service(t, p, w, egress);
	case SL_TODO_REVERSE:
		return sl_route_reverse(t, p, w, egress);
	case SL_TODO_ARP:
		*egress = p->ingress;
		return sl_arp_answer(t, p, w->l3) ? SL_REASON_arp_reply : SL_REASON_bad_header;
	case SL_TODO_RARE:
		return sl_route_rare(t, p, egress);
	default:
		return sl_likely(sl_seam_current(t)) ? (enum sl_reason)w->reason
						     : SL_REASON_torn_table;
	}
}

#endif
