/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A packet's journey; an engine includes it by rare.h, which has what is rare besides:
 *
 *     sl_classify()   parse.h → classify.h    whose is it, and which row?
 *     sl_route()      route.h → nat.h …       which backend, and the rewritten bytes
 *     sl_decide_end() answer.h                what the sender is told, if it can't go on
 *
 * sl_route_steady() is sl_route() for what nearly all packets are, with nothing else in the way.
 *
 * ICMP and fragments take another way, from classify on: rare.h.
 *
 * Both are pure but for the tables: no clock, no log, no system call, no allocation. The verdict is
 * a reason (abi/reason.h), and for SL_FORWARD the port to leave by. SL_REASON_torn_table
 * means that the tables moved twice meanwhile: look at the root again and repeat. Nothing is
 * written then but what may be written twice (an ECN mark, a smaller MSS), and a limit may have
 * been charged.
 *
 * Both families are decided by the same lines, in which `six` is a constant wherever they are used.
 */
#ifndef SL_CORE_DECIDE_H
#define SL_CORE_DECIDE_H

#include "answer.h"
#include "arp.h"
#include "ecn.h"
#include "mode.h"
#include "mss.h"
#include "nat.h"
#include "nd.h"
#include "quic.h"

#define SL_SERVICE_ENTRY	(SL_SERVICE_ENTRY_TO | SL_SERVICE_ENTRY_FROM)
#define SL_SERVICE_LIMITED_TO	(SL_SERVICE_ENTRY | SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW)
#define SL_SERVICE_APART	(SL_SERVICE_LIMITED_TO | SL_SERVICE_QUIC)
#define SL_SERVICE_LIMITED_FROM (SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_FROM)
/* What the steady copy knows nothing of. */
#define SL_SERVICE_ODD_TO   (SL_SERVICE_APART | SL_SERVICE_RANGE)
#define SL_SERVICE_ODD_FROM (SL_SERVICE_LIMITED_FROM | SL_SERVICE_RANGE)

/* The code below exists in copies, so that the steady path pays nothing for what is rare and one
 * test for all that limits need. Which copy it is is a constant wherever it is used. */
enum sl_copy {
	SL_COPY_STEADY,	 /* what is rare ends with SL_ELSEWHERE */
	SL_COPY_WHOLE,	 /* all but limits, and ids of QUIC's connections */
	SL_COPY_LIMITED, /* all */
};

/* No reason, but: decide it by another copy. Nothing has changed but what may change so twice. */
#define SL_ELSEWHERE SL_REASON_COUNT

SL_INLINE uint16_t sl_limits_here(enum sl_copy copy, uint16_t flags)
{
	return copy == SL_COPY_LIMITED
		       ? flags
		       : flags & (uint16_t) ~(SL_SERVICE_LIMITED_TO | SL_SERVICE_LIMITED_FROM);
}

/* Whether what classify found is limited, or may be followed by an id. */
SL_INLINE bool sl_work_limited(const struct sl_work *w)
{
	bool to = w->todo == SL_TODO_SERVICE || w->todo == SL_TODO_SERVICE6;
	bool from = w->todo == SL_TODO_REVERSE || w->todo == SL_TODO_REVERSE6;

	return (to && w->service->flags & SL_SERVICE_APART) ||
	       (from && w->reverse->flags & SL_SERVICE_LIMITED_FROM);
}

