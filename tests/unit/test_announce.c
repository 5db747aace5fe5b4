/* SPDX-License-Identifier: BSD-2-Clause */
/* When VIPs are announced (abi/announce.h): a table of services, ports that come and go, and the
 * frames that were sent at which time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../dataplane/abi/announce.h"

enum { PORTS = 2, SERVICES = 16, MS = 1000000, HEARD = 4096 };

struct world {
	struct sl_store store;
	struct sl_root root;
	struct sl_service services[2 * SERVICES];
	struct sl_announce *announce;
	uint32_t heard[PORTS]; /* frames since the last look */
	uint8_t last[SL_ANNOUNCE_FRAME_MAX];
	size_t size;
	bool refuse;
};

static bool on_send(void *context, uint32_t port, const uint8_t *frame, size_t size)
{
	struct world *w = context;

	w->heard[port]++;
	memcpy(w->last, frame, size);
	w->size = size;
	return !w->refuse;
}

/* At that time, with a budget: what was heard on each port. */
static void expect(struct world *w, uint64_t ms, uint32_t max, uint32_t first, uint32_t second)
{
	memset(w->heard, 0, sizeof(w->heard));
	sl_announce_run(w->announce, ms * MS, max, on_send, w);
	assert_int_equal(w->heard[0], first);
	assert_int_equal(w->heard[1], second);
}

static void publish(struct world *w, const uint8_t *vips, size_t n)
{
	uint64_t generation = w->root.generation + 1;
	struct sl_bank *bank = &w->root.bank[generation & 1];
	struct sl_service *s = w->services + (generation & 1) * SERVICES;

	memset(s, 0, SERVICES * sizeof(*s));
	for (size_t i = 0; i < n; i++) {
		/* In no order, and each with a service beside it. */
		s[(i * 7 + 3) % SERVICES].vip = sl_addr4(sl_htonl(0xc6336400u + vips[i]));
		s[(i * 7 + 3) % SERVICES].flags = SL_SERVICE_VIP;
	}
	for (size_t i = 0; i < SERVICES; i++)
		if (!s[i].flags && n)
			s[i] = (struct sl_service){
				.vip = sl_addr4(sl_htonl(0xc6336400u + vips[0])), .endpoint = 1
			};
	bank->generation = generation;
	bank->seq += 2;
	w->root.generation = generation;
	assert_true(sl_announce_follow(w->announce, &w->store));
}

static void set_port(struct world *w, uint32_t port, bool answers, uint8_t mac, uint32_t downs)
{
	struct sl_announce_port now = { .answers = answers,
					.mac = { 2, 0, 0, 0, 0, mac },
					.downs = downs };

	sl_announce_port(w->announce, port, &now);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->store.base[SL_ARRAY_root] = &w->root;
	w->store.base[SL_ARRAY_services] = w->services;
	w->store.count[SL_ARRAY_services] = 2 * SERVICES;
	w->announce = sl_announce_new(PORTS);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	sl_announce_free(w->announce);
	free(w);
	return 0;
}

static void three_times(void **state)
{
	struct world *w = *state;

	set_port(w, 0, true, 1, 0);
	set_port(w, 1, true, 2, 0);
	publish(w, (const uint8_t[]){ 9, 1, 5 }, 3);
	expect(w, 100, 99, 3, 3);
	expect(w, 101, 99, 0, 0);
	expect(w, 1099, 99, 0, 0);
	expect(w, 1100, 99, 3, 3);
	expect(w, 2100, 99, 3, 3);
	expect(w, 9999, 99, 0, 0);
}

static void only_what_is_new(void **state)
{
	struct world *w = *state;

	set_port(w, 0, true, 1, 0);
	publish(w, (const uint8_t[]){ 5 }, 1);
	expect(w, 0, 99, 1, 0);
	publish(w, (const uint8_t[]){ 7, 5, 3 }, 3);
	expect(w, 500, 99, 2, 0);
	publish(w, (const uint8_t[]){ 7, 3 }, 2); /* 5 goes before it was said three times */
	expect(w, 1000, 99, 0, 0);
	expect(w, 1500, 99, 2, 0);
	publish(w, (const uint8_t[]){ 7, 5, 3 }, 3); /* and is new again */
	expect(w, 2499, 99, 1, 0);
	expect(w, 2500, 99, 2, 0);
	expect(w, 3499, 99, 1, 0);
	expect(w, 4499, 99, 1, 0);
	expect(w, 9999, 99, 0, 0);
	publish(w, NULL, 0);
	expect(w, 10000, 99, 0, 0);
}

