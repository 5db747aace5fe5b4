/* SPDX-License-Identifier: BSD-2-Clause */
/* control/model/extent.c: scripts of a few steps, then a random life beside a map of single
 * records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../control/model/extent.h"

static void test_runs(void **state)
{
	struct sl_extents *extents = sl_extents_new(100);
	struct sl_extent *e[5];

	(void)state;
	assert_null(sl_extents_alloc(extents, 0));
	assert_null(sl_extents_alloc(extents, 101));
	for (uint32_t i = 0; i < 5; i++) {
		e[i] = sl_extents_adopt(extents, 20 * i, 20);
		assert_int_equal(e[i]->refs, 1);
	}
	assert_null(sl_extents_alloc(extents, 1));
	assert_int_equal(sl_extents_room(extents), 0);
	sl_extent_unref(e[0], 0);
	sl_extent_unref(e[2], 0);
	assert_int_equal(sl_extents_room(extents), 20);
	assert_int_equal(sl_extents_used(extents), 60);
	assert_null(sl_extents_alloc(extents, 21));
	sl_extent_unref(e[1], 0); /* joins both sides */
	assert_int_equal(sl_extents_room(extents), 60);
	e[0] = sl_extents_alloc(extents, 60);
	assert_int_equal(e[0]->at, 0);
	sl_extent_unref(e[4], 0);
	sl_extent_unref(e[3], 0); /* joins the right */
	sl_extent_unref(e[0], 0);
	assert_int_equal(sl_extents_room(extents), 100);
	assert_int_equal(sl_extents_used(extents), 0);
	sl_extent_unref(NULL, 1);
	sl_extents_free(extents);
	sl_extents_free(NULL);
}

/* In a pool of 100 (blocks of 64, 32 and 4), one after the other. */
static void test_smallest_block(void **state)
{
	static const struct {
		uint32_t n, at;
	} t[] = {
		{ 4, 96 }, { 1, 64 }, /* the next 32 are in pieces now */
		{ 20, 0 }, { 8, 24 }, { 2, 66 },  { 1, 65 },
		{ 4, 20 }, { 8, 72 }, { 16, 80 }, { 3, 68 },
	};
	struct sl_extents *extents = sl_extents_new(100);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct sl_extent *e = sl_extents_alloc(extents, t[i].n);

		if (!e || e->at != t[i].at)
			fail_msg("case %zu: %u records", i, t[i].n);
	}
	assert_null(sl_extents_alloc(extents, 33));
	sl_extents_free(extents);
	extents = sl_extents_new(100);
	assert_non_null(sl_extents_adopt(extents, 0, 20));
	assert_int_equal(sl_extents_alloc(extents, 70)->at, 20); /* no block is as long, a run is */
	sl_extents_free(extents);
}

static void test_rest(void **state)
{
	struct sl_extents *extents = sl_extents_new(10);
	struct sl_extent *e = sl_extents_alloc(extents, 4), *f = sl_extents_alloc(extents, 6);

	(void)state;
	assert_ptr_equal(sl_extent_ref(e), e);
	sl_extent_unref(e, 7); /* one generation let go, the model still holds it */
	sl_extents_acknowledged(extents, 9);
	assert_int_equal(sl_extents_used(extents), 10);
	sl_extent_unref(e, 0); /* the last holder never published it; another did */
	assert_int_equal(sl_extents_used(extents), 10);
	assert_null(sl_extents_alloc(extents, 1));
	sl_extents_acknowledged(extents, 6);
	assert_int_equal(sl_extents_used(extents), 10);
	sl_extents_acknowledged(extents, 7);
	assert_int_equal(sl_extents_used(extents), 6);
	sl_extent_unref(f, 9);
	e = sl_extents_alloc(extents, 4);
	assert_int_equal(e->at, 0);
	sl_extent_unref(e, 8);
	sl_extents_acknowledged(extents, 8); /* not in the order in which they were let go */
	assert_int_equal(sl_extents_room(extents), 4);
	sl_extents_acknowledged(extents, 100);
	assert_int_equal(sl_extents_room(extents), 10);
	sl_extents_free(extents);
}

