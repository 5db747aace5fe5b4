/* SPDX-License-Identifier: BSD-2-Clause */
/* When control has the engines look for partial checksums: always while there are few packets, in
 * one turn of sixteen while there are many, and always where one was found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../control/tables/partial.h"

enum { WIRE, VETH, PAIR, PORTS }; /* veth and pair are of a kind that may have partial ones */

static struct sl_root root;
static struct sl_queue queue[PORTS * SL_QUEUES_PER_PORT];
static struct sl_reason_counters counters;
static struct sl_model model;
static struct sl_control control;

static int setup(void **state)
{
	struct sl_control *c = &control;

	memset(&root, 0, sizeof(root));
	memset(queue, 0, sizeof(queue));
	memset(&counters, 0, sizeof(counters));
	memset(&model, 0, sizeof(model));
	memset(c, 0, sizeof(*c));
	c->store.base[SL_ARRAY_root] = &root;
	c->store.base[SL_ARRAY_queues] = queue;
	c->store.base[SL_ARRAY_reason_counters] = &counters;
	c->store.count[SL_ARRAY_reason_counters] = 1;
	model.n_ports = PORTS;
	model.port[VETH].partial = model.port[PAIR].partial = 1;
	c->model = &model;
	*state = c;
	return 0;
}

/* A turn in which this many packets passed; where the engines look from then on. */
static uint64_t turn(struct sl_control *c, uint64_t packets)
{
	counters.packets[SL_REASON_to_backend] += packets / 2;
	counters.packets[SL_REASON_to_client] += packets - packets / 2;
	sl_partial_tick(c);
	return root.partial;
}

static void test_few(void **state)
{
	for (int i = 0; i < 40; i++)
		assert_int_equal(turn(*state, 1000), 1 << VETH | 1 << PAIR);
}

static void test_many(void **state)
{
	int looked = 0;

	for (int i = 0; i < 160; i++)
		looked += turn(*state, 1001) == (1 << VETH | 1 << PAIR);
	assert_int_equal(looked, 10);
	assert_int_equal(turn(*state, 0), 1 << VETH | 1 << PAIR);
}

static void test_found(void **state)
{
	int both = 0;

	queue[VETH * SL_QUEUES_PER_PORT + 3].completed = 1;
	for (int i = 0; i < 160; i++) {
		uint64_t looks = turn(*state, 5000);

		assert_true(looks >> VETH & 1);
		both += looks >> PAIR & 1;
	}
	assert_int_equal(both, 10);
	assert_int_equal(sl_partial_count(*state, VETH).completed, 1);
	queue[PAIR * SL_QUEUES_PER_PORT].left_partial = 1;
	assert_int_equal(turn(*state, 5000), 1 << VETH | 1 << PAIR);
	assert_int_equal(sl_partial_count(*state, PAIR).left, 1);
}

static void test_none_able(void **state)
{
	model.port[VETH].partial = model.port[PAIR].partial = 0;
	assert_int_equal(turn(*state, 0), 0);
	control.generic = 1 << WIRE;
	turn(*state, 0);
	assert_int_equal(root.generic, 1 << WIRE);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_few), TEST(test_many), TEST(test_found),
					    TEST(test_none_able) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
