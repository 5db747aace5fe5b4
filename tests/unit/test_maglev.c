/* SPDX-License-Identifier: BSD-2-Clause */
/* control/schedulers/: shares, disruption, and that gateways agree. Backends are 10.0.0.1 and on,
 * port 80. Times are printed, not judged: the machine may be busy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../control/schedulers/scheduler.h"

#define ROWS 65536u
#define MANY 1000

static uint32_t cur[SL_SCHEDULER_SLOTS_MAX], other[SL_SCHEDULER_SLOTS_MAX];
static struct sl_candidate candidate[SL_BACKENDS_PER_SERVICE + 1];
static uint32_t share[SL_BACKENDS_PER_SERVICE + 1];

enum weights { EQUAL, ONE_TO_TEN, ONE_HEAVY };

static uint32_t weight(enum weights weights, uint32_t i)
{
	return weights == EQUAL ? 1 : weights == ONE_TO_TEN ? 1 + i % 10 : i == 7 ? 10000 : 1;
}

static void make(uint32_t n, enum weights weights)
{
	for (uint32_t i = 0; i < n; i++) {
		union sl_addr addr = sl_addr4(sl_htonl(0x0a000001 + i));

		candidate[i] = (struct sl_candidate){
			.number = i + 1,
			.weight = weight(weights, i),
			.identity = sl_candidate_identity(&addr, 80),
		};
	}
}

static void fill(uint32_t *table, uint32_t slots, size_t n)
{
	assert_int_equal(sl_scheduler_maglev.fill(table, slots, candidate, n), 0);
}

static void count(const uint32_t *table, uint32_t slots, uint32_t n)
{
	memset(share, 0, sizeof(share));
	for (uint32_t i = 0; i < slots; i++) {
		assert_true(table[i] <= n);
		share[table[i]]++;
	}
}

/* Every share is its weight's, within `rounding` slots. */
static void test_shares(void **state)
{
	static const struct {
		uint32_t n, slots;
		enum weights weights;
		double rounding;
	} t[] = {
		{ 1, 256, EQUAL, 0 },
		{ 2, 256, EQUAL, 0 },
		{ 3, 256, EQUAL, 1 },
		{ 3, 1024, ONE_TO_TEN, 1 },
		{ 256, 256, EQUAL, 0 },
		{ 10, ROWS, ONE_TO_TEN, 1 },
		{ 100, 16384, ONE_TO_TEN, 1.5 },
		{ MANY, ROWS, EQUAL, 1 },
		{ MANY, ROWS, ONE_TO_TEN, 1.5 },
		{ MANY, ROWS, ONE_HEAVY, 300 }, /* turns by the hundred: it has the last word */
		{ SL_BACKENDS_PER_SERVICE, SL_SCHEDULER_SLOTS_MAX, ONE_TO_TEN, 1.5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		double sum = 0, worst = 0;

		make(t[i].n, t[i].weights);
		fill(cur, t[i].slots, t[i].n);
		count(cur, t[i].slots, t[i].n);
		assert_int_equal(share[0], 0);
		for (uint32_t b = 0; b < t[i].n; b++)
			sum += candidate[b].weight;
		for (uint32_t b = 0; b < t[i].n; b++) {
			double want = candidate[b].weight / sum * t[i].slots;
			double off = share[b + 1] - want;

			worst = off > worst ? off : -off > worst ? -off : worst;
		}
		print_message("%u backends, %u rows, weights %d: worst share off by %.2f rows\n",
			      t[i].n, t[i].slots, (int)t[i].weights, worst);
		assert_true(worst <= t[i].rounding + 0.001);
	}
}

static void test_nobody(void **state)
{
	(void)state;
	make(3, EQUAL);
	for (int weightless = 0; weightless < 2; weightless++) {
		memset(cur, 0xff, 256 * sizeof(*cur));
		fill(cur, 256, weightless ? 3 : 0);
		for (int i = 0; i < 256; i++)
			assert_int_equal(cur[i], 0);
		candidate[0].weight = candidate[1].weight = candidate[2].weight = 0;
	}
	candidate[1].weight = UINT32_MAX;
	fill(cur, 256, 3);
	for (int i = 0; i < 256; i++)
		assert_int_equal(cur[i], 2);
}

static void test_refused(void **state)
{
	static const uint32_t slots[] = { 0, 1, 128, 255, 257, 65537, 1u << 21 };

	(void)state;
	make(SL_BACKENDS_PER_SERVICE + 1, EQUAL);
	cur[0] = 77;
	for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++)
		assert_int_equal(sl_scheduler_maglev.fill(cur, slots[i], candidate, 3), -EINVAL);
	assert_int_equal(sl_scheduler_maglev.fill(cur, 256, candidate, SL_BACKENDS_PER_SERVICE + 1),
			 -EINVAL);
	candidate[1].number = 0;
	assert_int_equal(sl_scheduler_maglev.fill(cur, 256, candidate, 3), -EINVAL);
	candidate[1].number = SL_BACKENDS_PER_SERVICE + 1;
	assert_int_equal(sl_scheduler_maglev.fill(cur, 256, candidate, 3), -EINVAL);
	assert_int_equal(cur[0], 77);
}

