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
#include "ecn.h"
#include "nat.h"
#include "rare.h"
#include "route.h"

#define SL_SERVICE_ENTRY	(SL_SERVICE_ENTRY_TO | SL_SERVICE_ENTRY_FROM)
#define SL_SERVICE_LIMITED_TO	(SL_SERVICE_ENTRY | SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW)
#define SL_SERVICE_LIMITED_FROM (SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_FROM)

/* What is limited is decided by a copy of its own of the code below (`limited`, a constant): so the
 * steady path pays one test for all that limits need. */
SL_INLINE uint16_t sl_limits_here(bool limited, uint16_t flags)
{
	return limited ? flags
		       : flags & (uint16_t) ~(SL_SERVICE_LIMITED_TO | SL_SERVICE_LIMITED_FROM);
}

/* Whether what classify found is limited. */
SL_INLINE bool sl_work_limited(const struct sl_work *w)
{
	return (w->todo == SL_TODO_SERVICE && w->service->flags & SL_SERVICE_LIMITED_TO) ||
	       (w->todo == SL_TODO_REVERSE && w->reverse->flags & SL_SERVICE_LIMITED_FROM);
}

/* What limits have to know of a packet between this client and the service's backends. */
SL_INLINE struct sl_limit_ask sl_route_about(const struct sl_tables *t, const struct sl_packet *p,
					     const struct sl_ip4 *ip, sl_be32 client, sl_be16 port,
					     enum sl_limit_direction direction)
{
	return (struct sl_limit_ask){ .client = sl_addr4(client),
				      .now = sl_seam_clock(t),
				      .bytes = (uint16_t)(p->length < 65535 ? p->length : 65535),
				      .port = port,
				      .direction = (uint8_t)direction,
				      .may_mark = sl_ecn_capable(ip) };
}

/* What tracking has to know. Classify had the flow's hash at hand if the service looked flows up
 * then. */
SL_INLINE struct sl_ask sl_route_track(const struct sl_tables *t, const struct sl_service *s,
				       const struct sl_work *w, sl_be32 src, sl_be16 sport,
				       uint16_t flags)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_ask ask = { .key = sl_flow_key4(s->id, src, sport),
			      .hash = w->hash,
			      .backends = s->backends,
			      .n_backends = s->n_backends,
			      .always = flags & SL_SERVICE_TRACK,
			      .timed = flags & SL_SERVICE_ENTRY };

	if (sl_unlikely(!ask.hash) && root)
		ask.hash = sl_hash_flow(ask.key, root->flow_key);
	return ask;
}

/* Limits on new connections, before a backend is picked and anything is remembered. The first
 * packet of a UDP flow is one that no live entry knows. */
SL_INLINE uint32_t sl_route_new(const struct sl_tables *t, const struct sl_work *w,
				const struct sl_ip4 *ip, enum sl_event event,
				struct sl_limit_ask *packet)
{
	packet->begin = event == SL_EVENT_BEGIN;
	if (ip->protocol == SL_PROTO_UDP)
		packet->begin = !sl_track_knows(
			t, sl_flow_key4(w->service->id, ip->src, packet->port), packet->now);
	return packet->begin ? sl_limit_rest(t, packet) : SL_BITE_NONE;
}

/* The row of the work at hand, and through it the backend; 0 for none. *bite: what the limit in the
 * flow's entry says, where the service has one. */
SL_INLINE uint32_t sl_route_pick(const struct sl_tables *t, const struct sl_work *w,
				 const struct sl_ip4 *ip, sl_be16 sport, uint16_t flags,
				 enum sl_event event, const struct sl_limit_ask *packet,
				 enum sl_bite *bite)
{
	const struct sl_service *s = w->service;
	const uint32_t *at = sl_seam_row(t, (uint64_t)s->rows * SL_ROWS_PER_RECORD + w->at);
	const struct sl_limit *limit;
	struct sl_flow_at entry;
	uint32_t row, backend;
	struct sl_ask ask;

