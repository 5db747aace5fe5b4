/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits from the file and from overrides to records, over arrays in plain memory: ids, order,
 * flags, balances, exceptions; what a control that was restarted finds of them; and that the
 * dataplane accepts each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "../../control/desired/apply.h"
#include "../../control/desired/apply_limits.h"
#include "../../control/desired/effective.h"
#include "../../control/desired/overrides.h"
#include "../../control/model/pace.h"
#include "../../control/tables/buckets.h"
#include "../../control/tables/counters.h"
#include "../../control/tables/publish.h"
#include "../../control/tables/records.h"
#include "../../control/upkeep/limit_expiry.h"
#include "../../control/upkeep/sweep.h"
#include "limit_world.h"

static const struct sl_exception *exception_of(uint64_t key)
{
	uint32_t size = c->store.count[SL_ARRAY_exceptions] / 2;
	const struct sl_exception *e = (struct sl_exception *)c->store.base[SL_ARRAY_exceptions] +
				       (sl_store_root(&c->store)->generation & 1) * size;

	for (uint32_t i = 0; i < size; i++)
		if (e[i].key.q[1] == key && !e[i].key.q[0])
			return &e[i];
	return NULL;
}

/* Tests */

static void test_records(void **state)
{
	uint32_t ids =
		c->store.count[SL_ARRAY_limit_counters] / c->store.count[SL_ARRAY_reason_counters];
	uint32_t n_backend_counters = c->store.count[SL_ARRAY_backend_counters] /
				      c->store.count[SL_ARRAY_reason_counters];
	const struct sl_limit *l;
	struct sl_pace pace;

	(void)state;
	in_file(0, limit(SL_SCOPE_SERVICE, "1Gbit", 0));
	in_file(0, limit(SL_SCOPE_BACKEND, "100Mbit", SL_TO_BACKEND));
	in_file(0, limit(SL_SCOPE_BACKEND, "10kpps", SL_FROM_BACKEND));
	in_file(0, limit(SL_SCOPE_CLIENT, "100cps", 0));
	in_file(0, limit(SL_SCOPE_FLOW, "10Mbit", SL_FROM_BACKEND));
	in_file(0, limit(SL_SCOPE_FLOW, "1kpps", SL_TO_BACKEND));
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 6);
	assert_int_equal(record_of(80)->flags, SL_SERVICE_TRACK | SL_SERVICE_LOOKUP |
						       SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_TO |
						       SL_SERVICE_LIMIT_FROM |
						       SL_SERVICE_LIMIT_NEW);
	l = limits_of(80);
	assert_int_equal(l[0].scope, SL_SCOPE_FLOW);
	assert_int_equal(l[0].unit, SL_UNIT_BYTES);
	assert_int_equal(l[0].flags, SL_LIMIT_ENTRY | SL_LIMIT_OTHERS);
	pace = sl_pace_of(SL_UNIT_BYTES, 10000000, 312500, SL_ACTION_DROP);
	assert_memory_equal(&l[0].pace, &pace, sizeof(pace));
	assert_int_equal(l[1].scope, SL_SCOPE_FLOW);
	assert_int_equal(l[1].flags, SL_LIMIT_OTHERS);
	assert_int_equal(l[2].scope, SL_SCOPE_CLIENT);
	assert_int_equal(l[2].direction, SL_TO_BACKEND);
	assert_int_equal(l[2].prefix4, 32);
	assert_int_equal(l[3].shared_bucket, ids);
	assert_int_equal(l[4].shared_bucket, ids + n_backend_counters);
	assert_int_equal(l[5].scope, SL_SCOPE_SERVICE);
	assert_int_equal(l[5].shared_bucket, l[5].id);
	assert_int_equal(l[5].direction, SL_TO_BACKEND | SL_FROM_BACKEND);
	assert_int_equal(record_of(53)->n_limits, 0);
	assert_int_equal(record_of(53)->flags, 0);
}

/* A limit of backends keeps its buckets when another goes; one that is new begins with full ones,
 * whoever had them before. */
