/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Second pass of the decision for a packet to a service: finds its backend by slot, flow entry or
 * QUIC server id, applies the limits, and rewrites the packet.
 *
 * Everything that is stored into the packet is copied from the tables first; then the bank's
 * sequence word is read once more. So all of it is of one generation.
 */
#ifndef SL_CORE_FORWARD_H
#define SL_CORE_FORWARD_H

#include "hairpin.h"
#include "mode.h"
#include "mss.h"
#include "nat.h"
#include "quic.h"
#include "snat.h"
#include "variant.h"
#include "window.h"

/* The flow query of a packet. classify computed the flow's hash if the service looked up flows at
 * that time. has_key: w->hash is the key instead. */
SL_INLINE struct sl_flow_query sl_flow_query_of(const struct sl_tables *t,
						const struct sl_service *s,
						const struct sl_lookup *w, uint64_t key,
						uint16_t flags, bool has_key)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_flow_query query = { .key = key,
				       .hash = has_key ? 0 : w->hash,
				       .backends = s->backends,
				       .n_backends = s->n_backends,
				       .track_all = flags & SL_SERVICE_TRACK,
				       .policed = flags & SL_SERVICE_ENTRY };

	if (sl_unlikely(!query.hash) && root)
		query.hash = sl_hash_flow(query.key, root->flow_key);
	return query;
}

/* The key of the flow that a packet to a service belongs to. */
SL_INLINE uint64_t sl_lookup_flow_key(const struct sl_lookup *w, const void *l3, sl_be16 port,
				      bool is_ipv6, enum sl_variant variant)
{
	return is_ipv6 || variant == SL_VARIANT_FULLNAT
		       ? w->hash
		       : sl_flow_key4(w->service->id, ((const struct sl_ip4 *)l3)->src, port);
}

/* Checks the limits on new connections, before a backend is picked and anything is stored. The
 * first packet of a UDP flow is one without a live entry; in mode fullnat (`all`) so is that of a
 * TCP flow, besides every SYN. */
SL_INLINE uint32_t sl_route_limit_new(const struct sl_tables *t, uint64_t key, uint8_t protocol,
				      bool begin, bool all, struct sl_policer_query *packet)
{
	packet->begin = begin;
	if (protocol == SL_PROTO_UDP || (all && !begin))
		packet->begin = !sl_track_value(t, key, packet->now);
	return packet->begin ? sl_limit_check(t, packet) : SL_POLICER_PASS;
}

/* The backend that the QUIC packet's server id names; 0: none, as in all other services. */
SL_INLINE uint32_t sl_route_quic_backend(const struct sl_tables *t, const struct sl_packet *p,
					 const struct sl_lookup *w, const void *l3, bool is_ipv6)
{
	const struct sl_service *s = w->service;
	uint64_t quic = (s->flags & SL_SERVICE_QUIC) / SL_SERVICE_QUIC;

	sl_opaque(quic);
	return sl_quic(t, p,
		       w->l4 | (uint64_t)(w->l3 + sl_l3_length(l3, is_ipv6)) << 8 |
			       quic * sl_server_ids_bytes(s->server_ids) << 32,
		       s->server_ids);
}

/* Returns the slot. If a server id names a backend, returns one that leads there and has its flows
 * entered, and sets *forced. There is no branch, or the verifier would walk all that follows
 * twice. */
SL_INLINE uint32_t sl_slot_forced(uint32_t slot, uint32_t named, uint32_t *forced)
{
	uint32_t is = (named | -named) >> 31;

	sl_opaque(is);
	*forced = is;
	return (slot & (is - 1)) | (sl_slot(named, 0, SL_SLOT_OPEN) & -is);
}

/* Whether a packet of this length can be sent to the backend; `backend` counts from 1. Without a
 * branch for each condition, since the verifier would walk all that follows again. */
SL_INLINE uint32_t sl_route_goes(const struct sl_tables *t, const struct sl_service *s,
				 uint32_t backend, uint32_t length)
{
	const struct sl_backend *b = sl_seam_backend(t, (uint64_t)s->backends + backend - 1);
	uint32_t fits;

	if (!b)
		return 0;
	fits = (length - b->mtu - 1) >> 31 & (b->flags & SL_BACKEND_RESOLVED) / SL_BACKEND_RESOLVED;
	sl_opaque(fits);
	return fits;
}

/* The backend that the packet's slot leads to; 0: none. named: the backend of the packet's server
 * id, or 0. *verdict: that of the limit in the flow's entry, if the service has one. */
