/* SPDX-License-Identifier: BSD-2-Clause */
/* What limits leave in the tables: the entries of limited flows, which keep their states and their
 * buckets; the table of meters, and who loses his where it is full; and what happens where the
 * records of limits are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../control/model/pace.h"
#include "limited.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Entries */

static enum sl_flow_state state_of(uint32_t service, uint16_t port, uint64_t *word)
{
	struct sl_flow_at at = world_flow_find(&world, world_flow_key(service, CLIENT, port));

	if (!at.bucket)
		return SL_FLOW_STATES;
	*word = sl_flow_time(at.value);
	return sl_flow_state(at.value);
}

/* A refused connection leaves nothing behind: neither an entry nor a tracked flow. */
static void test_refused(void **state)
{
	static const struct sl_config_limit limits[] = { PACKETS(FLOW, 9, BOTH),
							 CONNECTIONS(ONE, 1) };
	uint64_t word;

	(void)state;
	limited_start(limits, 2);
	for (uint32_t service = WEB; service <= DNS; service++) {
		struct limited_packet p = { .service = service, .flags = FRAME_SYN, .port = 1001 };

		assert_true(limited_passes(0, &p));
		assert_int_not_equal(state_of(service, 1001, &word), SL_FLOW_STATES);
		p.port = 1002;
		assert_int_equal(limited_send(0, &p), SL_REASON_limit_client);
		assert_int_equal(state_of(service, 1002, &word), SL_FLOW_STATES);
		assert_int_equal(world.queue[0].service_counters[service + 1].tracked, 1);
	}
	limited_end();
}

/* Every sequence of four packets, each way: the states of a flow that is limited are those of one
 * that is only tracked, whichever way it is limited, and no packet gives anything back. */
static void states_of(uint32_t sequence)
{
	static const uint8_t flags[] = { FRAME_SYN, FRAME_ACK, FRAME_FIN | FRAME_ACK, FRAME_RST,
					 FRAME_SYN | FRAME_ACK };
	uint64_t word = 0, before = 0, other;

	memset(world.store.base[SL_ARRAY_flows], 0, world.store.bytes[SL_ARRAY_flows]);
	for (uint32_t i = 0; i < 4; i++, sequence /= 10) {
		struct limited_packet p = { .port = limited_port[1],
					    .flags = flags[sequence % 10 / 2],
					    .reply = sequence % 2 };
		enum sl_flow_state is, should;

		limited_send(i & 1, &p);
		is = state_of(WEB, p.port, &word);
		p.service = PLAIN;
		limited_send(i & 1, &p);
		should = state_of(PLAIN, p.port, &other);
		if (is != should || (is != SL_FLOW_STATES && word < before))
			fail_msg("sequence %u, packet %u: state %d, not %d", sequence, i, is,
				 should);
		before = is == SL_FLOW_STATES ? 0 : word;
	}
}

static void test_states(void **state)
{
	(void)state;
	for (uint8_t direction = TO; direction <= BOTH; direction++) {
		/* Two packets pass, the others are dropped. */
		struct sl_config_limit l = PACKETS(FLOW, 2, direction);

		limited_start(&l, 1);
		world.service[PLAIN].record.flags |= SL_SERVICE_TRACK;
		limited_publish();
		now |= 1 << 20;
		for (uint32_t sequence = 0; sequence < 10000; sequence++)
			states_of(sequence);
		limited_end();
	}
}

/* A flow that goes on after a FIN, half closed, or after an RST that was a lie, is established
 * again, though its entry's time says nothing of when that was. */
static void test_goes_on(void **state)
{
	(void)state;
	for (uint8_t direction = TO; direction <= BOTH; direction++) {
		for (uint32_t ends = FRAME_FIN; ends <= FRAME_RST; ends += FRAME_RST - FRAME_FIN) {
			struct sl_config_limit l = { .scope = FLOW,
						     .rate = 1000000,
						     .direction = direction };
			struct limited_packet p = { 0 }, reply = { .reply = 1 };
			uint64_t word;

			limited_start(&l, 1);
			p.port = reply.port = limited_port[1];
			limited_send(0, &p);
			p.flags = (uint8_t)ends;
			limited_send(0, &p);
			assert_int_equal(state_of(WEB, p.port, &word), SL_FLOW_CLOSING);
			p.flags = FRAME_ACK;
			for (uint32_t i = 0; i < 1000; i++) {
				now += TICKS_PER_MS;
				limited_send(0, &p);
				limited_send(1, &reply);
			}
			assert_int_equal(state_of(WEB, p.port, &word), SL_FLOW_ESTABLISHED);
			limited_end();
		}
	}
}

