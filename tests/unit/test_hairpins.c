/* SPDX-License-Identifier: BSD-2-Clause */
/* When a service counts as one whose hairpins are refused: from the second in which its counter
 * grows until a minute after it did for the last time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../control/report/hairpins.h"

enum { WRITERS = 2, SERVICES = 4, ONE = 1, TWO = 3 };

static struct sl_reason_counters reasons[WRITERS];
static struct sl_service_counters counters[WRITERS][SERVICES];
static struct sl_model_service one, two, *services[] = { &one, &two };
static struct sl_model model;
static struct sl_control control;

static int set_up(void **state)
{
	struct sl_control *c = &control;

	memset(reasons, 0, sizeof(reasons));
	memset(counters, 0, sizeof(counters));
	memset(c, 0, sizeof(*c));
	c->store.base[SL_ARRAY_reason_counters] = reasons;
	c->store.count[SL_ARRAY_reason_counters] = WRITERS;
	c->store.base[SL_ARRAY_service_counters] = counters;
	c->store.count[SL_ARRAY_service_counters] = WRITERS * SERVICES;
	one.id = ONE;
	two.id = TWO;
	model.service = services;
	model.n = 1;
	c->model = &model;
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	sl_hairpins_free(*state);
	return 0;
}

static void refuse(int writer, int service)
{
	reasons[writer].packets[SL_REASON_hairpin]++;
	counters[writer][service].hairpin++;
}

static void test_minute(void **state)
{
	struct sl_control *c = *state;
	uint32_t t = UINT32_MAX - 5000; /* the clock wraps */

	refuse(0, ONE); /* before control started */
	sl_hairpins_tick(c, t);
	assert_false(sl_hairpins_refused(c, ONE));
	refuse(1, ONE);
	sl_hairpins_tick(c, t + SL_HAIRPINS_LOOK_MS - 1);
	assert_false(sl_hairpins_refused(c, ONE));
	t += SL_HAIRPINS_LOOK_MS;
	sl_hairpins_tick(c, t);
	assert_true(sl_hairpins_refused(c, ONE));
	sl_hairpins_tick(c, t + SL_HAIRPINS_SHOWN_MS - 1);
	assert_true(sl_hairpins_refused(c, ONE));
	sl_hairpins_tick(c, t + SL_HAIRPINS_SHOWN_MS + SL_HAIRPINS_LOOK_MS);
	assert_false(sl_hairpins_refused(c, ONE));
}

static void test_new_service(void **state)
{
	struct sl_control *c = *state;

	sl_hairpins_tick(c, 0);
	assert_false(sl_hairpins_refused(c, TWO));
	model.n = 2;
	sl_hairpins_tick(c, 1000);
	refuse(0, TWO);
	sl_hairpins_tick(c, 2000);
	assert_true(sl_hairpins_refused(c, TWO));
	assert_false(sl_hairpins_refused(c, ONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_minute, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_new_service, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
