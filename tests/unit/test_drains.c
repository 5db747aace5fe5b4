/* SPDX-License-Identifier: BSD-2-Clause */
/* Drains with an end (control/desired/drains.h): how they are kept and forgotten, how they end
 * (control/upkeep/drain_end.h), and what counts as drained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../control/desired/overrides.h"
#include "../../control/upkeep/drain_end.h"
#include "limit_world.h"

static struct sl_config_backend backends[2];

static int begin(void **state)
{
	limit_world_begin(state);
	strcpy(c->config.state_dir, "/nonexistent");
	for (int i = 0; i < 2; i++) {
		backends[i] = (struct sl_config_backend){ .addr = sl_addr4(sl_htonl(0x0a010001u +
										    (uint32_t)i)),
							  .port = 80,
							  .weight = 1 };
		backends[i].name[0] = 'a' + (char)i;
	}
	file[0].backend = backends;
	file[0].n_backends = 2;
	json_decref(limit_world_apply());
	return 0;
}

static int end(void **state)
{
	file[0].backend = NULL;
	file[0].n_backends = 0;
	return limit_world_end(state);
}

static struct sl_operator_service *web(void)
{
	return sl_operators_get(c->operators, "web");
}

static struct sl_model_backend *backend_a(void)
{
	return &c->model->service[sl_model_find(c->model, "web")]->backend[0];
}

/* Lets backend a drain; deadline: seconds from now, 0: none. */
static void drain(int deadline_s, bool then_remove)
{
	uint64_t now = (uint64_t)time(NULL);
	struct sl_drain d = { .addr = backends[0].addr,
			      .port = 80,
			      .name = "a",
			      .began = now - 100,
			      .deadline = deadline_s ? now + (uint64_t)deadline_s : 0,
			      .then_remove = then_remove };

	sl_operator_backend_get(web(), &d.addr, 80)->state = SL_OPERATOR_DRAINING;
	assert_int_equal(sl_drain_set(web(), &d), 0);
	json_decref(limit_world_apply());
	assert_int_equal(backend_a()->state, SL_STATE_DRAINING);
	backend_a()->connections = 3;
}

static const struct sl_drain *the_drain(void)
{
	return sl_drain_find(web(), &backends[0].addr, 80);
}

static uint64_t generation(void)
{
	return sl_store_root(&c->store)->generation;
}

/* Runs a tick. Returns the drain's end. */
static enum sl_drain_end tick(void)
{
	sl_drain_end_tick(c);
	limit_world_accepted();
	return the_drain() ? the_drain()->end : SL_DRAIN_RUNS;
}

static void test_runs(void **state)
{
	uint64_t before;

	(void)state;
	drain(1000, true);
	before = generation();
	assert_int_equal(tick(), SL_DRAIN_RUNS);
	assert_int_equal(generation(), before);
	assert_true(c->count_until_ns > now_ns);
}

static void test_drained(void **state)
{
	(void)state;
	drain(1000, false);
	backend_a()->named = false;
	assert_int_equal(tick(), SL_DRAIN_DRAINED);
	assert_int_equal(the_drain()->left, 0);
	assert_int_equal(backend_a()->state, SL_STATE_DRAINING);
	assert_int_equal(tick(), SL_DRAIN_DRAINED);
}

static void test_removed(void **state)
{
	(void)state;
	drain(0, true);
	backend_a()->named = false;
	assert_int_equal(tick(), SL_DRAIN_REMOVED);
	assert_true(sl_operator_backend_find(web(), &backends[0].addr, 80)->removed);
	assert_int_equal(backend_a()->state, SL_STATE_LEAVING);
}

/* One that is there by an operator alone is nobody's once it is removed; its end is remembered. */
static void test_removed_added(void **state)
{
	struct sl_operator_backend *w;

	(void)state;
	drain(0, true);
	file[0].n_backends = 0;
	w = sl_operator_backend_find(web(), &backends[0].addr, 80);
	w->added = true;
	w->weight = 1;
	strcpy(w->name, "a");
	json_decref(limit_world_apply());
	backend_a()->named = false;
	assert_int_equal(tick(), SL_DRAIN_REMOVED);
	assert_null(sl_operator_backend_find(web(), &backends[0].addr, 80));
	assert_int_equal(backend_a()->state, SL_STATE_LEAVING);
}

