/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Second pass of the decision: flow tracking, which decides the backend of a flow.
 *
 * Just enough tracking. Each slot has cur, prev and a state that only a publish changes:
 *
 *   closed  Nearly all slots, nearly always: the packet goes to cur, without look-up or state.
 *   open    The slot changed less than the idle timeout ago. The flow is looked up:
 *             found      it goes where its entry says
 *             new (SYN)  it goes to cur and is tracked; if the table has no room, to prev
 *             else       the flow is older than the change: it goes to prev if that still
 *                        serves, else to cur, and is tracked there
 *   mixed   The timeout has passed, but entries may disagree with cur. The flow is looked up;
 *           if it isn't found, it goes to cur and isn't tracked.
 *
 * So an established flow that sent a packet within the idle timeout keeps its backend whatever
 * changes, and a table that doesn't change costs nothing. When an open slot changes again prev
 * stays, the oldest backend: every flow that began since the first change was tracked at its SYN.
 *
 * A SYN follows a live entry, so a stray one can't take a flow away. There are two exceptions: the
 * entry is closing (the client reuses the port, this is a new connection), or it is only a SYN
 * itself and its backend takes no new flows.
 *
 * In a service that tracks all flows (SL_SERVICE_TRACK), flows are looked up in closed slots too,
 * and are entered if they aren't found. Its scheduler may pick the backend of new flows by other
 * means than their hash (pick.h): that backend then takes the place of cur.
 *
 * The connection id of a QUIC packet (quic.h) overrides slot and entry. The entry is then made or
 * corrected to say the same, for later packets of the flow that have no such id.
 */
#ifndef SL_CORE_ROUTE_H
#define SL_CORE_ROUTE_H

#include "classify.h"
#include "limit.h"
#include "nat.h"
#include "neighbour.h"
#include "pick.h"

/* The part of a packet that matters to tracking. */
enum sl_event {
	SL_EVENT_DATA,	     /* of an existing flow, as far as one packet shows; all of UDP */
	SL_EVENT_BEGIN,	     /* SYN without ACK */
	SL_EVENT_END,	     /* FIN or RST; in mode fullnat an RST, or the FIN of the second side */
	SL_EVENT_HALF_CLOSE, /* mode fullnat: the FIN of the first side */
	SL_EVENT_STRAY, /* mode fullnat: a FIN or RST that isn't the connection's own (window.h) */
};

SL_INLINE bool sl_is_syn(uint8_t tcp_flags)
{
	return (tcp_flags & (SL_TCP_SYN | SL_TCP_ACK)) == SL_TCP_SYN;
}

/* tcp_flags: 0 if it isn't TCP. */
SL_INLINE enum sl_event sl_event_of(uint8_t tcp_flags)
{
	if (sl_is_syn(tcp_flags))
		return SL_EVENT_BEGIN;
	return tcp_flags & (SL_TCP_FIN | SL_TCP_RST) ? SL_EVENT_END : SL_EVENT_DATA;
}

/* What tracking has to know about a packet. Only numbers, because an engine may have to pass them
 * to a function of its own (seam.h). */
struct sl_flow_query {
	uint64_t key;
	uint64_t hash;	   /* of the key */
	uint64_t now;	   /* ticks: the same time for all that a packet does */
	uint32_t slot;	   /* its value in the table */
	uint32_t backends; /* first record of the service's extent */
	uint32_t n_backends;
	uint8_t event;	/* enum sl_event */
	bool track_all; /* the service tracks every flow */
	bool full;	/* there is no room for an entry */
	bool policed;	/* entries hold token buckets: their time never goes back */
	bool forced;	/* to cur, whatever an entry says; the entry is corrected */
};

#define SL_TRACK_NO_ROOM UINT32_MAX /* not a backend number */

SL_INLINE uint16_t sl_backend_flags(const struct sl_tables *t, const struct sl_flow_query *query,
				    uint32_t backend)
{
	const struct sl_backend *b;

	if (backend - 1 >= query->n_backends)
		return 0;
	b = sl_seam_backend(t, (uint64_t)query->backends + backend - 1);
	return b ? b->flags : 0;
}

/* Whether the flow may go where this entry says. */
SL_INLINE bool sl_track_may_follow(const struct sl_flow_query *query, uint64_t value)
{
	return !query->forced || sl_flow_backend(value) == sl_slot_cur(query->slot);
}

