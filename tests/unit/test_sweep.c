/* SPDX-License-Identifier: BSD-2-Clause */
/* control/upkeep/sweep.c while things change: what a pass over the flow table tells although others
 * publish, what it doesn't tell, and numbers that are used again for ever. The test is the engines:
 * it makes the entries, by the live records, and moves and renews them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../../control/tables/adopt.h"
#include "../../control/tables/publish.h"
#include "../../control/tables/records.h"
#include "../../control/upkeep/sweep.h"
#include "../../dataplane/abi/hash.h"
#include "../../dataplane/abi/liveness.h"
#include "limit_world.h"

enum { WEB, DNS, MS = 1000000, IDLE_MS = 60000, BUCKETS = 300000 };

static struct sl_root *root(void)
{
	return sl_store_root(&c->store);
}

static void make(uint32_t backends, uint32_t buckets)
{
	limit_world_begin_for(backends, 3 * buckets);
	root()->slot_key[0] = 0x9e3779b97f4a7c15;
	root()->slot_key[1] = 0xd1b54a32d192ed03;
	c->sweep = sl_sweep_new(c);
}

static int begin(void **state)
{
	(void)state;
	make(8, BUCKETS);
	return 0;
}

static int end(void **state)
{
	sl_sweep_free(c->sweep);
	return limit_world_end(state);
}

/* Changes */

static void publish(struct sl_model *next)
{
	struct sl_published out;

	if (sl_publish(c, next, &out, error) != 0)
		fail_msg("%s", error);
}

static struct sl_model_backend *add_backend(struct sl_model *m, int service, uint32_t addr)
{
	struct sl_config_backend conf = { .addr = sl_addr4(sl_htonl(addr)),
					  .port = 80,
					  .weight = 1 };
	struct sl_model_backend *b;
	int err;

	b = sl_service_add(m, sl_model_edit(m, (size_t)service), &conf, &err);
	if (!b)
		return NULL;
	b->known = true;
	b->hop.kind = SL_ROUTE_VIA;
	return b;
}

/* Both services, with backends 1 and 2. */
static void serve(void)
{
	struct sl_model *next = sl_model_clone(c->model);
	int err;

	for (int i = WEB; i <= DNS; i++) {
		assert_non_null(sl_model_add(next, &file[i], sl_clock_ms(), &err));
		add_backend(next, i, 0x0a010001 + 256u * (uint32_t)i);
		add_backend(next, i, 0x0a010002 + 256u * (uint32_t)i);
	}
	publish(next);
}

static struct sl_model_backend *backend(int service, uint32_t number)
{
	return &c->model->service[service]->backend[number - 1];
}

static void set_state(int service, uint32_t number, enum sl_backend_state state)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = sl_model_edit(next, (size_t)service);

	sl_backend_set_state(s, &s->backend[number - 1], state);
	publish(next);
}

/* Any change: one more, or one less. */
static void touch(int service)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = sl_model_edit(next, (size_t)service);

	sl_backend_set_weight(s, &s->backend[0], s->backend[0].weight % 3 + 1);
	publish(next);
}

/* Entries */

static struct sl_bucket *bucket(uint32_t at)
{
	return (struct sl_bucket *)c->store.base[SL_ARRAY_flows] + at;
}

static uint64_t tick(void)
{
	return (now_ns - root()->origin_ns) >> SL_TICK_SHIFT;
}

/* Of ports all over the range. */
static uint64_t key_of(int service, uint32_t i)
{
	return sl_flow_key4(c->model->service[service]->id, sl_htonl(0xcb007101),
			    sl_htons((uint16_t)(i * 977)));
}

static void enter(uint32_t at, int service, uint32_t number)
{
	bucket(at)->value[1] = sl_flow_value(number, SL_FLOW_ESTABLISHED, tick());
	bucket(at)->key[1] = key_of(service, at + 1);
}

