/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Second half of the decision: which backend, and are we allowed to send there?
 *
 * Just enough tracking. Each row has cur, prev and a state that only a publish changes:
 *
 *   closed  to cur. No look-up, no state: nearly all rows, nearly always.
 *   open    the row moved less than the idle timeout ago. Look the flow up.
 *             found      where the entry says
 *             new (SYN)  to cur, tracked; where that finds no room, to prev
 *             else       the flow is older than the change: to prev if that still serves, else to
 *                        cur; tracked there
 *   mixed   the timeout has passed; entries may still disagree with cur. Look up; what isn't found
 *           goes to cur without state.
 *
 * So an established flow that sent a packet within the idle timeout stays where it is, whatever
 * changed, and a table that doesn't move costs nothing. prev is the oldest version: every flow that
 * began after the first of several changes was tracked at its SYN.
 *
 * A SYN follows a live entry, so a stray one steals nothing, unless the entry is closing (a port
 * was reused: this is a new connection) or is itself no more than a SYN to a backend that takes no
 * new flows.
 *
 * A service that tracks everything (SL_SERVICE_TRACK) looks up in closed rows too and enters what
 * it doesn't find.
 *
 * What a QUIC packet's id says (quic.h) is firm: it counts more than row and entry, and the entry
 * is made or corrected to say the same, for what follows of this flow and can't tell.
 */
#ifndef SL_CORE_ROUTE_H
#define SL_CORE_ROUTE_H

#include "classify.h"
#include "limit.h"
#include "nat.h"

/* What of a packet matters to tracking. */
enum sl_event {
	SL_EVENT_DATA,	     /* of a flow that exists, as far as the packet tells; all of UDP */
	SL_EVENT_BEGIN,	     /* SYN without ACK */
	SL_EVENT_END,	     /* FIN or RST; in full NAT RST, or the second side's FIN */
	SL_EVENT_HALF_CLOSE, /* full NAT: the first side's FIN */
	SL_EVENT_STRAY,	     /* full NAT: FIN or RST that isn't the connection's (window.h) */
};

SL_INLINE bool sl_begins(uint8_t tcp_flags)
{
	return (tcp_flags & (SL_TCP_SYN | SL_TCP_ACK)) == SL_TCP_SYN;
}

/* 0 for what isn't TCP. */
SL_INLINE enum sl_event sl_event_of(uint8_t tcp_flags)
{
	if (sl_begins(tcp_flags))
		return SL_EVENT_BEGIN;
	return tcp_flags & (SL_TCP_FIN | SL_TCP_RST) ? SL_EVENT_END : SL_EVENT_DATA;
}

/* Everything that tracking needs to know, in numbers alone: an engine may have to hand it to a
 * function of its own (core/seam.h). */
struct sl_ask {
	uint64_t key;
	uint64_t hash;	   /* of the key */
	uint64_t now;	   /* ticks: one time for the whole of a packet */
	uint32_t row;	   /* as it stands in the table */
	uint32_t backends; /* the service's extent */
	uint32_t n_backends;
	uint8_t event; /* enum sl_event */
	bool always;   /* the service tracks every flow */
	bool full;     /* there is no room for an entry */
	bool timed;    /* entries hold token buckets: their time is never set back */
	bool firm;     /* to cur, whatever an entry says: it is made to say so */
};

#define SL_TRACK_CROWDED UINT32_MAX /* no backend's number */

SL_INLINE uint16_t sl_backend_flags(const struct sl_tables *t, const struct sl_ask *ask,
				    uint32_t backend)
{
	const struct sl_backend *b;

	if (backend - 1 >= ask->n_backends)
		return 0;
	b = sl_seam_backend(t, (uint64_t)ask->backends + backend - 1);
	return b ? b->flags : 0;
}

/* Whether the entry may say where the flow goes. */
SL_INLINE bool sl_track_binds(const struct sl_ask *ask, uint64_t value)
{
	return !ask->firm || sl_flow_backend(value) == sl_row_cur(ask->row);
}

/* The time that an entry gets when it is rewritten without a charge. */
SL_INLINE uint64_t sl_track_time(const struct sl_ask *ask, uint64_t value)
{
	return ask->timed ? ask->now + sl_gcra_ahead_ticks(sl_flow_time(value), ask->now,
							   SL_TIME_AHEAD)
			  : ask->now;
}

/* Whether data are taken for long after a FIN or RST, where a token bucket's time doesn't tell: for
 * 4 ms of each second, so that a flow that goes on is met, and the last ACK of one that ends hardly
 * is. */
SL_INLINE bool sl_track_late(const struct sl_ask *ask)
{
	return ask->timed && !(ask->now >> 20 & 255);
}

