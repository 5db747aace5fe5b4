/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments: all of a datagram reach one backend, that of its flow, in whatever order they come and
 * whatever changes meanwhile; what nobody completes is forgotten, and a flood of it harms nobody
 * for longer than it lasts. The same over IPv4 and IPv6.
 *
 *     clients 203.0.113.x ── port 0 ─ gateway ─ port 1 ─┬─ backend 10.1.0.1:5353
 *                                                       └─ backend 10.1.0.2:5353
 *
 * VIP 198.51.100.7 has UDP 53, whose slots name one backend or the other. The addresses of IPv6 end
 * in the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)
#define B1     FRAME_IP(10, 1, 0, 1)
#define B2     FRAME_IP(10, 1, 0, 2)

enum { UDP, PARTS = 4, NOW = 1 << 30, UNIT = 1 << (SL_FRAGMENT_SHIFT - SL_TICK_SHIFT) };

static int setup(void **state, bool is_ipv6)
{
	static const uint8_t mac[2][12] = { { 2, 1 }, { 2, 2 } };
	struct world *w = aligned_alloc(128, (sizeof(*w) + 127) & ~(size_t)127);
	struct sl_route *r;

	if (world_make(w, 64))
		return -1;
	world_add_service(w, VIP, 53, FRAME_UDP, 64);
	if (is_ipv6)
		world_make_ipv6(w, UDP);
	world_add_backend(w, UDP, B1, 5353, mac[0], 1);
	world_add_backend(w, UDP, B2, 5353, mac[1], 1);
	for (uint32_t i = 0; i < 64; i++)
		w->service[UDP].slot[i] = sl_slot(1 + i % 2, 0, SL_SLOT_CLOSED);
	world_set_timeouts(w, UDP, 1u << 28, 1u << 28, 1u << 28);
	r = world_add_route(w, 0, 0, SL_ROUTE_VIA);
	if (is_ipv6)
		*r = (struct sl_route){ .kind = r->kind, .mtu = r->mtu };
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, NOW);
	*state = w;
	return 0;
}

static int setup4(void **state)
{
	return setup(state, false);
}

static int setup6(void **state)
{
	return setup(state, true);
}

static int teardown(void **state)
{
	world_free(*state);
	free(*state);
	return 0;
}

/* The same packet with a header of IPv6, and one of fragments where the other says so. */
static void make_ipv6(struct frame *f, const struct frame_spec *s)
{
	uint16_t is = (uint16_t)(s->fragment << 3 | s->fragment >> 13);
	uint32_t from = f->l4, l4 = f->l3 + (is ? 48 : 40), n = f->length - from;
	union sl_addr src = world_addr(s->src, true), dst = world_addr(s->dst, true);
	uint8_t *ip = &f->bytes[f->l3];

	memmove(&f->bytes[l4], &f->bytes[from], n);
	f->bytes[f->l3 - 2] = 0x86;
	f->bytes[f->l3 - 1] = 0xdd;
	memset(ip, 0, l4 - f->l3);
	ip[0] = 0x60;
	ip[5] = (uint8_t)(l4 - f->l3 - 40 + n);
	ip[6] = is ? 44 : s->protocol;
	ip[7] = 64;
	memcpy(ip + 8, src.b, 16);
	memcpy(ip + 24, dst.b, 16);
	if (is) {
		ip[40] = s->protocol;
		ip[42] = (uint8_t)(is >> 8);
		ip[43] = (uint8_t)is;
		ip[44] = (uint8_t)s->id; /* the upper bits of 32 */
	}
	f->l4 = l4;
	f->length = l4 + n;
}