static void test_planes(void **state)
{
	struct sl_config_backend b = {
		.addr = sl_addr4(sl_htonl(0x0a010001)), .port = 80, .weight = 1, .name = "b1"
	};
	struct sl_shared_bucket *shared_bucket = c->store.base[SL_ARRAY_shared_buckets];
	uint32_t first, second, counter_id;

	(void)state;
	file[0].backend = &b;
	file[0].n_backends = 1;
	in_file(0, limit(SL_SCOPE_BACKEND, "1Mbit", 0));
	in_file(0, limit(SL_SCOPE_BACKEND, "1kpps", 0));
	json_decref(limit_world_apply());
	first = limits_of(80)[0].shared_bucket;
	second = limits_of(80)[1].shared_bucket;
	counter_id = c->model->service[0]->backend[0].counter_id;
	shared_bucket[first + counter_id].full_at = sl_bucket_now(c) + (1ull << 40);
	file[0].limit[0] = file[0].limit[1];
	file[0].n_limits = 1;
	json_decref(limit_world_apply());
	assert_int_equal(limits_of(80)[0].shared_bucket, second);
	limit_world_restart();
	json_decref(limit_world_apply());
	assert_int_equal(limits_of(80)[0].shared_bucket, second);
	in_file(0, limit(SL_SCOPE_BACKEND, "10cps", 0));
	json_decref(limit_world_apply());
	assert_int_equal(limits_of(80)[1].shared_bucket, first);
	assert_int_equal(
		sl_bucket_ahead(shared_bucket[first + counter_id].full_at, sl_bucket_now(c)), 0);
}

/* What each kind of limit asks of the packet path, by itself. */
static void test_flags(void **state)
{
	const struct {
		int service;
		uint8_t scope;
		const char *rate;
		uint8_t direction;
		uint16_t flags;
	} cases[] = {
		{ 0, SL_SCOPE_FLOW, "1Mbit", SL_TO_BACKEND,
		  SL_SERVICE_TRACK | SL_SERVICE_LOOKUP | SL_SERVICE_ENTRY_TO },
		{ 0, SL_SCOPE_FLOW, "1Mbit", 0,
		  SL_SERVICE_TRACK | SL_SERVICE_LOOKUP | SL_SERVICE_ENTRY_TO |
			  SL_SERVICE_ENTRY_FROM },
		{ 0, SL_SCOPE_CLIENT, "1Mbit", SL_FROM_BACKEND, SL_SERVICE_LIMIT_FROM },
		{ 0, SL_SCOPE_SERVICE, "1kpps", SL_TO_BACKEND, SL_SERVICE_LIMIT_TO },
		{ 0, SL_SCOPE_SERVICE, "100cps", 0, SL_SERVICE_LIMIT_NEW },
		/* None is new until those that were there are known. */
		{ 1, SL_SCOPE_SERVICE, "100cps", 0, SL_SERVICE_TRACK | SL_SERVICE_LOOKUP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		file[0].n_limits = file[1].n_limits = 0;
		in_file(cases[i].service, limit(cases[i].scope, cases[i].rate, cases[i].direction));
		json_decref(limit_world_apply());
		assert_int_equal(record_of(cases[i].service ? 53 : 80)->flags, cases[i].flags);
	}
	c->sweep = sl_sweep_new(c);
	now_ns += 1000000ull * (sl_records_window_ms(&file[1]) + 1000);
	sl_sweep_tick(c->sweep);
	sl_sweep_free(c->sweep);
	c->sweep = NULL;
	assert_int_equal(record_of(53)->flags,
			 SL_SERVICE_LIMIT_NEW | SL_SERVICE_TRACK | SL_SERVICE_LOOKUP);
}

/* What is in the file now stays when it is no override any more, whatever is set next; what was
 * cleared and left the file doesn't come back. */
static void test_written_down(void **state)
{
	struct sl_live_limit l = { .limit = limit(SL_SCOPE_CLIENT, "50Mbit", 0) };

	(void)state;
	live("web", l);
	json_decref(limit_world_apply());
	in_file(0, l.limit);
	limit_world_applied("service web: the file lists its limits otherwise; what holds stays");
	limit_world_prune();
	assert_int_equal(c->model->service[0]->conf.n_limits, 1);
	limit_world_applied(NULL);
	l.removed = true;
	live("web", l);
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 0);
	file[0].n_limits = 0;
	json_decref(limit_world_apply());
	assert_int_equal(c->model->service[0]->conf.n_limits, 0);
}