static void move_entry(uint32_t from, uint32_t to)
{
	struct sl_service_counters *counters = c->store.base[SL_ARRAY_service_counters];

	bucket(to)->value[1] = bucket(from)->value[1];
	bucket(to)->key[1] = bucket(from)->key[1];
	counters[sl_flow_key_service(bucket(from)->key[1])].moved++;
	bucket(from)->key[1] = 0;
}

/* Time */

static void pass(uint64_t ms)
{
	for (uint64_t until = now_ns + ms * MS; now_ns < until; now_ns += 10 * MS)
		sl_sweep_tick(c->sweep);
}

/* Slots forget backend 2 of both services, which leave; the next pass would let go of them. */
static void leave(void)
{
	serve();
	set_state(WEB, 2, SL_STATE_LEAVING);
	set_state(DNS, 2, SL_STATE_LEAVING);
	while (!backend(WEB, 2)->no_row_since || !backend(DNS, 2)->no_row_since)
		pass(10);
	assert_int_equal(backend(WEB, 2)->state, SL_STATE_LEAVING);
	assert_int_equal(backend(DNS, 2)->state, SL_STATE_LEAVING);
}

/* The first of the three slices of the next pass: it clears what is long dead. */
static void begin_pass(void)
{
	do {
		bucket(0)->key[3] = key_of(WEB, 1);
		now_ns += 10 * MS;
		sl_sweep_tick(c->sweep);
	} while (bucket(0)->key[3]);
}

static void end_pass(void)
{
	sl_sweep_tick(c->sweep);
	sl_sweep_tick(c->sweep);
}

static bool is_free(int service, uint32_t number)
{
	return number > c->model->service[service]->n ||
	       backend(service, number)->state == SL_STATE_FREE;
}

/* Tests */

static void test_others_change(void **state)
{
	(void)state;
	leave();
	begin_pass();
	touch(DNS);
	end_pass();
	assert_true(is_free(WEB, 2));
	assert_true(is_free(DNS, 2)); /* what changed doesn't concern it */
}

/* Windows close, and slots of a service that changes settle. */
static void test_rows_settle(void **state)
{
	uint32_t mixed;

	(void)state;
	serve();
	touch(WEB);
	pass(IDLE_MS + 8000);
	assert_int_equal(c->model->service[WEB]->windows.open, 0);
	assert_int_equal(c->model->service[WEB]->windows.mixed, 0);

	set_state(WEB, 2, SL_STATE_DRAINING);
	for (uint32_t at = 0; at < 300; at++)
		enter(at, WEB, 2); /* whose slots disagree */
	while (!c->model->service[WEB]->windows.mixed)
		pass(10);
	mixed = c->model->service[WEB]->windows.mixed;
	for (int i = 0; i < 20; i++) {
		for (uint32_t at = 0; at < 300; at++)
			enter(at, WEB, 2);
		pass(90);
		touch(WEB);
	}
	assert_in_range(c->model->service[WEB]->windows.mixed, 1, mixed - 1);
	for (uint32_t at = 0; at < 300; at++)
		bucket(at)->key[1] = 0;
	for (int i = 0; i < 10; i++) {
		pass(90);
		touch(WEB);
	}
	assert_int_equal(c->model->service[WEB]->windows.mixed, 0);
}

/* One that comes back in the midst of a pass, even if it leaves again at once. */
static void test_comes_back(void **state)
{
	(void)state;
	leave();
	begin_pass();
	set_state(WEB, 2, SL_STATE_READY);
	set_state(WEB, 2, SL_STATE_LEAVING);
	end_pass();
	assert_false(is_free(WEB, 2));
	assert_true(is_free(DNS, 2));
	pass(IDLE_MS + 3000);
	assert_true(is_free(WEB, 2));
}

