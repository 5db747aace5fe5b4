/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of pools (core/snat.h): how full a pool gets before a flow finds none, that a flow has one
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
static struct sl_table_block pool[1 + SL_SNAT_START_SLOTS / SL_SLOTS_PER_BLOCK + REGIONS];
static struct sl_tables tables; /* with arrays of real size */

/* A pool of the first n regions; slots as control deals them, but for the order. */
static void make_pool(uint32_t n)
{
	struct sl_table_block *address = pool + 1 + SL_SNAT_START_SLOTS / SL_SLOTS_PER_BLOCK;

	pool->pool = (struct sl_snat_pool){ .n = n, .first_port = FIRST_PORT, .last_port = 65535 };
	for (uint32_t i = 0; i < SL_SNAT_START_SLOTS; i++)
		pool[1 + i / SL_SLOTS_PER_BLOCK].slot[i % SL_SLOTS_PER_BLOCK] = i % n;
	for (uint32_t i = 0; i < n; i++)
		address[i / SL_SNAT_ADDRESSES_PER_BLOCK].address[i % SL_SNAT_ADDRESSES_PER_BLOCK] =
			(struct sl_snat_address){ .addr = world_addr(0x0a020001 + i, false),
						  .region = i };
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(world_make(&w, 64), 0);
	tables = w.queue[0];
	tables.blocks = pool;
	tables.n_slots = sizeof(pool) / sizeof(pool[0]) * SL_SLOTS_PER_BLOCK;
	tables.snat_lines = calloc(REGIONS * SL_SNAT_LINES, sizeof(*tables.snat_lines));
	tables.n_snat_lines = REGIONS * SL_SNAT_LINES;
	tables.snat_clients = calloc(REGIONS * 65536, sizeof(*tables.snat_clients));
	tables.n_snat_clients = REGIONS * 65536;
	world_set_timeouts(&w, SERVICE - 1, 1000, 1000, 1000);
	return !tables.snat_lines || !tables.snat_clients;
}

static int tear_down(void **state)
{
	(void)state;
	free(tables.snat_lines);
	free(tables.snat_clients);
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

	return sl_snat_alloc_impl(&tables, key, 0, 0, &client, (sl_be16)(uint16_t)key);
}

static uint64_t found(uint64_t key)
{
	return sl_snat_find_anywhere_impl(&tables, key,
					  sl_hash_flow(key, sl_seam_root(&tables)->flow_key), 0);
}

static uint64_t *word_of(uint64_t snat_clients)
{
	uint32_t index = sl_snat_port_index(
		sl_snat_address(&tables, 0, sl_snat_address_index(snat_clients))->region,
		sl_snat_port(snat_clients));

	return &tables.snat_lines[index / SL_SNAT_PORTS_PER_LINE]
			.key[index % SL_SNAT_PORTS_PER_LINE];
}

static void test_full(void **state)
{
	static const uint32_t sizes[] = { 1, REGIONS };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		uint32_t n = 0, all = sizes[k] * PORTS;

		memset(tables.snat_lines, 0, REGIONS * SL_SNAT_LINES * sizeof(*tables.snat_lines));
		make_pool(sizes[k]);
		for (uint64_t b; n < all && (b = bind(key_of(n))); n++) {
			assert_true(sl_snat_port(b) >= FIRST_PORT);
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
	assert_true(sl_snat_reclaim_impl(&tables, key_of(n), 0, 0));
	assert_true(bind(key_of(n)) & SL_SNAT_FOUND);
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
		taken += tables.snat_lines[i / SL_SNAT_PORTS_PER_LINE]
				 .key[i % SL_SNAT_PORTS_PER_LINE] != 0;
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_true(found(key_of(i)) & SL_SNAT_FOUND);
	assert_int_equal(taken, FLOWS);
}

static void test_ipv6(void **state)
{
	union sl_addr client = world_addr(0x0a000001, true);
	uint64_t key = key_of(7), snat_clients;
	const struct sl_snat_client *b;

	(void)state;
	make_pool(1);
	snat_clients = sl_snat_alloc_impl(&tables, key, 5, 0, &client, sl_htons(4711));
	assert_int_equal(*word_of(snat_clients), key);
	b = &tables.snat_clients[sl_snat_port(snat_clients)];
	assert_memory_equal(&b->addr, &client, sizeof(client));
	assert_int_equal(sl_ntohs(b->port), 4711);
	/* One who died in between. */
	*word_of(snat_clients) = SL_SNAT_BUSY | 5;
	assert_false(sl_snat_is_dead(&tables, *word_of(snat_clients), 6));
	assert_true(sl_snat_is_dead(&tables, *word_of(snat_clients), 6 + SL_SNAT_BUSY_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_writers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ipv6, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