/* Entries that say the same twice count once. */
static void test_said_twice(void **state)
{
	struct sl_live_limit l = { .limit = limit(SL_SCOPE_CLIENT, "50Mbit", 0) };
	struct sl_operator_service *words;

	(void)state;
	live("web", l);
	words = sl_operators_find(c->operators, "web");
	words->limit = realloc(words->limit, 2 * sizeof(*words->limit));
	words->limit[words->n_limits++] = l;
	for (int i = 0; i < 12; i++)
		json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 1);
}

/* Ids stay over edits, and come back late; each change is told once. */
static void test_ids(void **state)
{
	struct sl_published out;
	uint16_t flow, client;
	struct sl_limit_counters *counters = c->store.base[SL_ARRAY_limit_counters];

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "2Mbit", 0));
	json_decref(limit_world_apply());
	client = limits_of(80)->id;
	counters[client].dropped = 5;
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", 0));
	limit_world_applied("service web: limit per flow: 1 Mbit/s");
	flow = limits_of(80)[0].id;
	assert_int_equal(limits_of(80)[1].id, client);
	assert_int_not_equal(flow, client);
	file[0].limit[0].rate = 5000000;
	limit_world_applied("service web: limit per client: 2 Mbit/s -> 5 Mbit/s");
	file[0].limit[0].action = SL_ACTION_OBSERVE;
	limit_world_applied("service web: limit per client: drop -> observe");
	file[0].limit[0].burst = 1 << 20;
	limit_world_applied(
		"service web: limit per client: burst 156250 bytes (250 ms) -> 1 MiB (1.68 s)");
	limit_world_applied(NULL);
	assert_int_equal(limits_of(80)[1].id, client);
	assert_int_equal(limits_of(80)[1].action, SL_ACTION_OBSERVE);
	assert_int_equal(sl_stats_limit(c, client).dropped, 5);
	file[0].limit[0] = limit(SL_SCOPE_CLIENT, "2Mbit", SL_TO_BACKEND);
	json_decref(limit_world_apply());
	assert_int_equal(limits_of(80)[0].id, flow);
	assert_int_not_equal(limits_of(80)[1].id, client);
	for (int i = 0; i < 14; i++) { /* 17 ids, of which 0 is none and two are taken */
		counters[client].dropped = 7;
		file[0].limit[0].direction ^= 3;
		json_decref(limit_world_apply());
		assert_int_equal(limits_of(80)[1].id == client, i == 13);
	}
	assert_int_equal(sl_stats_limit(c, client).dropped, 0);
	file[0].n_limits = 0;
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 0);
	sl_acknowledged(c, &out);
	assert_int_equal(sl_extents_used(c->limits), 0);
}

/* The limit that is kept in flow entries stays the one, whatever the file's order. */
static void test_entry_stays(void **state)
{
	struct sl_config_limit swap;
	uint16_t id;

	(void)state;
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", SL_TO_BACKEND));
	in_file(0, limit(SL_SCOPE_FLOW, "8Mbit", SL_FROM_BACKEND));
	json_decref(limit_world_apply());
	id = limits_of(80)->id;
	swap = file[0].limit[0];
	file[0].limit[0] = file[0].limit[1];
	file[0].limit[1] = swap;
	limit_world_applied(NULL);
	assert_int_equal(limits_of(80)->id, id);
	limit_world_restart();
	json_decref(limit_world_apply());
	assert_int_equal(limits_of(80)->id, id);
}