/* One of PARTS fragments of a datagram; PARTS itself: a datagram that is whole. */
static enum sl_reason send(struct world *w, uint32_t client, uint16_t port, uint16_t id,
			   uint32_t part, uint32_t *to)
{
	struct frame_spec s = { .src = client,
				.dst = VIP,
				.sport = port,
				.dport = 53,
				.protocol = FRAME_UDP,
				.id = id,
				.payload = 8,
				.csum = FRAME_CSUM_NONE };
	bool is_ipv6 = w->service[UDP].is_ipv6;
	struct sl_packet p;
	enum sl_reason reason;
	struct frame f;
	uint16_t egress;

	if (part < PARTS)
		s.fragment = (uint16_t)(2 * part | (part < PARTS - 1 ? 0x2000 : 0));
	frame_build(&f, &s);
	if (is_ipv6)
		make_ipv6(&f, &s);
	if (part && part < PARTS)
		memset(&f.bytes[f.l4], 0xff, 16); /* data, where another has its ports */
	p = (struct sl_packet){ .data = f.bytes, .end = f.bytes + f.length, .length = f.length };
	reason = world_decide(w, id % WORLD_QUEUES, &p, &egress);
	*to = f.bytes[f.l3 + (is_ipv6 ? 39 : 19)];
	if (reason == SL_REASON_to_backend) {
		assert_true(is_ipv6 || frame_ip_holds(&f));
		assert_int_equal(f.bytes[f.l3 + (is_ipv6 ? 36 : 16)], 10);
		if (part && part < PARTS)
			assert_int_equal(f.bytes[f.l4 + 3], 0xff);
	}
	return reason;
}

/* After a client's first datagram, which came in order, all others may come in any. */
static void test_orders(void **state)
{
	struct world *w = *state;
	uint64_t seed = 3;
	uint32_t used = 0;

	for (uint32_t c = 0; c < 500; c++) {
		uint16_t port = (uint16_t)world_random(&seed);
		uint32_t to, owner;

		assert_int_equal(send(w, CLIENT + c, port, 1, PARTS, &owner), SL_REASON_to_backend);
		used |= owner;
		for (uint16_t id = 1; id < 8; id++) {
			uint32_t order[PARTS] = { 0, 1, 2, 3 };

			for (uint32_t i = PARTS - 1; i && id > 1; i--) {
				uint32_t k = (uint32_t)(world_random(&seed) % (i + 1));
				uint32_t swap = order[i];

				order[i] = order[k], order[k] = swap;
			}
			for (uint32_t i = 0; i < PARTS; i++) {
				assert_int_equal(send(w, CLIENT + c, port, id, order[i], &to),
						 SL_REASON_to_backend);
				assert_int_equal(to, owner);
			}
		}
	}
	assert_int_equal(used, 3);
}

/* Two flows of one client, to two backends, whose fragments alternate: each datagram is whole. */
static void test_two_flows(void **state)
{
	struct world *w = *state;
	uint16_t port[2] = { 40000, 40000 };
	uint32_t owner[2], to;

	send(w, CLIENT, port[0], 9, PARTS, &owner[0]);
	do
		send(w, CLIENT, ++port[1], 9, PARTS, &owner[1]);
	while (owner[1] == owner[0]);
	for (uint16_t id = 10; id < 30; id += 2)
		for (uint32_t part = 0; part < PARTS; part++)
			for (uint16_t i = 0; i < 2; i++) {
				assert_int_equal(
					send(w, CLIENT, port[i], (uint16_t)(id + i), part, &to),
					SL_REASON_to_backend);
				assert_int_equal(to, owner[i]);
			}
}

/* The slot moves between the first fragment and the others. */
static void test_change(void **state)
{
	struct world *w = *state;
	union sl_addr client;
	uint32_t owner, to;
	uint64_t source;

	send(w, CLIENT, 40000, 1, 0, &owner);
	world_set_slots(w, UDP, sl_slot(3 - owner, owner, SL_SLOT_OPEN));
	world_publish(w);
	world_snapshot_all(w);
	for (uint32_t part = 1; part < PARTS; part++) {
		assert_int_equal(send(w, CLIENT, 40000, 1, part, &to), SL_REASON_to_backend);
		assert_int_equal(to, owner);
	}
	/* And a flow that begins now, tracked by its first fragment. */
	world_set_slots(w, UDP, sl_slot(3 - owner, 0, SL_SLOT_OPEN));
	world_publish(w);
	world_snapshot_all(w);
	for (uint32_t part = 0; part < PARTS; part++) {
		assert_int_equal(send(w, CLIENT, 50000, 2, part, &to), SL_REASON_to_backend);
		assert_int_equal(to, 3 - owner);
	}
	client = world_addr(CLIENT, w->service[UDP].is_ipv6);
	source = sl_hash_source(&client, sl_htons(50000), w->root->slot_key);
	assert_non_null(world_flow_find(w, sl_flow_key(UDP + 1, source)).bucket);
}