static void test_adopt(void **state)
{
	static const struct {
		uint32_t at, n;
		int good;
	} t[] = {
		{ 10, 5, 1 },  { 10, 5, 0 },  { 9, 2, 0 },	    { 14, 1, 0 },
		{ 8, 20, 0 },  { 15, 5, 1 },  { 8, 2, 1 },	    { 0, 0, 0 },
		{ 99, 1, 1 },  { 99, 1, 0 },  { 100, 1, 0 },	    { 98, UINT32_MAX, 0 },
		{ 50, 50, 0 }, { 50, 49, 1 }, { UINT32_MAX, 2, 0 }, { 0, 8, 1 },
		{ 20, 30, 1 }, { 0, 1, 0 },
	};
	struct sl_extents *extents = sl_extents_new(100);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct sl_extent *e = sl_extents_adopt(extents, t[i].at, t[i].n);

		if (!e != !t[i].good || (e && (e->at != t[i].at || e->n != t[i].n)))
			fail_msg("case %zu", i);
	}
	assert_int_equal(sl_extents_used(extents), 100);
	assert_int_equal(sl_extents_room(extents), 0);
	sl_extents_free(extents); /* with all that is held */
	extents = sl_extents_new(0);
	assert_null(sl_extents_adopt(extents, 0, 1));
	assert_null(sl_extents_alloc(extents, 1));
	sl_extents_free(extents);
}

/* A random life: owner[i] is the extent that record i belongs to, or NULL. */

#define SIZE 500
#define HELD 200

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	uint64_t x = seed += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((x >> 32) * below >> 32);
}

struct life {
	struct sl_extents *extents;
	const struct sl_extent *owner[SIZE];
	uint64_t rests[SIZE]; /* generation, of a record that rests */
	struct sl_extent *held[HELD];
	int n;
};

static int is_free(const struct life *l, uint32_t at, uint32_t n)
{
	for (uint32_t i = at; i < at + n; i++)
		if (i >= SIZE || l->owner[i])
			return 0;
	return 1;
}

static int has_run(const struct life *l, uint32_t n)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < SIZE && run < n; i++)
		run = l->owner[i] ? 0 : run + 1;
	return run == n;
}

static void gain(struct life *l)
{
	uint32_t n = 1 + draw(20), at = draw(SIZE + 10);
	struct sl_extent *e;

	if (l->n == HELD)
		return;
	if (draw(4) == 0) {
		e = sl_extents_adopt(l->extents, at, n);
		assert_int_equal(e != NULL, is_free(l, at, n));
		assert_true(!e || e->at == at);
	} else {
		e = sl_extents_alloc(l->extents, n);
		assert_int_equal(e != NULL, has_run(l, n));
	}
	if (!e)
		return;
	assert_int_equal(e->n, n);
	assert_true(is_free(l, e->at, n));
	for (uint32_t i = e->at; i < e->at + n; i++)
		l->owner[i] = e;
	l->held[l->n++] = e;
}

static void lose(struct life *l, uint64_t generation)
{
	uint32_t which = l->n ? draw((uint32_t)l->n) : 0;
	struct sl_extent *e = l->held[which];

	if (!l->n)
		return;
	if (draw(3) == 0) {
		sl_extent_unref(sl_extent_ref(e), 0);
		return;
	}
	if (draw(3) == 0)
		generation = 0;
	for (uint32_t i = e->at; i < e->at + e->n; i++) {
		l->rests[i] = generation;
		if (!generation)
			l->owner[i] = NULL;
	}
	sl_extent_unref(e, generation);
	l->held[which] = l->held[--l->n];
}

static void acknowledge(struct life *l, uint64_t generation)
{
	sl_extents_acknowledged(l->extents, generation);
	for (int i = 0; i < SIZE; i++) {
		if (l->rests[i] && l->rests[i] <= generation) {
			l->owner[i] = NULL;
			l->rests[i] = 0;
		}
	}
}

static void compare(const struct life *l)
{
	uint32_t used = 0, room = 0, run = 0;

	for (int i = 0; i < SIZE; i++) {
		used += l->owner[i] != NULL;
		run = l->owner[i] ? 0 : run + 1;
		if (run > room)
			room = run;
	}
	assert_int_equal(sl_extents_used(l->extents), used);
	assert_int_equal(sl_extents_room(l->extents), room);
}

static void test_random(void **state)
{
	static struct life l;

	(void)state;
	for (int round = 1; round <= 5; round++) {
		seed = (uint64_t)round;
		memset(&l, 0, sizeof(l));
		l.extents = sl_extents_new(SIZE);
		for (uint64_t generation = 1; generation < 20000; generation++) {
			if (draw(2))
				gain(&l);
			else
				lose(&l, generation);
			if (draw(10) == 0)
				acknowledge(&l, generation - draw(5));
			compare(&l);
		}
		sl_extents_free(l.extents);
	}
}