/* Whatever rewrites an entry keeps its bucket: states, last-seen, a move to its other place. */
static void test_kept(void **state)
{
	static const uint8_t flags[] = { FRAME_SYN, FRAME_ACK, FRAME_FIN, FRAME_RST };
	uint64_t seed = 5;

	(void)state;
	for (uint8_t direction = TO; direction <= BOTH; direction++) {
		struct sl_config_limit l = {
			.scope = FLOW, .rate = 1000, .burst = 64000, .direction = direction
		};
		uint64_t word = 0, before = 0;

		limited_start(&l, 1);
		for (uint32_t i = 0; i < 20000; i++) {
			uint64_t r = world_random(&seed);
			struct limited_packet p = { .port = limited_port[1],
						    .size = 128,
						    .flags = flags[r % N(flags)],
						    .reply = r >> 8 & 1 };
			struct sl_flow_at at;

			now += (r >> 16) % (r & 512 ? TICKS_PER_S : TICKS_PER_MS);
			limited_send(r >> 9 & 1, &p);
			if (state_of(WEB, p.port, &word) == SL_FLOW_STATES)
				continue; /* a reply came first */
			assert_true(word >= before);
			at = world_flow_find(&world, world_flow_key(WEB, CLIENT, p.port));
			sl_flow_move(&world.queue[0], at.bucket, at.way, now);
			assert_true(state_of(WEB, p.port, &before) == sl_flow_state(at.value));
			assert_true(word == before);
		}
		assert_in_range(word - now, 500 * TICKS_PER_S, 513 * TICKS_PER_S);
		limited_end();
	}
}

/* Meters */

static struct sl_meters *line_of(uint64_t key, bool second)
{
	uint64_t hash = sl_hash_flow(key, world.root->flow_key);
	uint32_t n = world.store.count[SL_ARRAY_meters];

	return (struct sl_meters *)world.store.base[SL_ARRAY_meters] +
	       (second ? sl_hash_bucket2(hash, n, world.root->flow_key) : sl_hash_bucket(hash, n));
}

static uint64_t key_of(uint32_t client)
{
	union sl_addr addr = sl_addr4(sl_htonl(client));

	return sl_meter_key(world.service[WEB].limit[0].id,
			    sl_meter_client(&addr, 32, 128, world.root->flow_key));
}

/* Of the eight places of a client that isn't there, the one that is nearest to full: its key; 0
 * where one is free. */
static uint64_t nearest(uint64_t key)
{
	uint64_t found = 0, least = UINT64_MAX;

	for (uint32_t i = 0; i < 2 * SL_METER_WAYS; i++) {
		const struct sl_meters *line = line_of(key, i >= SL_METER_WAYS);
		uint64_t was = line->key[i % SL_METER_WAYS];
		uint64_t ahead = sl_gcra_ahead(line->full_at[i % SL_METER_WAYS],
					       now << SL_METER_SHIFT, UINT64_MAX);

		if (!was || !ahead)
			return 0;
		if (ahead < least) {
			least = ahead;
			found = was;
		}
	}
	return found;
}

/* Clients of many sizes, more than the table has room for: who isn't there takes the place of the
 * one that is nearest to full, which is counted; nobody else loses his. */
static void test_full_table(void **state)
{
	static const struct sl_config_limit l = { .scope = ONE, .rate = 1000, .burst = 64000 };
	uint64_t evicted = 0, seed = 3;

	(void)state;
	limited_start(&l, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		struct limited_packet p = { .client = FRAME_IP(20, 0, 0, 0) + i,
					    .size = (uint16_t)(64 + world_random(&seed) % 8000) };
		uint64_t key = key_of(p.client), goes = nearest(key);
		struct sl_meters *line[] = { line_of(key, false), line_of(key, true) };
		struct sl_meters before[2] = { *line[0], *line[1] };
		uint32_t changed = 0;

		assert_true(limited_passes(i & 1, &p));
		assert_non_null(limited_word(0, &p)); /* of a bucket that was full */
		assert_int_equal((*limited_word(0, &p) >> SL_METER_SHIFT) - now,
				 p.size * 8 * TICKS_PER_MS);
		evicted += goes != 0;
		for (uint32_t k = 0; k < 2 * SL_METER_WAYS; k++) {
			uint64_t was = before[k / 4].key[k % 4];

			if (line[k / 4]->key[k % 4] == was)
				continue;
			changed++;
			if (goes)
				assert_true(was == goes);
		}
		assert_in_range(changed, 1, line[0] == line[1] ? 2 : 1);
		assert_int_equal(limited_counters(WEB, 0).evicted, evicted);
	}
	assert_in_range(evicted, 3900, 4200); /* 1024 places */
	limited_end();
}

