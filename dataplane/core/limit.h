/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Limits: may this packet pass? abi/limit.h has the records. The limits of a service are checked at
 * up to three points:
 *
 *   sl_limit_check(), before a backend is picked
 *         new connections of the client and of the service; so a refused one leaves no state
 *   sl_limit_flow_entry(), where the flow was found
 *         the limit that is kept in flow entries (route.h)
 *   sl_limit_check(), when the backend is known
 *         all others
 *
 * Limits are checked from narrow to wide, and the first one that is exceeded gives the reason. A
 * packet that a wider limit drops has still used tokens of the narrower ones.
 *
 * All engines share the buckets of a backend and of a service, so an engine doesn't draw on them
 * for every packet. It takes a lease, which is some microseconds of the rate, and spends it alone.
 * Only who sees many packets takes more than the packet at hand, and what it doesn't spend expires
 * after a millisecond or two. So all engines together never exceed the limit, and a lease per idle
 * period is what they may fall short of it.
 */
#ifndef SL_CORE_LIMIT_H
#define SL_CORE_LIMIT_H

#include "../abi/cuckoo.h"
#include "loop.h"
#include "meter.h"

/* What limits have to know about a packet. XDP has it on the stack: 48 bytes. */
struct sl_policer_query {
	union sl_addr client;
	uint64_t now;	     /* ticks */
	uint32_t limits;     /* first record of the service's extent */
	uint32_t counter_id; /* the backend's, once one is picked */
	uint16_t bytes;
	sl_be16 port; /* the client's */
	uint8_t n_limits;
	uint8_t direction : 2; /* enum sl_limit_direction */
	bool begin : 1;	       /* a new connection */
	bool picked : 1;
	bool may_mark : 1; /* TCP that understands ECN */
	/* Used while the service's limits are checked one by one. */
	uint16_t answer;
	const struct sl_tables *tables;
};

/* A result: enum sl_policer_verdict, and the scope of the limit that gave it. */
#define SL_LIMIT_RESULT(verdict, scope) ((uint32_t)(verdict) | (uint32_t)(scope) << 8)

SL_INLINE enum sl_policer_verdict sl_limit_verdict(uint32_t answer)
{
	return (enum sl_policer_verdict)(answer & 0xff);
}

SL_INLINE enum sl_reason sl_limit_reason(uint32_t answer)
{
	switch (answer >> 8) {
	case SL_SCOPE_FLOW:
		return SL_REASON_limit_flow;
	case SL_SCOPE_CLIENT:
		return SL_REASON_limit_client;
	case SL_SCOPE_BACKEND:
		return SL_REASON_limit_backend;
	default:
		return SL_REASON_limit_service;
	}
}

