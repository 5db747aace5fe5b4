/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is limited, and what becomes of the packet: scopes, directions, several limits at once, new
 * connections, exceptions, actions. How much passes: test_limit.c; what is kept of it:
 * test_limit_tables.c.
 *
 * Most tests are a list of steps: so many packets of one kind, by which reason each ends. The clock
 * stands still unless a step says otherwise, so a burst of n is n packets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../control/model/pace.h"
#include "limited.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define OTHER (CLIENT + 1)

struct step {
	uint32_t packets; /* 0: ten milliseconds pass; ends a list where `reason` is 0 too */
	struct limited_packet packet;
	uint32_t queue;
	uint8_t to; /* of which backend: picks the port; a reply is from there */
	uint8_t reason;
};

struct rule {
	const char *name;
	struct sl_config_limit limit[WORLD_LIMITS];
	struct step step[12];
};

#define PASS	   SL_REASON_to_backend
#define REPLY	   SL_REASON_to_client
#define BY_FLOW	   SL_REASON_limit_flow
#define BY_CLIENT  SL_REASON_limit_client
#define BY_BACKEND SL_REASON_limit_backend
#define BY_SERVICE SL_REASON_limit_service
#define A                                                                                          \
	{                                                                                          \
		.port = 1001                                                                       \
	}
#define B                                                                                          \
	{                                                                                          \
		.port = 1002                                                                       \
	}
#define B_OF_OTHER                                                                                 \
	{                                                                                          \
		.client = OTHER, .port = 1002                                                      \
	}
#define SYN(n)                                                                                     \
	{                                                                                          \
		.port = n, .flags = FRAME_SYN                                                      \
	}
#define WAIT                                                                                       \
	{                                                                                          \
		.reason = 255                                                                      \
	}