/* A datagram that nobody completes, and one that never ends, are forgotten. */
static void test_age(void **state)
{
	struct world *w = *state;
	uint32_t to;

	send(w, CLIENT, 40000, 1, 0, &to);
	for (uint32_t i = 0; i <= SL_FRAGMENT_LIFE; i += 100) {
		world_time(w, NOW + (uint64_t)i * UNIT);
		assert_int_equal(send(w, CLIENT, 40000, 1, 1, &to), SL_REASON_to_backend);
	}
	world_time(w, NOW + (uint64_t)(SL_FRAGMENT_LIFE + 1) * UNIT);
	assert_int_equal(send(w, CLIENT, 40000, 1, 1, &to), SL_REASON_fragment);
	assert_int_equal(send(w, CLIENT, 40000, 2, 1, &to), SL_REASON_fragment);
	world_time(w, NOW - 5ull * UNIT); /* a clock that is behind */
	assert_int_equal(send(w, CLIENT, 40000, 1, 1, &to), SL_REASON_to_backend);
}

/* Firsts of a hundred thousand datagrams of others: nothing grows, nobody is misled, and as soon as
 * it is over a datagram comes through. */
static void test_flood(void **state)
{
	struct world *w = *state;
	uint64_t seed = 5;
	uint32_t owner, to;

	send(w, CLIENT, 40000, 1, 0, &owner);
	for (uint32_t i = 0; i < 100000; i++) {
		enum sl_reason reason;

		send(w, (uint32_t)world_random(&seed) % 0x60000000 + 0x01000000, 1, (uint16_t)i, 0,
		     &to);
		reason = send(w, CLIENT, 40000, 1, 1, &to);
		if (reason == SL_REASON_to_backend)
			assert_int_equal(to, owner);
		else
			assert_int_equal(reason, SL_REASON_fragment);
	}
	for (uint32_t part = 0; part < PARTS; part++) {
		assert_int_equal(send(w, CLIENT, 40000, 2, part, &to), SL_REASON_to_backend);
		assert_int_equal(to, owner);
	}
}

/* Of two writers at one place neither's key stands beside the other's value and is believed. */
static void test_torn_entry(void **state)
{
	struct world *w = *state;
	struct sl_fragments *f = w->store.base[SL_ARRAY_fragments];
	uint32_t n = w->store.count[SL_ARRAY_fragments], to;

	send(w, CLIENT, 40000, 1, 0, &to);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t way = 0; way < SL_FRAGMENT_WAYS; way++)
			if (f[i].value[way])
				f[i].value[way] ^= 1ull << 40;
	assert_int_equal(send(w, CLIENT, 40000, 1, 1, &to), SL_REASON_fragment);
}

/* Six packets of a flow at once, and no more for an hour. */
static void add_limit(struct world *w, uint8_t flags)
{
	struct sl_limit l = { .scope = SL_SCOPE_FLOW,
			      .unit = SL_UNIT_PACKETS,
			      .direction = SL_TO_BACKEND,
			      .flags = flags | SL_LIMIT_OTHERS,
			      .pace = { .packet = 600000000000ull << SL_COST_SHIFT } };

	l.pace.depth = l.pace.most = 3600000000000ull >> SL_TICK_SHIFT;
	world_add_limit(w, UDP, &l);
	world_publish(w);
	world_snapshot_all(w);
}

/* Each fragment is charged to its flow, wherever the limit is kept, and to no other flow. */
static void check_limit(struct world *w, uint8_t flags)
{
	uint32_t to;

	add_limit(w, flags);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(send(w, CLIENT, 40000, (uint16_t)(1 + i / PARTS), i % PARTS, &to),
				 i < 6 ? SL_REASON_to_backend : SL_REASON_limit_flow);
	for (uint32_t part = 0; part < PARTS; part++)
		assert_int_equal(send(w, CLIENT, 40001, 9, part, &to), SL_REASON_to_backend);
}

static void test_limit(void **state)
{
	check_limit(*state, 0);
}

static void test_limit_in_entry(void **state)
{
	check_limit(*state, SL_LIMIT_ENTRY);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, setup4, teardown),                                   \
		cmocka_unit_test_setup_teardown(test, setup6, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_orders), BOTH(test_two_flows),      BOTH(test_change),
		BOTH(test_age),	   BOTH(test_flood),	      BOTH(test_torn_entry),
		BOTH(test_limit),  BOTH(test_limit_in_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