/* A hit: where to, and what the entry says from now on. 0 when the entry doesn't bind. */
SL_INLINE uint32_t sl_track_hit(const struct sl_tables *t, const struct sl_ask *ask,
				const struct sl_terms *terms, struct sl_flow_at *at)
{
	uint64_t now = ask->now;
	uint32_t backend = sl_flow_backend(at->value);
	enum sl_flow_state old = sl_flow_state(at->value), state = old;
	uint16_t flags = sl_backend_flags(t, ask, backend);

	if (!(flags & SL_BACKEND_SERVES))
		return 0;
	if (ask->event == SL_EVENT_STRAY)
		return backend;
	if (ask->event == SL_EVENT_BEGIN) {
		if (old == SL_FLOW_CLOSING ||
		    (old == SL_FLOW_OPENING && !(flags & SL_BACKEND_TAKES_NEW)))
			return 0;
	} else if (ask->event == SL_EVENT_END) {
		state = SL_FLOW_CLOSING;
	} else if (ask->event == SL_EVENT_HALF_CLOSE) {
		if (old != SL_FLOW_CLOSING)
			state = SL_FLOW_HALF_CLOSED;
	} else if (old != SL_FLOW_HALF_CLOSED &&
		   (old == SL_FLOW_OPENING || sl_track_late(ask) ||
		    sl_flow_age(at->value, now) > terms->lifetime[old] / 16)) {
		/* Data long after a FIN or RST: half closed, or a new flow that no look-up saw
		 * begin, or the RST was a lie. */
		state = SL_FLOW_ESTABLISHED;
	}
	/* Last seen is coarse: a store for each packet would drag the line between cores. */
	if (state != old || sl_flow_age(at->value, now) > terms->lifetime[state] / 16)
		sl_flow_update(at, ask->key,
			       sl_flow_value(backend, state, sl_track_time(ask, at->value)));
	return backend;
}

/* The flow's entry in this bucket. */
SL_INLINE struct sl_flow_at sl_track_in(struct sl_bucket *b, uint64_t key)
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

SL_INLINE struct sl_flow_at sl_track_peek(const struct sl_tables *t, const struct sl_ask *ask,
					  bool second)
{
	return sl_track_in(sl_flow_bucket(t, ask->hash, second), ask->key);
}

/* Whether data of the flow leave its entry as it is: it is established, and was seen lately. Where
 * it goes, if its backend serves, then is what the entry says. */
SL_INLINE bool sl_track_settled(uint64_t value, const struct sl_terms *terms, uint64_t now)
{
	return sl_flow_state(value) == SL_FLOW_ESTABLISHED &&
	       sl_flow_within(value, now, terms->lifetime[SL_FLOW_ESTABLISHED] / 16);
}

/* The backend of a flow whose live entry binds, which is the common case and small: *at is its
 * place. Counts from 1; 0: there is none, and nothing has changed. */
SL_INLINE uint32_t sl_track_known(const struct sl_tables *t, const struct sl_ask *ask,
				  struct sl_flow_at *at)
{
	const struct sl_terms *terms = sl_seam_terms(t, sl_flow_key_service(ask->key));

	*at = sl_track_peek(t, ask, false);
	if (sl_unlikely(!at->bucket))
		*at = sl_track_peek(t, ask, true);
	if (sl_likely(terms && at->bucket && sl_flow_alive(at->value, terms, ask->now) &&
		      sl_track_binds(ask, at->value)))
		return sl_track_hit(t, ask, terms, at);
	return 0;
}

/* The same of a flow that isn't known, and gets an entry. SL_TRACK_CROWDED: there is no room. */
SL_INLINE uint32_t sl_track_unknown(const struct sl_tables *t, const struct sl_ask *ask)
{
	uint32_t backend = sl_track_rest(t, ask);

	if (sl_unlikely(backend == SL_TRACK_CROWDED) && sl_flow_relocate(t, ask->key, ask->now))
		backend = sl_track_rest(t, ask);
	return backend;
}

/* Where a flow goes for which there is no room. */
SL_INLINE uint32_t sl_track_full(const struct sl_tables *t, const struct sl_ask *ask)
{
	uint32_t prev = sl_row_prev(ask->row);

	return sl_row_state(ask->row) == SL_ROW_OPEN &&
			       sl_backend_flags(t, ask, prev) & SL_BACKEND_SERVES
		       ? prev
		       : sl_row_cur(ask->row);
}

/* The backend of a flow whose row isn't closed, or that is tracked anyway. Counts from 1; 0: none.
 * What isn't known is sl_track_rest()'s, which doesn't say where. */
