/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Buckets that are found by limit and subject: the table of meters.
 *
 * Two-choice lines of four, like the flow table, but nothing has to be remembered here: a bucket
 * that is full says as much as one that isn't there. So an entry is free for another as soon as its
 * bucket is full, the table needs no sweep, and a client that sends little holds its place for
 * microseconds: a flood of addresses fills it only where each is owed a long time.
 *
 * Where none of the eight is free, the one nearest to full makes room, which gives its owner what
 * was missing of its burst; so who is limited hardest stays. That is counted (`evicted`).
 *
 * Whoever takes a place swaps in its key and finds the bucket full, or makes it so. Two who take
 * places for one subject at once agree from the next packet on: the first place in order is looked
 * at first, the other is full soon.
 */
#ifndef SL_CORE_METER_H
#define SL_CORE_METER_H

#include "flow.h"
#include "gcra.h"

SL_INLINE struct sl_meters *sl_meter_line(const struct sl_tables *t, uint64_t hash, bool second)
{
	const struct sl_root *root = sl_seam_root(t);
	uint32_t n = sl_seam_meter_lines(t);

	if (!root)
		return NULL;
	return sl_seam_meters(t, second ? sl_hash_bucket2(hash, n, root->flow_key)
					: sl_hash_bucket(hash, n));
}

struct sl_meter_slot {
	uint64_t *key;
	uint64_t *word;
	uint64_t was;	/* the key that stands there */
	uint64_t ahead; /* 2^-8 ns from full */
};

/* The subject's place in the line, or else whichever is nearest to full so far. */
SL_INLINE bool sl_meter_search(struct sl_meters *line, uint64_t key, uint64_t now,
			       struct sl_meter_slot *best)
{
	for (uint32_t way = 0; way < SL_METER_WAYS; way++) {
		uint64_t was = *(const volatile uint64_t *)&line->key[way];
		uint64_t ahead;

		if (was == key) {
			best->word = &line->full_at[way];
			return true;
		}
		ahead = was ? sl_gcra_ahead(*(const volatile uint64_t *)&line->full_at[way], now,
					    UINT64_MAX)
			    : 0;
		if (!best->key || ahead < best->ahead)
			*best = (struct sl_meter_slot){ &line->key[way], &line->full_at[way], was,
							ahead };
	}
	return false;
}

/* The word of a subject's bucket, now = 2^-8 ns; NULL where there is none to be had. */
SL_INLINE uint64_t *sl_meter_find(const struct sl_tables *t, uint64_t key, uint64_t now,
				  uint64_t *evicted)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_meter_slot slot = { 0 };
	uint64_t hash;

	if (!root)
		return NULL;
	hash = sl_hash_flow(key, root->flow_key);
	for (int second = 0; second < 2; second++) {
		struct sl_meters *line = sl_meter_line(t, hash, second);

		if (line && sl_meter_search(line, key, now, &slot))
			return slot.word;
	}
	if (!slot.key || !slot.word || !sl_entry_swap(slot.key, slot.was, key))
		return NULL;
	if (slot.ahead) {
		*(volatile uint64_t *)slot.word = now;
		*evicted += 1;
	}
	return slot.word;
}

#endif