/* The time of an entry that is rewritten without a charge. */
SL_INLINE uint64_t sl_track_time(const struct sl_flow_query *query, uint64_t value)
{
	return query->policed ? query->now + sl_gcra_ahead_ticks(sl_flow_time(value), query->now,
								 SL_TIME_AHEAD)
			      : query->now;
}

/* Whether data count as coming long after a FIN or RST. Where the time is that of a token bucket it
 * doesn't show that. So data count for 4 ms of each second: a flow that goes on hits that soon, and
 * the last ACK of a flow that ends hardly does. */
SL_INLINE bool sl_track_late(const struct sl_flow_query *query)
{
	return query->policed && !(query->now >> 20 & 255);
}

/* Follows an entry that was found, and updates it. Returns the backend; 0: the entry must not be
 * followed. */
SL_INLINE uint32_t sl_track_hit(const struct sl_tables *t, const struct sl_flow_query *query,
				const struct sl_flow_timeouts *timeouts, struct sl_flow_at *at)
{
	uint64_t now = query->now;
	uint32_t backend = sl_flow_backend(at->value);
	enum sl_flow_state old = sl_flow_state(at->value), state = old;
	uint16_t flags = sl_backend_flags(t, query, backend);

	if (!(flags & SL_BACKEND_SERVES))
		return 0;
	if (query->event == SL_EVENT_STRAY)
		return backend;
	if (query->event == SL_EVENT_BEGIN) {
		if (old == SL_FLOW_CLOSING ||
		    (old == SL_FLOW_OPENING && !(flags & SL_BACKEND_TAKES_NEW)))
			return 0;
	} else if (query->event == SL_EVENT_END) {
		state = SL_FLOW_CLOSING;
	} else if (query->event == SL_EVENT_HALF_CLOSE) {
		if (old != SL_FLOW_CLOSING)
			state = SL_FLOW_HALF_CLOSED;
	} else if (old != SL_FLOW_HALF_CLOSED &&
		   (old == SL_FLOW_OPENING || sl_track_late(query) ||
		    sl_flow_age(at->value, now) > timeouts->lifetime[old] / 16)) {
		/* Data long after a FIN or RST: the connection is half closed, or a new one whose
		 * beginning no look-up saw, or the RST was forged. */
		state = SL_FLOW_ESTABLISHED;
	}
	/* The time is coarse: a store for each packet would move the cache line between cores. */
	if (state != old || sl_flow_age(at->value, now) > timeouts->lifetime[state] / 16)
		sl_flow_update(at, query->key,
			       sl_flow_value(backend, state, sl_track_time(query, at->value)));
	return backend;
}

/* Finds the flow's entry in this bucket. */
SL_INLINE struct sl_flow_at sl_track_find_in(struct sl_bucket *b, uint64_t key)
{
	uint32_t ways = b ? sl_bucket_match(b, key) : 0;
	struct sl_flow_at at = { .bucket = NULL };

	if (sl_unlikely(!ways))
		return at;
	at.way = sl_way_first(ways) & (SL_FLOW_WAYS - 1);
	at.value = sl_entry_load(&b->value[at.way]);
	if (sl_likely(sl_entry_load(&b->key[at.way]) == key))
		at.bucket = b;
	return at;
}

SL_INLINE struct sl_flow_at sl_track_find(const struct sl_tables *t,
					  const struct sl_flow_query *query, bool second)
{
	return sl_track_find_in(sl_flow_bucket(t, query->hash, second), query->key);
}

/* Whether the entry needs no update by a data packet of its flow: it is established and its time is
 * recent. The flow then goes where the entry says, if that backend serves. */
SL_INLINE bool sl_track_needs_no_update(uint64_t value, const struct sl_flow_timeouts *timeouts,
					uint64_t now)
{
	return sl_flow_state(value) == SL_FLOW_ESTABLISHED &&
	       sl_flow_within(value, now, timeouts->lifetime[SL_FLOW_ESTABLISHED] / 16);
}

/* The backend of a flow with a live entry that may be followed: the common case, and small. Counts
 * from 1; *at: where the entry is. 0: there is none, and nothing has changed. */
SL_INLINE uint32_t sl_track_lookup(const struct sl_tables *t, const struct sl_flow_query *query,
				   struct sl_flow_at *at)
{
	const struct sl_flow_timeouts *timeouts =
		sl_seam_timeouts(t, sl_flow_key_service(query->key));

