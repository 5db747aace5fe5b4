/* SPDX-License-Identifier: BSD-2-Clause */
/* control/model/pace.c: what engines compute with, against the rates that people gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../control/model/pace.h"

static double ns(uint64_t cost)
{
	return (double)cost / (1 << SL_COST_SHIFT);
}

static void near(double is, double wanted, double parts)
{
	if (is < wanted * (1 - parts) || is > wanted * (1 + parts))
		fail_msg("%.9g, not %.9g", is, wanted);
}

static const uint64_t rates[] = { 1000,	       1024,	     9600,	  64000,     1000000,
				  1500000,     2000000,	     10000000,	  333333333, 1000000000,
				  10000000000, 100000000000, 400000000000 };

/* A rate comes out of as many bytes as it lets pass in ten seconds, and can be read back. */
static void test_rates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct sl_pace p = sl_pace_of(SL_UNIT_BYTES, rates[i], 65536, SL_ACTION_DROP);

		near(ns(p.byte), 8e9 / (double)rates[i], 3e-6);
		assert_int_equal(p.packet, 0);
		near((double)sl_pace_rate(&p, SL_UNIT_BYTES), (double)rates[i], 3e-6);
	}
	for (uint64_t rate = 1; rate <= 1000000000; rate *= 10) {
		struct sl_pace p = sl_pace_of(SL_UNIT_PACKETS, rate, 1, SL_ACTION_DROP);

		near(ns(p.packet), 1e9 / (double)rate, 3e-8);
		assert_int_equal(p.byte, 0);
		assert_int_equal(sl_pace_rate(&p, SL_UNIT_CONNECTIONS), rate);
	}
}

/* The burst fits its depth, and no more than a rounding beyond. */
static void test_depth(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		for (uint64_t burst = 2048; burst <= 65536 && burst * 8 / rates[i] < 1500;
		     burst += 1500) {
			struct sl_pace p =
				sl_pace_of(SL_UNIT_BYTES, rates[i], burst, SL_ACTION_DROP);
			unsigned __int128 cost = (unsigned __int128)p.byte * burst;
			uint64_t least = (uint64_t)(cost >> (SL_COST_SHIFT + SL_TICK_SHIFT));

			assert_in_range(p.depth, least, least + 1);
			assert_true(cost >> 64 == 0);
			assert_int_equal(sl_pace_left(&p, burst, 0), burst);
			assert_int_equal(sl_pace_left(&p, burst, p.depth), 0);
			assert_int_equal(sl_pace_left(&p, burst, p.depth * 2), 0);
		}
	}
}

/* 65,536 bytes or a packet more than the burst; twice the burst where packets are marked; an hour
 * at most. */
static void test_most(void **state)
{
	struct sl_pace p = sl_pace_of(SL_UNIT_BYTES, 8000000, 100000, SL_ACTION_DROP);

	(void)state;
	assert_int_equal(p.depth, 100000000 / SL_TICK_NS); /* a byte takes a microsecond */
	assert_int_equal(p.most, 165536000 / SL_TICK_NS);
	p = sl_pace_of(SL_UNIT_BYTES, 8000000, 100000, SL_ACTION_MARK);
	assert_int_equal(p.most, 265536000 / SL_TICK_NS);
	p = sl_pace_of(SL_UNIT_PACKETS, 1000, 20, SL_ACTION_OBSERVE);
	assert_int_equal(p.depth, 20000000 / SL_TICK_NS);
	assert_int_equal(p.most, 21000000 / SL_TICK_NS);
	p = sl_pace_of(SL_UNIT_CONNECTIONS, 1, 100000, SL_ACTION_DROP);
	assert_true(p.depth == SL_TIME_AHEAD);
	assert_true(p.most == SL_TIME_AHEAD);
}

/* Without a rate there is nothing. */
static void test_none(void **state)
{
	struct sl_config_limit l = { .scope = SL_SCOPE_CLIENT, .prefix4 = 32, .prefix6 = 128 };
	struct sl_pace p = sl_pace_of_limit(&l);

	(void)state;
	assert_int_equal(p.byte + p.packet + p.depth + p.most, 0);
	assert_int_equal(sl_pace_rate(&p, SL_UNIT_BYTES), 0);
}

/* What was used stays used: ten times the rate, a tenth of the time. */
static void test_rescale(void **state)
{
	struct sl_pace slow = sl_pace_of(SL_UNIT_BYTES, 1000000, 65536, SL_ACTION_DROP);
	struct sl_pace fast = sl_pace_of(SL_UNIT_BYTES, 10000000, 65536, SL_ACTION_DROP);
	struct sl_pace small = sl_pace_of(SL_UNIT_BYTES, 1000000, 2048, SL_ACTION_DROP);
	struct sl_pace none = { 0 };

	(void)state;
	for (uint64_t ahead = 0; ahead <= slow.most; ahead += slow.most / 7) {
		near((double)sl_pace_rescale(&slow, &fast, ahead) + 1, (double)ahead / 10 + 1,
		     1e-6);
		near((double)sl_pace_left(&fast, 65536, sl_pace_rescale(&slow, &fast, ahead)) + 1,
		     (double)sl_pace_left(&slow, 65536, ahead) + 1, 1e-2);
	}
	assert_int_equal(sl_pace_rescale(&slow, &small, slow.most), small.most);
	assert_int_equal(sl_pace_rescale(&none, &small, 17), 17);
	assert_int_equal(sl_pace_rescale(&slow, &none, 17), 0);
}

static void test_lease(void **state)
{
	struct sl_pace p = sl_pace_of(SL_UNIT_BYTES, 1000000, 65536, SL_ACTION_DROP);

	(void)state;
	assert_int_equal(sl_pace_lease(&p), 200000 / SL_TICK_NS);
	p = sl_pace_of(SL_UNIT_PACKETS, 1000000000, 64, SL_ACTION_DROP);
	assert_int_equal(p.depth, 16);
	assert_int_equal(sl_pace_lease(&p), 1);
	p = sl_pace_of(SL_UNIT_BYTES, 1000000000, 6250, SL_ACTION_DROP); /* 50 us */
	assert_int_equal(sl_pace_lease(&p), p.depth / 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),	cmocka_unit_test(test_depth),
		cmocka_unit_test(test_most),	cmocka_unit_test(test_none),
		cmocka_unit_test(test_rescale), cmocka_unit_test(test_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