/* An entry that moves from a bucket not yet read to one that was. */
static void test_moves(void **state)
{
	(void)state;
	leave();
	enter(BUCKETS - 1, WEB, 2);
	begin_pass();
	move_entry(BUCKETS - 1, 0);
	end_pass();
	assert_false(is_free(WEB, 2));
	assert_true(is_free(DNS, 2));
	begin_pass();
	end_pass();
	assert_false(is_free(WEB, 2)); /* it is there */
	bucket(0)->key[1] = 0;
	begin_pass();
	end_pass();
	assert_true(is_free(WEB, 2));
}

/* Slots become others in the midst of a pass. */
static void test_resize(void **state)
{
	struct sl_model *next;

	(void)state;
	leave();
	for (uint32_t at = 0; at < 300; at++)
		enter(at, WEB, 2);
	begin_pass();
	next = sl_model_clone(c->model);
	sl_model_edit(next, WEB)->conf.table_size = 512;
	publish(next);
	end_pass();
	assert_int_equal(c->model->service[WEB]->n_slots, 512);
	assert_true(c->model->service[WEB]->windows.mixed > 100);
	pass(1000);
	assert_in_range(c->model->service[WEB]->windows.mixed, 50, 200);
}

/* A service that is removed in the midst of a pass, and one that is added: of neither it tells. */
static void test_services_come_and_go(void **state)
{
	struct sl_model *next;
	uint16_t id;
	int err;

	(void)state;
	leave();
	id = c->model->service[WEB]->id;
	begin_pass();
	next = sl_model_clone(c->model);
	sl_model_remove(next, WEB, 0);
	publish(next);
	next = sl_model_clone(c->model);
	assert_non_null(sl_model_add(next, &file[WEB], sl_clock_ms(), &err));
	add_backend(next, 1, 0x0a010001);
	publish(next);
	end_pass();
	assert_true(sl_bit(c->model->quarantined, id));
	assert_int_equal(c->model->n, 2);
	assert_int_equal(c->model->service[1]->n, 1);
	assert_true(is_free(0, 2)); /* of the other one it does */
	now_ns += 300ull * MS;
	pass(400);
	assert_false(sl_bit(c->model->quarantined, id));
}

/* A worker that stands still holds back what it may still enter, and nothing else. */
static void test_late_worker(void **state)
{
	struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	struct sl_worker *w = c->store.base[SL_ARRAY_workers];

	(void)state;
	root()->instance = e->instance = 7;
	e->pid = w->pid = 1;
	e->workers = 1;
	leave();
	w->generation = root()->generation;
	assert_int_equal(sl_liveness_begin(&e->alive), 0);
	assert_int_equal(sl_liveness_begin(&w->alive), 0);
	e->accepted = UINT64_MAX;
	/* Its heartbeat is old. What left before its generation goes, at ten changes a second. */
	for (int i = 0; i < 10; i++) {
		touch(DNS);
		pass(100);
	}
	assert_true(is_free(WEB, 2) && is_free(DNS, 2));
	set_state(WEB, 1, SL_STATE_LEAVING);
	pass(2 * IDLE_MS);
	assert_false(is_free(WEB, 1));
	w->generation = root()->generation;
	pass(1000);
	assert_true(is_free(WEB, 1));
	sl_liveness_end(&w->alive);
	sl_liveness_end(&e->alive);
}

/* Whoever leaves is led to by its server id, as long as it serves: it is gone first. */
static void test_server_ids(void **state)
{
	struct sl_model *next;
	struct sl_model_service *s;

	(void)state;
	file[DNS].quic = true;
	leave();
	next = sl_model_clone(c->model);
	s = sl_model_edit(next, DNS);
	s->backend[1].server_id = (struct sl_server_id){ 7, 4 };
	publish(next);
	assert_int_equal(backend(DNS, 2)->no_id_since, 0);
	begin_pass();
	enter(0, DNS, 2); /* by its id, where the pass has been */
	end_pass();
	assert_int_equal(backend(DNS, 2)->state, SL_STATE_GONE);
	pass(1000);
	assert_false(is_free(DNS, 2));
	bucket(0)->key[1] = 0;
	pass(1000);
	assert_true(is_free(DNS, 2));
}