	*at = sl_track_find(t, query, false);
	if (sl_unlikely(!at->bucket))
		*at = sl_track_find(t, query, true);
	if (sl_likely(timeouts && at->bucket && sl_flow_alive(at->value, timeouts, query->now) &&
		      sl_track_may_follow(query, at->value)))
		return sl_track_hit(t, query, timeouts, at);
	return 0;
}

/* Whether a flow that isn't in the table gets the backend that the service's scheduler picks, and
 * not that of its hash. */
SL_INLINE bool sl_track_picks(const struct sl_service *s, const struct sl_flow_query *query)
{
	return s->pick != SL_PICK_HASH && !query->forced &&
	       (query->event == SL_EVENT_BEGIN ||
		(query->event == SL_EVENT_DATA &&
		 sl_endpoint_protocol(s->endpoint) == SL_PROTO_UDP));
}

/* The backend of a flow that isn't in the table; enters it. SL_TRACK_NO_ROOM: the table has no
 * room. */
SL_INLINE uint32_t sl_track_new(const struct sl_tables *t, const struct sl_service *s,
				struct sl_flow_query *query)
{
	uint32_t slot = query->slot, picked, backend;

	if (sl_unlikely(sl_track_picks(s, query))) {
		picked = sl_pick(t, s, query->hash);
		if (picked)
			query->slot = sl_slot(picked, sl_slot_prev(slot), sl_slot_state(slot));
	}
	backend = sl_track_miss(t, query);
	if (sl_unlikely(backend == SL_TRACK_NO_ROOM) && sl_flow_relocate(t, query->key, query->now))
		backend = sl_track_miss(t, query);
	query->slot = slot;
	return backend;
}

/* The backend of a flow that finds no room in the table. */
SL_INLINE uint32_t sl_track_full(const struct sl_tables *t, const struct sl_flow_query *query)
{
	uint32_t prev = sl_slot_prev(query->slot);

	return sl_slot_state(query->slot) == SL_SLOT_OPEN &&
			       sl_backend_flags(t, query, prev) & SL_BACKEND_SERVES
		       ? prev
		       : sl_slot_cur(query->slot);
}

/* The backend of a flow whose slot isn't closed, or whose service tracks all flows. Counts from 1;
 * 0: none. at->bucket is NULL if sl_track_miss() decided, which doesn't say where the entry is. */
SL_INLINE uint32_t sl_track(const struct sl_tables *t, const struct sl_service *s,
			    struct sl_flow_query *query, struct sl_flow_at *at)
{
	uint32_t backend = 0;

	if (sl_seam_inline_lookup(t) && query->event != SL_EVENT_BEGIN)
		backend = sl_track_lookup(t, query, at);
	if (sl_likely(backend))
		return backend;
	at->bucket = NULL;
#ifndef __bpf__
	/* They are never read without a bucket, but gcc warns. XDP's stack has no room for this. */
	at->way = 0;
	at->value = 0;
#endif
	backend = sl_track_new(t, s, query);
	if (sl_unlikely(backend == SL_TRACK_NO_ROOM)) {
		query->full = true;
		backend = sl_track_miss(t, query);
	}
	return backend;
}

/* The backend of a flow, asked for by a packet that isn't part of it (an ICMP error, a later
 * fragment): nothing is entered, refreshed or counted. 0: none. */
SL_INLINE uint32_t sl_track_resolve(const struct sl_tables *t, const struct sl_flow_query *query)
{
	const struct sl_flow_timeouts *timeouts =
		sl_seam_timeouts(t, sl_flow_key_service(query->key));
	uint32_t backend, prev = sl_slot_prev(query->slot);
	struct sl_flow_at at;

	if (sl_slot_state(query->slot) == SL_SLOT_CLOSED && !query->track_all)
		return sl_slot_cur(query->slot);
	at = sl_flow_find(t, query->key, query->hash);
	if (timeouts && at.bucket && sl_flow_alive(at.value, timeouts, query->now)) {
		backend = sl_flow_backend(at.value);
		if (sl_backend_flags(t, query, backend) & SL_BACKEND_SERVES)
			return backend;
	}
	if (sl_slot_state(query->slot) == SL_SLOT_OPEN &&
	    sl_backend_flags(t, query, prev) & SL_BACKEND_SERVES)
		return prev;
	return sl_slot_cur(query->slot);
}

/* The backend of such a packet, and all that a rewrite needs. key: the flow's; *id: the backend's
 * counter id. Returns SL_REASON_to_backend, or why it can't be sent. */
