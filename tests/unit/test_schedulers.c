/* SPDX-License-Identifier: BSD-2-Clause */
/* The schedulers that don't go by a flow's hash: their turns and shares. Backends are 10.0.0.1 and
 * on, port 80. test_maglev.c has the other one, and test_track.c what is picked when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "../../control/schedulers/scheduler.h"

#define SLOTS 1024u
#define MANY  2000

static uint32_t cur[SL_SCHEDULER_SLOTS_MAX], other[SL_SCHEDULER_SLOTS_MAX];
static struct sl_candidate candidate[MANY];

static void make(const uint32_t *weight, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		union sl_addr addr = sl_addr4(sl_htonl(0x0a000001 + i));

		candidate[i] =
			(struct sl_candidate){ .number = i + 1,
					       .weight = weight[i],
					       .identity = sl_candidate_identity(&addr, 80) };
	}
}

/* Fills the table with turns and returns the cycle. */
static uint32_t turns(uint32_t slots, uint32_t n)
{
	assert_int_equal(sl_scheduler_roundrobin.fill(cur, slots, candidate, n), 0);
	return sl_scheduler_roundrobin.cycle(slots, candidate, n);
}

static uint32_t count(uint32_t number, uint32_t slots)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < slots; i++)
		n += cur[i] == number;
	return n;
}

/* In one cycle each backend has exactly as many turns as its weight says. */
static void test_weights(void **state)
{
	static const struct {
		uint32_t weight[6], n, cycle;
		uint32_t turns[6];
	} t[] = {
		{ { 1 }, 1, 1, { 1 } },
		{ { 1, 1, 1 }, 3, 3, { 1, 1, 1 } },
		{ { 100, 100, 100 }, 3, 3, { 1, 1, 1 } },
		{ { 5, 1, 1 }, 3, 7, { 5, 1, 1 } },
		{ { 10, 20, 30, 40 }, 4, 10, { 1, 2, 3, 4 } },
		{ { 1, 0, 3 }, 3, 4, { 1, 0, 3 } },
		/* More than there are slots: in proportion. */
		{ { 4000, 4001 }, 2, SLOTS, { 512, 512 } },
		{ { 65535, 1 }, 2, SLOTS, { 1024, 0 } },
		{ { 3000, 1000, 96 }, 3, 512, { 375, 125, 12 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		make(t[i].weight, t[i].n);
		assert_int_equal(turns(SLOTS, t[i].n), t[i].cycle);
		for (uint32_t k = 0; k < t[i].n; k++)
			assert_int_equal(count(k + 1, t[i].cycle), t[i].turns[k]);
		for (uint32_t k = t[i].cycle; k < SLOTS; k++)
			assert_int_equal(cur[k], cur[k - t[i].cycle]);
	}
}

/* Whatever the point in time, no backend is far from its share. */
static void test_spread(void **state)
{
	static const uint32_t weight[] = { 50, 1, 7, 20, 22 };
	uint32_t cycle, had[5] = { 0 };

	(void)state;
	make(weight, 5);
	cycle = turns(SLOTS, 5);
	assert_int_equal(cycle, 100);
	for (uint32_t i = 0; i < cycle; i++) {
		had[cur[i] - 1]++;
		for (uint32_t k = 0; k < 5; k++) {
			double off = had[k] - (i + 1) * weight[k] / 100.0;

			assert_true(off > -1.5 && off < 1.5);
		}
	}
}

static void test_order(void **state)
{
	static const uint32_t weight[] = { 3, 1, 1, 9 };
	struct sl_candidate first;

	(void)state;
	make(weight, 4);
	turns(SLOTS, 4);
	memcpy(other, cur, SLOTS * sizeof(*cur));
	first = candidate[0];
	memmove(candidate, candidate + 1, 3 * sizeof(*candidate));
	candidate[3] = first;
	turns(SLOTS, 4);
	assert_memory_equal(cur, other, SLOTS * sizeof(*cur));
}

static void test_nobody(void **state)
{
	static const uint32_t weight[2];

	(void)state;
	make(weight, 2);
	for (const struct sl_scheduler *const *s = sl_schedulers; *s; s++) {
		for (uint32_t n = 0; n <= 2; n++) {
			memset(cur, 0xff, SLOTS * sizeof(*cur));
			assert_int_equal((*s)->fill(cur, SLOTS, candidate, n), 0);
			assert_int_equal(count(0, SLOTS), SLOTS);
			if ((*s)->cycle)
				assert_int_equal((*s)->cycle(SLOTS, candidate, n), SLOTS);
		}
		assert_int_equal((*s)->fill(cur, SLOTS - 1, candidate, 2), -EINVAL);
	}
}

static void test_many(void **state)
{
	static uint32_t weight[MANY];

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		weight[i] = 1 + i % 100;
	make(weight, MANY);
	assert_int_equal(turns(SL_SCHEDULER_SLOTS_MAX, MANY), 101000);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(count(i + 1, 101000), weight[i]);
}

/* A random slot is a weighted choice. */
static void test_random(void **state)
{
	static const uint32_t weight[] = { 1, 2, 5 };

	(void)state;
	make(weight, 3);
	assert_int_equal(sl_scheduler_random.fill(cur, SLOTS, candidate, 3), 0);
	for (uint32_t k = 0; k < 3; k++)
		assert_in_range(count(k + 1, SLOTS), weight[k] * SLOTS / 8 - 1,
				weight[k] * SLOTS / 8 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights), cmocka_unit_test(test_spread),
		cmocka_unit_test(test_order),	cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_many),	cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