/* The network header, whichever it is; parse.h has found it whole. */
SL_INLINE const void *sl_l3_again(const struct sl_packet *p, const struct sl_work *w, bool six)
{
	return sl_packet_again(p, w->l3, six ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
}

SL_INLINE uint8_t sl_l3_ttl(const void *l3, bool six)
{
	return six ? ((const struct sl_ip6 *)l3)->hops : ((const struct sl_ip4 *)l3)->ttl;
}

/* Of the whole packet. */
SL_INLINE uint32_t sl_l3_length(const void *l3, bool six)
{
	return six ? sl_ntohs(((const struct sl_ip6 *)l3)->length) + sizeof(struct sl_ip6)
		   : sl_ntohs(((const struct sl_ip4 *)l3)->length);
}

/* Extension headers may stand between: of IPv6 the record that it was found by knows. */
SL_INLINE uint8_t sl_l3_protocol(const void *l3, uint32_t endpoint, bool six)
{
	return six ? (uint8_t)(endpoint >> 16) : ((const struct sl_ip4 *)l3)->protocol;
}

SL_INLINE union sl_addr sl_l3_src(const void *l3, bool six)
{
	return six ? sl_addr_load(((const struct sl_ip6 *)l3)->src)
		   : sl_addr4(((const struct sl_ip4 *)l3)->src);
}

SL_INLINE union sl_addr sl_l3_dst(const void *l3, bool six)
{
	return six ? sl_addr_load(((const struct sl_ip6 *)l3)->dst)
		   : sl_addr4(((const struct sl_ip4 *)l3)->dst);
}

/* What limits have to know of a packet between this client and the service's backends. */
SL_INLINE struct sl_limit_ask sl_route_about(const struct sl_tables *t, const struct sl_packet *p,
					     const void *l3, uint8_t protocol,
					     const union sl_addr *client, sl_be16 port,
					     enum sl_limit_direction direction, bool six)
{
	return (struct sl_limit_ask){ .client = *client,
				      .now = sl_seam_clock(t),
				      .bytes = (uint16_t)(p->length < 65535 ? p->length : 65535),
				      .port = port,
				      .direction = (uint8_t)direction,
				      .may_mark =
					      protocol == SL_PROTO_TCP &&
					      (six ? sl_ecn_capable6(l3) : sl_ecn_capable(l3)) };
}

/* What tracking has to know. Classify had the flow's hash at hand if the service looked flows up
 * then. */
SL_INLINE struct sl_ask sl_route_track(const struct sl_tables *t, const struct sl_service *s,
				       const struct sl_work *w, uint64_t key, uint16_t flags,
				       bool six)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_ask ask = { .key = key,
			      .hash = six ? 0 : w->hash,
			      .backends = s->backends,
			      .n_backends = s->n_backends,
			      .always = flags & SL_SERVICE_TRACK,
			      .timed = flags & SL_SERVICE_ENTRY };

	if (sl_unlikely(!ask.hash) && root)
		ask.hash = sl_hash_flow(ask.key, root->flow_key);
	return ask;
}

/* The key of the flow that a packet to a service is of. */
SL_INLINE uint64_t sl_work_key(const struct sl_work *w, const void *l3, sl_be16 port, bool six)
{
	return six ? w->hash : sl_flow_key4(w->service->id, ((const struct sl_ip4 *)l3)->src, port);
}

/* Limits on new connections, before a backend is picked and anything is remembered. The first
 * packet of a UDP flow is one that no live entry knows. */
SL_INLINE uint32_t sl_route_new(const struct sl_tables *t, uint64_t key, uint8_t protocol,
				bool begin, struct sl_limit_ask *packet)
{
	packet->begin = begin;
	if (protocol == SL_PROTO_UDP)
		packet->begin = !sl_track_knows(t, key, packet->now);
	return packet->begin ? sl_limit_rest(t, packet) : SL_BITE_NONE;
}

/* The backend that a packet's id names; 0: none, as in all services that aren't of QUIC. */
SL_INLINE uint32_t sl_route_named(const struct sl_tables *t, const struct sl_packet *p,
				  const struct sl_work *w, const void *l3, bool six)
{
	const struct sl_service *s = w->service;
	uint64_t quic = (s->flags & SL_SERVICE_QUIC) / SL_SERVICE_QUIC;

	sl_opaque(quic);
	return sl_quic(t, p,
		       w->l4 | (uint64_t)(w->l3 + sl_l3_length(l3, six)) << 8 |
			       quic * sl_servers_bytes(s->servers) << 32,
		       s->servers);
}