/* The subject's exception, or NULL. */
SL_COLD const struct sl_exception *sl_limit_exception(const struct sl_tables *t, uint64_t meter_key)
{
	union sl_addr key = { .q = { 0, meter_key } };
	uint64_t hash = sl_cuckoo_hash(&key, 0, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_exceptions(t);

	for (int second = 0; second < 2; second++) {
		const struct sl_exception *e = sl_seam_exception(
			t, second ? sl_cuckoo_second(hash, size) : sl_cuckoo_first(hash, size));

		if (e && sl_addr_equal(&e->key, &key))
			return e;
	}
	return NULL;
}

/* The subject's own rate, or else the limit's; NULL: neither has one. */
SL_INLINE const struct sl_pace *sl_limit_pace(const struct sl_tables *t,
					      const struct sl_limit *limit, uint64_t subject)
{
	if (sl_unlikely(limit->flags & SL_LIMIT_EXCEPTIONS)) {
		const struct sl_exception *e =
			sl_limit_exception(t, sl_meter_key(limit->id, subject));

		if (e)
			return &e->pace;
	}
	return limit->flags & SL_LIMIT_OTHERS ? &limit->pace : NULL;
}

/* Notes a subject that exceeds the limit, in the entry that its hash picks. An entry with a more
 * frequent subject is kept for a while. */
SL_INLINE void sl_limit_note_subject(const struct sl_tables *t, const struct sl_limit *limit,
				     const struct sl_policer_query *query)
{
	bool by_flow = limit->scope == SL_SCOPE_FLOW, by_client = limit->scope == SL_SCOPE_CLIENT;
	uint64_t q0 = by_flow || by_client ? query->client.q[0] : 0;
	uint64_t q1 = by_flow || by_client ? query->client.q[1] : 0;
	sl_be16 port = by_flow ? query->port : 0;
	uint32_t counter_id = limit->scope == SL_SCOPE_BACKEND ? query->counter_id : 0;
	uint64_t hash = (q0 ^ q1 ^ (uint64_t)counter_id << 20 ^ (uint64_t)port << 4 ^ limit->id) *
			0x9e3779b97f4a7c15ull;
	/* By the highest bits: only they depend on all bits of the address. */
	struct sl_most_limited *b =
		sl_seam_most_limited(t, (uint32_t)((hash >> 32) * SL_MOST_LIMITED >> 32));

	if (!b)
		return;
	if (b->limit != limit->id || b->client.q[0] != q0 || b->client.q[1] != q1 ||
	    b->port != port || b->counter_id != counter_id) {
		if (b->held && query->now - b->last < 2000000000u >> SL_TICK_SHIFT) {
			b->held--;
			return;
		}
		b->client.q[0] = q0;
		b->client.q[1] = q1;
		b->limit = limit->id;
		b->port = port;
		b->counter_id = counter_id;
		b->packets = b->bytes = b->held = 0;
	}
	b->last = query->now;
	b->packets++;
	b->bytes += query->bytes;
	b->held += b->held < 64;
}

/* The packet exceeds the limit: counts it, and returns what the limit's action makes of it. */
SL_COLD enum sl_policer_verdict sl_limit_exceeded(const struct sl_tables *t,
						  const struct sl_limit *limit,
						  const struct sl_policer_query *query,
						  enum sl_policer_verdict verdict)
{
	struct sl_limit_counters *counters = sl_seam_limit_counters(t, limit->id);

	if (sl_unlikely(!counters))
		return SL_POLICER_PASS;
	sl_limit_note_subject(t, limit, query);
	if (verdict == SL_POLICER_DROP && limit->action != SL_ACTION_OBSERVE) {
		counters->dropped++;
		counters->dropped_bytes += query->bytes;
		return verdict;
	}
	counters->passed++;
	if (verdict == SL_POLICER_MARK) {
		counters->marked++;
		return verdict;
	}
	counters->observed++;
	counters->observed_bytes += query->bytes;
	return SL_POLICER_PASS;
}

SL_INLINE void sl_limit_passed(const struct sl_tables *t, const struct sl_limit *limit)
{
	struct sl_limit_counters *counters = sl_seam_limit_counters(t, limit->id);

	if (sl_likely(counters))
		counters->passed++;
}

SL_INLINE bool sl_limit_may_mark(const struct sl_limit *limit, const struct sl_policer_query *query)
{
	return query->may_mark && limit->action == SL_ACTION_MARK;
}

/* Draws on a shared bucket through this writer's lease. Times in 2^-8 ns. */
SL_INLINE enum sl_policer_verdict sl_limit_lease(const struct sl_tables *t,
						 const struct sl_limit *limit,
						 const struct sl_policer_query *query,
						 uint32_t index)
{
	const struct sl_pace *pace = &limit->pace;
	struct sl_shared_bucket *shared_bucket = sl_seam_shared_bucket(t, index);
	struct sl_lease *lease = sl_seam_lease(t, index);
	uint64_t now = query->now << SL_METER_SHIFT, cost, more, left = 0;
	uint64_t depth = pace->depth << SL_METER_SHIFT, most = pace->most << SL_METER_SHIFT;
	const uint64_t term = 1000000ull << 8; /* a millisecond */
	enum sl_policer_verdict verdict = SL_POLICER_DROP;
	int64_t lapse;

	if (!shared_bucket || !lease)
		return SL_POLICER_PASS;
	cost = sl_gcra_cost(pace, query->bytes) >> (SL_COST_SHIFT - 8);
	/* Up to 2 ms in the future, more if the clock has gone back. */
	lapse = (int64_t)(lease->until - now);
	if (lapse > 0 && lapse <= (int64_t)(3 * term))
		left = lease->credit;
	if (left >= cost) {
		lease->credit = left - cost;
		return SL_POLICER_PASS;
	}
	more = (uint64_t)limit->lease << SL_METER_SHIFT;
	if (lapse > -(int64_t)term && lapse <= (int64_t)(3 * term) && more > cost)
		verdict = sl_gcra_draw(&shared_bucket->full_at, now, more, depth, most, false);
	if (verdict != SL_POLICER_PASS) {
		more = cost - left; /* with what was left, so that a burst is used up */
		verdict = sl_gcra_draw(&shared_bucket->full_at, now, more, depth, most,
				       sl_limit_may_mark(limit, query));
	}
	if (verdict == SL_POLICER_DROP)
		return verdict;
	lease->credit = left + more - cost;
	lease->until = now + 2 * term;
	return verdict;
}

SL_INLINE enum sl_policer_verdict sl_limit_meter(const struct sl_tables *t,
						 const struct sl_limit *limit,
						 const struct sl_policer_query *query)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_limit_counters *counters = sl_seam_limit_counters(t, limit->id);
	uint64_t now = query->now << SL_METER_SHIFT, evicted = 0, subject, *word;
	const struct sl_pace *pace;

	if (!root || !counters)
		return SL_POLICER_PASS;
	subject = limit->scope == SL_SCOPE_FLOW
			  ? sl_hash_source(&query->client, query->port, root->slot_key)
			  : sl_meter_client(&query->client, limit->prefix4, limit->prefix6,
					    root->flow_key);
	pace = sl_limit_pace(t, limit, subject);
	if (!pace)
		return SL_POLICER_UNLIMITED;
	word = sl_meter_find(t, sl_meter_key(limit->id, subject), now, &evicted);
	if (evicted)
		counters->evicted++;
	if (!word)
		return SL_POLICER_PASS;
	return sl_gcra_draw(word, now, sl_gcra_cost(pace, query->bytes) >> (SL_COST_SHIFT - 8),
			    pace->depth << SL_METER_SHIFT, pace->most << SL_METER_SHIFT,
			    sl_limit_may_mark(limit, query));
}