	if (sl_unlikely(!at))
		return 0;
	row = *(const volatile uint32_t *)at;
	if (sl_likely(sl_row_state(row) == SL_ROW_CLOSED && !(flags & SL_SERVICE_TRACK)))
		return sl_row_cur(row);
	ask = sl_route_track(t, s, w, ip->src, sport, flags);
	ask.row = row;
	ask.event = (uint8_t)event;
	if (sl_likely(!(flags & SL_SERVICE_ENTRY))) {
		ask.now = sl_seam_now(t);
		return sl_track(t, &ask, &entry);
	}
	ask.now = packet->now;
	backend = sl_track(t, &ask, &entry);
	if (!backend || !(flags & SL_SERVICE_ENTRY_TO))
		return backend;
	limit = entry.bucket ? sl_seam_limit(t, packet->limits) : NULL;
	*bite = limit ? sl_track_charge_at(t, limit, packet, ask.key, sl_flow_state(entry.value),
					   &entry)
		      : sl_track_charge(t, ask.key, false, true, packet);
	return backend;
}

/* The limits that are asked once the backend is known; *bite: what the one in the flow's entry
 * said. */
SL_INLINE enum sl_reason sl_route_limit(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_work *w, bool others,
					struct sl_limit_ask *packet, enum sl_bite bite)
{
	uint32_t answer = SL_BITE_NONE;

