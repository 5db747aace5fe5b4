/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Second half of the decision for a packet to a service: its backend, by row, entry or id, the
 * limits that concern it, and the rewritten bytes.
 *
 * The records are copied, then the bank's sequence word is read once more: what is written to the
 * packet comes from one generation.
 */
#ifndef SL_CORE_FORWARD_H
#define SL_CORE_FORWARD_H

#include "bind.h"
#include "copy.h"
#include "mode.h"
#include "mss.h"
#include "nat.h"
#include "quic.h"

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
		packet->begin = !sl_track_value(t, key, packet->now);
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

/* Whether a packet of that length can go to the backend, which counts from 1. */
SL_INLINE bool sl_route_goes(const struct sl_tables *t, const struct sl_service *s,
			     uint32_t backend, uint32_t length)
{
	const struct sl_backend *b = sl_seam_backend(t, (uint64_t)s->backends + backend - 1);

	return b && b->flags & SL_BACKEND_RESOLVED && length <= b->mtu;
}

/* The row of the work at hand, and through it the backend; 0 for none. named: by the packet's id,
 * or 0. *bite: what the limit in the flow's entry says, where the service has one. */
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
		return sl_track(t, &ask, &entry);
	}
	ask.now = packet->now;
	backend = sl_track(t, &ask, &entry);
	if (!backend || !(flags & SL_SERVICE_ENTRY_TO) ||
	    !sl_route_goes(t, s, backend, sl_l3_length(l3, six)))
		return backend; /* what goes nowhere isn't charged */
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
	if (mode == SL_MODE_NAT || mode == SL_MODE_FULLNAT)
		return SL_REASON_to_backend;
	return (enum sl_reason)sl_mode(t, p, index, w->l3, w->l4, mode);
}

/* The packet comes from the address and port that its flow is bound to. */
SL_INLINE bool sl_route_from(const struct sl_tables *t, struct sl_packet *p,
			     const struct sl_work *w, uint8_t protocol, uint64_t bound, bool six)
{
	const struct sl_pool_address *a =
		sl_pool_address(t, w->service->pool, sl_bound_index(bound));

	return a && sl_nat_end(p, w->l3, w->l4, protocol, &a->addr, sl_htons(sl_bound_port(bound)),
			       true, six);
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
	uint64_t key = 0, bound = 0; /* of full NAT */
	uint8_t mode, protocol, tcp_flags = 0;
	uint16_t wants;
	bool nat, odd, begin;
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
		tally = sl_seam_tally(t, s->id);
		if (tally)
			tally->ttl_exceeded++;
		return SL_REASON_ttl_told;
	}
	if (copy == SL_COPY_LIMITED)
		named = sl_route_named(t, p, w, l3, six);
	if (copy == SL_COPY_FULLNAT) {
		key = sl_work_key(w, l3, ports->src, six);
		bound = sl_bound(t, key, sl_seam_now(t), s->pool);
	}
	wants = sl_limits_here(copy, s->flags);
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO)) {
		union sl_addr client = sl_l3_src(l3, six);

		packet =
			sl_route_about(t, p, l3, protocol, &client, ports->src, SL_TO_BACKEND, six);
		packet.limits = s->limits;
		packet.n_limits = s->n_limits;
		if (wants & SL_SERVICE_LIMIT_NEW) {
			uint32_t answer;

			key = sl_work_key(w, l3, ports->src, six);
			answer = sl_route_new(t, key, protocol, begin, &packet);

			if (sl_limit_bite(answer) == SL_BITE_DROP)
				return sl_limit_reason(answer);
		}
	}
	backend = sl_route_pick(t, w, l3, ports->src, wants, tcp_flags, &packet, named, &bite, six,
				copy);
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
	if (copy == SL_COPY_FULLNAT && sl_unlikely(!(bound & SL_BOUND))) {
		p->mtu = (uint16_t)bound;
		return sl_seam_current(t) ? SL_ELSEWHERE : SL_REASON_torn_table;
	}
	sl_nat_of_backend(&n, b);
	if (!n.port)
		n.port = ports->dst;
	*egress = b->egress;
	mode = copy == SL_COPY_FULLNAT ? SL_MODE_FULLNAT : s->mode;
	nat = copy == SL_COPY_FULLNAT || mode == SL_MODE_NAT;
	odd = !nat || !(b->flags & SL_BACKEND_RESOLVED) || sl_l3_length(l3, six) > b->mtu ||
	      (begin && b->mss);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(odd)) {
		enum sl_reason reason = sl_route_odd(
			t, p, w, l3, (uint64_t)s->backends + backend - 1, mode, begin, six);

		if (reason != SL_REASON_to_backend)
			return reason;
	}
	if (copy == SL_COPY_FULLNAT && !sl_route_from(t, p, w, protocol, bound, six))
		return SL_REASON_bad_header;
	if (sl_likely(nat) && sl_unlikely(!sl_nat(p, w->l3, w->l4, protocol, &n, false, six)))
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

#endif
