/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Global functions (global.h) for limits, and for entries that hold a token bucket. */
#ifndef SL_BPF_GLOBAL_LIMIT_H
#define SL_BPF_GLOBAL_LIMIT_H

/* Packs a struct sl_policer_query into numbers. 0..23 index of the limit (there are no more
 * records), 24..39 bytes, 40..55 port, 56..57 direction, 58 begin, 59 picked, 60 may_mark, 61 the
 * bank. 62 and 63 are left to the callee. */
SL_INLINE uint64_t sl_policer_query_pack(const struct sl_tables *t,
					 const struct sl_policer_query *a, uint32_t index)
{
	return ((a->limits + index) & 0xffffff) | (uint64_t)a->bytes << 24 |
	       (uint64_t)a->port << 40 | (uint64_t)(a->direction & 3) << 56 |
	       (uint64_t)a->begin << 58 | (uint64_t)a->picked << 59 | (uint64_t)a->may_mark << 60 |
	       (uint64_t)t->live << 61;
}

SL_INLINE struct sl_policer_query sl_policer_query_unpack(uint64_t what, uint64_t q0, uint64_t q1,
							  uint64_t now)
{
	return (struct sl_policer_query){ .client = { .q = { q0, q1 } },
					  .now = now,
					  .limits = what & 0xffffff,
					  .bytes = (uint16_t)(what >> 24),
					  .port = (sl_be16)(what >> 40),
					  .direction = what >> 56 & 3,
					  .begin = what >> 58 & 1,
					  .picked = what >> 59 & 1,
					  .may_mark = what >> 60 & 1 };
}

/* The bank is the caller's. The caller checks its sequence word before it acts on the result. */
__attribute__((noinline)) uint32_t sl_limit_check_one_global(uint64_t what, uint64_t q0,
							     uint64_t q1, uint32_t counter_id,
							     uint64_t now)
{
	struct sl_policer_query query = sl_policer_query_unpack(what, q0, q1, now);
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, what >> 61 & 1, 0))
		return SL_POLICER_PASS;
	query.counter_id = counter_id;
	return sl_limit_check_one_impl(&t, &query, 0);
}

SL_INLINE uint32_t sl_limit_check_one(const struct sl_tables *t,
				      const struct sl_policer_query *query, uint32_t index)
{
	return sl_limit_check_one_global(sl_policer_query_pack(t, query, index), query->client.q[0],
					 query->client.q[1], query->counter_id, query->now);
}

/* what: sl_policer_query_pack(), with 62 ends and 63 limited. key: with 63 ends one side alone. */
__attribute__((noinline)) uint32_t sl_track_charge_global(uint64_t what, uint64_t q0, uint64_t q1,
							  uint64_t key, uint64_t now)
{
	struct sl_policer_query packet = sl_policer_query_unpack(what, q0, q1, now);
	uint8_t event = what >> 62 & 1	     ? SL_EVENT_END
			: key & SL_FLOW_BUSY ? SL_EVENT_HALF_CLOSE
					     : SL_EVENT_DATA;
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, what >> 61 & 1, 0))
		return SL_POLICER_UNLIMITED;
	return sl_track_charge_impl(&t, key & ~SL_FLOW_BUSY, event, what >> 63 & 1, &packet);
}

SL_INLINE enum sl_policer_verdict sl_track_charge(const struct sl_tables *t, uint64_t key,
						  uint8_t event, bool limited,
						  const struct sl_policer_query *packet)
{
	uint64_t ends = event == SL_EVENT_END, half = event == SL_EVENT_HALF_CLOSE;

	return (enum sl_policer_verdict)sl_track_charge_global(
		sl_policer_query_pack(t, packet, 0) | ends << 62 | (uint64_t)limited << 63,
		packet->client.q[0], packet->client.q[1], key | half << 63, packet->now);
}

__attribute__((noinline)) uint64_t sl_track_value_global(uint64_t key, uint64_t now)
{
	struct sl_tables t;

	return sl_tables_snapshot(&t) ? sl_track_value_impl(&t, key, now) : 0;
}

SL_INLINE uint64_t sl_track_value(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	(void)t;
	return sl_track_value_global(key, now);
}

#endif