SL_INLINE enum sl_reason sl_resolve_backend(const struct sl_tables *t, const struct sl_lookup *w,
					    uint64_t key, struct sl_nat *n, uint32_t *id,
					    uint16_t *egress)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_service *s = w->service;
	const uint32_t *slot = sl_seam_slot(t, (uint64_t)s->slots * SL_SLOTS_PER_BLOCK + w->at);
	const struct sl_backend *b;
	struct sl_flow_query query = { .key = key,
				       .hash = root ? sl_hash_flow(key, root->flow_key) : 0,
				       .now = sl_seam_now(t),
				       .slot = slot ? *(const volatile uint32_t *)slot : 0,
				       .backends = s->backends,
				       .n_backends = s->n_backends,
				       .track_all = s->flags & SL_SERVICE_TRACK };
	uint32_t backend = sl_track_resolve(t, &query);
	uint16_t flags;

	b = backend - 1 < query.n_backends
		    ? sl_seam_backend(t, (uint64_t)query.backends + backend - 1)
		    : NULL;
	if (!b)
		return sl_seam_current(t) ? SL_REASON_no_backend : SL_REASON_torn_table;
	sl_nat_of_backend(n, b);
	n->index = (uint64_t)query.backends + backend - 1;
	n->mtu = b->mtu;
	*egress = b->egress;
	*id = b->counter_id;
	flags = b->flags;
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	if (flags & SL_BACKEND_RESOLVED)
		return SL_REASON_to_backend;
	return flags & SL_BACKEND_NO_ROUTE ? SL_REASON_backend_no_route : SL_REASON_no_neighbour;
}

/* A route whose next hop control hasn't resolved: takes the MAC address from what the engines have
 * heard. The caller checks afterwards that the tables are current. */
SL_INLINE enum sl_reason sl_route_resolve(const struct sl_tables *t, const struct sl_route *route,
					  const union sl_addr *client, uint8_t mac[12])
{
	enum sl_reason reason = SL_REASON_no_route;
	uint8_t kind = route->kind;
	uint64_t link;

	if (kind == SL_ROUTE_LINK || kind == SL_ROUTE_ASK) {
		union sl_addr hop = route->gateway;

		if (!(hop.q[0] | hop.q[1]))
			hop = *client;
		link = sl_neighbour_resolve(t, &hop, route->port);
		if (link) {
			sl_neighbour_store(mac, link);
			return SL_REASON_to_client;
		}
		reason = SL_REASON_no_neighbour;
	}
	return sl_seam_current(t) ? reason : SL_REASON_torn_table;
}

/* The next hop to a client: reads its route, at index `at`. Returns SL_REASON_to_client, or why it
 * can't be sent. */
SL_INLINE enum sl_reason sl_route_to_client(const struct sl_tables *t, uint32_t at,
					    const union sl_addr *client, uint8_t mac[12],
					    uint16_t *egress)
{
	const struct sl_route *route = sl_seam_route(t, at);
	enum sl_reason reason;

	if (!route)
		return sl_seam_current(t) ? SL_REASON_no_route : SL_REASON_torn_table;
	__builtin_memcpy(mac, route->dst_mac, 12);
	*egress = route->port;
	if (sl_unlikely(route->kind != SL_ROUTE_VIA)) {
		reason = sl_route_resolve(t, route, client, mac);
		if (reason != SL_REASON_to_client)
			return reason;
	}
	return sl_seam_current(t) ? SL_REASON_to_client : SL_REASON_torn_table;
}

/* The state of a new entry, by its first packet. */
SL_INLINE enum sl_flow_state sl_track_state(uint8_t event)
{
	switch (event) {
	case SL_EVENT_BEGIN:
		return SL_FLOW_OPENING;
	case SL_EVENT_END:
		return SL_FLOW_CLOSING;
	case SL_EVENT_HALF_CLOSE:
		return SL_FLOW_HALF_CLOSED;
	default:
		return SL_FLOW_ESTABLISHED;
	}
}

/* The backend of a flow that has no entry, or one that may not be followed; 0: none; or
 * SL_TRACK_NO_ROOM. Nothing is entered before it is checked that the tables are current. */
