/* SPDX-License-Identifier: BSD-2-Clause */
/* Model: extent.h. Free runs lie in one array, ordered by place: a look through tens of thousands
 * of them is a few cache-friendly microseconds, at control rate. There is never room for more runs
 * than extents plus one, so it is enlarged where an extent is made, and letting go can't fail.
 *
 * A free run is seen as blocks, as a buddy allocator would have them: each a power of two long and
 * aligned to its length. */
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

struct sl_pool {
	struct run *run; /* none empty, none touching the next */
	size_t runs;
	size_t capacity;
	size_t count; /* extents */
	uint32_t used;
	struct extents held;
	struct extents resting;
};

struct sl_pool *sl_pool_new(uint32_t size)
{
	struct sl_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	LIST_INIT(&pool->held);
	LIST_INIT(&pool->resting);
	pool->capacity = 16;
	pool->run = calloc(pool->capacity, sizeof(*pool->run));
	if (!pool->run) {
		free(pool);
		return NULL;
	}
	pool->run[0] = (struct run){ .at = 0, .n = size };
	pool->runs = size != 0;
	return pool;
}

static void free_all(struct extents *extents)
{
	struct sl_extent *e;

	while ((e = LIST_FIRST(extents))) {
		LIST_REMOVE(e, all);
		free(e);
	}
}

void sl_pool_free(struct sl_pool *pool)
{
	if (!pool)
		return;
	free_all(&pool->resting);
	free_all(&pool->held);
	free(pool->run);
	free(pool);
}

/* Index of the first run that begins after `at`. */
static size_t after(const struct sl_pool *pool, uint32_t at)
{
	size_t low = 0, high = pool->runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pool->run[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert(struct sl_pool *pool, size_t i, struct run run)
{
	assert(pool->runs < pool->capacity);
	memmove(pool->run + i + 1, pool->run + i, (pool->runs - i) * sizeof(run));
	pool->run[i] = run;
	pool->runs++;
}

static void drop(struct sl_pool *pool, size_t i)
{
	pool->runs--;
	memmove(pool->run + i, pool->run + i + 1, (pool->runs - i) * sizeof(*pool->run));
}

static bool reserve(struct sl_pool *pool)
{
	size_t capacity = pool->capacity * 2;
	struct run *run;

	if (pool->count + 2 < pool->capacity)
		return true;
	run = realloc(pool->run, capacity * sizeof(*run));
	if (!run)
		return false;
	pool->run = run;
	pool->capacity = capacity;
	return true;
}

/* Takes n records at `at` out of run i, which holds them. */
static struct sl_extent *take(struct sl_pool *pool, size_t i, uint32_t at, uint32_t n)
{
	struct sl_extent *e = reserve(pool) ? calloc(1, sizeof(*e)) : NULL;
	struct run before, behind;

	if (!e)
		return NULL;
	before = (struct run){ .at = pool->run[i].at, .n = at - pool->run[i].at };
	behind = (struct run){ .at = at + n, .n = pool->run[i].n - before.n - n };
	if (before.n && behind.n) {
		pool->run[i] = before;
		insert(pool, i + 1, behind);
	} else if (before.n || behind.n) {
		pool->run[i] = before.n ? before : behind;
	} else {
		drop(pool, i);
	}
	*e = (struct sl_extent){ .at = at, .n = n, .refs = 1, .pool = pool };
	LIST_INSERT_HEAD(&pool->held, e, all);
	pool->count++;
	pool->used += n;
	return e;
}

/* The longest block that begins at `at` and ends by `end`. */
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

static void fit_in_run(const struct sl_pool *pool, size_t i, uint32_t n, struct fit *best)
{
	uint32_t end = pool->run[i].at + pool->run[i].n;
	uint64_t size;

	for (uint32_t at = pool->run[i].at; at < end; at += (uint32_t)size) {
		size = block_at(at, end);
		if (size >= n && size < best->size)
			*best = (struct fit){ .run = i, .at = at, .size = size };
	}
}

struct sl_extent *sl_pool_alloc(struct sl_pool *pool, uint32_t n)
{
	struct fit block = { .size = UINT64_MAX }, run = { .size = UINT64_MAX };

	for (size_t i = 0; n && i < pool->runs && block.size >= 2ull * n; i++) {
		if (pool->run[i].n < n)
			continue;
		fit_in_run(pool, i, n, &block);
		if (pool->run[i].n < run.size)
			run = (struct fit){ .run = i,
					    .at = pool->run[i].at,
					    .size = pool->run[i].n };
	}
	if (block.size != UINT64_MAX)
		return take(pool, block.run, block.at, n);
	return run.size != UINT64_MAX ? take(pool, run.run, run.at, n) : NULL;
}

struct sl_extent *sl_pool_adopt(struct sl_pool *pool, uint32_t at, uint32_t n)
{
	size_t i = after(pool, at);
	const struct run *run;

	if (!n || !i--)
		return NULL;
	run = &pool->run[i];
	if (at - run->at >= run->n || run->n - (at - run->at) < n)
		return NULL;
	return take(pool, i, at, n);
}

static void give_back(struct sl_extent *e)
{
	struct sl_pool *pool = e->pool;
	size_t i = after(pool, e->at);
	struct run *run = pool->run + i;
	bool joins_left = i > 0 && run[-1].at + run[-1].n == e->at;
	bool joins_right = i < pool->runs && e->at + e->n == run->at;

	if (joins_left && joins_right) {
		run[-1].n += e->n + run->n;
		drop(pool, i);
	} else if (joins_left) {
		run[-1].n += e->n;
	} else if (joins_right) {
		*run = (struct run){ .at = e->at, .n = run->n + e->n };
	} else {
		insert(pool, i, (struct run){ .at = e->at, .n = e->n });
	}
	pool->used -= e->n;
	pool->count--;
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
	LIST_INSERT_HEAD(&e->pool->resting, e, all);
}

void sl_pool_acknowledged(struct sl_pool *pool, uint64_t generation)
{
	struct sl_extent *e, *next;

	for (e = LIST_FIRST(&pool->resting); e; e = next) {
		next = LIST_NEXT(e, all);
		if (e->generation <= generation)
			give_back(e);
	}
}

uint32_t sl_pool_room(const struct sl_pool *pool)
{
	uint32_t room = 0;

	for (size_t i = 0; i < pool->runs; i++) {
		if (pool->run[i].n > room)
			room = pool->run[i].n;
	}
	return room;
}

uint32_t sl_pool_used(const struct sl_pool *pool)
{
	return pool->used;
}
