/* SPDX-License-Identifier: BSD-2-Clause */
/* Buckets under a changed rate (control/tables/rescale.c): what was used of each stays used,
 * wherever its word stands, and nobody else's word changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../control/desired/apply_limits.h"
#include "../../control/model/pace.h"
#include "../../control/tables/buckets.h"
#include "../../control/tables/rescale.h"
#include "limit_world.h"

#define MS_TICKS (1000000u / SL_TICK_NS)

static uint64_t ticks(void)
{
	return sl_bucket_now(c) >> SL_METER_SHIFT;
}

/* Words that tests fill: entries of flows, meters, balances. */

static struct sl_bucket *flow_line(uint32_t at)
{
	return (struct sl_bucket *)c->store.base[SL_ARRAY_flows] + at;
}

static struct sl_meters *meter_line(uint32_t at)
{
	return (struct sl_meters *)c->store.base[SL_ARRAY_meters] + at;
}

static struct sl_shared_bucket *shared_bucket(uint32_t at)
{
	return (struct sl_shared_bucket *)c->store.base[SL_ARRAY_shared_buckets] + at;
}

/* In a place where a look-up finds it too. */
static uint64_t *enter(uint16_t service, uint64_t source, int64_t ahead_ms)
{
	uint64_t key = sl_flow_key(service, source);
	uint32_t at = sl_hash_bucket(sl_hash_flow(key, sl_store_root(&c->store)->flow_key),
				     c->store.count[SL_ARRAY_flows]);
	int way = 0;

	while (flow_line(at)->key[way])
		way++;
	flow_line(at)->key[way] = key;
	flow_line(at)->value[way] =
		sl_flow_value(7, SL_FLOW_CLOSING, ticks() + (uint64_t)(ahead_ms * MS_TICKS));
	return &flow_line(at)->value[way];
}

static uint64_t *meter(uint16_t limit_id, uint64_t subject, int64_t ahead_ms)
{
	uint64_t key = sl_meter_key(limit_id, subject);
	uint32_t at = sl_hash_bucket(sl_hash_flow(key, sl_store_root(&c->store)->flow_key),
				     c->store.count[SL_ARRAY_meters]);
	int way = 0;

	while (meter_line(at)->key[way])
		way++;
	meter_line(at)->key[way] = key;
	meter_line(at)->full_at[way] =
		sl_bucket_now(c) + ((uint64_t)(ahead_ms * MS_TICKS) << SL_METER_SHIFT);
	return &meter_line(at)->full_at[way];
}

static void is_ahead(const uint64_t *word, uint64_t ms)
{
	uint64_t ahead = sl_bucket_ahead(*word, sl_bucket_now(c)) >> SL_METER_SHIFT;

	if (ahead > ms * MS_TICKS || ahead + 3 * MS_TICKS < ms * MS_TICKS)
		fail_msg("%llu ticks, not %llu ms", (unsigned long long)ahead,
			 (unsigned long long)ms);
}

static void entry_is_ahead(const uint64_t *value, uint64_t ms)
{
	uint64_t word = ticks() + sl_bucket_ahead_ticks(*value, ticks());

	word <<= SL_METER_SHIFT;
	is_ahead(&word, ms);
	assert_int_equal(sl_flow_backend(*value), 7);
	assert_int_equal(sl_flow_state(*value), SL_FLOW_CLOSING);
}

static void apply(void)
{
	json_decref(limit_world_apply());
	while (sl_rescale_run(c))
		;
}

/* Tests */

static void test_entries(void **state)
{
	uint64_t *used, *full, *other, *past, was;

	(void)state;
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", 0));
	apply();
	used = enter(c->model->service[0]->id, 1, 400);
	full = enter(c->model->service[0]->id, 2, 520);
	past = enter(c->model->service[0]->id, 3, -5000);
	other = enter(c->model->service[1]->id, 1, 400);
	was = *past;
	file[0].limit[0].rate = 10000000;
	apply();
	entry_is_ahead(used, 40);
	entry_is_ahead(full, 52);
	entry_is_ahead(other, 400);
	assert_true(*past == was);
	file[0].limit[0].rate = 2000000;
	apply();
	entry_is_ahead(used, 200);
	entry_is_ahead(other, 400);
}

