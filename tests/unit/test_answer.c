/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers to what can't go on: how many, from whom, and never a write outside the frame's room.
 * What they look like is in tests/vectors/mtu.txt and answer.txt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)
#define B1     FRAME_IP(10, 1, 0, 1)

enum { MTU = 100, ROOM = 64, NOW = 1000, HEAD = 28 /* IPv4 and ICMP */ };

static struct world w;

static int setup(void **state)
{
	static const uint8_t mac[12] = { 2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 2 };

	(void)state;
	if (world_make(&w, 4))
		return -1;
	world_add_service(&w, VIP, 53, FRAME_UDP, 16);
	world_add_backend(&w, 0, B1, 53, mac, 1);
	w.service[0].backend[0].mtu = MTU;
	memcpy(w.port[0].mac, (uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 6);
	world_set_slots(&w, 0, sl_slot(1, 0, SL_SLOT_CLOSED));
	world_publish(&w);
	world_snapshot_all(&w);
	world_time(&w, NOW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(&w);
	return 0;
}

/* One packet that doesn't fit, with that much room in front; how the frame grew in *grown. */
static enum sl_reason ask(uint32_t queue, uint32_t room, int *grown)
{
	const struct frame_spec spec = { .eth_dst = { 2, 0, 0, 0, 0, 1 },
					 .eth_src = { 2, 0, 0, 0, 1, 9 },
					 .src = CLIENT,
					 .dst = VIP,
					 .sport = 4000,
					 .dport = 53,
					 .protocol = FRAME_UDP,
					 .fragment = 0x4000,
					 .payload = MTU };
	static uint8_t bytes[ROOM + FRAME_MAX];
	struct sl_packet p = { .data = bytes + ROOM, .frame = bytes + ROOM - room };
	enum sl_reason reason;
	uint16_t egress = 7;
	struct frame f;

	frame_build(&f, &spec);
	memset(bytes, 0xa5, sizeof(bytes));
	memcpy(p.data, f.bytes, f.length);
	p.length = f.length;
	p.end = p.data + f.length;
	reason = world_decide(&w, queue, &p, &egress);
	*grown = (int)(bytes + ROOM - p.data);
	for (uint32_t i = 0; i < ROOM - room; i++)
		assert_int_equal(bytes[i], 0xa5);
	if (reason == SL_REASON_too_big_answered)
		assert_int_equal(egress, 0);
	return reason;
}

static void test_rate(void **state)
{
	int grown;

	(void)state;
	for (int i = 0; i < SL_ICMP_BURST; i++)
		assert_int_equal(ask(0, ROOM, &grown), SL_REASON_too_big_answered);
	assert_int_equal(ask(0, ROOM, &grown), SL_REASON_too_big);
	assert_int_equal(grown, 0);
	/* Each writer has a limit of its own. */
	assert_int_equal(ask(1, ROOM, &grown), SL_REASON_too_big_answered);
	/* Three milliseconds later three more are due; after a long silence the burst. */
	world_time(&w, NOW + 3 * SL_ICMP_EVERY);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(0, ROOM, &grown),
				 i < 3 ? SL_REASON_too_big_answered : SL_REASON_too_big);
	world_time(&w, NOW + 1000 * SL_ICMP_EVERY);
	for (int i = 0; i <= SL_ICMP_BURST; i++)
		assert_int_equal(ask(0, ROOM, &grown), i < SL_ICMP_BURST
							       ? SL_REASON_too_big_answered
							       : SL_REASON_too_big);
}

static void test_room(void **state)
{
	int grown;

	(void)state;
	assert_int_equal(ask(0, HEAD, &grown), SL_REASON_too_big_answered);
	assert_int_equal(grown, HEAD);
	assert_int_equal(ask(0, HEAD - 1, &grown), SL_REASON_too_big);
	assert_int_equal(grown, 0);
}

/* That the TTL ran out the gateway says itself, by its address on the port; else the VIP. */
static void test_own_address(void **state)
{
	const struct frame_spec spec = { .eth_dst = { 2, 0, 0, 0, 0, 1 },
					 .eth_src = { 2, 0, 0, 0, 1, 9 },
					 .src = CLIENT,
					 .dst = VIP,
					 .sport = 4000,
					 .dport = 53,
					 .protocol = FRAME_UDP,
					 .ttl = 1 };
	const uint32_t own[] = { 0, FRAME_IP(192, 0, 2, 1) };

	(void)state;
	for (int i = 0; i < 2; i++) {
		static uint8_t bytes[ROOM + FRAME_MAX];
		struct sl_packet p = { .data = bytes + ROOM, .frame = bytes };
		uint16_t egress = 7;
		struct frame f;
		sl_be32 src;

		w.port[0].addr4 = own[i] ? sl_addr4(sl_htonl(own[i])) : (union sl_addr){ 0 };
		world_publish(&w);
		world_snapshot_all(&w);
		frame_build(&f, &spec);
		memcpy(p.data, f.bytes, f.length);
		p.length = f.length;
		p.end = p.data + f.length;
		assert_int_equal(world_decide(&w, 0, &p, &egress), SL_REASON_ttl_answered);
		memcpy(&src, p.data + 14 + 12, sizeof(src));
		assert_int_equal(sl_ntohl(src), own[i] ? own[i] : VIP);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_address, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