/* The row; where an id names a backend (*firm), one that leads there and has its flows entered.
 * Without a branch: the verifier would walk all that follows twice. */
SL_INLINE uint32_t sl_row_of_named(uint32_t row, uint32_t named, uint32_t *firm)
{
	uint32_t is = (named | -named) >> 31;

	sl_opaque(is);
	*firm = is;
	return (row & (is - 1)) | (sl_row(named, 0, SL_ROW_OPEN) & -is);
}

/* The row of the work at hand, and through it the backend; 0 for none, in the steady copy also for
 * one that isn't known. named: by the packet's id, or 0. *bite: what the limit in the flow's entry
 * says, where the service has one. */
SL_INLINE uint32_t sl_route_pick(const struct sl_tables *t, const struct sl_work *w, const void *l3,
				 sl_be16 sport, uint16_t flags, uint8_t tcp_flags,
				 const struct sl_limit_ask *packet, uint32_t named,
				 enum sl_bite *bite, bool six, enum sl_copy copy)
{
	const struct sl_service *s = w->service;
	const uint32_t *at = sl_seam_row(t, (uint64_t)s->rows * SL_ROWS_PER_RECORD + w->at);
	const struct sl_limit *limit;
	struct sl_flow_at entry;
	uint32_t row, backend, firm = 0;
	struct sl_ask ask;

	if (sl_unlikely(!at))
		return 0;
	row = *(const volatile uint32_t *)at;
	if (copy == SL_COPY_LIMITED)
		row = sl_row_of_named(row, named, &firm);
	if (sl_likely(sl_row_state(row) == SL_ROW_CLOSED && !(flags & SL_SERVICE_TRACK)))
		return sl_row_cur(row);
	ask = sl_route_track(t, s, w, sl_work_key(w, l3, sport, six), flags, six);
	ask.row = row;
	ask.event = (uint8_t)sl_event_of(tcp_flags);
	ask.firm = firm;
	if (sl_likely(!(flags & SL_SERVICE_ENTRY))) {
		ask.now = sl_seam_now(t);
		return copy == SL_COPY_STEADY ? sl_track_known(t, &ask, &entry)
					      : sl_track(t, &ask, &entry);
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
					struct sl_limit_ask *packet, enum sl_bite bite, bool six)
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
		six ? sl_ecn_mark6(p, w->l3) : sl_ecn_mark(p, w->l3);
	return SL_REASON_to_backend;
}

/* What hardly any packet is: to a backend whose MAC isn't known, larger than what fits the way
 * there, a SYN that is to say less, or of a service that isn't NAT. index: of the backend's record,
 * which may have moved since the caller looked. SL_REASON_to_backend: it goes on, and is on its way
 * already if the mode isn't NAT. */
SL_INLINE enum sl_reason sl_route_odd(const struct sl_tables *t, struct sl_packet *p,
				      const struct sl_work *w, const void *l3, uint64_t index,
				      uint8_t mode, bool begin, bool six)
{
	const struct sl_service *s = w->service;
	const struct sl_backend *b = sl_seam_backend(t, index);
	struct sl_service_tally *tally = sl_seam_tally(t, s->id);
	uint16_t flags, mtu, mss;

	if (!b || !tally)
		return sl_seam_current(t) ? SL_REASON_bad_index : SL_REASON_torn_table;
	flags = b->flags;
	mtu = b->mtu;
	mss = b->mss;
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	if (!(flags & SL_BACKEND_RESOLVED)) {
		tally->no_neighbour++;
		return SL_REASON_no_neighbour;
	}
	if (sl_l3_length(l3, six) > mtu) {
		p->mtu = mtu;
		return SL_REASON_too_big_told;
	}
	if (begin && mss)
		sl_mss_clamp(*p, w->l3, w->l4, mss);
	if (mode == SL_MODE_NAT)
		return SL_REASON_to_backend;
	return (enum sl_reason)sl_mode(t, p, index, w->l3, w->l4, mode);
}