static void test_exceptions(void **state)
{
	union sl_addr addr = sl_addr4(sl_htonl(0xc6336407));
	struct sl_live_limit flow = { .limit = limit(SL_SCOPE_FLOW, "500kbit", 0),
				      .exception = true,
				      .addr = addr,
				      .port = 12345 };
	const struct sl_exception *e;
	uint16_t id;

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "10Mbit", 0));
	live("web", client("198.51.100.7", "2Mbit", 0));
	live("web", client("198.51.100.0/24", "3Mbit", 0));
	live("web", flow);
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 3);
	/* Of one flow alone: no flow is entered for it. */
	assert_int_equal(record_of(80)->flags, SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_FROM);
	assert_int_equal(limits_of(80)[0].flags, SL_LIMIT_EXCEPTIONS);
	assert_int_equal(limits_of(80)[1].flags, SL_LIMIT_EXCEPTIONS | SL_LIMIT_OTHERS);
	assert_int_equal(limits_of(80)[2].flags, SL_LIMIT_EXCEPTIONS);
	assert_int_equal(limits_of(80)[2].prefix4, 24);
	id = limits_of(80)[1].id;
	e = exception_of(sl_meter_key(id, 0xc63364070000));
	assert_non_null(e);
	assert_true(e->pace.byte == sl_pace_of(SL_UNIT_BYTES, 2000000, 65536, 0).byte);
	assert_non_null(exception_of(sl_meter_key(limits_of(80)[2].id, 0xc63364000000)));
	assert_non_null(exception_of(
		sl_meter_key(limits_of(80)[0].id, sl_flow_key4(0, addr.w[3], sl_htons(12345)))));

	limit_world_restart(); /* ids and exceptions are found again */
	assert_int_equal(sl_limits_count_exceptions(c->model), 3);
	json_decref(limit_world_apply());
	assert_int_equal(limits_of(80)[1].id, id);
	assert_non_null(exception_of(sl_meter_key(id, 0xc63364070000)));

	file[0].n_limits = 0; /* what belonged to it goes on by itself */
	limit_world_applied("service web: limit per client: 10 Mbit/s no more");
	assert_int_equal(limits_of(80)[1].id, id);
	assert_int_equal(limits_of(80)[1].flags, SL_LIMIT_EXCEPTIONS);
	sl_operators_free(c->operators);
	c->operators = sl_operators_new();
	limit_world_applied(NULL);
	assert_int_equal(record_of(80)->n_limits, 0);
	assert_null(exception_of(sl_meter_key(id, 0xc63364070000)));
}

/* An end is a time of day; the tick finds that it has come, whoever was away meanwhile. */
static void test_expiry(void **state)
{
	uint64_t now = (uint64_t)time(NULL);

	(void)state;
	strcpy(c->config.state_dir, "/nonexistent");
	live("web", client("198.51.100.7", "2Mbit", now + 3600));
	live("web", client("198.51.100.8", "2Mbit", now + 1));
	json_decref(limit_world_apply());
	assert_int_equal(c->model->service[0]->n_exceptions, 2);
	sl_limit_expiry_tick(c);
	assert_int_equal(c->model->service[0]->n_exceptions, 2);
	for (uint32_t i = 0; i < 2; i++)
		if (c->model->service[0]->exception[i].until == now + 1)
			c->model->service[0]->exception[i].until = now;
	sl_operators_find(c->operators, "web")->n_limits = 0;
	live("web", client("198.51.100.7", "2Mbit", now + 3600));
	live("web", client("198.51.100.8", "2Mbit", now));
	sl_limit_expiry_tick(c);
	limit_world_accepted();
	assert_int_equal(c->model->service[0]->n_exceptions, 1);
	assert_int_equal(limit_world_kept("web"), 1);
	now_ns += 2000000000;
	sl_operators_find(c->operators, "web")->n_limits = 0;
	c->model->service[0]->exception[0].until = now;
	sl_limit_expiry_tick(c);
	assert_int_equal(c->model->service[0]->n_limits, 0);
	assert_int_equal(c->operators->n, 0);
}

