/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is being limited (control/report/limit_top.c): records of several writers added up, by
 * subject, with the rate of the last seconds; and what `limit show` reads of buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../control/commands/limit.h"
#include "../../control/desired/apply_limits.h"
#include "../../control/report/limit_top.h"
#include "../../control/report/limits.h"
#include "../../control/tables/buckets.h"
#include "limit_world.h"

static struct sl_most_limited *most_limited(uint32_t writer, uint32_t at)
{
	return (struct sl_most_limited *)c->store.base[SL_ARRAY_most_limited] +
	       writer * SL_MOST_LIMITED + at;
}

static void bite(struct sl_most_limited *b, uint16_t id, uint32_t addr, uint16_t port,
		 uint64_t packets)
{
	b->client = sl_addr4(sl_htonl(addr));
	b->port = sl_htons(port);
	b->limit = id;
	b->last = sl_bucket_now(c) >> SL_METER_SHIFT;
	b->packets += packets;
	b->bytes += packets * 1000;
}

static void tick(uint64_t ms)
{
	now_ns += ms * 1000000;
	sl_limit_top_tick(c);
}

static json_t *top(void)
{
	json_t *result = NULL;

	assert_int_equal(sl_limit_top_command(c, NULL, NULL, &result, error), 0);
	return result;
}

static void row(const json_t *result, size_t i, const char *key, const char *whose,
		json_int_t packets, json_int_t per_s)
{
	const json_t *r = json_array_get(json_object_get(result, "top"), i);
	json_int_t rate = json_integer_value(json_object_get(r, "packets_per_s"));

	if (strcmp(json_string_value(json_object_get(r, key)), whose) != 0 ||
	    json_integer_value(json_object_get(r, "packets")) != packets || rate > per_s ||
	    rate < per_s * 99 / 100)
		fail_msg("%s", json_dumps(r, 0));
}

static void test_top(void **state)
{
	uint16_t flow, client_id;
	json_t *result;

	(void)state;
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", 0));
	in_file(0, limit(SL_SCOPE_CLIENT, "1Mbit", 0));
	file[0].limit[1].prefix4 = 24;
	json_decref(limit_world_apply());
	flow = limits_of(80)[0].id;
	client_id = limits_of(80)[1].id;
	bite(most_limited(0, 3), flow, 0xc6336407, 12345, 100);
	tick(5000);
	bite(most_limited(0, 3), flow, 0xc6336407, 12345, 10);
	bite(most_limited(1, 9), flow, 0xc6336407, 12345, 5);	/* by another engine */
	bite(most_limited(0, 4), client_id, 0xc6336408, 0, 30); /* two of one prefix */
	bite(most_limited(0, 5), client_id, 0xc6336409, 0, 40);
	bite(most_limited(0, 6), 7, 0xc6336409, 0, 40);		  /* of a limit that is no more */
	bite(most_limited(1, 6), client_id, 0xcb007101, 0, 1000); /* long ago */
	most_limited(1, 6)->last -= 6000000000 >> SL_TICK_SHIFT;
	now_ns += 500000000;
	result = top();
	assert_int_equal(json_array_size(json_object_get(result, "top")), 2);
	row(result, 0, "client", "198.51.100.0/24", 70, 140);
	row(result, 1, "flow", "198.51.100.7:12345", 115, 30);
	json_decref(result);

	tick(600); /* a second copy; the first is what rates are from */
	bite(most_limited(0, 3), flow, 0xc6336407, 12345, 185);
	now_ns += 900000000;
	result = top();
	row(result, 0, "flow", "198.51.100.7:12345", 300, 100);
	row(result, 1, "client", "198.51.100.0/24", 70, 35);
	json_decref(result);
	memset(most_limited(0, 3), 0, sizeof(struct sl_most_limited)); /* another takes the place */
	bite(most_limited(0, 3), flow, 0xc6336407, 999, 20);
	result = top();
	row(result, 1, "flow", "198.51.100.7:999", 20, 10);
	json_decref(result);
}

/* Half of a burst is left where the bucket is half its depth from full. */
static void test_left(void **state)
{
	struct sl_live_limit of = client("198.51.100.7", "1Mbit", 0);
	struct sl_meters *m = c->store.base[SL_ARRAY_meters];
	struct sl_shared_bucket *shared_bucket = c->store.base[SL_ARRAY_shared_buckets];
	json_t *list = json_array(), *r;
	uint64_t key;
	uint32_t at;

	(void)state;
	in_file(0, limit(SL_SCOPE_CLIENT, "1Mbit", 0));
	in_file(0, limit(SL_SCOPE_SERVICE, "100Mbit", 0));
	live("web", client("198.51.100.7", "2Mbit", 0));
	json_decref(limit_world_apply());
	key = sl_meter_key(limits_of(80)[0].id, 0xc63364070000);
	at = sl_hash_bucket2(sl_hash_flow(key, sl_store_root(&c->store)->flow_key),
			     c->store.count[SL_ARRAY_meters], sl_store_root(&c->store)->flow_key);
	m[at].key[3] = key;
	m[at].full_at[3] = sl_bucket_now(c) +
			   (c->model->service[0]->exception[0].pace.depth << SL_METER_SHIFT) / 2;
	shared_bucket[limits_of(80)[1].id].full_at =
		sl_bucket_now(c) + (limits_of(80)[1].pace.depth << SL_METER_SHIFT) * 3 / 4;
	sl_limit_report_left(c, c->model->service[0], &of, list);
	assert_int_equal(json_array_size(list), 2);
	r = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(r, "client")), "198.51.100.7/32");
	assert_int_equal(json_integer_value(json_object_get(r, "rate")), 2000000);
	assert_in_range(json_integer_value(json_object_get(r, "left")), 32768, 32800);
	r = json_array_get(list, 1);
	assert_in_range(json_integer_value(json_object_get(r, "left")), 781250, 790000);
	json_decref(list);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, limit_world_begin, limit_world_end)
	const struct CMUnitTest tests[] = { TEST(test_top), TEST(test_left) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
