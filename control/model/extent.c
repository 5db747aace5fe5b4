/* SPDX-License-Identifier: BSD-2-Clause */
/* extent.h describes the model. Free runs lie in one array, ordered by place. A search through tens
 * of thousands of them reads memory in order and takes a few microseconds, which is fine at the
 * rate of publishes. There are never more runs than extents plus one. So the array is enlarged when
 * an extent is made, and releasing an extent can't fail.
 *
 * A free run is seen as a sequence of blocks, as a buddy allocator would have them: the length of
 * each is a power of two, and it is aligned to its length.
 */
#include "extent.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct run {
	uint32_t at;
	uint32_t n;
};

LIST_HEAD(extents, sl_extent);

struct sl_extents {
	struct run *run; /* none is empty, and none touches the next */
	size_t runs;
	size_t capacity;
	size_t count; /* number of extents, including those in quarantine */
	uint32_t used;
	struct extents held;
	struct extents quarantined;
};

struct sl_extents *sl_extents_new(uint32_t size)
{
	struct sl_extents *extents = calloc(1, sizeof(*extents));

	if (!extents)
		return NULL;
	LIST_INIT(&extents->held);
	LIST_INIT(&extents->quarantined);
	extents->capacity = 16;
	extents->run = calloc(extents->capacity, sizeof(*extents->run));
	if (!extents->run) {
		free(extents);
		return NULL;
	}
	extents->run[0] = (struct run){ .at = 0, .n = size };
	extents->runs = size != 0;
	return extents;
}

static void free_all(struct extents *extents)
{
	struct sl_extent *e;

	while ((e = LIST_FIRST(extents))) {
		LIST_REMOVE(e, all);
		free(e);
	}
}

void sl_extents_free(struct sl_extents *extents)
{
	if (!extents)
		return;
	free_all(&extents->quarantined);
	free_all(&extents->held);
	free(extents->run);
	free(extents);
}