SL_INLINE uint32_t sl_track(const struct sl_tables *t, const struct sl_ask *ask,
			    struct sl_flow_at *at)
{
	uint32_t backend = 0;

	if (sl_seam_peeks(t) && ask->event != SL_EVENT_BEGIN)
		backend = sl_track_known(t, ask, at);
	if (sl_likely(backend))
		return backend;
	at->bucket = NULL;
	backend = sl_track_unknown(t, ask);
	if (sl_unlikely(backend == SL_TRACK_CROWDED)) {
		struct sl_ask full = *ask;

		full.full = true;
		backend = sl_track_rest(t, &full);
	}
	return backend;
}

/* Where the flow's packets go, for one that isn't a packet of the flow itself: nothing is entered,
 * refreshed or counted. 0: nowhere. */
SL_INLINE uint32_t sl_track_look(const struct sl_tables *t, const struct sl_ask *ask)
{
	const struct sl_terms *terms = sl_seam_terms(t, sl_flow_key_service(ask->key));
	uint32_t backend, prev = sl_row_prev(ask->row);
	struct sl_flow_at at;

	if (sl_row_state(ask->row) == SL_ROW_CLOSED && !ask->always)
		return sl_row_cur(ask->row);
	at = sl_flow_find(t, ask->key, ask->hash);
	if (terms && at.bucket && sl_flow_alive(at.value, terms, ask->now)) {
		backend = sl_flow_backend(at.value);
		if (sl_backend_flags(t, ask, backend) & SL_BACKEND_SERVES)
			return backend;
	}
	if (sl_row_state(ask->row) == SL_ROW_OPEN &&
	    sl_backend_flags(t, ask, prev) & SL_BACKEND_SERVES)
		return prev;
	return sl_row_cur(ask->row);
}

/* The backend of a flow and all that a rewrite needs, for what isn't a packet of the flow itself.
 * key: the flow's; *id: the backend's in the counters. SL_REASON_to_backend, or why it can't. */
SL_INLINE enum sl_reason sl_look_backend(const struct sl_tables *t, const struct sl_work *w,
					 uint64_t key, struct sl_nat *n, uint32_t *id,
					 uint16_t *egress)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_service *s = w->service;
	const uint32_t *row = sl_seam_row(t, (uint64_t)s->rows * SL_ROWS_PER_RECORD + w->at);
	const struct sl_backend *b;
	struct sl_ask ask = { .key = key,
			      .hash = root ? sl_hash_flow(key, root->flow_key) : 0,
			      .now = sl_seam_now(t),
			      .row = row ? *(const volatile uint32_t *)row : 0,
			      .backends = s->backends,
			      .n_backends = s->n_backends,
			      .always = s->flags & SL_SERVICE_TRACK };
	uint32_t backend = sl_track_look(t, &ask);
	uint16_t flags;

	b = backend - 1 < ask.n_backends ? sl_seam_backend(t, (uint64_t)ask.backends + backend - 1)
					 : NULL;
	if (!b)
		return sl_seam_current(t) ? SL_REASON_no_backend : SL_REASON_torn_table;
	sl_nat_of_backend(n, b);
	n->index = (uint64_t)ask.backends + backend - 1;
	n->mtu = b->mtu;
	*egress = b->egress;
	*id = b->traffic;
	flags = b->flags;
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	return flags & SL_BACKEND_RESOLVED ? SL_REASON_to_backend : SL_REASON_no_neighbour;
}

/* The next hop to a client, by the place of its route: where the frame leaves, and to whom.
 * SL_REASON_to_client, or why it can't. */
SL_INLINE enum sl_reason sl_route_out(const struct sl_tables *t, uint32_t at,
				      const union sl_addr *client, uint8_t mac[12],
				      uint16_t *egress)
{
	const struct sl_route *route = sl_seam_route(t, at);
	union sl_addr hop;
	uint8_t kind;

	if (!route)
		return sl_seam_current(t) ? SL_REASON_no_route : SL_REASON_torn_table;
	__builtin_memcpy(mac, route->dst_mac, 12);
	*egress = route->port;
	kind = route->kind;
	hop = route->gateway;
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	if (kind == SL_ROUTE_VIA)
		return SL_REASON_to_client;
	if (kind != SL_ROUTE_LINK && kind != SL_ROUTE_ASK)
		return SL_REASON_no_route;
	if (!(hop.q[0] | hop.q[1]))
		hop = *client;
	sl_seam_want(t, &hop);
	return SL_REASON_no_neighbour;
}

/* The state of an entry that is made for a packet. */
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

/* What a flow without an entry, or with one that doesn't bind, comes to: a backend, 0, or
 * SL_TRACK_CROWDED where there is no room. The tables are checked to be current before anything
 * is entered. */