SL_INLINE uint32_t sl_route_pick(const struct sl_tables *t, const struct sl_lookup *w,
				 const void *l3, sl_be16 sport, uint16_t flags, uint8_t event,
				 const struct sl_policer_query *packet, uint32_t named,
				 enum sl_policer_verdict *verdict, bool is_ipv6,
				 enum sl_variant variant)
{
	const struct sl_service *s = w->service;
	const uint32_t *at = sl_seam_slot(t, (uint64_t)s->slots * SL_SLOTS_PER_BLOCK + w->at);
	const struct sl_limit *limit;
	struct sl_flow_at entry = { .bucket = NULL };
	uint32_t slot, backend, forced = 0;
	struct sl_flow_query query;

	if (sl_unlikely(!at))
		return 0;
	slot = *(const volatile uint32_t *)at;
	if (variant == SL_VARIANT_EXTENDED)
		slot = sl_slot_forced(slot, named, &forced);
	if (sl_likely(sl_slot_state(slot) == SL_SLOT_CLOSED && !(flags & SL_SERVICE_TRACK)))
		return sl_slot_cur(slot);
	query = sl_flow_query_of(t, s, w, sl_lookup_flow_key(w, l3, sport, is_ipv6, variant), flags,
				 is_ipv6 || variant == SL_VARIANT_FULLNAT);
	query.slot = slot;
	query.event = event;
	query.forced = forced;
	if (sl_likely(!(flags & SL_SERVICE_ENTRY))) {
		query.now = sl_seam_now(t);
		return sl_track(t, s, &query, &entry);
	}
	query.now = packet->now;
	entry = (struct sl_flow_at){ .bucket = NULL };
	backend = sl_track(t, s, &query, &entry);
	if (!backend || !(flags & SL_SERVICE_ENTRY_TO) ||
	    !sl_route_goes(t, s, backend, sl_l3_length(l3, is_ipv6)))
		return backend; /* what goes nowhere isn't charged */
	limit = entry.bucket ? sl_seam_limit(t, packet->limits) : NULL;
	*verdict = limit ? sl_track_charge_at(t, limit, packet, query.key,
					      sl_flow_state(entry.value), &entry)
			 : sl_track_charge(t, query.key, SL_EVENT_DATA, true, packet);
	return backend;
}

/* Checks the limits that need the backend. verdict: that of the limit in the flow's entry. */
SL_INLINE enum sl_reason sl_route_limit(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_lookup *w, bool others,
					struct sl_policer_query *packet,
					enum sl_policer_verdict verdict, bool is_ipv6)
{
	uint32_t answer = SL_POLICER_PASS;

	if (verdict == SL_POLICER_DROP)
		return SL_REASON_limit_flow;
	packet->picked = true;
	if (others)
		answer = sl_limit_check(t, packet);
	if (sl_limit_verdict(answer) == SL_POLICER_DROP)
		return sl_limit_reason(answer);
	if (verdict == SL_POLICER_MARK || sl_limit_verdict(answer) == SL_POLICER_MARK)
		is_ipv6 ? sl_ecn_mark6(p, w->l3) : sl_ecn_mark(p, w->l3);
	return SL_REASON_to_backend;
}

/* Exceptions: unresolved next hop, larger than the MTU, a SYN whose MSS is clamped, a hairpin, a
 * mode other than NAT. index: the backend's record, which may have changed since the caller read
 * it. near: the client is a neighbour of the backend (hairpin.h).
 * SL_REASON_to_backend: go on; in a mode other than NAT the packet has been rewritten. */
SL_INLINE enum sl_reason sl_route_exceptions(const struct sl_tables *t, struct sl_packet *p,
					     const struct sl_lookup *w, const void *l3,
					     uint64_t index, uint8_t mode, bool begin, bool near,
					     bool is_ipv6)
{
	const struct sl_service *s = w->service;
	const struct sl_backend *b = sl_seam_backend(t, index);
	struct sl_service_counters *counters = sl_seam_service_counters(t, s->id);
	uint16_t flags, mtu, mss;

	if (!b || !counters)
		return sl_seam_current(t) ? SL_REASON_bad_index : SL_REASON_torn_table;
	flags = b->flags;
	mtu = b->mtu;
	mss = b->mss;
	near = near && sl_hairpin_turns(t, p, b, l3, is_ipv6);
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	if (!(flags & SL_BACKEND_RESOLVED)) {
		if (flags & SL_BACKEND_NO_ROUTE)
			return SL_REASON_backend_no_route;
		counters->no_neighbour++;
		return SL_REASON_no_neighbour;
	}
	if (near) {
		counters->hairpin++;
		return SL_REASON_hairpin;
	}
	if (sl_l3_length(l3, is_ipv6) > mtu) {
		p->mtu = mtu;
		return SL_REASON_too_big_answered;
	}
	if (begin && mss)
		sl_mss_clamp(*p, w->l3, w->l4, mss);
	if (mode == SL_MODE_NAT || mode == SL_MODE_FULLNAT)
		return SL_REASON_to_backend;
	return (enum sl_reason)sl_mode(t, p, index, w->l3, w->l4, mode);
}

