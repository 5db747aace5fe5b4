/* SPDX-License-Identifier: BSD-2-Clause */
/* Weighted round robin: new flows take the slots one after the other, and the slots are an order of
 * turns that repeats itself.
 *
 * In one cycle a backend has as many turns as its weight says, all weights divided by their
 * greatest common divisor. Its turns are spread evenly: the k-th of w is at (k + 1/2) / w of the
 * cycle. If that is more than there are slots, a cycle is the whole table, and the turns in it are
 * in proportion to the weights, rounded by largest remainder.
 */
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>

struct turns {
	uint32_t number;
	uint32_t of;   /* the backend's turns in a cycle */
	uint32_t done; /* of these */
	uint64_t rest; /* remainder of the division, while turns are shared out */
	uint64_t identity;
};

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Returns the sum of all weights divided by their greatest common divisor, which is in *divisor. */
static uint64_t sum_of(const struct sl_candidate *candidate, size_t n, uint64_t *divisor)
{
	uint64_t sum = 0;

	*divisor = 0;
	for (size_t i = 0; i < n; i++) {
		*divisor = common_divisor(candidate[i].weight, *divisor);
		sum += candidate[i].weight;
	}
	return *divisor ? sum / *divisor : 0;
}

static uint32_t cycle(uint32_t slots, const struct sl_candidate *candidate, size_t n)
{
	uint64_t divisor, sum = sum_of(candidate, n, &divisor);

	return sum && sum < slots ? (uint32_t)sum : slots;
}

static int by_rest(const void *left, const void *right)
{
	const struct turns *a = left, *b = right;

	if (a->rest != b->rest)
		return a->rest < b->rest ? 1 : -1;
	if (a->identity != b->identity)
		return a->identity < b->identity ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* Shares out the turns of a cycle. `turns` has room for n. Returns the number of backends that have
 * any, which come first. */
static size_t share_out(struct turns *turns, uint32_t slots, const struct sl_candidate *candidate,
			size_t n, uint64_t divisor, uint64_t sum)
{
	uint64_t left = sum < slots ? sum : slots, whole = left;
	size_t with = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t part = candidate[i].weight / divisor * whole;

		turns[i] = (struct turns){ .number = candidate[i].number,
					   .of = (uint32_t)(part / sum),
					   .rest = part % sum,
					   .identity = candidate[i].identity };
		left -= turns[i].of;
	}
	qsort(turns, n, sizeof(*turns), by_rest);
	for (size_t i = 0; i < n; i++) {
		turns[i].of += i < left;
		if (turns[i].of)
			turns[with++] = turns[i];
	}
	return with;
}

/* Whether a's next turn comes before b's. */
static bool is_before(const struct turns *a, const struct turns *b)
{
	uint64_t at = (2ull * a->done + 1) * b->of, other = (2ull * b->done + 1) * a->of;

	if (at != other)
		return at < other;
	return a->identity != b->identity ? a->identity < b->identity : a->number < b->number;
}

/* Restores the order of a heap below place `at`: the first is the one whose turn is next. */
static void sift(struct turns *heap, size_t n, size_t at)
{
	for (;;) {
		size_t first = at, child = 2 * at + 1;
		struct turns moved = heap[at];

		if (child < n && is_before(&heap[child], &heap[first]))
			first = child;
		if (child + 1 < n && is_before(&heap[child + 1], &heap[first]))
			first = child + 1;
		if (first == at)
			return;
		heap[at] = heap[first];
		heap[first] = moved;
		at = first;
	}
}

static int fill(uint32_t *cur, uint32_t slots, const struct sl_candidate *candidate, size_t n)
{
	uint64_t divisor, sum = sum_of(candidate, n, &divisor);
	uint32_t period = cycle(slots, candidate, n);
	struct turns *heap;
	size_t with;

	if (!sl_scheduler_may_fill(slots, candidate, n))
		return -EINVAL;
	heap = calloc(n + 1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	with = sum ? share_out(heap, slots, candidate, n, divisor, sum) : 0;
	for (size_t i = with; i-- > 0;)
		sift(heap, with, i);
	for (uint32_t i = 0; i < slots; i++) {
		if (i >= period || !with) {
			cur[i] = with ? cur[i - period] : 0;
			continue;
		}
		cur[i] = heap[0].number;
		heap[0].done++;
		sift(heap, with, 0);
	}
	free(heap);
	return 0;
}

const struct sl_scheduler sl_scheduler_roundrobin = {
	.name = "roundrobin",
	.fill = fill,
	.cycle = cycle,
};