/* On top of the file, until the file says something else. */
static void test_live(void **state)
{
	struct sl_live_limit changed = { .limit = limit(SL_SCOPE_CLIENT, "3Mbit", 0),
					 .of_file = true,
					 .file = limit(SL_SCOPE_CLIENT, "2Mbit", 0) };
	struct sl_live_limit added = { .limit = limit(SL_SCOPE_SERVICE, "1Gbit", 0) };
	struct sl_live_limit removed = { .limit = limit(SL_SCOPE_FLOW, "1Mbit", 0),
					 .removed = true };

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "2Mbit", 0));
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", 0));
	live("web", changed);
	live("web", added);
	live("web", removed);
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 2);
	assert_int_equal(c->model->service[0]->limit[0].conf.rate, 3000000);
	assert_int_equal(c->model->service[0]->limit[1].conf.scope, SL_SCOPE_SERVICE);
	limit_world_prune();
	assert_int_equal(limit_world_kept("web"), 3);
	file[0].limit[0].rate = 4000000;
	file[0].n_limits = 1;
	limit_world_applied("service web: limit per client: 3 Mbit/s -> 4 Mbit/s");
	limit_world_prune();
	assert_int_equal(limit_world_kept("web"), 1);
	in_file(0, limit(SL_SCOPE_SERVICE, "2Gbit", 0));
	limit_world_applied("service web: limit per service: 1 Gbit/s -> 2 Gbit/s");
	limit_world_prune();
	assert_int_equal(c->operators->n, 0);
}

/* What is live gives way where it doesn't fit beside the file any more. */
static void test_left_out(void **state)
{
	struct sl_live_limit flow = { .limit = limit(SL_SCOPE_FLOW, "1Mbit", 0) };

	(void)state;
	live("web", flow);
	live("web", client("198.51.100.7", "2Mbit", 0));
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 2);
	assert_int_equal(sl_effective_limits_fit(&file[0], NULL,
						 sl_operators_find(c->operators, "web"), error),
			 0);
	file[0].flowless = true;
	json_decref(limit_world_apply());
	assert_int_equal(record_of(80)->n_limits, 1);
	assert_int_equal(logged, 1);
	assert_int_equal(sl_effective_limits_fit(&file[0], NULL,
						 sl_operators_find(c->operators, "web"), error),
			 -EINVAL);
}

static void test_full(void **state)
{
	struct sl_model *next;
	struct sl_published out;

	(void)state;
	for (uint8_t prefix = 20; prefix < 28; prefix++) {
		in_file(0, limit(SL_SCOPE_CLIENT, "2Mbit", 0));
		file[0].limit[file[0].n_limits - 1].prefix4 = prefix;
	}
	json_decref(limit_world_apply());
	in_file(1, limit(SL_SCOPE_CLIENT, "2Mbit", 0));
	next = sl_model_clone(c->model);
	assert_int_equal(limit_world_layers_to(next, NULL), 0);
	assert_int_equal(sl_publish(c, next, &out, error), -ENOSPC);
	assert_non_null(strstr(error, "capacity.limits (8)"));
	file[1].n_limits = 0;
	/* All can be replaced while the old ones rest. */
	for (int i = 0; i < 5; i++) {
		for (uint8_t k = 0; k < 8; k++)
			file[0].limit[k].direction = (uint8_t)(1 + (i + k) % 3);
		json_decref(limit_world_apply());
	}
}

static void test_prefixes(void **state)
{
	const struct {
		const char *text;
		const char *as;
	} cases[] = {
		{ "198.51.100.7", "198.51.100.7/32" },
		{ "198.51.100.0/24", "198.51.100.0/24" },
		{ "2001:db8::1", "2001:db8::1/128" },
		{ "2001:db8::/32", "2001:db8::/32" },
		{ "198.51.100.7/24", NULL },
		{ "198.51.100.7/33", NULL },
		{ "198.51.100.7/", NULL },
		{ "198.51.100.7/0", NULL },
		{ "2001:db8::1/64", NULL },
		{ "", NULL },
		{ "nonsense/8", NULL },
		{ "198.51.100.7/3x", NULL },
	};
	char text[SL_PREFIX_TEXT];
	union sl_addr addr;
	uint8_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = sl_prefix_parse(cases[i].text, &addr, &length, error);

		assert_int_equal(err, cases[i].as ? 0 : -EINVAL);
		if (!err)
			assert_string_equal(sl_prefix_format(&addr, length, text), cases[i].as);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, limit_world_begin, limit_world_end)
	const struct CMUnitTest tests[] = {
		TEST(test_records),    TEST(test_planes),      TEST(test_flags),
		TEST(test_ids),	       TEST(test_entry_stays), TEST(test_exceptions),
		TEST(test_expiry),     TEST(test_live),	       TEST(test_written_down),
		TEST(test_said_twice), TEST(test_left_out),    TEST(test_full),
		TEST(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