/* Mode fullnat: whether a packet without a flow begins one. A TCP flow begins with a SYN and
 * nothing else, so that no port and no entry can be had for less. There are no older connections to
 * save: their backends would see them come from another port. */
SL_INLINE bool sl_fullnat_begins(uint8_t protocol, uint8_t tcp_flags)
{
	return protocol != SL_PROTO_TCP ||
	       (tcp_flags & (SL_TCP_SYN | SL_TCP_ACK | SL_TCP_FIN | SL_TCP_RST)) == SL_TCP_SYN;
}

SL_INLINE enum sl_reason sl_fullnat_refuses(const struct sl_tables *t, const struct sl_service *s)
{
	uint16_t flags = s->flags;

	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	return flags & SL_SERVICE_REJECTS ? SL_REASON_no_flow_answered : SL_REASON_no_flow;
}

#define SL_FRAGMENT_FIND 0xff /* the offset of the fragment header has to be found */

/* The arguments of sl_window() for a segment. */
SL_INLINE uint64_t sl_segment_numbers(const struct sl_tcp *tcp)
{
	return sl_ntohl(tcp->seq) | (uint64_t)sl_ntohl(tcp->ack) << 32;
}

SL_INLINE uint32_t sl_segment_what(const struct sl_lookup *w, const void *l3,
				   const struct sl_tcp *tcp, bool is_ipv6)
{
	uint32_t header = (uint32_t)(w->l4 - w->l3) + (tcp->offset >> 4) * 4u;
	uint32_t length = sl_l3_length(l3, is_ipv6);

	return tcp->flags | (length > header ? length - header : 0) << 16;
}

/* What a segment means for its flow. from: SL_WINDOW_BACK if the backend sent it. */
SL_INLINE uint8_t sl_route_window(const struct sl_tables *t, const struct sl_packet *p,
				  const struct sl_lookup *w, const void *l3, uint32_t place,
				  uint32_t from, bool is_ipv6)
{
	const struct sl_tcp *tcp = sl_packet_at_parsed(p, w->l4, sizeof(*tcp));

	return tcp ? (uint8_t)sl_window(t, place, sl_segment_numbers(tcp),
					sl_segment_what(w, l3, tcp, is_ipv6) | from)
		   : SL_EVENT_STRAY;
}

/* The same for a packet to a service, before it is tracked. */
SL_INLINE uint8_t sl_route_event(const struct sl_tables *t, const struct sl_packet *p,
				 const struct sl_lookup *w, const void *l3, uint64_t mapping,
				 uint8_t tcp_flags, bool is_ipv6)
{
	if (mapping & SL_SNAT_FOUND)
		return sl_route_window(t, p, w, l3, sl_snat_place(t, w->service->pool, mapping), 0,
				       is_ipv6);
	if (mapping == SL_SNAT_ENDING)
		return SL_EVENT_STRAY; /* until its mapping is found */
	return (uint8_t)sl_event_of(tcp_flags);
}

/* Mode fullnat: replaces the identification of a first fragment (fragment_id.h), before its
 * addresses become src and dst. */
SL_INLINE void sl_route_fragment(const struct sl_tables *t, struct sl_packet *p,
				 const struct sl_lookup *w, sl_be32 src, sl_be32 dst, bool is_ipv6)
{
	const struct sl_ip4 *ip;

	if (is_ipv6) {
		if (sl_unlikely(w->l4 != w->l3 + sizeof(struct sl_ip6)))
			sl_fragment_rename(t, p, w->l3 | SL_FRAGMENT_FIND << 8, 0);
		return;
	}
	ip = sl_packet_at_parsed(p, w->l3, sizeof(*ip));
	if (ip && sl_unlikely(ip->fragment & sl_htons(SL_IP4_FRAGMENT)))
		sl_fragment_rename(t, p, w->l3, (uint64_t)(uint32_t)src << 32 | (uint32_t)dst);
}