/* What a service's life needs of a pool three times the capacity: its tables are written anew
 * before the old ones go. A set of tables that fits the capacity: */
struct tables {
	struct sl_extents *extents;
	struct sl_extent *e[300];
	uint32_t n;
	uint32_t records; /* of all */
	uint32_t capacity;
	uint64_t generation;
};

static int add_table(struct tables *t, uint32_t records)
{
	struct sl_extent *e = NULL;

	if (t->n == 300 || t->records + records > t->capacity)
		return 0;
	e = sl_extents_alloc(t->extents, records);
	if (!e)
		fail_msg("seed %llu: no room for a table of %u", (unsigned long long)seed, records);
	t->e[t->n++] = e;
	t->records += records;
	return 1;
}

static void lose_table(struct tables *t, uint32_t i)
{
	t->records -= t->e[i]->n;
	sl_extent_unref(t->e[i], ++t->generation);
	t->e[i] = t->e[--t->n];
	sl_extents_acknowledged(t->extents, t->generation);
}

/* Publishes tables i to i + n anew at once, the largest first as records.c does. */
static void change_tables(struct tables *t, uint32_t i, uint32_t n)
{
	struct sl_extent *next[300] = { NULL };

	for (uint32_t size = 1u << 31; size; size /= 2) {
		for (uint32_t k = i; k < i + n; k++) {
			if (t->e[k]->n != size)
				continue;
			next[k] = sl_extents_alloc(t->extents, size);
			if (!next[k])
				fail_msg("seed %llu: generation %llu: no room for %u of %u",
					 (unsigned long long)seed,
					 (unsigned long long)t->generation, size, t->capacity);
		}
	}
	t->generation++;
	for (uint32_t k = i; k < i + n; k++) {
		sl_extent_unref(t->e[k], t->generation);
		t->e[k] = next[k];
	}
	sl_extents_acknowledged(t->extents, t->generation);
}

static void fill(struct tables *t)
{
	uint32_t most = 0, kind = draw(3);

	while (2u << most <= t->capacity)
		most++;
	if (kind == 0) { /* a large one or two, and crumbs */
		add_table(t, 1u << most);
		add_table(t, 1u << (most - 1));
		for (uint32_t crumb = 1u << draw(3); add_table(t, crumb);)
			;
		return;
	}
	for (int i = 0; i < 200; i++)
		add_table(t, 1u << (kind == 1 ? draw(most + 1) : most - draw(most / 2 + 1)));
}

static void test_for_ever(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 120; round++) {
		struct tables t = { .capacity = 0 };

		seed = round << 32;
		t.capacity = 16 + draw(1u << (4 + draw(9)));
		t.extents = sl_extents_new(3 * t.capacity);
		fill(&t);
		for (int i = 0; i < 3000; i++)
			change_tables(&t, draw(t.n), 1);
		for (int i = 0; i < 300; i++) {
			uint32_t first = draw(t.n);

			change_tables(&t, first, 1 + draw(t.n - first));
		}
		/* Services come and go, too. */
		for (int i = 0; i < 3000; i++) {
			if (t.n > 1 && draw(3) == 0)
				lose_table(&t, draw(t.n));
			else if (draw(2))
				add_table(&t, 1u << draw(12));
			else
				change_tables(&t, draw(t.n), 1);
		}
		sl_extents_free(t.extents);
	}
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The worst that an operator can do: tens of thousands of small extents, every other one gone. */
static void test_many(void **state)
{
	enum { N = 40000 };
	static struct sl_extent *e[N];
	struct sl_extents *extents = sl_extents_new(4 * N);
	double begin = now_ms();

	(void)state;
	for (int i = 0; i < N; i++)
		e[i] = sl_extents_alloc(extents, 2);
	for (int i = 0; i < N; i += 2)
		sl_extent_unref(e[i], 5);
	sl_extents_acknowledged(extents, 5);
	for (int i = 0; i < N; i += 2) {
		e[i] = sl_extents_alloc(extents, 3); /* fits in none of the holes */
		assert_non_null(e[i]);
	}
	print_message("%d extents: %.0f ms\n", N, now_ms() - begin);
	assert_int_equal(sl_extents_used(extents), N / 2 * 5);
	sl_extents_free(extents);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs),   cmocka_unit_test(test_smallest_block),
		cmocka_unit_test(test_rest),   cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_random), cmocka_unit_test(test_for_ever),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