/* What control that was restarted knows of numbers: no more than the live generation says. */
static void test_restart(void **state)
{
	uint64_t live;

	(void)state;
	leave();
	live = root()->generation;
	sl_sweep_free(c->sweep);
	limit_world_restart();
	c->sweep = sl_sweep_new(c);
	assert_int_equal(backend(WEB, 1)->no_row_since, 0);
	assert_int_equal(backend(WEB, 2)->no_row_since, live);
	assert_int_equal(backend(WEB, 2)->no_id_since, live);
	assert_int_equal(c->model->service[WEB]->mixed_in, live);
}

/* Twenty minutes at ten changes a second. Every second change takes a backend of web away, for good
 * or at once, and every other one brings another, while engines go on: an entry is made and renewed
 * by the slots of the moment, and stands up to 60 ms later, as of an engine that was held up. */

enum {
	FLOWS = 600,
	WAYS = 2, /* of a flow, one of either half of the table */
	HELD_MS = 60,
	LIVE = 6, /* backends at a time */
	CHANGES = 12000,
};

struct held { /* a store that is still to come */
	uint64_t at_ns;
	uint64_t before_key, before;
	uint64_t value;
	union sl_addr addr; /* of whom it names */
};

static struct {
	uint32_t way; /* where its entry stands */
	union sl_addr addr;
	struct held held;
} flow[FLOWS];

static uint64_t random_state;
static uint32_t next_addr;

static uint32_t any(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static struct sl_bucket *bucket_of(uint32_t i, uint32_t way)
{
	return bucket(i + way * (c->store.count[SL_ARRAY_flows] / 2));
}

static uint32_t live_row(uint32_t i)
{
	const struct sl_service *record = record_of(80);
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint32_t slot = sl_hash_slot_of(sl_flow_key_source(key_of(WEB, i + 1)), &record->vip,
					sl_endpoint(sl_htons(80), IPPROTO_TCP), root()->slot_key);

	return sl_block_slots(blocks, record->slots)[slot & record->slot_mask];
}

static const struct sl_backend *live_backend(uint32_t number)
{
	const struct sl_service *record = record_of(80);
	const struct sl_backend *b = c->store.base[SL_ARRAY_backends];

	return number && number <= record->n_backends ? &b[record->backends + number - 1] : NULL;
}

static bool serves(uint32_t number)
{
	const struct sl_backend *b = live_backend(number);

	return b && b->flags & SL_BACKEND_SERVES;
}

static bool is_alive(uint64_t value)
{
	const struct sl_flow_timeouts *timeouts = c->store.base[SL_ARRAY_flow_timeouts];

	return sl_flow_within(value, tick(), timeouts[c->model->service[WEB]->id].lifetime[1]);
}

/* A packet: what its flow's entry will say, some time later. */
static void decide(uint32_t i)
{
	const struct sl_bucket *b = bucket_of(i, flow[i].way);
	uint32_t slot = live_row(i), to = sl_slot_cur(slot), prev = sl_slot_prev(slot);
	bool alive = b->key[1] && is_alive(b->value[1]);

	if (alive && serves(sl_flow_backend(b->value[1])))
		to = sl_flow_backend(b->value[1]);
	else if (!alive && sl_slot_state(slot) == SL_SLOT_OPEN && serves(prev) && any(2))
		to = prev;
	if (!to)
		return;
	flow[i].held = (struct held){
		.at_ns = now_ns + any(HELD_MS) * (uint64_t)MS,
		.before_key = b->key[1],
		.before = b->value[1],
		.value = sl_flow_value(to, SL_FLOW_ESTABLISHED, tick()),
		.addr = live_backend(to)->addr,
	};
}

static void store(uint32_t i)
{
	struct held *held = &flow[i].held;
	struct sl_bucket *b = bucket_of(i, flow[i].way);

	if (!held->at_ns || now_ns < held->at_ns)
		return;
	held->at_ns = 0;
	if (b->key[1] != held->before_key || (held->before_key && b->value[1] != held->before))
		return;
	b->value[1] = held->value;
	b->key[1] = key_of(WEB, i + 1);
	flow[i].addr = held->addr;
}

static void move(uint32_t i)
{
	struct sl_service_counters *counters = c->store.base[SL_ARRAY_service_counters];
	struct sl_bucket *from = bucket_of(i, flow[i].way), *to;

	if (!from->key[1])
		return;
	flow[i].way ^= 1;
	to = bucket_of(i, flow[i].way);
	to->value[1] = from->value[1];
	to->key[1] = from->key[1];
	counters[c->model->service[WEB]->id].moved++;
	from->key[1] = 0;
}

/* Whom an entry names is whom it was made for, alive or dead; and a closed slot has no entry that
 * disagrees. */
static void check(void)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		const struct sl_bucket *b = bucket_of(i, flow[i].way);
		uint32_t number = sl_flow_backend(b->value[1]);
		uint32_t slot = live_row(i);

		if (!b->key[1])
			continue;
		if (is_free(WEB, number) ||
		    !sl_addr_equal(&backend(WEB, number)->addr, &flow[i].addr))
			fail_msg("flow %u is another's: number %u", i, number);
		if (sl_slot_state(slot) == SL_SLOT_CLOSED && sl_slot_cur(slot) != number)
			fail_msg("flow %u: its row is closed", i);
	}
}