SL_INLINE uint32_t sl_track_miss_impl(const struct sl_tables *t, const struct sl_flow_query *query)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_flow_timeouts *timeouts =
		sl_seam_timeouts(t, sl_flow_key_service(query->key));
	struct sl_service_counters *counters =
		sl_seam_service_counters(t, sl_flow_key_service(query->key));
	uint32_t to = sl_slot_cur(query->slot), prev = sl_slot_prev(query->slot), backend;
	bool open = sl_slot_state(query->slot) == SL_SLOT_OPEN, alive;
	enum sl_flow_state state;
	struct sl_flow_at at;
	uint64_t now = query->now, value;

	if (!root || !timeouts || !counters)
		return to;
	if (sl_unlikely(query->full)) {
		counters->untrackable++;
		return sl_track_full(t, query);
	}
	at = sl_flow_find(t, query->key, query->hash);
	alive = at.bucket && sl_flow_alive(at.value, timeouts, now);
	if (alive && sl_track_may_follow(query, at.value)) {
		backend = sl_track_hit(t, query, timeouts, &at);
		if (backend)
			return backend;
	}
	if (open && query->event != SL_EVENT_BEGIN && !alive &&
	    sl_backend_flags(t, query, prev) & SL_BACKEND_SERVES)
		to = prev;
	if (!(at.bucket || open || query->track_all) || !to || query->event == SL_EVENT_STRAY ||
	    !sl_seam_current(t))
		return to;
	state = sl_track_state(query->event);
	value = sl_flow_value(to, state, alive ? sl_track_time(query, at.value) : now);
	if (at.bucket && sl_flow_update(&at, query->key, value))
		return to;
	value = sl_flow_insert(t, query->key, query->hash, value, now);
	if (sl_likely(value)) {
		counters->tracked++;
		return query->forced ? to : sl_flow_backend(value);
	}
	return SL_TRACK_NO_ROOM;
}

/* The value of a flow's live entry, or 0. */
SL_INLINE uint64_t sl_track_value_impl(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_flow_timeouts *timeouts = sl_seam_timeouts(t, sl_flow_key_service(key));
	struct sl_flow_at at = { .bucket = NULL };

	if (root && timeouts)
		at = sl_flow_find(t, key, sl_hash_flow(key, root->flow_key));
	return at.bucket && sl_flow_alive(at.value, timeouts, now) ? at.value : 0;
}

/* Charges a packet to the limit that is kept in its flow's entry. */
SL_INLINE enum sl_policer_verdict sl_track_charge_at(const struct sl_tables *t,
						     const struct sl_limit *limit,
						     const struct sl_policer_query *packet,
						     uint64_t key, enum sl_flow_state state,
						     struct sl_flow_at *at)
{
	uint64_t time;
	enum sl_policer_verdict verdict =
		sl_limit_flow_entry(t, limit, packet, key & SL_TIME_MASK, at->value, &time);

	if ((verdict != SL_POLICER_UNLIMITED && (time ^ at->value) & SL_TIME_MASK) ||
	    state != sl_flow_state(at->value))
		sl_flow_update(at, key, sl_flow_value(sl_flow_backend(at->value), state, time));
	return verdict;
}

/* Updates the entry for a packet from the backend, or one charged later. event: whether it ends the
 * flow or one side of it; no other event changes the state. limited: it is charged to the limit in
 * the entry. */
SL_INLINE enum sl_policer_verdict sl_track_charge_impl(const struct sl_tables *t, uint64_t key,
						       uint8_t event, bool limited,
						       const struct sl_policer_query *packet)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_flow_timeouts *timeouts = sl_seam_timeouts(t, sl_flow_key_service(key));
	const struct sl_limit *limit = limited ? sl_seam_limit(t, packet->limits) : NULL;
	enum sl_flow_state state;
	struct sl_flow_at at;
	uint64_t time;

	if (!root || !timeouts)
		return SL_POLICER_UNLIMITED;
	at = sl_flow_find(t, key, sl_hash_flow(key, root->flow_key));
	/* An expired entry stays so: it may be an earlier flow's, with another backend. */
	if (!at.bucket || !sl_flow_alive(at.value, timeouts, packet->now))
		return SL_POLICER_UNLIMITED;
	state = sl_flow_state(at.value);
	if (event == SL_EVENT_END || (event == SL_EVENT_HALF_CLOSE && state != SL_FLOW_CLOSING))
		state = sl_track_state(event);
	if (limit)
		return sl_track_charge_at(t, limit, packet, key, state, &at);
	time = packet->now +
	       sl_gcra_ahead_ticks(sl_flow_time(at.value), packet->now, SL_TIME_AHEAD);
	if (state != sl_flow_state(at.value))
		sl_flow_update(&at, key, sl_flow_value(sl_flow_backend(at.value), state, time));
	return SL_POLICER_UNLIMITED;
}

#endif