	if (bite == SL_BITE_DROP)
		return SL_REASON_limit_flow;
	packet->picked = true;
	if (others)
		answer = sl_limit_rest(t, packet);
	if (sl_limit_bite(answer) == SL_BITE_DROP)
		return sl_limit_reason(answer);
	if (bite == SL_BITE_MARK || sl_limit_bite(answer) == SL_BITE_MARK)
		sl_ecn_mark(p, w->l3);
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_route_service(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress, bool limited)
{
	const struct sl_service *s = w->service;
	const struct sl_ip4 *ip = sl_packet_again(p, w->l3, sizeof(*ip));
	const struct sl_udp *ports = sl_packet_again(p, w->l4, sizeof(*ports));
	enum sl_event event = SL_EVENT_DATA;
	enum sl_bite bite = SL_BITE_NONE;
	struct sl_limit_ask packet = { .n_limits = 0 };
	const struct sl_backend *b;
	struct sl_service_tally *tally;
	struct sl_traffic *traffic;
	uint32_t backend, id;
	uint16_t flags, wants;
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
	wants = sl_limits_here(limited, s->flags);
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO)) {
		packet = sl_route_about(t, p, ip, ip->src, ports->src, SL_TO_BACKEND);
		packet.limits = s->limits;
		packet.n_limits = s->n_limits;
		if (wants & SL_SERVICE_LIMIT_NEW) {
			uint32_t answer = sl_route_new(t, w, ip, event, &packet);

			if (sl_limit_bite(answer) == SL_BITE_DROP)
				return sl_limit_reason(answer);
		}
	}
	backend = sl_route_pick(t, w, ip, ports->src, wants, event, &packet, &bite);
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
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO)) {
		bool others = wants & SL_SERVICE_LIMIT_TO || packet.begin;
		enum sl_reason reason;

		packet.traffic = id;
		reason = sl_route_limit(t, p, w, others, &packet, bite);
		if (reason != SL_REASON_to_backend)
			return reason;
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

/* What a reply means to its flow's entry, and to the limits of its service. */
SL_INLINE enum sl_reason sl_reverse_limit(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, const struct sl_ip4 *ip,
					  const struct sl_udp *ports, uint16_t flags)
{
	const struct sl_reverse *r = w->reverse;
	bool entry = flags & SL_SERVICE_ENTRY_FROM, ends = false;
	enum sl_bite bite = SL_BITE_NONE;
	uint32_t answer = SL_BITE_NONE;
	struct sl_limit_ask reply;

	if (ip->protocol == SL_PROTO_TCP) {
		const struct sl_tcp *tcp = sl_packet_again(p, w->l4, sizeof(*tcp));

		ends = tcp && tcp->flags & (SL_TCP_FIN | SL_TCP_RST);
	}
	if (!ends && !(flags & SL_SERVICE_LIMITED_FROM))
		return SL_REASON_to_client;
	reply = sl_route_about(t, p, ip, ip->dst, ports->dst, SL_FROM_BACKEND);
	reply.limits = r->limits;
	reply.n_limits = r->n_limits;
	reply.traffic = r->traffic;
	reply.picked = true;
	if (entry || ends)
		bite = sl_track_charge(t, sl_flow_key4(r->service, ip->dst, ports->dst), ends,
				       entry, &reply);
	if (bite == SL_BITE_DROP)
		return SL_REASON_limit_flow;
	if (flags & SL_SERVICE_LIMIT_FROM)
		answer = sl_limit_rest(t, &reply);
	if (sl_limit_bite(answer) == SL_BITE_DROP)
		return sl_limit_reason(answer);
	if (bite == SL_BITE_MARK || sl_limit_bite(answer) == SL_BITE_MARK)
		sl_ecn_mark(p, w->l3);
	return SL_REASON_to_client;
}

SL_INLINE enum sl_reason sl_route_reverse(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress, bool limited)
{
	const struct sl_reverse *r = w->reverse;
	const struct sl_ip4 *ip = sl_packet_again(p, w->l3, sizeof(*ip));
	const struct sl_udp *ports = sl_packet_again(p, w->l4, sizeof(*ports));
	const struct sl_route *route = sl_seam_route(t, w->at);
	uint16_t flags = sl_limits_here(limited, r->flags);
	uint32_t id = r->traffic;
	struct sl_traffic *traffic;
	enum sl_reason reason;
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
	if (sl_unlikely(flags & (SL_SERVICE_LOOKUP | SL_SERVICE_LIMITED_FROM))) {
		reason = sl_reverse_limit(t, p, w, ip, ports, flags);
		if (reason != SL_REASON_to_client)
			return reason;
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
SL_INLINE enum sl_reason sl_route_apart(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_work *w, uint16_t *egress)
{
	struct sl_packet copy = *p;
	uint16_t port = *egress;
	enum sl_reason reason =
		w->todo == SL_TODO_RARE ? sl_rare(t, &copy, &port) : sl_limited(t, &copy, w, &port);

	*p = copy;
	*egress = port;
	return reason;
}

/* Of a service or a backend that is limited. */
SL_INLINE enum sl_reason sl_limited_with(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress)
{
	return w->todo == SL_TODO_SERVICE ? sl_route_service(t, p, w, egress, true)
					  : sl_route_reverse(t, p, w, egress, true);
}

/* Rewrites the frame in place as the verdict says. */
SL_INLINE enum sl_reason sl_route(const struct sl_tables *t, struct sl_packet *p,
				  const struct sl_work *w, uint16_t *egress)
{
	if (sl_unlikely(sl_work_limited(w)))
		return sl_route_apart(t, p, w, egress);
	switch (w->todo) {
	case SL_TODO_SERVICE:
		return sl_route_service(t, p, w, egress, false);
	case SL_TODO_REVERSE:
		return sl_route_reverse(t, p, w, egress, false);
	case SL_TODO_ARP:
		*egress = p->ingress;
		return sl_arp_answer(t, p, w->l3) ? SL_REASON_arp_reply : SL_REASON_bad_header;
	case SL_TODO_RARE:
		return sl_route_apart(t, p, w, egress);
	default:
		return sl_likely(sl_seam_current(t)) ? (enum sl_reason)w->reason
						     : SL_REASON_torn_table;
	}
}

#endif