static const struct rule rules[] = {
	{ "two flows of a client, limited apart",
	  { PACKETS(FLOW, 3, BOTH) },
	  { { 3, A, .reason = PASS },
	    { 2, A, .reason = BY_FLOW },
	    { 3, B, .reason = PASS },
	    { 2, B, .reason = BY_FLOW },
	    { 1, A, .queue = 1, .reason = BY_FLOW },
	    WAIT,
	    { 1, A, .queue = 1, .reason = PASS },
	    { 1, A, .reason = BY_FLOW } } },
	{ "a client's flows on two queues, together",
	  { PACKETS(ONE, 4, BOTH) },
	  { { 2, A, .reason = PASS },
	    { 2, B, .queue = 1, .reason = PASS },
	    { 1, A, .reason = BY_CLIENT },
	    { 1, B, .queue = 1, .reason = BY_CLIENT },
	    { 4, B_OF_OTHER, .reason = PASS },
	    { 1, B_OF_OTHER, .reason = BY_CLIENT } } },
	{ "a prefix of clients",
	  { { .scope = ONE, .unit = SL_UNIT_PACKETS, .rate = 100, .burst = 4, .prefix4 = 24 } },
	  { { 2, A, .reason = PASS },
	    { 2, B_OF_OTHER, .reason = PASS },
	    { 1, A, .reason = BY_CLIENT },
	    { 4, { .client = CLIENT + 256 }, .reason = PASS } } },
	{ "backends apart",
	  { PACKETS(BACKEND, 3, TO) },
	  { { 3, .to = 1, .reason = PASS },
	    { 1, .to = 1, .reason = BY_BACKEND },
	    { 1, .to = 1, .queue = 1, .reason = BY_BACKEND },
	    { 3, .to = 2, .queue = 1, .reason = PASS },
	    { 1, .to = 2, .reason = BY_BACKEND } } },
	{ "a service, its backends together",
	  { PACKETS(ALL, 4, TO) },
	  { { 2, .to = 1, .reason = PASS },
	    { 2, .to = 2, .queue = 1, .reason = PASS },
	    { 1, .to = 1, .reason = BY_SERVICE },
	    { 1, { .service = PLAIN }, .reason = PASS } } },
	{ "to the backend alone: flow",
	  { PACKETS(FLOW, 2, TO) },
	  { { 2, .to = 1, .reason = PASS },
	    { 9, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, .to = 1, .reason = BY_FLOW } } },
	{ "from the backend alone: flow",
	  { PACKETS(FLOW, 2, FROM) },
	  { { 9, .to = 1, .reason = PASS },
	    { 2, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, { .reply = 1 }, .to = 1, .reason = BY_FLOW },
	    { 9, .to = 1, .reason = PASS } } },
	{ "both ways from one bucket: flow",
	  { PACKETS(FLOW, 3, BOTH) },
	  { { 2, .to = 1, .reason = PASS },
	    { 1, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, { .reply = 1 }, .to = 1, .reason = BY_FLOW },
	    { 1, .to = 1, .reason = BY_FLOW } } },
	{ "to the backend alone: client",
	  { PACKETS(ONE, 2, TO) },
	  { { 9, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 2, .to = 1, .reason = PASS },
	    { 1, .to = 1, .reason = BY_CLIENT } } },
	{ "from the backend alone: client",
	  { PACKETS(ONE, 2, FROM) },
	  { { 9, .to = 1, .reason = PASS },
	    { 2, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, { .reply = 1 }, .to = 1, .reason = BY_CLIENT } } },
	{ "both ways from one bucket: client",
	  { PACKETS(ONE, 3, BOTH) },
	  { { 2, .to = 1, .reason = PASS },
	    { 1, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, { .reply = 1 }, .to = 1, .reason = BY_CLIENT },
	    { 1, .to = 1, .reason = BY_CLIENT } } },
	{ "both ways from one bucket: backend and service",
	  { PACKETS(BACKEND, 3, BOTH), PACKETS(ALL, 5, BOTH) },
	  { { 2, .to = 1, .reason = PASS },
	    { 1, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, { .reply = 1 }, .to = 1, .reason = BY_BACKEND },
	    { 2, { .reply = 2 }, .to = 2, .reason = REPLY },
	    { 1, { .reply = 2 }, .to = 2, .reason = BY_SERVICE },
	    { 1, .to = 2, .reason = BY_BACKEND } } },
	{ "a rate for each direction of a flow",
	  { PACKETS(FLOW, 2, TO), PACKETS(FLOW, 3, FROM) },
	  { { 2, .to = 1, .reason = PASS },
	    { 1, .to = 1, .reason = BY_FLOW },
	    { 3, { .reply = 1 }, .to = 1, .reason = REPLY },
	    { 1, { .reply = 1 }, .to = 1, .reason = BY_FLOW } } },
	{ "the first that bites names itself: flow",
	  { PACKETS(FLOW, 2, TO), PACKETS(ONE, 2, TO), PACKETS(BACKEND, 2, TO),
	    PACKETS(ALL, 2, TO) },
	  { { 2, .to = 1, .reason = PASS }, { 1, .to = 1, .reason = BY_FLOW } } },
	{ "the first that bites names itself: client",
	  { PACKETS(FLOW, 3, TO), PACKETS(ONE, 2, TO), PACKETS(BACKEND, 2, TO),
	    PACKETS(ALL, 2, TO) },
	  { { 2, .to = 1, .reason = PASS }, { 1, .to = 1, .reason = BY_CLIENT } } },
	{ "the first that bites names itself: backend",
	  { PACKETS(FLOW, 3, TO), PACKETS(ONE, 3, TO), PACKETS(BACKEND, 2, TO),
	    PACKETS(ALL, 2, TO) },
	  { { 2, .to = 1, .reason = PASS }, { 1, .to = 1, .reason = BY_BACKEND } } },
	{ "the first that bites names itself: service; the narrower ones were used all the same",
	  { PACKETS(FLOW, 3, TO), PACKETS(ONE, 3, TO), PACKETS(BACKEND, 3, TO),
	    PACKETS(ALL, 2, TO) },
	  { { 2, .to = 1, .reason = PASS },
	    { 1, .to = 1, .reason = BY_SERVICE },
	    { 1, .to = 1, .reason = BY_FLOW } } },
	{ "connections of a client are SYNs",
	  { CONNECTIONS(ONE, 2) },
	  { { 1, SYN(1001), .reason = PASS },
	    { 9, { .port = 1001 }, .reason = PASS },
	    { 1, SYN(1002), .reason = PASS },
	    { 1, SYN(1003), .reason = BY_CLIENT },
	    { 9, { .port = 1001 }, .reason = PASS },
	    { 1, { .port = 1004, .flags = FRAME_SYN | FRAME_ACK }, .reason = PASS },
	    { 1, { .client = OTHER, .flags = FRAME_SYN }, .reason = PASS },
	    WAIT,
	    { 1, SYN(1003), .queue = 1, .reason = PASS },
	    { 1, SYN(1004), .queue = 1, .reason = BY_CLIENT } } },
	{ "connections of a backend and a service",
	  { CONNECTIONS(BACKEND, 2), CONNECTIONS(ALL, 3) },
	  { { 2, { .flags = FRAME_SYN }, .to = 1, .reason = PASS },
	    { 1, { .flags = FRAME_SYN }, .to = 1, .reason = BY_BACKEND },
	    { 1, { .flags = FRAME_SYN }, .to = 2, .reason = BY_SERVICE },
	    { 9, .to = 1, .reason = PASS } } },
	{ "connections over UDP are first packets of flows",
	  { CONNECTIONS(ONE, 2) },
	  { { 5, { .service = DNS, .port = 1001 }, .reason = PASS },
	    { 5, { .service = DNS, .port = 1002 }, .queue = 1, .reason = PASS },
	    { 2, { .service = DNS, .port = 1003 }, .reason = BY_CLIENT },
	    { 5, { .service = DNS, .port = 1001 }, .reason = PASS },
	    WAIT,
	    { 5, { .service = DNS, .port = 1003 }, .reason = PASS },
	    { 1, { .service = DNS, .port = 1004 }, .reason = BY_CLIENT } } },
};

