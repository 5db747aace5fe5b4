/* SPDX-License-Identifier: BSD-2-Clause */
/* Identifications of full NAT (core/fragment_id.h): two datagrams between the same two addresses
 * never have the same at a time, and all fragments of one have the same, in whatever order they
 * come and whoever decides them.
 *
 *     clients 203.0.113.x ── port 0 ─ gateway ─ port 1 ── backend 10.1.0.1:5353
 *
 * VIP 198.51.100.7 has UDP 53 in full NAT, from 10.2.0.1. The addresses of IPv6 end in the same
 * bytes.
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
#define CLIENT FRAME_IP(203, 0, 113, 1)
#define B1     FRAME_IP(10, 1, 0, 1)

enum {
	UDP,
	NOW = 1 << 30,
	UNIT = 1 << (SL_FRAGMENT_SHIFT - SL_TICK_SHIFT),
	MANY = 3000,
	CLIENTS = 20,
	PARTS = 3,
};

static struct world *w;
static struct sl_fragments fragments[SL_FRAGMENT_BUCKETS];

static int setup(bool is_ipv6)
{
	static const uint8_t mac[12] = { 2, 1 };
	struct sl_route *r;

	w = aligned_alloc(128, (sizeof(*w) + 127) & ~(size_t)127);
	if (!w || world_make(w, 64))
		return -1;
	world_add_service(w, VIP, 53, FRAME_UDP, 64);
	if (is_ipv6)
		world_make_ipv6(w, UDP);
	world_make_fullnat(w, UDP);
	world_add_backend(w, UDP, B1, 5353, mac, 1);
	world_set_slots(w, UDP, sl_slot(1, 0, SL_SLOT_CLOSED));
	world_set_timeouts(w, UDP, 1u << 28, 1u << 28, 1u << 28);
	r = world_add_route(w, 0, 0, SL_ROUTE_VIA);
	if (is_ipv6)
		*r = (struct sl_route){ .kind = r->kind, .mtu = r->mtu };
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, NOW);
	memset(fragments, 0, sizeof(fragments));
	for (uint32_t i = 0; i < WORLD_QUEUES; i++) { /* of real size */
		w->queue[i].fragments = fragments;
		w->queue[i].n_fragments = SL_FRAGMENT_BUCKETS;
	}
	return 0;
}

static int setup4(void **state)
{
	(void)state;
	return setup(false);
}

static int setup6(void **state)
{
	(void)state;
	return setup(true);
}

static int teardown(void **state)
{
	(void)state;
	world_free(w);
	free(w);
	return 0;
}

/* ---- identifications alone ---- */

/* The identification of a client's datagram, as this engine finds it. */
static uint16_t own_of(uint32_t queue, uint32_t client, uint16_t id)
{
	struct sl_fragment_id s = { .t = &w->queue[queue],
				    .from = sl_fragment_pair(sl_htonl(client), sl_htonl(VIP)),
				    .to = sl_fragment_pair(sl_htonl(WORLD_POOL_ADDR), sl_htonl(B1)),
				    .id = id,
				    .protocol = FRAME_UDP };

	return sl_fragment_id_new(
		&s, w->root,
		sl_hash_mix(s.from, (uint64_t)id << 8 | s.protocol, w->root->flow_key));
}

/* As many clients as that use the same identification at once. */
static void test_many(void **state)
{
	static uint16_t own[MANY];
	uint8_t *taken = calloc(65536, 1);

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		own[i] = own_of(i % WORLD_QUEUES, CLIENT + i, 7);
		assert_false(taken[own[i]]);
		taken[own[i]] = 1;
	}
	/* The other engine, in another order, until shortly before they are forgotten. */
	world_time(w, NOW + (uint64_t)(SL_FRAGMENT_ID_LIFE - 1) * UNIT);
	for (uint32_t i = MANY; i-- > 0;)
		assert_int_equal(own_of((i + 1) % WORLD_QUEUES, CLIENT + i, 7), own[i]);
	free(taken);
}

/* A client's datagrams don't meet, wherever the table is: a million of them, more than it holds. */
static void test_one_client(void **state)
{
	uint8_t *taken = calloc(65536, 1);
	uint32_t twice = 0;

	(void)state;
	for (uint32_t id = 0; id < 65536; id++) {
		uint16_t own = own_of(0, CLIENT, (uint16_t)id);

		twice += taken[own];
		taken[own] = 1;
	}
	assert_int_equal(twice, 0);
	free(taken);
}

/* What nobody completes is forgotten, and its identification another's. */
static void test_expires(void **state)
{
	uint16_t own = own_of(0, CLIENT, 7);
	uint32_t other = 1;
	uint16_t its;

	(void)state;
	/* Another client and identification whose first candidate is the same. */
	for (;; other++) {
		uint64_t pair = sl_fragment_pair(sl_htonl(CLIENT + other), sl_htonl(VIP));

		its = (uint16_t)(own - sl_fragment_id_nth(w->root, pair, FRAME_UDP, 0, 0));
		if (its != 7)
			break;
	}
	assert_int_not_equal(own_of(0, CLIENT + other, its), own);
	world_time(w, NOW + (uint64_t)(SL_FRAGMENT_ID_LIFE + 1) * UNIT);
	assert_int_equal(own_of(0, CLIENT + other + 77, 9), own_of(1, CLIENT + other + 77, 9));
	assert_int_equal(own_of(0, CLIENT + other, its), own);
	assert_int_not_equal(own_of(0, CLIENT, 7), own);
}