/* A smaller burst besides: not further from full than that allows. */
static void test_clamped(void **state)
{
	uint64_t *used, most;

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "1Mbit", 0));
	apply();
	used = meter(limits_of(80)->id, 0xc63364070000, 550);
	file[0].limit[0].rate = 500000;
	file[0].limit[0].burst = 2048;
	apply();
	most = limits_of(80)->pace.most;
	assert_in_range(most / MS_TICKS, 1080, 1082);
	is_ahead(used, most / MS_TICKS + 1);
}

static void test_meters(void **state)
{
	uint64_t *mine, *own, *other;

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "1Mbit", 0));
	live("web", client("198.51.100.7", "2Mbit", 0));
	apply();
	own = meter(limits_of(80)->id, 0xc63364070000, 100);
	mine = meter(limits_of(80)->id, 0xc63364080000, 100);
	other = meter(limits_of(80)->id + 1, 0xc63364080000, 100);
	file[0].limit[0].rate = 4000000;
	apply();
	is_ahead(mine, 25);
	is_ahead(own, 100);
	is_ahead(other, 100);
	live("web", client("198.51.100.7", "20Mbit", 0));
	apply();
	is_ahead(own, 10);
	is_ahead(mine, 25);
	sl_operators_find(c->operators, "web")->n_limits = 0; /* back to the limit's own */
	apply();
	is_ahead(own, 50);
	live("web", client("198.51.100.8", "1Mbit", 0)); /* and a new one from there */
	apply();
	is_ahead(mine, 100);
	is_ahead(own, 50);
}

/* A flow with a rate of its own, whose word is its entry's. */
static void test_flow_exception(void **state)
{
	struct sl_live_limit flow = { .limit = limit(SL_SCOPE_FLOW, "4Mbit", 0),
				      .exception = true,
				      .addr = sl_addr4(sl_htonl(0xc6336407)),
				      .port = 1000 };
	uint64_t source = sl_flow_key4(0, flow.addr.w[3], sl_htons(1000)), *own, *other;

	(void)state;
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", 0));
	apply();
	own = enter(c->model->service[0]->id, source, 200);
	other = enter(c->model->service[0]->id, source + 1, 200);
	live("web", flow);
	apply();
	entry_is_ahead(own, 50);
	entry_is_ahead(other, 200);
	file[0].limit[0].rate = 2000000;
	apply();
	entry_is_ahead(own, 50);
	entry_is_ahead(other, 100);
}

static void test_balances(void **state)
{
	struct sl_config_backend b = {
		.addr = sl_addr4(sl_htonl(0x0a010001)), .port = 80, .weight = 1, .name = "b1"
	};
	uint64_t *service, *backend, *foreign;

	(void)state;
	in_file(0, limit(SL_SCOPE_SERVICE, "1Gbit", 0));
	in_file(0, limit(SL_SCOPE_BACKEND, "100Mbit", 0));
	file[0].backend = &b;
	file[0].n_backends = 1;
	apply();
	backend = &shared_bucket(limits_of(80)[0].shared_bucket +
				 c->model->service[0]->backend[0].counter_id)
			   ->full_at;
	foreign = backend + sizeof(struct sl_shared_bucket) / 8;
	service = &shared_bucket(limits_of(80)[1].id)->full_at;
	*backend = *foreign = *service = sl_bucket_now(c) + (20ull * MS_TICKS << SL_METER_SHIFT);
	file[0].limit[0].rate = 4000000000;
	file[0].limit[1].rate = 50000000;
	apply();
	is_ahead(service, 5);
	is_ahead(backend, 40);
	is_ahead(foreign, 20);
}

/* A control that was restarted compares with what the records say. */
static void test_restart(void **state)
{
	uint64_t *mine, *own;

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "1Mbit", 0));
	live("web", client("198.51.100.7", "2Mbit", 0));
	apply();
	mine = meter(limits_of(80)->id, 0xc63364080000, 100);
	own = meter(limits_of(80)->id, 0xc63364070000, 100);
	limit_world_restart();
	apply();
	is_ahead(mine, 100);
	is_ahead(own, 100);
	limit_world_restart();
	file[0].limit[0].rate = 2000000; /* while it was away */
	apply();
	is_ahead(mine, 50);
	is_ahead(own, 100);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, limit_world_begin, limit_world_end)
	const struct CMUnitTest tests[] = {
		TEST(test_entries),	   TEST(test_clamped),	TEST(test_meters),
		TEST(test_flow_exception), TEST(test_balances), TEST(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
