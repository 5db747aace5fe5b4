/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends that several services have (control/model/shared_endpoints.h), and which routes go where
 * not all fit (control/network/routes.h): pure decisions on a model and on a list of records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "../../control/model/shared_endpoints.h"
#include "../../control/network/routes.h"

/* What the library asks of its program. */
void sl_log(const char *format, ...);
uint64_t sl_clock_ns(void);

void sl_log(const char *format, ...)
{
	(void)format;
}

uint64_t sl_clock_ns(void)
{
	return 0;
}

static union sl_addr addr(uint32_t last)
{
	return sl_addr4(sl_htonl(0x0a010000 + last));
}

static struct sl_model_service *add_service(struct sl_model *m, const char *name, uint16_t port)
{
	struct sl_config_service conf = { .protocol = IPPROTO_TCP, .port = port };
	struct sl_model_service *s;
	int err;

	conf.vip = addr(200);
	strcpy(conf.name, name);
	s = sl_model_add(m, &conf, 0, &err);
	assert_non_null(s);
	return s;
}

static void add_backend(struct sl_model *m, struct sl_model_service *s, uint32_t last)
{
	struct sl_config_backend conf = { .addr = addr(last), .port = 80, .weight = 1 };
	int err;

	strcpy(conf.name, "b");
	assert_non_null(sl_service_add(m, s, &conf, &err));
}

static struct sl_model *two_services(void)
{
	struct sl_model *m = sl_model_new(8, 8, 4);

	assert_non_null(m);
	add_service(m, "one", 80);
	add_service(m, "two", 81);
	return m;
}

static size_t sentences(const struct sl_model *m, const char *word)
{
	json_t *list = json_array(), *text;
	size_t n, i;

	sl_share_list(m, list);
	n = json_array_size(list);
	json_array_foreach (list, i, text)
		assert_non_null(strstr(json_string_value(text), word));
	json_decref(list);
	return n;
}

/* In two services from the start: both have it, one sentence says so. */
static void test_shared(void **state)
{
	struct sl_model *m = two_services();

	(void)state;
	add_backend(m, m->service[0], 1);
	add_backend(m, m->service[1], 1);
	add_backend(m, m->service[1], 2);
	sl_share_claim(m);
	assert_false(m->service[0]->backend[0].waiting);
	assert_false(m->service[1]->backend[0].waiting);
	assert_int_equal(sentences(m, "can't be told apart"), 1);

	/* One lets go: the other goes on as it was. */
	m->service[0]->backend[0].state = SL_STATE_LEAVING;
	sl_share_claim(m);
	assert_false(m->service[1]->backend[0].waiting);
	sl_model_free(m, 0);
}

/* It moves: the new service waits until the old number is free, whichever of them comes first. */
static void move(size_t from, size_t to)
{
	struct sl_model *m = two_services();

	add_backend(m, m->service[from], 1);
	sl_share_claim(m);
	m->service[from]->backend[0].state = SL_STATE_LEAVING;
	add_backend(m, m->service[to], 1);
	m->service[to]->backend[0].known = true;
	sl_share_claim(m);
	assert_true(m->service[to]->backend[0].waiting);
	assert_false(sl_backend_in_slots(&m->service[to]->backend[0]));
	assert_int_equal(sentences(m, "waits"), 1);

	m->service[from]->backend[0].state = SL_STATE_GONE;
	sl_share_claim(m);
	assert_true(m->service[to]->backend[0].waiting);

	m->service[from]->backend[0].state = SL_STATE_FREE;
	m->service[to]->refill = false;
	sl_share_claim(m);
	assert_false(m->service[to]->backend[0].waiting);
	assert_true(m->service[to]->refill);
	assert_true(sl_backend_in_slots(&m->service[to]->backend[0]));
	assert_int_equal(sentences(m, ""), 0);
	sl_model_free(m, 0);
}

static void test_moved(void **state)
{
	(void)state;
	move(0, 1);
	move(1, 0);
}