/* ---- whole packets ---- */

/* The same packet with a header of IPv6 and one of fragments. */
static void make_ipv6(struct frame *f, const struct frame_spec *s)
{
	uint16_t is = (uint16_t)(s->fragment << 3 | s->fragment >> 13);
	uint32_t from = f->l4, l4 = f->l3 + 48, n = f->length - from;
	union sl_addr src = world_addr(s->src, true), dst = world_addr(s->dst, true);
	uint8_t *ip = &f->bytes[f->l3];

	memmove(&f->bytes[l4], &f->bytes[from], n);
	f->bytes[f->l3 - 2] = 0x86;
	f->bytes[f->l3 - 1] = 0xdd;
	memset(ip, 0, l4 - f->l3);
	ip[0] = 0x60;
	ip[5] = (uint8_t)(8 + n);
	ip[6] = 44;
	ip[7] = 64;
	memcpy(ip + 8, src.b, 16);
	memcpy(ip + 24, dst.b, 16);
	ip[40] = s->protocol;
	ip[42] = (uint8_t)(is >> 8);
	ip[43] = (uint8_t)is;
	memcpy(ip + 46, &s->id, 2);
	f->l4 = l4;
	f->length = l4 + n;
}

static uint32_t id_of(const struct frame *f, bool is_ipv6)
{
	const uint8_t *at = &f->bytes[f->l3 + (is_ipv6 ? 44 : 4)];

	return is_ipv6 ? (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]
		       : (uint32_t)at[0] << 8 | at[1];
}

/* A part of a datagram, and the identification with which it goes on. */
static uint32_t pass(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport, uint16_t id,
		     uint32_t part, enum sl_reason expect)
{
	struct frame_spec s = { .src = src,
				.dst = dst,
				.sport = sport,
				.dport = dport,
				.protocol = FRAME_UDP,
				.id = id,
				.fragment = (uint16_t)(2 * part | (part < PARTS - 1 ? 0x2000 : 0)),
				.payload = 8,
				.csum = FRAME_CSUM_NONE };
	bool is_ipv6 = w->service[UDP].is_ipv6;
	struct sl_packet p;
	struct frame f;
	uint16_t egress;

	frame_build(&f, &s);
	if (is_ipv6)
		make_ipv6(&f, &s);
	p = (struct sl_packet){ .data = f.bytes, .end = f.bytes + f.length, .length = f.length };
	assert_int_equal(world_decide(w, part % WORLD_QUEUES, &p, &egress), expect);
	assert_true(is_ipv6 || frame_ip_holds(&f));
	return id_of(&f, is_ipv6);
}

/* Clients whose identifications are the same, part by part: in order, and the last parts first. */
static void test_parts(void **state)
{
	(void)state;
	for (uint16_t id = 1; id <= 40; id++) {
		uint32_t own[CLIENTS];

		for (uint32_t n = 0; n < PARTS; n++) {
			/* Of a client's first datagram the first part comes first. */
			uint32_t part = id % 2 ? n : PARTS - 1 - n;

			for (uint32_t c = 0; c < CLIENTS; c++) {
				uint32_t is = pass(CLIENT + c, VIP, (uint16_t)(4000 + c), 53, id,
						   part, SL_REASON_to_backend);

				if (n)
					assert_int_equal(is, own[c]);
				own[c] = is;
			}
		}
		for (uint32_t c = 0; c < CLIENTS; c++)
			for (uint32_t other = 0; other < c; other++)
				assert_int_not_equal(own[c], own[other]);
	}
}

/* Answers: to each client its own, with one identification each. */
static void test_answers(void **state)
{
	uint32_t answered = 0;

	(void)state;
	pass(CLIENT, VIP, 4000, 53, 1, 0, SL_REASON_to_backend);
	for (uint16_t port = WORLD_POOL_FIRST; port <= WORLD_POOL_LAST; port++) {
		uint64_t word = w->queue[0]
					.snat_lines[port / SL_SNAT_PORTS_PER_LINE]
					.key[port % SL_SNAT_PORTS_PER_LINE];
		uint32_t own;

		if (!word)
			continue;
		own = pass(B1, WORLD_POOL_ADDR, 5353, port, 9, 0, SL_REASON_to_client);
		assert_int_equal(pass(B1, WORLD_POOL_ADDR, 5353, port, 9, 1, SL_REASON_to_client),
				 own);
		assert_int_equal(pass(B1, WORLD_POOL_ADDR, 5353, port, 9, 2, SL_REASON_to_client),
				 own);
		answered++;
	}
	assert_int_equal(answered, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many, setup4, teardown),
		cmocka_unit_test_setup_teardown(test_one_client, setup4, teardown),
		cmocka_unit_test_setup_teardown(test_expires, setup4, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup4, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup6, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup4, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup6, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