/* Makes the deltas those of the address that the client called: control computed them for the first
 * address of the VIP's prefix. */
SL_INLINE void sl_nat_called(struct sl_nat *n, const struct sl_service *s,
			     const union sl_addr *called)
{
	uint16_t delta;

	if (sl_likely(!(s->flags & SL_SERVICE_VIP_KEYS)))
		return;
	delta = sl_called_delta(called, &s->vip);
	n->ip_delta = sl_csum_fold((uint32_t)n->ip_delta + delta);
	n->l4_delta = sl_csum_fold((uint32_t)n->l4_delta + delta);
}

/* Replaces the packet's source by the SNAT address and port of its flow. backend: its new
 * destination. */
SL_INLINE bool sl_route_snat(const struct sl_tables *t, struct sl_packet *p,
			     const struct sl_lookup *w, uint8_t protocol, uint64_t mapping,
			     const union sl_addr *backend, bool is_ipv6)
{
	const struct sl_snat_address *a =
		sl_snat_address(t, w->service->pool, sl_snat_address_index(mapping));

	if (!a)
		return false;
	sl_route_fragment(t, p, w, a->addr.w[3], backend->w[3], is_ipv6);
	return sl_nat_endpoint(p, w->l3, w->l4, protocol, &a->addr, sl_htons(sl_snat_port(mapping)),
			       true, is_ipv6);
}