/* Whatever the order, with the weightless left in or out, and whatever the unit of weights. */
static void test_agreement(void **state)
{
	uint64_t random = 1;

	(void)state;
	make(MANY, ONE_TO_TEN);
	fill(cur, ROWS, MANY);
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = MANY - 1; i > 0; i--) {
			uint32_t j;
			struct sl_candidate moved = candidate[i];

			random = random * 6364136223846793005ull + 1442695040888963407ull;
			j = (uint32_t)((random >> 33) % (i + 1));
			candidate[i] = candidate[j];
			candidate[j] = moved;
		}
		fill(other, ROWS, MANY);
		assert_memory_equal(cur, other, ROWS * sizeof(*cur));
	}
	for (int i = 0; i < MANY; i++)
		candidate[i].weight *= 977;
	fill(other, ROWS, MANY);
	assert_memory_equal(cur, other, ROWS * sizeof(*cur));
	candidate[MANY - 1].weight = 0;
	fill(cur, ROWS, MANY);
	fill(other, ROWS, MANY - 1);
	assert_memory_equal(cur, other, ROWS * sizeof(*cur));
	/* Equal identities, which only a collision could make. */
	for (int i = 0; i < 3; i++)
		candidate[i].identity = 5;
	fill(cur, ROWS, 3);
	candidate[3] = candidate[0];
	fill(other, ROWS, 3);
	assert_memory_equal(cur, other, ROWS * sizeof(*cur));
	for (int i = 0; i < 3; i++)
		candidate[i] = candidate[i + 1];
	fill(other, ROWS, 3);
	assert_memory_equal(cur, other, ROWS * sizeof(*cur));
}

/* Gateways of different versions serve the same flows: this table is for ever. */
static void test_for_ever(void **state)
{
	uint64_t digest = 0xcbf29ce484222325ull;

	(void)state;
	make(20, ONE_TO_TEN);
	fill(cur, 4096, 20);
	for (int i = 0; i < 4096; i++)
		digest = (digest ^ cur[i]) * 0x100000001b3ull;
	assert_true(candidate[0].identity == 0x930ba646937bfc66ull);
	assert_true(digest == 0x82d3628d19a75923ull);
}

/* One of 1,000 goes: its own slots move, and few others. */
static void test_disruption(void **state)
{
	static const enum weights all[] = { EQUAL, ONE_TO_TEN };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		uint32_t worst = 0, sum = 0, runs = 50;

		make(MANY, all[k]);
		fill(cur, ROWS, MANY);
		for (uint32_t run = 0; run < runs; run++) {
			uint32_t gone = run * 19, was = candidate[gone].weight, innocent = 0;

			candidate[gone].weight = 0;
			fill(other, ROWS, MANY);
			candidate[gone].weight = was;
			for (uint32_t i = 0; i < ROWS; i++) {
				assert_true(other[i] != gone + 1);
				innocent += cur[i] != other[i] && cur[i] != gone + 1;
			}
			worst = innocent > worst ? innocent : worst;
			sum += innocent;
		}
		print_message("weights %d: %.2f%% of innocents moved, %.2f%% at worst\n",
			      (int)all[k], 100.0 * sum / runs / ROWS, 100.0 * worst / ROWS);
		assert_true(worst < ROWS / 80);
	}
}

/* Old slot i became slots i and i + ROWS: how many stay where they are. */
static void test_doubling(void **state)
{
	uint32_t same = 0;

	(void)state;
	make(MANY, EQUAL);
	fill(cur, ROWS, MANY);
	fill(other, 2 * ROWS, MANY);
	for (uint32_t i = 0; i < 2 * ROWS; i++)
		same += other[i] == cur[i & (ROWS - 1)];
	print_message("doubling keeps %.1f%% of rows\n", 50.0 * same / ROWS);
	assert_true(same > 2 * ROWS / 5);
}

static void test_registry(void **state)
{
	union sl_addr a = sl_addr4(sl_htonl(0x0a000001)), b = sl_addr4(sl_htonl(0x0a000002));

	(void)state;
	assert_ptr_equal(sl_schedulers[0], &sl_scheduler_maglev);
	assert_ptr_equal(sl_scheduler_find("maglev"), &sl_scheduler_maglev);
	assert_null(sl_scheduler_find("Maglev"));
	assert_null(sl_scheduler_find(""));
	for (const struct sl_scheduler *const *s = sl_schedulers; *s; s++)
		assert_true((*s)->name && (*s)->fill);
	assert_true(sl_candidate_identity(&a, 80) != sl_candidate_identity(&b, 80));
	assert_true(sl_candidate_identity(&a, 80) != sl_candidate_identity(&a, 81));
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_speed(void **state)
{
	static const char *const name[] = { "equal", "1 to 10", "one of 10,000" };

	(void)state;
	for (enum weights k = EQUAL; k <= ONE_HEAVY; k++) {
		double best = 1e9;

		make(MANY, k);
		for (int run = 0; run < 20; run++) {
			double begin = now_ms();

			fill(cur, ROWS, MANY);
			begin = now_ms() - begin;
			best = begin < best ? begin : best;
		}
		print_message("%d backends, %u rows, weights %s: %.2f ms\n", MANY, ROWS, name[k],
			      best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),	 cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_agreement),
		cmocka_unit_test(test_for_ever), cmocka_unit_test(test_disruption),
		cmocka_unit_test(test_doubling), cmocka_unit_test(test_registry),
		cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