SL_INLINE enum sl_reason sl_route_service(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress, bool six,
					  enum sl_copy copy)
{
	const struct sl_service *s = w->service;
	const void *l3;
	const struct sl_udp *ports;
	enum sl_bite bite = SL_BITE_NONE;
	struct sl_limit_ask packet = { .n_limits = 0 };
	const struct sl_backend *b;
	struct sl_service_tally *tally;
	struct sl_traffic *traffic;
	uint32_t backend, id, length = p->length, named = 0;
	uint8_t mode, protocol, tcp_flags = 0;
	uint16_t wants;
	bool odd, begin;
	struct sl_nat n;

	/* Each is checked at once: clang may look twice at what is checked later. */
	if (!(l3 = sl_l3_again(p, w, six)) || !(ports = sl_packet_again(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	protocol = sl_l3_protocol(l3, s->endpoint, six);
	if (sl_likely(protocol == SL_PROTO_TCP)) {
		const struct sl_tcp *tcp = sl_packet_again(p, w->l4, sizeof(*tcp));

		tcp_flags = tcp ? tcp->flags : 0;
	}
	begin = sl_begins(tcp_flags);
	if (sl_unlikely(sl_l3_ttl(l3, six) <= 1) && s->mode != SL_MODE_DIRECT) {
		if (copy == SL_COPY_STEADY)
			return SL_ELSEWHERE;
		tally = sl_seam_tally(t, s->id);
		if (tally)
			tally->ttl_exceeded++;
		return SL_REASON_ttl_told;
	}
	if (copy == SL_COPY_LIMITED)
		named = sl_route_named(t, p, w, l3, six);
	wants = sl_limits_here(copy, s->flags);
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO)) {
		union sl_addr client = sl_l3_src(l3, six);

		packet =
			sl_route_about(t, p, l3, protocol, &client, ports->src, SL_TO_BACKEND, six);
		packet.limits = s->limits;
		packet.n_limits = s->n_limits;
		if (wants & SL_SERVICE_LIMIT_NEW) {
			uint64_t key = sl_work_key(w, l3, ports->src, six);
			uint32_t answer = sl_route_new(t, key, protocol, begin, &packet);

			if (sl_limit_bite(answer) == SL_BITE_DROP)
				return sl_limit_reason(answer);
		}
	}
	backend = sl_route_pick(t, w, l3, ports->src, wants, tcp_flags, &packet, named, &bite, six,
				copy);
	if (copy == SL_COPY_STEADY && sl_unlikely(!backend))
		return SL_ELSEWHERE;
	if (sl_unlikely(!backend || backend > s->n_backends)) {
		tally = sl_seam_tally(t, s->id);
		if (!sl_seam_current(t))
			return SL_REASON_torn_table;
		if (tally)
			tally->no_backend++;
		if (backend)
			return SL_REASON_bad_index;
		return s->flags & SL_SERVICE_REFUSES ? SL_REASON_no_backend_told
						     : SL_REASON_no_backend;
	}
	b = sl_seam_backend(t, (uint64_t)s->backends + backend - 1);
	if (sl_unlikely(!b))
		return SL_REASON_bad_index;
	id = b->traffic;
	/* Before the record is copied: what both need wouldn't fit XDP's stack. */
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO) && b->flags & SL_BACKEND_RESOLVED &&
	    sl_l3_length(l3, six) <= b->mtu) { /* what goes nowhere isn't charged */
		bool others = wants & SL_SERVICE_LIMIT_TO || packet.begin;
		enum sl_reason reason;

		packet.traffic = id;
		reason = sl_route_limit(t, p, w, others, &packet, bite, six);
		if (reason != SL_REASON_to_backend)
			return sl_seam_current(t) ? reason : SL_REASON_torn_table;
	}
	__builtin_memcpy(n.mac, b->dst_mac, sizeof(n.mac));
	n.addr = b->addr.w[3];
	if (six)
		n.addr6 = b->addr;
	n.port = copy == SL_COPY_STEADY || b->port ? b->port : ports->dst;
	n.ip_delta = b->ip_delta;
	n.l4_delta = b->l4_delta;
	*egress = b->egress;
	mode = copy == SL_COPY_STEADY ? SL_MODE_NAT : s->mode;
	odd = mode != SL_MODE_NAT || !(b->flags & SL_BACKEND_RESOLVED) ||
	      sl_l3_length(l3, six) > b->mtu || (begin && b->mss);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(odd)) {
		if (copy == SL_COPY_STEADY)
			return SL_ELSEWHERE;

		enum sl_reason reason = sl_route_odd(
			t, p, w, l3, (uint64_t)s->backends + backend - 1, mode, begin, six);

		if (reason != SL_REASON_to_backend)
			return reason;
	}
	if (sl_likely(mode == SL_MODE_NAT) &&
	    sl_unlikely(!(six ? sl_nat6(p, w->l3, w->l4, protocol, &n, false)
			      : sl_nat_to_backend(p, w->l3, w->l4, &n))))
		return SL_REASON_bad_header;
	traffic = sl_seam_traffic(t, id);
	if (sl_likely(traffic)) {
		traffic->packets_in++;
		traffic->bytes_in += length;
		if (sl_unlikely(begin))
			traffic->connections++;
	}
	return SL_REASON_to_backend;
}