/* Returns the index of the first run that begins after `at`. */
static size_t after(const struct sl_extents *extents, uint32_t at)
{
	size_t low = 0, high = extents->runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (extents->run[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert(struct sl_extents *extents, size_t i, struct run run)
{
	assert(extents->runs < extents->capacity);
	memmove(extents->run + i + 1, extents->run + i, (extents->runs - i) * sizeof(run));
	extents->run[i] = run;
	extents->runs++;
}

static void drop(struct sl_extents *extents, size_t i)
{
	extents->runs--;
	memmove(extents->run + i, extents->run + i + 1,
		(extents->runs - i) * sizeof(*extents->run));
}

static bool reserve(struct sl_extents *extents)
{
	size_t capacity = extents->capacity * 2;
	struct run *run;

	if (extents->count + 2 < extents->capacity)
		return true;
	run = realloc(extents->run, capacity * sizeof(*run));
	if (!run)
		return false;
	extents->run = run;
	extents->capacity = capacity;
	return true;
}

/* Makes an extent of n records at `at`, which lie in run i. Returns NULL if there is no memory. */
static struct sl_extent *take(struct sl_extents *extents, size_t i, uint32_t at, uint32_t n)
{
	struct sl_extent *e = reserve(extents) ? calloc(1, sizeof(*e)) : NULL;
	struct run before, behind;

	if (!e)
		return NULL;
	before = (struct run){ .at = extents->run[i].at, .n = at - extents->run[i].at };
	behind = (struct run){ .at = at + n, .n = extents->run[i].n - before.n - n };
	if (before.n && behind.n) {
		extents->run[i] = before;
		insert(extents, i + 1, behind);
	} else if (before.n || behind.n) {
		extents->run[i] = before.n ? before : behind;
	} else {
		drop(extents, i);
	}
	*e = (struct sl_extent){ .at = at, .n = n, .refs = 1, .extents = extents };
	LIST_INSERT_HEAD(&extents->held, e, all);
	extents->count++;
	extents->used += n;
	return e;
}

/* Returns the length of the longest block that begins at `at` and ends before `end`. */
static uint64_t block_at(uint32_t at, uint32_t end)
{
	uint64_t block = 1ull << (31 - __builtin_clz(end - at));
	uint64_t aligned = at & -(uint64_t)at;

	return aligned && aligned < block ? aligned : block;
}

struct fit {
	size_t run;
	uint32_t at;
	uint64_t size; /* of the block, or the run */
};

static void fit_in_run(const struct sl_extents *extents, size_t i, uint32_t n, struct fit *best)
{
	uint32_t end = extents->run[i].at + extents->run[i].n;
	uint64_t size;

	for (uint32_t at = extents->run[i].at; at < end; at += (uint32_t)size) {
		size = block_at(at, end);
		if (size >= n && size < best->size)
			*best = (struct fit){ .run = i, .at = at, .size = size };
	}
}

struct sl_extent *sl_extents_alloc(struct sl_extents *extents, uint32_t n)
{
	struct fit block = { .size = UINT64_MAX }, run = { .size = UINT64_MAX };

	for (size_t i = 0; n && i < extents->runs && block.size >= 2ull * n; i++) {
		if (extents->run[i].n < n)
			continue;
		fit_in_run(extents, i, n, &block);
		if (extents->run[i].n < run.size)
			run = (struct fit){ .run = i,
					    .at = extents->run[i].at,
					    .size = extents->run[i].n };
	}
	if (block.size != UINT64_MAX)
		return take(extents, block.run, block.at, n);
	return run.size != UINT64_MAX ? take(extents, run.run, run.at, n) : NULL;
}

struct sl_extent *sl_extents_adopt(struct sl_extents *extents, uint32_t at, uint32_t n)
{
	size_t i = after(extents, at);
	const struct run *run;

	if (!n || !i--)
		return NULL;
	run = &extents->run[i];
	if (at - run->at >= run->n || run->n - (at - run->at) < n)
		return NULL;
	return take(extents, i, at, n);
}

static void give_back(struct sl_extent *e)
{
	struct sl_extents *extents = e->extents;
	size_t i = after(extents, e->at);
	struct run *run = extents->run + i;
	bool joins_left = i > 0 && run[-1].at + run[-1].n == e->at;
	bool joins_right = i < extents->runs && e->at + e->n == run->at;

	if (joins_left && joins_right) {
		run[-1].n += e->n + run->n;
		drop(extents, i);
	} else if (joins_left) {
		run[-1].n += e->n;
	} else if (joins_right) {
		*run = (struct run){ .at = e->at, .n = run->n + e->n };
	} else {
		insert(extents, i, (struct run){ .at = e->at, .n = e->n });
	}
	extents->used -= e->n;
	extents->count--;
	LIST_REMOVE(e, all);
	free(e);
}

struct sl_extent *sl_extent_ref(struct sl_extent *e)
{
	assert(e->refs);
	e->refs++;
	return e;
}

void sl_extent_unref(struct sl_extent *e, uint64_t generation)
{
	if (!e)
		return;
	assert(e->refs);
	if (generation > e->generation)
		e->generation = generation;
	if (--e->refs)
		return;
	if (!e->generation) {
		give_back(e);
		return;
	}
	LIST_REMOVE(e, all);
	LIST_INSERT_HEAD(&e->extents->quarantined, e, all);
}

void sl_extents_acknowledged(struct sl_extents *extents, uint64_t generation)
{
	struct sl_extent *e, *next;

	for (e = LIST_FIRST(&extents->quarantined); e; e = next) {
		next = LIST_NEXT(e, all);
		if (e->generation <= generation)
			give_back(e);
	}
}

uint32_t sl_extents_room(const struct sl_extents *extents)
{
	uint32_t room = 0;

	for (size_t i = 0; i < extents->runs; i++) {
		if (extents->run[i].n > room)
			room = extents->run[i].n;
	}
	return room;
}

uint32_t sl_extents_used(const struct sl_extents *extents)
{
	return extents->used;
}
