/* SPDX-License-Identifier: BSD-2-Clause */
/* Neighbours that an engine has heard itself: whose replies go out before control has resolved
 * them, and whose don't.
 *
 *     client 203.0.113.9  ─┐
 *     host   203.0.113.77 ─┼─ port 0 ─ gateway ─ backend 10.1.0.1:8080
 *     router 203.0.113.2  ─┘
 *
 * Only the client is known to control. 192.0.2.0/24 is behind the router. */
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
#define HOST   FRAME_IP(203, 0, 113, 77)
#define ROUTER FRAME_IP(203, 0, 113, 2)
#define FAR    FRAME_IP(192, 0, 2, 200)
#define B1     FRAME_IP(10, 1, 0, 1)

#define MAC_GATEWAY 2, 0, 0, 0, 0, 1
#define MAC_CLIENT  2, 0, 0, 0, 1, 9
#define MAC_HOST    2, 0, 0, 0, 1, 77
#define MAC_GROUP   3, 0, 0, 0, 1, 77
#define MAC_B1	    2, 0, 0, 0, 2, 1

enum { BEGIN = 1000 };

static int setup(void **state)
{
	static const uint8_t mac[12] = { MAC_B1, MAC_GATEWAY };
	struct world *w = aligned_alloc(128, (sizeof(*w) + 127) & ~(size_t)127);
	struct sl_route *r;

	if (!w || world_make(w, 64))
		return -1;
	world_add_service(w, VIP, 80, FRAME_TCP, 64);
	world_add_backend(w, 0, B1, 8080, mac, 0);
	world_set_slots(w, 0, sl_slot(1, 0, SL_SLOT_CLOSED));
	for (int port = 0; port < 2; port++)
		memcpy(w->port[port].mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	r = world_add_route(w, CLIENT, 32, SL_ROUTE_VIA);
	memcpy(r->dst_mac, (uint8_t[]){ MAC_CLIENT }, 6);
	memcpy(r->src_mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	r = world_add_route(w, FRAME_IP(203, 0, 113, 0), 24, SL_ROUTE_LINK);
	memcpy(r->src_mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	r = world_add_route(w, FRAME_IP(192, 0, 2, 0), 24, SL_ROUTE_ASK);
	memcpy(r->src_mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	r->gateway = sl_addr4(sl_htonl(ROUTER));
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, BEGIN);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	free(*state);
	return 0;
}

static enum sl_reason decide(struct world *w, struct frame *f, uint16_t ingress)
{
	struct sl_packet p = { .data = f->bytes,
			       .end = f->bytes + f->length,
			       .length = f->length,
			       .ingress = ingress };
	uint16_t egress;

	return world_decide(w, 0, &p, &egress);
}

/* sender asks for the VIP by ARP. */
static void ask(struct world *w, uint32_t sender, const uint8_t mac[6], uint16_t ingress)
{
	struct frame_arp arp = { .eth_dst = { 255, 255, 255, 255, 255, 255 },
				 .sender = sender,
				 .target = VIP };
	struct frame f;

	memcpy(arp.eth_src, mac, 6);
	memcpy(arp.sender_mac, mac, 6);
	frame_build_arp(&f, &arp);
	assert_int_equal(decide(w, &f, ingress), SL_REASON_arp_reply);
}

/* What becomes of the backend's reply to `to`; f: the frame then. */
static enum sl_reason reply(struct world *w, uint32_t to, struct frame *f)
{
	frame_build(f, &(struct frame_spec){ .eth_dst = { MAC_GATEWAY },
					     .eth_src = { MAC_B1 },
					     .src = B1,
					     .dst = to,
					     .sport = 8080,
					     .dport = 40000,
					     .flags = FRAME_ACK,
					     .payload = 5 });
	return decide(w, f, 0);
}

static void assert_sent(struct world *w, uint32_t to, const uint8_t mac[6])
{
	struct frame f, want;

	assert_int_equal(reply(w, to, &f), SL_REASON_to_client);
	frame_build(&want, &(struct frame_spec){ .eth_src = { MAC_GATEWAY },
						 .src = VIP,
						 .dst = to,
						 .sport = 80,
						 .dport = 40000,
						 .flags = FRAME_ACK,
						 .ttl = 63,
						 .payload = 5 });
	memcpy(want.bytes, mac, 6);
	assert_int_equal(f.length, want.length);
	assert_memory_equal(f.bytes, want.bytes, want.length);
}

static void assert_dropped(struct world *w, uint32_t to)
{
	struct frame f;

	assert_int_equal(reply(w, to, &f), SL_REASON_no_neighbour);
}

static const uint8_t host[6] = { MAC_HOST };

/* From the request on, for three seconds; control is asked at once. */
static void test_heard(void **state)
{
	struct world *w = *state;
	const struct sl_neighbour_requests *requests = w->queue[0].neighbour_requests;

	assert_dropped(w, HOST);
	ask(w, HOST, host, 0);
	assert_int_equal(requests->head, 1); /* the same one as for the reply */
	assert_int_equal((uint32_t)requests->addr[0].w[3], (uint32_t)sl_htonl(HOST));
	assert_sent(w, HOST, host);
	world_time(w, BEGIN + SL_LEARNED_LIFE);
	assert_sent(w, HOST, host);
	world_time(w, BEGIN + SL_LEARNED_LIFE + 1);
	assert_dropped(w, HOST);
}

/* The other engine's clock may be ahead. */
static void test_clocks(void **state)
{
	struct world *w = *state;

	ask(w, HOST, host, 0);
	world_time(w, BEGIN - 500);
	assert_sent(w, HOST, host);
}

static void test_router(void **state)
{
	struct world *w = *state;

	ask(w, FAR, host, 0); /* claims what is behind the router */
	assert_dropped(w, FAR);
	ask(w, ROUTER, host, 0);
	assert_sent(w, FAR, host);
}

static void test_forged(void **state)
{
	static const uint8_t client[6] = { MAC_CLIENT }, group[6] = { MAC_GROUP }, none[6] = { 0 };
	struct world *w = *state;

	ask(w, CLIENT, host, 0); /* the kernel knows better */
	assert_sent(w, CLIENT, client);
	ask(w, HOST, host, 1); /* not on the link that the address belongs to */
	assert_dropped(w, HOST);
	ask(w, HOST, group, 0);
	assert_dropped(w, HOST);
	ask(w, HOST, none, 0);
	assert_dropped(w, HOST);
}

/* An entry that two writers met in. */
static void test_mixed(void **state)
{
	struct world *w = *state;

	ask(w, HOST, host, 0);
	for (uint32_t i = 0; i < w->queue[0].n_learned; i++)
		w->queue[0].learned[i].where ^= 1ull << 16;
	assert_dropped(w, HOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_heard), TEST(test_clocks), TEST(test_router),
					    TEST(test_forged), TEST(test_mixed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
