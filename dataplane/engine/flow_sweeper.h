/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's share of keeping the flow table clean: a few buckets each tick, the whole table in
 * seconds. And that it was full is forgotten as often.
 *
 * Entries that are long dead go (flow.h). An entry that is busy is being filled right now, or was
 * left so by an engine that died in those three stores: it is noted, and goes if it stays busy with
 * the same key for a minute. Whoever stands still that long in three stores is dead.
 */
#ifndef SL_ENGINE_FLOW_SWEEPER_H
#define SL_ENGINE_FLOW_SWEEPER_H

#include "seam.h"

enum { SL_SUSPECTS = 16, SL_SUSPECT_ROUNDS = 16 /* of four seconds */ };

struct sl_suspect {
	uint64_t *word;
	uint64_t key;
	uint32_t round;
};

struct sl_flow_sweeper {
	uint32_t next;	 /* bucket */
	uint32_t stride; /* buckets a turn */
	uint32_t round;	 /* of the whole table */
	struct sl_suspect suspect[SL_SUSPECTS];
};

static inline void sl_flow_sweeper_suspect(struct sl_flow_sweeper *c, uint64_t *word, uint64_t key)
{
	struct sl_suspect *free_one = NULL;

	for (int i = 0; i < SL_SUSPECTS; i++) {
		struct sl_suspect *s = &c->suspect[i];

		if (s->word == word && s->key == key) {
			if (c->round - s->round >= SL_SUSPECT_ROUNDS && sl_entry_swap(word, key, 0))
				s->word = NULL;
			return;
		}
		if (!s->word || c->round - s->round > SL_SUSPECT_ROUNDS)
			free_one = s;
	}
	if (free_one)
		*free_one = (struct sl_suspect){ .word = word, .key = key, .round = c->round };
}

/* Services whose flows found no room may look for some again, whatever it takes (core/flow.h): of
 * all of them the part that falls to this bucket. */
static inline void sl_flow_sweeper_forget_full(const struct sl_tables *t, uint32_t bucket)
{
	uint32_t from = (uint32_t)((uint64_t)bucket * t->n_service_counters / t->buckets);
	uint32_t to = (uint32_t)((bucket + 1ull) * t->n_service_counters / t->buckets);

	for (; from < to; from++)
		if (sl_unlikely(t->service_counters[from].insert_failures))
			t->service_counters[from].insert_failures = 0;
}

static inline void sl_flow_sweeper_run(struct sl_flow_sweeper *c, const struct sl_tables *t)
{
	for (uint32_t i = 0; i < c->stride; i++) {
		struct sl_bucket *b = &t->bucket[c->next];

		sl_flow_sweep(t, b, t->now);
		sl_flow_sweeper_forget_full(t, c->next);
		for (int way = 0; way < SL_FLOW_WAYS; way++)
			if (sl_unlikely(b->key[way] & SL_FLOW_BUSY))
				sl_flow_sweeper_suspect(c, &b->key[way], b->key[way]);
		if (++c->next >= t->buckets) {
			c->next = 0;
			c->round++;
		}
	}
}

#endif