static void change(uint32_t i)
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_model_service *s = sl_model_edit(next, WEB);
	uint32_t k = any(s->n);

	if (i & 1) {
		if (!add_backend(next, WEB, next_addr++))
			fail_msg("no number after %u changes", i);
	} else {
		while (s->backend[k].state != SL_STATE_READY)
			k = (k + 1) % s->n;
		sl_backend_set_state(s, &s->backend[k], any(2) ? SL_STATE_LEAVING : SL_STATE_GONE);
	}
	publish(next);
}

static void test_twenty_minutes(void **state)
{
	uint32_t most = 0, quarantined = 0;
	struct sl_model *next;

	(void)state;
	make(20, 140000); /* two slices a pass */
	file[WEB].idle_timeout_ms = 1000;
	file[WEB].track_all = true;
	random_state = 4711;
	next_addr = 0x0a020000;
	memset(flow, 0, sizeof(flow));
	serve();
	next = sl_model_clone(c->model);
	while (sl_model_edit(next, WEB)->n < LIVE)
		add_backend(next, WEB, next_addr++);
	publish(next);
	for (uint32_t i = 0; i < CHANGES; i++) {
		change(i);
		for (uint32_t t = 0; t < 10; t++) {
			sl_sweep_tick(c->sweep);
			for (uint32_t k = 0; k < 10; k++) {
				uint32_t f = (7 * i + any(FLOWS / 3)) % FLOWS;

				if (!flow[f].held.at_ns)
					decide(f);
			}
			for (uint32_t f = t % 2; f < FLOWS; f += 2)
				store(f);
			if (!any(50))
				move(any(FLOWS));
			now_ns += 10 * MS;
		}
		check();
		if (c->model->service[WEB]->n > most)
			most = c->model->service[WEB]->n;
		quarantined += sl_model_quarantined_backends(c->model);
	}
	print_message("numbers: %u at most, %.1f of them resting, for %u backends one after the "
		      "other; %u publishes\n",
		      most, (double)quarantined / CHANGES, next_addr - 0x0a020000,
		      (unsigned)root()->generation);
	assert_in_range(most, LIVE, 40);
	end(state);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_others_change), TEST(test_rows_settle),
		TEST(test_comes_back),	  TEST(test_moves),
		TEST(test_resize),	  TEST(test_services_come_and_go),
		TEST(test_late_worker),	  TEST(test_server_ids),
		TEST(test_restart),	  cmocka_unit_test(test_twenty_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
