/* SPDX-License-Identifier: BSD-2-Clause */
/* Weighted Maglev (Eisenbud et al., NSDI 2016, 3.4), for tables whose size is a power of two.
 *
 * Each backend has its own permutation of the slots, which begins at `at` and proceeds by `skip`.
 * Backends take turns. At its turn a backend takes the first slot of its permutation that is still
 * free. When a backend comes or goes, the order in which the others find slots taken changes only
 * here and there, so nearly all slots keep their backend.
 *
 * The number of slots is a power of two, so an odd skip reaches every slot. No prime is needed, and
 * the remainder is a mask.
 *
 * A backend has turns in proportion to its weight: in each round it earns its weight, and a turn
 * costs `price`. The price is the highest weight, halved until rounds aren't too sparse. So it
 * hardly ever changes when some other backend goes, and the remaining backends have their turns in
 * the same rounds as before. Every backend begins with half a price, so that shares are rounded to
 * the nearest number of slots, not down.
 */
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>

/* Credit is counted in 2^-PRECISION of a weight, so that the price can be halved exactly. */
#define PRECISION 16

/* A round is too sparse if less than one backend in SPARSE has a turn in it: it costs more time
 * than it spreads the slots. */
#define SPARSE 4

struct turn {
	uint32_t at;
	uint32_t skip;
	uint32_t number;
	uint64_t earns; /* in a round */
	uint64_t credit;
	uint64_t identity;
};

/* The finalizer of MurmurHash3: each bit of the input changes half of the output's bits. */
static uint64_t scatter(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

static int before(const void *left, const void *right)
{
	const struct turn *a = left, *b = right;

	if (a->identity != b->identity)
		return a->identity < b->identity ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* Returns what a turn costs, and the sum of all weights in *sum. A weight has at most 32 bits, and
 * the number of candidates 14, so nothing below overflows. */
static uint64_t price(const struct sl_candidate *candidate, size_t n, uint64_t *sum)
{
	uint64_t most = 0, active = 0;
	unsigned int halved = 0;

	*sum = 0;
	for (size_t i = 0; i < n; i++) {
		*sum += candidate[i].weight;
		active += candidate[i].weight != 0;
		if (candidate[i].weight > most)
			most = candidate[i].weight;
	}
	while (halved < PRECISION && most * active > (*sum * SPARSE) << halved)
		halved++;
	return most << (PRECISION - halved);
}

/* Writes the candidates that have a weight to `turn`, in the order of their identities. Returns how
 * many there are. */
static size_t line_up(struct turn *turn, uint32_t slots, const struct sl_candidate *candidate,
		      size_t n, uint64_t cost)
{
	size_t active = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t identity = scatter(candidate[i].identity);

		if (!candidate[i].weight)
			continue;
		turn[active++] = (struct turn){
			.at = (uint32_t)identity & (slots - 1),
			.skip = ((uint32_t)(identity >> 32) | 1) & (slots - 1),
			.number = candidate[i].number,
			.earns = (uint64_t)candidate[i].weight << PRECISION,
			.credit = cost / 2,
			.identity = identity,
		};
	}
	qsort(turn, active, sizeof(*turn), before);
	return active;
}

static void take_turns(uint32_t *cur, uint32_t slots, struct turn *turn, size_t n, uint64_t cost,
		       uint64_t *taken)
{
	const uint32_t mask = slots - 1;
	uint32_t left = slots;

	for (size_t i = 0;; i = i + 1 < n ? i + 1 : 0) {
		uint32_t at = turn[i].at, skip = turn[i].skip;

		turn[i].credit += turn[i].earns;
		while (turn[i].credit >= cost) {
			turn[i].credit -= cost;
			while (taken[at / 64] >> at % 64 & 1)
				at = (at + skip) & mask;
			taken[at / 64] |= 1ull << at % 64;
			cur[at] = turn[i].number;
			if (!--left)
				return;
		}
		turn[i].at = at;
	}
}

static int fill(uint32_t *cur, uint32_t slots, const struct sl_candidate *candidate, size_t n)
{
	uint64_t cost, sum, *taken;
	struct turn *turn;
	int err = 0;

	if (!sl_scheduler_may_fill(slots, candidate, n))
		return -EINVAL;
	cost = price(candidate, n, &sum);
	if (!sum) {
		for (uint32_t i = 0; i < slots; i++)
			cur[i] = 0;
		return 0;
	}
	turn = calloc(n, sizeof(*turn));
	taken = calloc(slots / 64, sizeof(*taken));
	if (turn && taken)
		take_turns(cur, slots, turn, line_up(turn, slots, candidate, n, cost), cost, taken);
	else
		err = -ENOMEM;
	free(taken);
	free(turn);
	return err;
}

const struct sl_scheduler sl_scheduler_maglev = {
	.name = "maglev",
	.fill = fill,
};
