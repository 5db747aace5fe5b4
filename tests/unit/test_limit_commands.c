/* SPDX-License-Identifier: BSD-2-Clause */
/* limit.set and limit.clear at their edges (control/commands/limit.c): what is refused changes
 * nothing, neither what is live nor what is kept. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../control/commands/limit.h"
#include "../../control/desired/apply_limits.h"
#include "../../control/desired/overrides.h"
#include "limit_world.h"

typedef int command(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		    char message[SL_ERROR_MAX]);

/* Params as JSON with ' for ". */
static int call(command *what, const char *params, json_t **result)
{
	char text[512];
	json_t *object;
	int err;

	snprintf(text, sizeof(text), "%s", params);
	for (char *at = text; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	object = json_loads(text, 0, NULL);
	assert_non_null(object);
	strcpy(error, "");
	err = what(c, NULL, object, result, error);
	json_decref(object);
	return err;
}

static void done(command *what, const char *params, const char *says)
{
	json_t *result = NULL;

	if (call(what, params, &result) != 0)
		fail_msg("%s: %s", params, error);
	limit_world_accepted();
	if (!strstr(json_string_value(json_object_get(result, "text")), says))
		fail_msg("%s: %s", params, json_dumps(result, 0));
	json_decref(result);
}

static void refused(command *what, const char *params, int err, const char *says)
{
	json_t *before = sl_overrides_write(c->operators), *after, *result = NULL;
	uint64_t generation = sl_store_root(&c->store)->generation;

	if (call(what, params, &result) != err || !strstr(error, says))
		fail_msg("%s: %s", params, error);
	assert_null(result);
	after = sl_overrides_write(c->operators);
	assert_true(json_equal(before, after));
	json_decref(after);
	assert_int_equal(sl_store_root(&c->store)->generation, generation);
	json_decref(before);
}

static int begin(void **state)
{
	limit_world_begin(state);
	strcpy(c->config.state_dir, "/nonexistent"); /* what is said of that is part of the text */
	json_decref(limit_world_apply());
	return 0;
}

static size_t kept(void)
{
	return limit_world_kept("web");
}

static void test_full(void **state)
{
	char params[256];

	(void)state;
	refused(sl_limit_set_command, "{'service': 'nobody', 'per': 'flow', 'rate': '1mbit'}",
		-ENOENT, "no service nobody");
	refused(sl_limit_set_command,
		"{'service': 'dns', 'per': 'client', 'rate': '10cps', 'action': 'mark'}", -EINVAL,
		"mark");
	for (int i = 0; i < 4; i++) {
		static const char *const rates[] = { "1mbit', 'direction': 'to",
						     "1mbit', 'direction': 'from", "1kpps",
						     "9cps" };

		snprintf(params, sizeof(params),
			 "{'service': 'web', 'per': 'backend', 'rate': '%s'}", rates[i]);
		done(sl_limit_set_command, params, "limit per backend");
	}
	refused(sl_limit_set_command, "{'service': 'web', 'per': 'backend', 'rate': '1mbit'}",
		-EINVAL, "at most 4 limits per backend");
	for (int i = 0; i < 4; i++) {
		snprintf(params, sizeof(params),
			 "{'service': 'web', 'per': 'client', 'rate': '1mbit', 'prefix4': %d}",
			 20 + i);
		done(sl_limit_set_command, params, "limit per client /2");
	}
	refused(sl_limit_set_command, "{'service': 'web', 'per': 'service', 'rate': '1mbit'}",
		-EINVAL, "at most 8 limits");
	refused(sl_limit_set_command,
		"{'service': 'web', 'client': '198.51.100.7', 'rate': '1mbit'}", -EINVAL,
		"at most 8 limits");
	done(sl_limit_set_command,
	     "{'service': 'web', 'client': '198.51.96.0/20', 'rate': '1mbit'}",
	     "limit client 198.51.96.0/20 (both): 1 Mbit/s");
	refused(sl_limit_set_command, "{'service': 'dns', 'per': 'service', 'rate': '1mbit'}",
		-ENOSPC, "capacity.limits (8)");
	assert_int_equal(c->model->service[0]->n_limits, 8);
	assert_int_equal(kept(), 9);
}

static void test_exceptions_full(void **state)
{
	char params[256];

	(void)state;
	for (int i = 1; i <= 8; i++) {
		snprintf(params, sizeof(params),
			 "{'service': 'web', 'client': '198.51.100.%d', 'rate': '1mbit'}", i);
		done(sl_limit_set_command, params, "burst 64 KiB");
	}
	refused(sl_limit_set_command,
		"{'service': 'web', 'client': '198.51.100.9', 'rate': '1mbit'}", -ENOSPC,
		"capacity.exceptions (8)");
	done(sl_limit_set_command,
	     "{'service': 'web', 'client': '198.51.100.8', 'rate': '2mbit', 'for': '1h'}",
	     ", until ");
	assert_int_equal(kept(), 8);
	done(sl_limit_set_command,
	     "{'service': 'web', 'client': '198.51.100.8', 'rate': '2mbit', 'action': 'mark'}",
	     "mark"); /* nobody else is limited: the latest says for all */
	assert_int_equal(limits_of(80)->action, SL_ACTION_MARK);
	refused(sl_limit_clear_command, "{'service': 'web', 'per': 'client'}", -ENOENT,
		"no such limit, but these");
	refused(sl_limit_clear_command, "{'service': 'web'}", -EINVAL, "198.51.100.1/32");
	for (int i = 1; i <= 8; i++) {
		snprintf(params, sizeof(params), "{'service': 'web', 'client': '198.51.100.%d'}",
			 i);
		done(sl_limit_clear_command, params, "cleared");
	}
	assert_int_equal(c->model->service[0]->n_limits, 0);
	assert_int_equal(c->operators->n, 0);
}

/* What is as in the file is no override, however one comes back to it. */
static void test_back_to_the_file(void **state)
{
	(void)state;
	in_file(0, limit(SL_SCOPE_FLOW, "1Mbit", 0));
	json_decref(limit_world_apply());
	done(sl_limit_set_command, "{'service': 'web', 'per': 'flow', 'rate': '2mbit'}",
	     "limit per flow: 2 Mbit/s");
	assert_int_equal(kept(), 1);
	done(sl_limit_set_command, "{'service': 'web', 'per': 'flow', 'rate': '1mbit'}",
	     "limit per flow: 1 Mbit/s");
	assert_int_equal(kept(), 0);
	done(sl_limit_clear_command, "{'service': 'web', 'per': 'flow'}", "cleared");
	assert_int_equal(c->model->service[0]->n_limits, 0);
	assert_int_equal(record_of(80)->flags, 0);
	refused(sl_limit_clear_command, "{'service': 'web', 'per': 'flow'}", -ENOENT, "no limits");
	done(sl_limit_set_command,
	     "{'service': 'web', 'per': 'flow', 'rate': '1mbit', 'action': 'observe'}", "observe");
	assert_int_equal(kept(), 1);
	done(sl_limit_set_command, "{'service': 'web', 'per': 'flow', 'rate': '1mbit'}",
	     "observe"); /* stays what it is */
	done(sl_limit_set_command,
	     "{'service': 'web', 'per': 'flow', 'rate': '1mbit', 'action': 'drop'}", "drop");
	assert_int_equal(kept(), 0);
	assert_int_equal(limits_of(80)->flags, SL_LIMIT_ENTRY | SL_LIMIT_OTHERS);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, limit_world_end)
	const struct CMUnitTest tests[] = {
		TEST(test_full),
		TEST(test_exceptions_full),
		TEST(test_back_to_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
