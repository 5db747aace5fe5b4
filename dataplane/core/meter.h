/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The table of meters: token buckets that are found by limit and subject.
 *
 * It has two-choice lines of four entries, like the flow table, but it may forget: a full bucket
 * carries no more information than a missing one. So an entry may be reused as soon as its bucket
 * is full. The table needs no sweep, and a client that sends little keeps its entry for
 * microseconds; a flood of addresses fills the table only if each address is far from full.
 *
 * If none of the eight entries is free, the one nearest to full is replaced. Its owner gains what
 * was missing of its burst, and the subjects that are limited hardest keep theirs. This is counted
 * (`evicted`).
 *
 * A writer takes an entry by swapping in its key; the bucket is then full, or is made so. If two
 * writers take entries for one subject at once, they agree from the next packet on: the first entry
 * in order is found first, and the other is full soon.
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
	uint64_t was;	/* the key that was found there */
	uint64_t ahead; /* 2^-8 ns from full */
};

/* Finds the subject's entry in the line. False: it has none; *best is the entry that is nearest to
 * full so far. */
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

/* The word of a subject's bucket; now: 2^-8 ns. NULL: no entry could be taken. */
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