/* A million spoofed addresses, each a packet, don't free the client that is limited hardest. */
static void test_flood(void **state)
{
	static const struct sl_config_limit l = { .scope = ONE, .rate = 10000, .burst = 64000 };
	struct limited_packet hard = { .client = CLIENT, .size = 1000 };
	uint64_t start, passed = 0;

	(void)state;
	limited_start(&l, 1);
	assert_int_equal(limited_burst(0, &hard, UINT32_MAX), 64);
	start = now;
	for (uint32_t i = 0; i < 1000000; i++) {
		struct limited_packet p = { .client = FRAME_IP(20, 0, 0, 0) + i, .size = 64 };

		now = start + i * 10 * TICKS_PER_US;
		assert_true(limited_passes(i & 1, &p));
		if (i % 1000 == 0)
			passed += limited_passes(i / 1000 & 1, &hard);
	}
	assert_in_range(passed, 12, 13); /* ten seconds of 1,250 bytes */
	assert_true(limited_counters(WEB, 0).evicted > 500000);
	limited_end();
}

/* Records that are wrong: packets pass or don't, and nothing outside the arrays is touched (which a
 * build with -Db_sanitize=address,undefined sees). */
static void spoil(struct sl_limit *l, uint64_t seed)
{
	uint64_t r[sizeof(*l) / 8];
	uint8_t *byte = (uint8_t *)l;

	for (size_t i = 0; i < N(r); i++)
		r[i] = world_random(&seed);
	for (size_t i = 0; i < sizeof(*l); i++)
		if (!(r[i % 7] >> (8 + i / 2) & 3))
			byte[i] = (uint8_t)(r[(i + 3) % 8] >> i % 8 * 8);
}

static void send_all(void)
{
	for (uint32_t i = 0; i < 24; i++) {
		struct limited_packet p = { .service = i % 2,
					    .client = CLIENT + i / 12,
					    .port = (uint16_t)(1 + i % 3),
					    .size = (uint16_t)(64 + i * 300),
					    .flags = i & 4 ? FRAME_SYN : FRAME_ACK,
					    .ecn = i & 3,
					    .reply = (uint8_t)(i / 8) };
		enum sl_reason reason = limited_send(i & 1, &p);

		assert_true(reason == SL_REASON_to_backend || reason == SL_REASON_to_client ||
			    (reason >= SL_REASON_limit_flow && reason <= SL_REASON_limit_service));
	}
}

static void test_wrong_records(void **state)
{
	static const struct sl_config_limit limits[] = {
		PACKETS(FLOW, 3, BOTH),
		PACKETS(ONE, 3, BOTH),
		PACKETS(BACKEND, 3, BOTH),
		PACKETS(ALL, 3, BOTH),
	};
	struct sl_pace own = sl_pace_of(SL_UNIT_PACKETS, 100, 5, SL_ACTION_DROP);
	uint64_t seed = 9;

	(void)state;
	limited_start(limits, N(limits));
	world_add_exception(&world, WEB, 0, CLIENT, 1, &own);
	world_add_exception(&world, WEB, 1, CLIENT, 0, &own);
	limited_publish();
	for (uint32_t i = 0; i < 20000; i++) {
		struct sl_limit *live = (struct sl_limit *)world.store.base[SL_ARRAY_limits];
		struct sl_service *web = world_live_service(&world, WEB);
		struct sl_reply_entry *reply = world_live_reply(&world, WEB, 1);
		uint64_t r = world_random(&seed);

		now += r % TICKS_PER_S;
		for (uint32_t k = 0; k < N(limits); k++)
			spoil(&live[web->limits + k], r + k);
		if (r >> 40 & 1)
			web->n_limits = reply->n_limits = (uint8_t)(r >> 48);
		if (r >> 41 & 1)
			web->flags = reply->flags =
				(uint16_t)((r >> 12 & 0x1f0) | (web->flags & 0xf));
		if ((r >> 42 & 3) == 0)
			web->limits = (uint32_t)(r >> 16);
		if ((r >> 44 & 3) == 0)
			reply->limits = (uint32_t)(r >> 20);
		send_all();
		limited_publish();
	}
	limited_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_states),
		cmocka_unit_test(test_goes_on),	      cmocka_unit_test(test_kept),
		cmocka_unit_test(test_full_table),    cmocka_unit_test(test_flood),
		cmocka_unit_test(test_wrong_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