static void test_expired(void **state)
{
	(void)state;
	drain(-1, false);
	assert_int_equal(tick(), SL_DRAIN_EXPIRED);
	assert_int_equal(the_drain()->left, 3);
	assert_int_equal(backend_a()->state, SL_STATE_DRAINING);
	backend_a()->named = false; /* later */
	assert_int_equal(tick(), SL_DRAIN_EXPIRED);
}

static void test_cut(void **state)
{
	(void)state;
	drain(-1, true);
	assert_int_equal(tick(), SL_DRAIN_CUT);
	assert_int_equal(the_drain()->left, 3);
	assert_int_equal(backend_a()->state, SL_STATE_GONE);
}

/* What nothing is sent to is drained, whatever entries say. */
static void test_maintenance(void **state)
{
	(void)state;
	drain(1000, false);
	sl_operator_backend_get(web(), &backends[0].addr, 80)->state = SL_OPERATOR_MAINTENANCE;
	json_decref(limit_world_apply());
	assert_true(backend_a()->maintenance && backend_a()->cut && backend_a()->named);
	assert_true(sl_backend_drained(backend_a()));
	assert_false(sl_backend_serves(backend_a()));
	limit_world_prune();
	assert_null(the_drain()); /* it isn't a drain any more */
	limit_world_restart();	  /* adopted, it is the same */
	json_decref(limit_world_apply());
	assert_int_equal(c->model->service[sl_model_find(c->model, "web")]->n, 2);
	assert_true(backend_a()->cut);
}

static void test_forgotten(void **state)
{
	struct sl_drain *d;

	(void)state;
	drain(-1, false);
	assert_int_equal(tick(), SL_DRAIN_EXPIRED);
	limit_world_prune();
	d = sl_drain_find(web(), &backends[0].addr, 80);
	assert_non_null(d);
	d->ended -= 3600;
	limit_world_prune();
	assert_null(the_drain());
}

static void test_kept(void **state)
{
	struct sl_operators *read;
	json_t *is, *again;

	(void)state;
	drain(-1, true);
	c->operators->frozen = 1234567890;
	for (int i = 0; i < 2; i++) { /* while it runs, and when it has ended */
		is = sl_overrides_write(c->operators);
		read = sl_overrides_read(is, (char[SL_PATH_MAX]){ 0 }, error);
		assert_non_null(read);
		again = sl_overrides_write(read);
		assert_true(json_equal(is, again));
		assert_int_equal(read->frozen, 1234567890);
		json_decref(again);
		json_decref(is);
		sl_operators_free(read);
		assert_int_equal(tick(), SL_DRAIN_CUT);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *drains, *why;
	} table[] = {
		{ "[]", "must be an object" },
		{ "{'b1': {}}", "b1: " },
		{ "{'10.1.0.1:80': 5}", "10.1.0.1:80: must be an object" },
		{ "{'10.1.0.1:80': {'name': 'a'}}", "without name, began" },
		{ "{'10.1.0.1:80': {'name': 'a', 'began': -1}}", "10.1.0.1:80: began" },
		{ "{'10.1.0.1:80': {'name': 'a', 'began': 1, 'then_remove': 1}}", "then_remove" },
		{ "{'10.1.0.1:80': {'name': 'a', 'began': 1, 'end': 'soon'}}", "end" },
		{ "{'10.1.0.1:80': {'name': 'a', 'began': 1, 'end': 'cut'}}", "end and ended" },
		{ "{'10.1.0.1:80': {'name': 'a', 'began': 1, 'ended': 2}}", "end and ended" },
		{ "{'10.1.0.1:80': {'name': 'a', 'began': 1, 'colour': 2}}", "colour" },
	};
	struct sl_operator_service s = { .name = "web" };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char text[256];
		json_t *json;

		strcpy(text, table[i].drains);
		for (char *at = text; *at; at++)
			*at = *at == '\'' ? '"' : *at;
		json = json_loads(text, 0, NULL);
		assert_non_null(json);
		if (sl_drains_read(&s, json, error) == 0 || !strstr(error, table[i].why))
			fail_msg("%s: %s", text, error);
		json_decref(json);
	}
	assert_int_equal(s.n_drains, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_runs),	  TEST(test_drained),	TEST(test_removed),
		TEST(test_removed_added), TEST(test_expired),	TEST(test_cut),
		TEST(test_maintenance),	  TEST(test_forgotten), TEST(test_kept),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