static struct limited_packet packet_of(const struct step *s)
{
	struct limited_packet p = s->packet;

	if (s->to)
		p.port = limited_port[s->to];
	return p;
}

static bool steps_hold(const char *name, const struct step *step, size_t n)
{
	for (size_t i = 0; i < n && (step[i].packets || step[i].reason); i++) {
		struct limited_packet p = packet_of(&step[i]);

		if (!step[i].packets)
			now += 10 * TICKS_PER_MS;
		for (uint32_t k = 0; k < step[i].packets; k++) {
			enum sl_reason reason = limited_send(step[i].queue, &p);

			if (reason == step[i].reason)
				continue;
			print_error("%s: step %zu, packet %u: reason %d, not %d\n", name, i + 1,
				    k + 1, reason, step[i].reason);
			return false;
		}
	}
	return true;
}

static void test_rules(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < N(rules); i++) {
		limited_start(rules[i].limit, N(rules[i].limit));
		wrong += !steps_hold(rules[i].name, rules[i].step, N(rules[i].step));
		limited_end();
	}
	assert_int_equal(wrong, 0);
}

/* One client over eight flows and two queues, for a second at ten times its rate. */
static void test_client_of_many_flows(void **state)
{
	static const struct sl_config_limit l = { .scope = ONE, .rate = 10000000 };
	uint64_t bytes = 0, start;

	(void)state;
	limited_start(&l, 1);
	for (uint32_t i = 0; limited_passes(0, &(struct limited_packet){ .size = 1000 }); i++)
		;
	start = now;
	for (uint32_t i = 0; i < 12500; i++) {
		struct limited_packet p = { .port = (uint16_t)(1 + i % 8), .size = 1000 };

		now = start + i * TICKS_PER_S / 12500;
		bytes += limited_passes(i / 8 % 2, &p) * 1000u;
	}
	assert_in_range(bytes, 1250000 * 0.995, 1250000 * 1.005);
	limited_end();
}

/* Exceptions */

/* CLIENT, and its flow from port 1001, have rates of their own. */
static void begin_exceptions(uint8_t scope, uint64_t rate)
{
	struct sl_config_limit l = {
		.scope = scope, .unit = SL_UNIT_PACKETS, .rate = rate, .burst = 2
	};
	struct sl_pace own = sl_pace_of(SL_UNIT_PACKETS, 100, 5, SL_ACTION_DROP);

	limited_begin(64);
	limited_add(WEB, &l);
	world_add_exception(&world, WEB, 0, CLIENT, 1001, &own);
	limited_publish();
}

static void test_exceptions(void **state)
{
	static const struct {
		const char *name;
		uint8_t scope;
		uint64_t rate;
		struct step step[6];
	} cases[] = {
		{ "a client's own rate",
		  ONE,
		  100,
		  { { 3, A, .reason = PASS },
		    { 2, B, .queue = 1, .reason = PASS },
		    { 1, A, .reason = BY_CLIENT },
		    { 2, B_OF_OTHER, .reason = PASS },
		    { 1, B_OF_OTHER, .reason = BY_CLIENT } } },
		{ "a flow's own rate",
		  FLOW,
		  100,
		  { { 5, A, .reason = PASS },
		    { 1, A, .reason = BY_FLOW },
		    { 2, B, .reason = PASS },
		    { 1, B, .reason = BY_FLOW },
		    { 2, { .client = OTHER, .port = 1001 }, .reason = PASS },
		    { 1, { .client = OTHER, .port = 1001 }, .reason = BY_FLOW } } },
		{ "one client alone",
		  ONE,
		  0,
		  { { 3, A, .reason = PASS },
		    { 2, B, .reason = PASS },
		    { 1, A, .queue = 1, .reason = BY_CLIENT },
		    { 99, B_OF_OTHER, .reason = PASS } } },
		{ "one flow alone",
		  FLOW,
		  0,
		  { { 5, A, .reason = PASS },
		    { 1, A, .queue = 1, .reason = BY_FLOW },
		    { 99, B, .reason = PASS },
		    { 99, B_OF_OTHER, .reason = PASS } } },
	};
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		begin_exceptions(cases[i].scope, cases[i].rate);
		wrong += !steps_hold(cases[i].name, cases[i].step, N(cases[i].step));
		if (!cases[i].rate)
			assert_int_equal(limited_counters(WEB, 0).passed, 5);
		limited_end();
	}
	assert_int_equal(wrong, 0);
}

