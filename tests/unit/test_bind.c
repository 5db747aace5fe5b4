/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of pools (core/bind.h): how full a pool gets before a flow finds none, that a flow has one
 * port whoever binds it, and that a change of addresses leaves it there. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum {
	REGIONS = 4,
	FIRST_PORT = 1024,
	PORTS = 65536 - FIRST_PORT,
	SERVICE = 1,
	FLOWS = 40000,
	WRITERS = 2
};

static struct world w;
static struct sl_rows pool[1 + SL_POOL_ROWS / SL_ROWS_PER_RECORD + REGIONS];
static struct sl_tables tables; /* with arrays of real size */

/* A pool of the first n regions; rows as control deals them, but for the order. */
static void make_pool(uint32_t n)
{
	struct sl_rows *address = pool + 1 + SL_POOL_ROWS / SL_ROWS_PER_RECORD;

	pool->pool =
		(struct sl_address_pool){ .n = n, .first_port = FIRST_PORT, .last_port = 65535 };
	for (uint32_t i = 0; i < SL_POOL_ROWS; i++)
		pool[1 + i / SL_ROWS_PER_RECORD].row[i % SL_ROWS_PER_RECORD] = i % n;
	for (uint32_t i = 0; i < n; i++)
		address[i / SL_POOL_ADDRESSES].address[i % SL_POOL_ADDRESSES] =
			(struct sl_pool_address){ .addr = world_addr(0x0a020001 + i, false),
						  .region = i };
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(world_make(&w, 64), 0);
	tables = w.queue[0];
	tables.rows = pool;
	tables.n_rows = sizeof(pool) / sizeof(pool[0]) * SL_ROWS_PER_RECORD;
	tables.bindings = calloc(REGIONS * SL_BINDING_LINES, sizeof(*tables.bindings));
	tables.binding_lines = REGIONS * SL_BINDING_LINES;
	tables.bound = calloc(REGIONS * 65536, sizeof(*tables.bound));
	tables.n_bound = REGIONS * 65536;
	world_set_terms(&w, SERVICE - 1, 1000, 1000, 1000);
	return !tables.bindings || !tables.bound;
}

static int tear_down(void **state)
{
	(void)state;
	free(tables.bindings);
	free(tables.bound);
	world_free(&w);
	return 0;
}

static uint64_t key_of(uint32_t i)
{
	return sl_flow_key(SERVICE, (uint64_t)i * 0x9e3779b97f4aull & SL_TIME_MASK);
}

static uint64_t bind(uint64_t key)
{
	union sl_addr client = sl_addr4((sl_be32)(uint32_t)(key >> 16));

	return sl_bind_with(&tables, key, 0, 0, &client, (sl_be16)(uint16_t)key);
}

static uint64_t found(uint64_t key)
{
	return sl_bound_anywhere_with(&tables, key,
				      sl_hash_flow(key, sl_seam_root(&tables)->flow_key), 0);
}

static uint64_t *word_of(uint64_t bound)
{
	uint32_t place = sl_binding_at(sl_pool_address(&tables, 0, sl_bound_index(bound))->region,
				       sl_bound_port(bound));

	return &tables.bindings[place / SL_BINDINGS].key[place % SL_BINDINGS];
}

static void test_full(void **state)
{
	static const uint32_t sizes[] = { 1, REGIONS };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		uint32_t n = 0, all = sizes[k] * PORTS;

		memset(tables.bindings, 0, REGIONS * SL_BINDING_LINES * sizeof(*tables.bindings));
		make_pool(sizes[k]);
		for (uint64_t b; n < all && (b = bind(key_of(n))); n++) {
			assert_true(sl_bound_port(b) >= FIRST_PORT);
			assert_int_equal(*word_of(b), key_of(n));
		}
		print_message("%u addresses: %.1f%% of their ports before a flow finds none\n",
			      sizes[k], 100.0 * n / all);
		assert_true(n > all / 100 * 85);
		for (uint32_t i = 0; i < n; i += 97)
			assert_int_equal(*word_of(found(key_of(i))), key_of(i));
	}
}

static void test_more_addresses(void **state)
{
	uint64_t before[1000];

	(void)state;
	make_pool(2);
	for (uint32_t i = 0; i < 1000; i++)
		before[i] = bind(key_of(i));
	make_pool(REGIONS);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(found(key_of(i)), before[i]);
}

/* No entry knows any flow here, so all ports are stale. */
static void test_stale(void **state)
{
	uint32_t n = 0;

	(void)state;
	make_pool(1);
	while (bind(key_of(n)))
		n++;
	assert_true(sl_bind_stale_with(&tables, key_of(n), 0, 0));
	assert_true(bind(key_of(n)) & SL_BOUND);
}

static void *bind_all(void *unused)
{
	(void)unused;
	for (uint32_t i = 0; i < FLOWS; i++)
		if (!found(key_of(i)))
			bind(key_of(i));
	return NULL;
}

/* Two writers bind the same flows at once: each has one port in the end. */
static void test_writers(void **state)
{
	pthread_t writer[WRITERS];
	uint32_t taken = 0;

	(void)state;
	make_pool(1);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writer[i], NULL, bind_all, NULL), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writer[i], NULL);
	for (uint32_t i = 0; i < 65536; i++)
		taken += tables.bindings[i / SL_BINDINGS].key[i % SL_BINDINGS] != 0;
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_true(found(key_of(i)) & SL_BOUND);
	assert_int_equal(taken, FLOWS);
}

static void test_six(void **state)
{
	union sl_addr client = world_addr(0x0a000001, true);
	uint64_t key = key_of(7), bound;
	const struct sl_bound *b;

	(void)state;
	make_pool(1);
	bound = sl_bind_with(&tables, key, 5, 0, &client, sl_htons(4711));
	assert_int_equal(*word_of(bound), key);
	b = &tables.bound[sl_bound_port(bound)];
	assert_memory_equal(&b->addr, &client, sizeof(client));
	assert_int_equal(sl_ntohs(b->port), 4711);
	/* One who died in between. */
	*word_of(bound) = SL_BINDING_BUSY | 5;
	assert_false(sl_binding_dead(&tables, *word_of(bound), 6));
	assert_true(sl_binding_dead(&tables, *word_of(bound), 6 + SL_BINDING_PATIENCE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_writers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_six, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