SL_INLINE uint32_t sl_track_rest_with(const struct sl_tables *t, const struct sl_ask *ask)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_terms *terms = sl_seam_terms(t, sl_flow_key_service(ask->key));
	struct sl_service_tally *tally = sl_seam_tally(t, sl_flow_key_service(ask->key));
	uint32_t to = sl_row_cur(ask->row), prev = sl_row_prev(ask->row), backend;
	bool open = sl_row_state(ask->row) == SL_ROW_OPEN, alive;
	enum sl_flow_state state;
	struct sl_flow_at at;
	uint64_t now = ask->now, value;

	if (!root || !terms || !tally)
		return to;
	if (sl_unlikely(ask->full)) {
		tally->untrackable++;
		return sl_track_full(t, ask);
	}
	at = sl_flow_find(t, ask->key, ask->hash);
	alive = at.bucket && sl_flow_alive(at.value, terms, now);
	if (alive && sl_track_binds(ask, at.value)) {
		backend = sl_track_hit(t, ask, terms, &at);
		if (backend)
			return backend;
	}
	if (open && ask->event != SL_EVENT_BEGIN && !alive &&
	    sl_backend_flags(t, ask, prev) & SL_BACKEND_SERVES)
		to = prev;
	if (!(at.bucket || open || ask->always) || !to || ask->event == SL_EVENT_STRAY ||
	    !sl_seam_current(t))
		return to;
	state = sl_track_state(ask->event);
	value = sl_flow_value(to, state, alive ? sl_track_time(ask, at.value) : now);
	if (at.bucket && sl_flow_update(&at, ask->key, value))
		return to;
	value = sl_flow_insert(t, ask->key, ask->hash, value, now);
	if (sl_likely(value)) {
		tally->tracked++;
		return ask->firm ? to : sl_flow_backend(value);
	}
	return SL_TRACK_CROWDED;
}

/* What a flow's live entry says, or 0. */
SL_INLINE uint64_t sl_track_value_with(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_terms *terms = sl_seam_terms(t, sl_flow_key_service(key));
	struct sl_flow_at at = { .bucket = NULL };

	if (root && terms)
		at = sl_flow_find(t, key, sl_hash_flow(key, root->flow_key));
	return at.bucket && sl_flow_alive(at.value, terms, now) ? at.value : 0;
}

/* Charges a packet to the limit that is kept in the flow's entry. */
SL_INLINE enum sl_bite sl_track_charge_at(const struct sl_tables *t, const struct sl_limit *limit,
					  const struct sl_limit_ask *packet, uint64_t key,
					  enum sl_flow_state state, struct sl_flow_at *at)
{
	uint64_t time;
	enum sl_bite bite = sl_limit_entry(t, limit, packet, key & SL_TIME_MASK, at->value, &time);

	if ((bite != SL_BITE_FREE && (time ^ at->value) & SL_TIME_MASK) ||
	    state != sl_flow_state(at->value))
		sl_flow_update(at, key, sl_flow_value(sl_flow_backend(at->value), state, time));
	return bite;
}

/* A packet that the flow's entry has to know of: a reply that ends the flow or half of it, so that
 * a reused port begins anew (`event`; any other changes no state), or one that is charged to the
 * limit in the entry (`limited`). */
SL_INLINE enum sl_bite sl_track_charge_with(const struct sl_tables *t, uint64_t key, uint8_t event,
					    bool limited, const struct sl_limit_ask *packet)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_terms *terms = sl_seam_terms(t, sl_flow_key_service(key));
	const struct sl_limit *limit = limited ? sl_seam_limit(t, packet->limits) : NULL;
	enum sl_flow_state state;
	struct sl_flow_at at;
	uint64_t time;

	if (!root || !terms)
		return SL_BITE_FREE;
	at = sl_flow_find(t, key, sl_hash_flow(key, root->flow_key));
	/* A dead one stays dead: it may be an earlier flow's, and name another backend. */
	if (!at.bucket || !sl_flow_alive(at.value, terms, packet->now))
		return SL_BITE_FREE;
	state = sl_flow_state(at.value);
	if (event == SL_EVENT_END || (event == SL_EVENT_HALF_CLOSE && state != SL_FLOW_CLOSING))
		state = sl_track_state(event);
	if (limit)
		return sl_track_charge_at(t, limit, packet, key, state, &at);
	time = packet->now +
	       sl_gcra_ahead_ticks(sl_flow_time(at.value), packet->now, SL_TIME_AHEAD);
	if (state != sl_flow_state(at.value))
		sl_flow_update(&at, key, sl_flow_value(sl_flow_backend(at.value), state, time));
	return SL_BITE_FREE;
}

#endif