SL_INLINE enum sl_reason sl_route_service(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress, bool is_ipv6,
					  enum sl_variant variant)
{
	const struct sl_service *s = w->service;
	const void *l3;
	const struct sl_udp *ports;
	enum sl_policer_verdict verdict = SL_POLICER_PASS;
	struct sl_policer_query policer = { .n_limits = 0 };
	const struct sl_backend *b;
	struct sl_service_counters *counters;
	struct sl_backend_counters *backend_counters;
	uint32_t backend, id, length = p->length, named = 0;
	uint64_t key = 0, mapping = 0; /* for mode fullnat */
	uint8_t mode, protocol, tcp_flags = 0, event;
	uint16_t wants;
	bool nat, near, exceptional, begin;
	struct sl_nat n;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!(l3 = sl_l3_header(p, w, is_ipv6)) ||
	    !(ports = sl_packet_at_parsed(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	protocol = sl_l3_protocol(l3, s->endpoint, is_ipv6);
	if (sl_likely(protocol == SL_PROTO_TCP)) {
		const struct sl_tcp *tcp = sl_packet_at_parsed(p, w->l4, sizeof(*tcp));

		tcp_flags = tcp ? tcp->flags : 0;
	}
	begin = sl_is_syn(tcp_flags);
	if (sl_unlikely(sl_l3_ttl(l3, is_ipv6) <= 1) && s->mode != SL_MODE_DIRECT) {
		counters = sl_seam_service_counters(t, s->id);
		if (counters)
			counters->ttl_exceeded++;
		return SL_REASON_ttl_answered;
	}
	if (variant == SL_VARIANT_EXTENDED)
		named = sl_route_quic_backend(t, p, w, l3, is_ipv6);
	if (variant == SL_VARIANT_FULLNAT) {
		key = sl_lookup_flow_key(w, l3, ports->src, is_ipv6, variant);
		mapping = sl_snat_find(t, key, sl_seam_now(t), s->pool);
		if (sl_unlikely(begin) && mapping & SL_SNAT_FOUND)
			mapping = SL_SNAT_SEARCH_ALL; /* sl_segment() sees to it */
		if (mapping == SL_SNAT_SEARCH_ALL && protocol == SL_PROTO_TCP &&
		    tcp_flags & (SL_TCP_FIN | SL_TCP_RST))
			mapping = SL_SNAT_ENDING;
		if (sl_unlikely(mapping == SL_SNAT_UNKNOWN) &&
		    !sl_fullnat_begins(protocol, tcp_flags))
			return sl_fullnat_refuses(t, s);
	}
	event = (uint8_t)sl_event_of(tcp_flags);
	if (variant == SL_VARIANT_FULLNAT && sl_likely(protocol == SL_PROTO_TCP))
		event = sl_route_event(t, p, w, l3, mapping, tcp_flags, is_ipv6);
	wants = sl_variant_flags(variant, s->flags);
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO)) {
		union sl_addr client = sl_l3_src(l3, is_ipv6);

		policer = sl_policer_query_of(t, p, l3, protocol, &client, ports->src,
					      SL_TO_BACKEND, is_ipv6);
		policer.limits = s->limits;
		policer.n_limits = s->n_limits;
		if (wants & SL_SERVICE_LIMIT_NEW) {
			uint32_t answer;

			key = sl_lookup_flow_key(w, l3, ports->src, is_ipv6, variant);
			answer = sl_route_limit_new(t, key, protocol, begin,
						    variant == SL_VARIANT_FULLNAT, &policer);

			if (sl_limit_verdict(answer) == SL_POLICER_DROP)
				return sl_limit_reason(answer);
		}
	}
	backend = sl_route_pick(t, w, l3, ports->src, wants, event, &policer, named, &verdict,
				is_ipv6, variant);
	if (sl_unlikely(!backend || backend > s->n_backends)) {
		counters = sl_seam_service_counters(t, s->id);
		if (!sl_seam_current(t))
			return SL_REASON_torn_table;
		if (counters)
			counters->no_backend++;
		if (backend)
			return SL_REASON_bad_index;
		return s->flags & SL_SERVICE_REJECTS ? SL_REASON_no_backend_answered
						     : SL_REASON_no_backend;
	}
	b = sl_seam_backend(t, (uint64_t)s->backends + backend - 1);
	if (sl_unlikely(!b))
		return SL_REASON_bad_index;
	id = b->counter_id;
	near = variant != SL_VARIANT_FULLNAT && s->mode == SL_MODE_NAT &&
	       (begin || protocol != SL_PROTO_TCP) && sl_hairpin_near(b, l3, is_ipv6);
	/* Before the record is copied: both together don't fit XDP's stack. A packet that can't be
	 * sent isn't charged. */
	if (sl_unlikely(wants & SL_SERVICE_LIMITED_TO) && b->flags & SL_BACKEND_RESOLVED &&
	    sl_l3_length(l3, is_ipv6) <= b->mtu &&
	    !(near && sl_hairpin_turns(t, p, b, l3, is_ipv6))) {
		bool others = wants & SL_SERVICE_LIMIT_TO || policer.begin;
		enum sl_reason reason;

		policer.counter_id = id;
		reason = sl_route_limit(t, p, w, others, &policer, verdict, is_ipv6);
		if (reason != SL_REASON_to_backend)
			return sl_seam_current(t) ? reason : SL_REASON_torn_table;
	}
	if (variant == SL_VARIANT_FULLNAT && sl_unlikely(!(mapping & SL_SNAT_FOUND))) {
		p->mtu = (uint16_t)mapping;
		return sl_seam_current(t) ? SL_RETRY_SLOW_PATH : SL_REASON_torn_table;
	}
	sl_nat_of_backend(&n, b);
	if (!n.port)
		n.port = ports->dst;
	*egress = b->egress;
	mode = variant == SL_VARIANT_FULLNAT ? SL_MODE_FULLNAT : s->mode;
	nat = variant == SL_VARIANT_FULLNAT || mode == SL_MODE_NAT;
	exceptional = !nat || near || !(b->flags & SL_BACKEND_RESOLVED) ||
		      sl_l3_length(l3, is_ipv6) > b->mtu || (begin && b->mss);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(exceptional)) {
		enum sl_reason reason =
			sl_route_exceptions(t, p, w, l3, (uint64_t)s->backends + backend - 1, mode,
					    begin, near, is_ipv6);

		if (reason != SL_REASON_to_backend)
			return reason;
	}
	if (variant == SL_VARIANT_FULLNAT) {
		union sl_addr called = sl_l3_dst(l3, is_ipv6);

		sl_nat_called(&n, s, &called);
		if (!sl_route_snat(t, p, w, protocol, mapping, &n.addr, is_ipv6))
			return SL_REASON_bad_header;
	}
	if (sl_likely(nat) && sl_unlikely(!sl_nat(p, w->l3, w->l4, protocol, &n, false, is_ipv6)))
		return SL_REASON_bad_header;
	backend_counters = sl_seam_backend_counters(t, id);
	if (sl_likely(backend_counters)) {
		backend_counters->packets_in++;
		backend_counters->bytes_in += length;
		if (sl_unlikely(begin))
			backend_counters->connections++;
	}
	return SL_REASON_to_backend;
}

#endif
