/* SPDX-License-Identifier: BSD-2-Clause */
/* Each worker sweeps the flow table: a few buckets per tick, the whole table every few seconds.
 *
 * The sweep clears entries that expired and are past their grace (abi/flow.h). A busy entry is
 * being written at this moment, or was left by an engine that died while it wrote. The sweeper
 * notes it as a suspect, and clears it if it is still busy with the same key a minute later. The
 * sweep also resets the counts of failed inserts, so that services try again to make room in a
 * table that was full.
 */
#ifndef SL_ENGINE_FLOW_SWEEPER_H
#define SL_ENGINE_FLOW_SWEEPER_H

#include "seam.h"

enum { SL_SUSPECTS = 16, SL_SUSPECT_ROUNDS = 16 /* passes of four seconds */ };

struct sl_suspect {
	uint64_t *word;
	uint64_t key;
	uint32_t round;
};

struct sl_flow_sweeper {
	uint32_t next;	 /* the next bucket */
	uint32_t stride; /* buckets per tick */
	uint32_t round;	 /* passes over the whole table */
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

/* Resets the failed inserts of some services, so that their flows try again to make room
 * (core/flow.h). Every bucket has its share of the services, so a pass covers all of them. */
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
