/* SPDX-License-Identifier: BSD-2-Clause */
/* Batches (control/commands/batch.h): one generation, each change sees those before it, and after a
 * bad one nothing has happened. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../control/commands/batch.h"
#include "../../control/desired/overrides.h"
#include "limit_world.h"

static int begin(void **state)
{
	limit_world_begin(state);
	strcpy(c->config.state_dir, "/nonexistent");
	json_decref(limit_world_apply());
	return 0;
}

/* Requests as JSON with ' for ". */
static int batch(const char *requests, json_t **result)
{
	char text[1024];
	json_t *params;
	int err;

	snprintf(text, sizeof(text), "{'requests': %s}", requests);
	for (char *at = text; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	params = json_loads(text, 0, NULL);
	assert_non_null(params);
	strcpy(error, "");
	err = sl_batch_command(c, NULL, params, result, error);
	json_decref(params);
	assert_null(c->batch);
	limit_world_accepted();
	return err;
}

#define SET(per, rate, more)                                                                       \
	"{'method': 'limit.set', 'params': {'service': 'web', 'per': '" per "', 'rate': '" rate    \
	"'}" more "}"

static void test_one_generation(void **state)
{
	uint64_t before = sl_store_root(&c->store)->generation;
	json_t *result = NULL;

	(void)state;
	assert_int_equal(
		batch("[" SET("service", "1mbit", "") "," SET(
			      "client", "5kpps",
			      "") ","
				  /* is there by now */
				  "{'method': 'limit.clear', 'params': {'service': 'web', 'per': "
				  "'client'}},"
				  "{'method': 'limit.set', 'params': {'service': 'dns', 'per': "
				  "'client', 'rate': '1mbit'}}]",
		      &result),
		0);
	assert_int_equal(sl_store_root(&c->store)->generation, before + 1);
	assert_int_equal(json_integer_value(json_object_get(result, "generation")), before + 1);
	assert_int_equal(json_array_size(json_object_get(result, "changes")), 2);
	assert_int_equal(c->model->service[0]->n_limits, 1);
	assert_int_equal(c->model->service[1]->n_limits, 1);
	assert_int_equal(limit_world_kept("web"), 1);
	json_decref(result);
}

static const struct {
	const char *requests;
	int err;
	const char *why;
} REFUSED[] = {
	{ "[]", -EINVAL, "requests: must be an array of 1" },
	{ "5", -EINVAL, "requests: must be an array of 1" },
	{ "[" SET("service", "1mbit", "") ",7]", -EINVAL, "request 2: must be an object" },
	{ "[" SET("service", "1mbit", "") "," SET("nobody", "1mbit", "") "]", -EINVAL,
	  "request 2: per: " },
	{ "[" SET("service", "1mbit", ", 'line': 7") "," SET("client", "x", ", 'line': 9") "]",
	  -EINVAL, "line 9: rate: " },
	{ "[" SET("service", "1mbit", "") ",{'method': 'status'}]", -EINVAL,
	  "request 2: status can't be in a batch" },
	{ "[{'method': 'detach'}]", -EINVAL, "request 1: detach can't be" },
	{ "[{'method': 'batch', 'params': {'requests': []}}]", -EINVAL, "request 1: batch can't" },
	{ "[{'method': 'nothing'}]", -EINVAL, "request 1: no method \"nothing\"" },
	{ "[" SET("service", "1mbit", "") ",{'method': 'backend.drain', 'params': {'service': "
					  "'web', 'backend': 'b9'}}]",
	  -ENOENT, "request 2: backend: service web has no backend b9; nothing was changed" },
};

static void test_nothing(void **state)
{
	uint64_t before = sl_store_root(&c->store)->generation;
	const struct sl_model *model = c->model;

	(void)state;
	for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
		json_t *result = NULL;
		int err = batch(REFUSED[i].requests, &result);

		if (err != REFUSED[i].err || !strstr(error, REFUSED[i].why))
			fail_msg("%s: %d, %s", REFUSED[i].requests, err, error);
		assert_null(result);
		assert_ptr_equal(c->model, model);
		assert_int_equal(c->operators->n, 0);
		assert_int_equal(sl_store_root(&c->store)->generation, before);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, limit_world_end)

int main(void)
{
	static const struct CMUnitTest tests[] = { TEST(test_one_generation), TEST(test_nothing) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