/* The key of the flow that a reply belongs to. */
SL_INLINE uint64_t sl_reply_key(const struct sl_tables *t, uint16_t service,
				const union sl_addr *client, sl_be16 port, bool six)
{
	const struct sl_root *root = sl_seam_root(t);

	if (!six)
		return sl_flow_key4(service, client->w[3], port);
	return root ? sl_flow_key(service, sl_hash_source6(client, port, root->row_key)) : 0;
}

/* What a reply means to its flow's entry, and to the limits of its service. */
SL_INLINE enum sl_reason sl_reverse_limit(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, const void *l3, uint8_t protocol,
					  const struct sl_udp *ports, uint16_t flags, bool six)
{
	union sl_addr client = sl_l3_dst(l3, six);
	const struct sl_reverse *r = w->reverse;
	bool entry = flags & SL_SERVICE_ENTRY_FROM, ends = false;
	enum sl_bite bite = SL_BITE_NONE;
	uint32_t answer = SL_BITE_NONE;
	struct sl_limit_ask reply;

	if (protocol == SL_PROTO_TCP) {
		const struct sl_tcp *tcp = sl_packet_again(p, w->l4, sizeof(*tcp));

		ends = tcp && tcp->flags & (SL_TCP_FIN | SL_TCP_RST);
	}
	if (!ends && !(flags & SL_SERVICE_LIMITED_FROM))
		return SL_REASON_to_client;
	reply = sl_route_about(t, p, l3, protocol, &client, ports->dst, SL_FROM_BACKEND, six);
	reply.limits = r->limits;
	reply.n_limits = r->n_limits;
	reply.traffic = r->traffic;
	reply.picked = true;
	if (entry || ends)
		bite = sl_track_charge(t, sl_reply_key(t, r->service, &client, ports->dst, six),
				       ends, entry, &reply);
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

/* Whether a reply matters to its flow's entry, or may be a SYN that is to say less. */
SL_INLINE bool sl_reverse_odd(const struct sl_packet *p, const struct sl_work *w, uint8_t protocol,
			      uint16_t flags, uint16_t mss)
{
	const struct sl_tcp *tcp = sl_packet_again(p, w->l4, sizeof(*tcp));

	if (protocol != SL_PROTO_TCP || !tcp)
		return false;
	return (flags & SL_SERVICE_LOOKUP && tcp->flags & (SL_TCP_FIN | SL_TCP_RST)) ||
	       (mss && tcp->flags & SL_TCP_SYN);
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
		return copy == SL_COPY_STEADY ? SL_ELSEWHERE : SL_REASON_ttl_told;
	if (sl_unlikely(!route))
		return sl_seam_current(t) ? SL_REASON_no_route : SL_REASON_torn_table;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	n.addr = r->vip.w[3];
	if (six)
		n.addr6 = r->vip;
	protocol = sl_l3_protocol(l3, r->endpoint, six);
	n.port = copy == SL_COPY_STEADY || r->port ? r->port : ports->src;
	n.ip_delta = r->ip_delta;
	n.l4_delta = r->l4_delta;
	*egress = route->port;
	kind = route->kind;
	mtu = route->mtu;
	if (copy != SL_COPY_STEADY)
		hop = route->gateway;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (copy == SL_COPY_STEADY &&
	    sl_unlikely(kind != SL_ROUTE_VIA || sl_l3_length(l3, six) > mtu ||
			sl_reverse_odd(p, w, protocol, flags, mss)))
		return SL_ELSEWHERE;
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
	if (copy != SL_COPY_STEADY && sl_unlikely(mss))
		sl_mss_reply(p, w->l3, w->l4, protocol, mss);
	if (copy != SL_COPY_STEADY &&
	    sl_unlikely(flags & (SL_SERVICE_LOOKUP | SL_SERVICE_LIMITED_FROM))) {
		reason = sl_reverse_limit(t, p, w, l3, protocol, ports, flags, six);
		if (reason != SL_REASON_to_client)
			return reason;
	}
	if (sl_unlikely(!(six ? sl_nat6(p, w->l3, w->l4, protocol, &n, true)
			      : sl_nat_to_client(p, w->l3, w->l4, &n))))
		return SL_REASON_bad_header;
	traffic = sl_seam_traffic(t, id);
	if (sl_likely(traffic)) {
		traffic->packets_out++;
		traffic->bytes_out += p->length;
	}
	return SL_REASON_to_client;
}

/* Of a service or a backend that is limited, or of QUIC. */
SL_INLINE enum sl_reason sl_limited_with(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress, bool six)
{
	return w->todo == (six ? SL_TODO_SERVICE6 : SL_TODO_SERVICE)
		       ? sl_route_service(t, p, w, egress, six, SL_COPY_LIMITED)
		       : sl_route_reverse(t, p, w, egress, six, SL_COPY_LIMITED);
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
		return sl_limited(t, p, w, egress);
	switch (w->todo) {
	case SL_TODO_SERVICE:
		return sl_route_service(t, p, w, egress, false, SL_COPY_WHOLE);
	case SL_TODO_REVERSE:
		return sl_route_reverse(t, p, w, egress, false, SL_COPY_WHOLE);
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

/* The same, where the packet is of IPv4, NAT, one port, without a limit and not of QUIC; else
 * SL_ELSEWHERE. */
SL_INLINE enum sl_reason sl_route_steady(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress)
{
	if (sl_likely(w->todo == SL_TODO_SERVICE)) {
		if (sl_unlikely(w->service->flags & SL_SERVICE_ODD_TO ||
				w->service->mode != SL_MODE_NAT))
			return SL_ELSEWHERE;
		return sl_route_service(t, p, w, egress, false, SL_COPY_STEADY);
	}
	if (w->todo != SL_TODO_REVERSE || w->reverse->flags & SL_SERVICE_ODD_FROM)
		return SL_ELSEWHERE;
	return sl_route_reverse(t, p, w, egress, false, SL_COPY_STEADY);
}

/* All of it after classify, as a worker has it. */
SL_INLINE enum sl_reason sl_route_both(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_work *w, uint16_t *egress)
{
	enum sl_reason reason = sl_route_steady(t, p, w, egress);

	if (reason != SL_ELSEWHERE)
		return reason;
	return sl_decide_end(t, p, sl_route(t, p, w, egress), egress);
}

#endif