static void ports_come_and_go(void **state)
{
	struct world *w = *state;

	publish(w, (const uint8_t[]){ 1, 2 }, 2);
	expect(w, 0, 99, 0, 0);
	set_port(w, 1, true, 2, 0);
	expect(w, 10, 99, 0, 2);
	set_port(w, 1, true, 2, 0); /* no news */
	expect(w, 20, 99, 0, 0);
	set_port(w, 1, false, 0, 0); /* its link is down: nothing is sent */
	expect(w, 1100, 99, 0, 0);
	set_port(w, 1, true, 2, 1);
	expect(w, 1200, 99, 0, 2);
	set_port(w, 1, true, 2, 2); /* it went down and up between two looks */
	expect(w, 1300, 99, 0, 2);
	set_port(w, 1, true, 3, 2); /* another MAC address */
	expect(w, 1400, 99, 0, 2);
	assert_int_equal(w->last[11], 3);
	expect(w, 2400, 99, 0, 2);
	expect(w, 3400, 99, 0, 2);
	expect(w, 9999, 99, 0, 0);
	set_port(w, 7, true, 1, 0); /* there is no such port */
}

static void within_the_budget(void **state)
{
	struct world *w = *state;

	set_port(w, 0, true, 1, 0);
	publish(w, (const uint8_t[]){ 1, 2, 3, 4, 5 }, 5);
	expect(w, 0, 2, 2, 0);
	expect(w, 10, 2, 2, 0);
	expect(w, 20, 2, 1, 0);
	expect(w, 30, 2, 0, 0);
	expect(w, 1000, 9, 2, 0);
	expect(w, 1010, 9, 2, 0);
	expect(w, 1020, 9, 1, 0);
	w->refuse = true;
	expect(w, 5000, 9, 5, 0);
	expect(w, 5500, 9, 0, 0);
	w->refuse = false;
	expect(w, 6000, 9, 5, 0);
	expect(w, 9999, 9, 0, 0);
}

static void a_bank_that_moves(void **state)
{
	struct world *w = *state;

	set_port(w, 0, true, 1, 0);
	publish(w, (const uint8_t[]){ 1 }, 1);
	expect(w, 0, 99, 1, 0);
	w->root.generation++;
	assert_false(sl_announce_follow(w->announce, &w->store)); /* that bank is of another */
	w->root.bank[w->root.generation & 1].generation = w->root.generation;
	w->root.bank[w->root.generation & 1].seq |= 1;
	assert_false(sl_announce_follow(w->announce, &w->store));
	expect(w, 1000, 99, 1, 0); /* what was known goes on */
}

/* Written down by hand, the checksum by Scapy's word. */
static void frames(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	static const uint8_t arp[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,   9,	 8,   6,
		0,    1,    8,	  0,	6,    4,    0, 1, 2, 0, 0,   0,	 0,   9,
		198,  51,   100,  10,	0,    0,    0, 0, 0, 0, 198, 51, 100, 10,
	};
	static const uint8_t nd[86] = {
		0x33, 0x33, 0, 0,  0,  1,    2,	   0, 0,    0,	  0,	9, 0x86, 0xdd, 0x60, 0,
		0,    0,    0, 32, 58, 255,  0x20, 1, 0x0d, 0xb8, 0,	0, 0,	 0,    0,    0,
		0,    0,    0, 0,  0,  0x10, 0xff, 2, 0,    0,	  0,	0, 0,	 0,    0,    0,
		0,    0,    0, 0,  0,  1,    136,  0, 0xf9, 0x04, 0x20, 0, 0,	 0,    0x20, 1,
		0x0d, 0xb8, 0, 0,  0,  0,    0,	   0, 0,    0,	  0,	0, 0,	 0x10, 2,    1,
		2,    0,    0, 0,  0,  9,
	};
	union sl_addr v4 = sl_addr4(sl_htonl(0xc633640a));
	union sl_addr v6 = { .w = { sl_htonl(0x20010db8), 0, 0, sl_htonl(0x10) } };
	uint8_t frame[SL_ANNOUNCE_FRAME_MAX];

	(void)state;
	assert_int_equal(sl_announce_frame(frame, &v4, mac), sizeof(arp));
	assert_memory_equal(frame, arp, sizeof(arp));
	assert_int_equal(sl_announce_frame(frame, &v6, mac), sizeof(nd));
	assert_memory_equal(frame, nd, sizeof(nd));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(three_times),	 TEST(only_what_is_new),  TEST(ports_come_and_go),
		TEST(within_the_budget), TEST(a_bank_that_moves), cmocka_unit_test(frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