/* The old service goes as a whole: nothing is left to wait for. */
static void test_service_removed(void **state)
{
	struct sl_model *m = two_services();

	(void)state;
	add_backend(m, m->service[0], 1);
	m->service[0]->backend[0].state = SL_STATE_LEAVING;
	add_backend(m, m->service[1], 1);
	sl_share_claim(m);
	assert_true(m->service[1]->backend[0].waiting);
	sl_model_remove(m, 0, 0);
	sl_share_claim(m);
	assert_false(m->service[0]->backend[0].waiting);
	sl_model_free(m, 0);
}

/* Another protocol is another endpoint. */
static void test_other_protocol(void **state)
{
	struct sl_model *m = two_services();

	(void)state;
	m->service[1]->conf.protocol = IPPROTO_UDP;
	add_backend(m, m->service[0], 1);
	m->service[0]->backend[0].state = SL_STATE_LEAVING;
	add_backend(m, m->service[1], 1);
	sl_share_claim(m);
	assert_false(m->service[1]->backend[0].waiting);
	assert_int_equal(sentences(m, ""), 0);
	sl_model_free(m, 0);
}

/* Routes */

static struct sl_route route(uint32_t last, uint32_t length, enum sl_route_kind kind)
{
	struct sl_route r = { .prefix = addr(last), .length = length + 96, .kind = (uint8_t)kind };

	if (!length)
		r.prefix = sl_addr4(0);
	if (kind == SL_ROUTE_VIA && length < 32)
		r.gateway = addr(254);
	return r;
}

static void test_hosts_go_first(void **state)
{
	struct sl_route r[] = {
		route(1, 32, SL_ROUTE_LOCAL), route(2, 32, SL_ROUTE_VIA),
		route(3, 32, SL_ROUTE_VIA),   route(0, 24, SL_ROUTE_LINK),
		route(0, 16, SL_ROUTE_VIA),   route(0, 0, SL_ROUTE_VIA),
	};

	(void)state;
	assert_int_equal(sl_routes_fit(r, 6, 6, 16), 6);
	assert_int_equal(sl_routes_fit(r, 6, 5, 16), 5);
	assert_int_equal(r[1].prefix.w[3], addr(3).w[3]);
	assert_int_equal(sl_routes_fit(r, 5, 3, 16), 3); /* the last host, and the /24 */
	assert_int_equal(r[0].kind, SL_ROUTE_LOCAL);
	assert_int_equal(r[1].length, 112);
	assert_int_equal(r[2].length, 96);
	assert_int_equal(sl_routes_fit(r, 3, 1, 16), 1);
	assert_int_equal(r[0].length, 96);
}

/* Of twenty lengths sixteen are left, with the gateway's own, the link and the default route. */
static void test_lengths(void **state)
{
	struct sl_route r[32];
	size_t n = 0, kept;

	(void)state;
	r[n++] = route(1, 32, SL_ROUTE_LOCAL);
	for (uint32_t length = 30; length > 13; length--) {
		r[n++] = route(0, length, length == 24 ? SL_ROUTE_LINK : SL_ROUTE_VIA);
		if (length == 30)
			r[n++] = route(128, length, SL_ROUTE_VIA);
	}
	r[n++] = route(0, 0, SL_ROUTE_VIA);
	kept = sl_routes_fit(r, n, 64, 16);
	assert_int_equal(kept, 17);
	assert_int_equal(r[0].kind, SL_ROUTE_LOCAL);
	assert_int_equal(r[1].length, 126);
	assert_int_equal(r[2].length, 126);
	assert_int_equal(r[3].length, 96 + 26); /* 29, 28 and 27 had one record each */
	assert_int_equal(r[kept - 1].length, 96);
	for (size_t i = 0, links = 0; i <= kept; i++) {
		if (i == kept)
			assert_int_equal(links, 1);
		else
			links += r[i].kind == SL_ROUTE_LINK;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_service_removed), cmocka_unit_test(test_other_protocol),
		cmocka_unit_test(test_hosts_go_first),	cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