/* Actions */

/* The same traffic by both: five flows of two clients, of all sizes, for a second. */
static struct sl_limit_counters tally_of_traffic(uint8_t scope, uint8_t action, uint32_t *passed)
{
	struct sl_config_limit l = {
		.scope = scope, .rate = 10000000, .burst = 20000, .action = action
	};
	struct sl_limit_counters sum;
	uint64_t seed = 7;

	*passed = 0;
	limited_start(&l, 1);
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t r = world_random(&seed);
		struct limited_packet p = { .client = CLIENT + (r & 1),
					    .port = (uint16_t)(1 + r % 5),
					    .size = (uint16_t)(64 + (r >> 8) % 1450) };

		now += (r >> 32) % (2 * TICKS_PER_S / 20000);
		*passed += limited_passes(r >> 7 & 1, &p);
	}
	sum = limited_counters(WEB, 0);
	limited_end();
	return sum;
}

/* Nothing is dropped, and what drop would have dropped is counted. */
static void test_observe(void **state)
{
	(void)state;
	for (uint8_t scope = 0; scope < SL_SCOPES; scope++) {
		uint32_t passed, all;
		struct sl_limit_counters drop = tally_of_traffic(scope, SL_ACTION_DROP, &passed);
		struct sl_limit_counters observe = tally_of_traffic(scope, SL_ACTION_OBSERVE, &all);

		assert_int_equal(all, 20000);
		assert_int_equal(observe.passed, 20000);
		assert_int_equal(observe.dropped, 0);
		assert_in_range(drop.dropped, 1000, 19000);
		assert_int_equal(drop.passed, passed);
		assert_int_equal(drop.passed + drop.dropped, 20000);
		assert_int_equal(observe.observed, drop.dropped);
		assert_int_equal(observe.observed_bytes, drop.dropped_bytes);
	}
}

/* Over TCP that is capable of it: four pass, four are marked, the rest is dropped. */
static void test_mark(void **state)
{
	static const struct {
		uint32_t service;
		uint8_t ecn, direction;
		bool marks;
	} cases[] = {
		{ WEB, 0, TO, false },	 { WEB, 1, TO, true },	  { WEB, 2, TO, true },
		{ WEB, 3, TO, true },	 { DNS, 2, TO, false },	  { WEB, 2, FROM, true },
		{ WEB, 0, FROM, false }, { DNS, 1, FROM, false },
	};

	(void)state;
	for (uint8_t scope = 0; scope < SL_SCOPES; scope++) {
		for (size_t i = 0; i < N(cases); i++) {
			struct sl_config_limit l = PACKETS(scope, 4, cases[i].direction);
			struct limited_packet p = { .service = cases[i].service,
						    .ecn = cases[i].ecn };
			uint32_t marked = 0, passed = 0, service = cases[i].service;

			l.action = SL_ACTION_MARK;
			limited_start(&l, 1);
			if (cases[i].direction == FROM) {
				assert_true(limited_passes(0, &p));
				p.reply =
					(uint8_t)(1 +
						  world_slot_of(&world, service, CLIENT, PORT) % 2);
			}
			for (uint32_t k = 0; k < 12; k++) {
				uint8_t ecn;

				if (!limited_passes(k & 1, &p))
					continue;
				passed++;
				ecn = limited_frame.bytes[limited_frame.l3 + 1];
				marked += ecn == (0x10 | 3);
				assert_true(frame_ip_holds(&limited_frame));
				assert_int_equal(ecn, k < 4 ? (0x10 | cases[i].ecn) : (0x10 | 3));
			}
			assert_int_equal(passed, cases[i].marks ? 8 : 4);
			assert_int_equal(limited_counters(service, 0).marked, passed - 4);
			assert_int_equal(limited_counters(service, 0).dropped, 12 - passed);
			assert_int_equal(marked, cases[i].ecn == 3 ? 8 : passed - 4);
			/* What was marked was charged: a burst of time buys one more mark each. */
			now += 40 * TICKS_PER_MS;
			assert_int_equal(limited_burst(0, &p, 99), 4);
			limited_end();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),	   cmocka_unit_test(test_client_of_many_flows),
		cmocka_unit_test(test_exceptions), cmocka_unit_test(test_observe),
		cmocka_unit_test(test_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