/* Whether the limit applies to this packet at this point. */
SL_INLINE bool sl_limit_concerns(const struct sl_limit *limit, const struct sl_policer_query *query)
{
	bool connections = limit->unit == SL_UNIT_CONNECTIONS;
	bool first = connections && limit->scope != SL_SCOPE_BACKEND;

	return !(limit->flags & SL_LIMIT_ENTRY) && limit->direction & query->direction &&
	       (!connections || query->begin) && first != query->picked;
}

/* Checks the limit that is kept in flow entries. value: the entry's; *time: its new time, set in
 * any case. */
SL_INLINE enum sl_policer_verdict sl_limit_flow_entry(const struct sl_tables *t,
						      const struct sl_limit *limit,
						      const struct sl_policer_query *query,
						      uint64_t subject, uint64_t value,
						      uint64_t *time)
{
	uint64_t word = sl_flow_time(value), ahead, cost;
	const struct sl_pace *pace;
	enum sl_policer_verdict verdict;

	ahead = sl_gcra_ahead_ticks(word, query->now, SL_TIME_AHEAD);
	*time = query->now + ahead;
	pace = limit->direction & query->direction ? sl_limit_pace(t, limit, subject) : NULL;
	if (!pace)
		return SL_POLICER_UNLIMITED;
	if (sl_unlikely(ahead > pace->most)) {
		if (ahead > pace->most + SL_GCRA_SLACK)
			*time = query->now + pace->most;
		ahead = pace->most;
	}
	cost = sl_gcra_ticks(sl_gcra_cost(pace, query->bytes), word);
	verdict = sl_gcra_verdict(ahead, cost, pace->depth, sl_limit_may_mark(limit, query));
	if (verdict != SL_POLICER_DROP)
		*time += cost;
	if (sl_unlikely(verdict != SL_POLICER_PASS))
		return sl_limit_exceeded(t, limit, query, verdict);
	sl_limit_passed(t, limit);
	return verdict;
}

/* Checks one limit of the service, by its index among them. */
SL_INLINE uint32_t sl_limit_check_one_impl(const struct sl_tables *t,
					   const struct sl_policer_query *query, uint32_t index)
{
	const struct sl_limit *limit = sl_seam_limit(t, (uint64_t)query->limits + index);
	enum sl_policer_verdict verdict;

	if (!limit || !sl_limit_concerns(limit, query))
		return SL_POLICER_PASS;
	if (limit->scope == SL_SCOPE_FLOW || limit->scope == SL_SCOPE_CLIENT)
		verdict = sl_limit_meter(t, limit, query);
	else
		verdict = sl_limit_lease(t, limit, query,
					 limit->shared_bucket + (limit->scope == SL_SCOPE_BACKEND
									 ? query->counter_id
									 : 0));
	if (verdict == SL_POLICER_UNLIMITED)
		return SL_POLICER_PASS;
	if (verdict == SL_POLICER_PASS)
		sl_limit_passed(t, limit);
	else
		verdict = sl_limit_exceeded(t, limit, query, verdict);
	return SL_LIMIT_RESULT(verdict, limit->scope);
}

static long sl_limit_round(uint32_t i, void *state)
{
	struct sl_policer_query *query = state;
	uint32_t one = sl_limit_check_one(query->tables, query, i);

	if (sl_limit_verdict(one) != SL_POLICER_PASS)
		query->answer = one;
	return sl_limit_verdict(one) == SL_POLICER_DROP;
}

/* Checks all limits of the service except the one in flow entries. */
SL_INLINE uint32_t sl_limit_check(const struct sl_tables *t, struct sl_policer_query *query)
{
	query->tables = t;
	query->answer = SL_POLICER_PASS;
	sl_loop(query->n_limits < SL_LIMITS_A_SERVICE ? query->n_limits : SL_LIMITS_A_SERVICE,
		sl_limit_round, query);
	return query->answer;
}

#endif
