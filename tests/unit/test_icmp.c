/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP: errors about flows find the flow's backend, whatever its slot and entry say, and touch
 * neither; what comes out is what a full sum over the packet with other addresses gives.
 *
 *     client 203.0.113.9 ── port 0 ─ gateway ─ port 1 ─┬─ backend 10.1.0.1:8080
 *     router 192.0.2.1 ──────'                         └─ backend 10.1.0.2:8080
 *
 * VIP 198.51.100.7 has TCP 80 and UDP 53.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)
#define ROUTER FRAME_IP(192, 0, 2, 1)
#define B1     FRAME_IP(10, 1, 0, 1)
#define B2     FRAME_IP(10, 1, 0, 2)

#define MAC_GATEWAY 2, 0, 0, 0, 0, 1
#define MAC_INNER   2, 0, 0, 0, 0, 2
#define MAC_CLIENT  2, 0, 0, 0, 1, 9
#define MAC_B1	    2, 0, 0, 0, 2, 1
#define MAC_B2	    2, 0, 0, 0, 2, 2

enum { TCP, UDP, NOW = 100000, PORT = 40000 };

struct fixture {
	struct world w;
	struct frame in, out, want;
	uint16_t egress;
};

static int setup(void **state)
{
	static const uint8_t mac[2][12] = { { MAC_B1, MAC_INNER }, { MAC_B2, MAC_INNER } };
	struct fixture *f = aligned_alloc(128, (sizeof(*f) + 127) & ~(size_t)127);
	struct world *w = &f->w;
	struct sl_route *r;

	memset(f, 0, sizeof(*f));
	if (world_make(w, 64))
		return -1;
	world_add_service(w, VIP, 80, FRAME_TCP, 64);
	world_add_service(w, VIP, 53, FRAME_UDP, 16);
	for (uint32_t s = TCP; s <= UDP; s++) {
		world_add_backend(w, s, B1, s == TCP ? 8080 : 5353, mac[0], 1);
		world_add_backend(w, s, B2, s == TCP ? 8080 : 5353, mac[1], 1);
		world_set_slots(w, s, sl_slot(1, 0, SL_SLOT_CLOSED));
		world_set_timeouts(w, s, 100, 1000, 100);
	}
	memcpy(w->port[0].mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	memcpy(w->port[1].mac, (uint8_t[]){ MAC_INNER }, 6);
	w->port[0].address[0] = sl_port_address((uint8_t[]){ MAC_INNER }); /* all come in there */
	r = world_add_route(w, 0, 0, SL_ROUTE_VIA);
	memcpy(r->dst_mac, (uint8_t[]){ MAC_CLIENT }, 6);
	memcpy(r->src_mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, NOW);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	world_free(&f->w);
	free(f);
	return 0;
}

static enum sl_reason decide(struct fixture *f)
{
	struct sl_packet p = { .data = f->out.bytes, .length = f->in.length };

	f->out = f->in;
	p.end = p.data + p.length;
	f->egress = 0xdead;
	return world_decide(&f->w, 0, &p, &f->egress);
}

/* An error as it comes and as it leaves. */
struct error {
	struct frame_spec outer, quoted;
	struct frame_icmp icmp;
};

static void build(struct frame *to, struct error *e)
{
	struct frame quoted;

	frame_build(&quoted, &e->quoted);
	e->icmp.quoted = &quoted;
	if (!e->icmp.quote || e->icmp.quote > quoted.length - quoted.l3)
		e->icmp.quote = (uint16_t)(quoted.length - quoted.l3);
	frame_build_icmp(to, &e->outer, &e->icmp);
}

/* To the VIP, about a packet to the client. */
static struct error to_vip(uint8_t protocol)
{
	return (struct error){
		.outer = { .eth_dst = { MAC_GATEWAY },
			   .eth_src = { MAC_CLIENT },
			   .src = ROUTER,
			   .dst = VIP },
		.quoted = { .src = VIP,
			    .sport = protocol == FRAME_TCP ? 80 : 53,
			    .dst = CLIENT,
			    .dport = PORT,
			    .protocol = protocol,
			    .payload = 20 },
		.icmp = { .type = 3, .code = 4, .rest = { 0, 1280 } },
	};
}

static void leaves_to_backend(struct error *e, uint32_t backend)
{
	memcpy(e->outer.eth_dst, backend == B1 ? (uint8_t[]){ MAC_B1 } : (uint8_t[]){ MAC_B2 }, 6);
	memcpy(e->outer.eth_src, (uint8_t[]){ MAC_INNER }, 6);
	e->outer.dst = e->quoted.src = backend;
	e->outer.ttl = 63;
	e->quoted.sport = e->quoted.sport == 80 ? 8080 : 5353;
}

static void assert_leaves(struct fixture *f, struct error *e)
{
	build(&f->want, e);
	assert_int_equal(f->out.length, f->want.length);
	assert_memory_equal(f->out.bytes, f->want.bytes, f->want.length);
}

/* Addresses and ports that lead the sums through every carry, all lengths of quotes. */
static void test_sums(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 11;

	for (int i = 0; i < 200000; i++) {
		struct error e = to_vip(i & 1 ? FRAME_UDP : FRAME_TCP);

		e.outer.src = (uint32_t)world_random(&seed) % 0x5f000000 + 0x80000000;
		e.quoted.dst = (uint32_t)world_random(&seed);
		e.quoted.dport = (uint16_t)world_random(&seed);
		e.quoted.csum = i % 7 ? FRAME_CSUM_FULL : FRAME_CSUM_PARTIAL;
		e.icmp.rest[1] = (uint16_t)world_random(&seed);
		build(&f->in, &e);
		assert_int_equal(decide(f), SL_REASON_icmp_to_backend);
		assert_true(frame_ip_holds(&f->out));
		if (e.quoted.csum == FRAME_CSUM_FULL) {
			leaves_to_backend(&e, B1);
			assert_leaves(f, &e);
		}
	}
}

/* The same towards clients: from the backend, or from a router before it. */
static void test_sums_to_client(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 12;

	for (int i = 0; i < 200000; i++) {
		struct error e = to_vip(i & 1 ? FRAME_UDP : FRAME_TCP);

		e.outer.src = i & 2 ? B1 : (uint32_t)world_random(&seed);
		e.outer.dst = e.quoted.src = (uint32_t)world_random(&seed) | 1u << 31;
		if (e.outer.dst == VIP)
			continue;
		e.quoted.sport = (uint16_t)world_random(&seed);
		e.quoted.dst = B1;
		e.quoted.dport = e.quoted.protocol == FRAME_TCP ? 8080 : 5353;
		e.quoted.ttl = 62;
		build(&f->in, &e);
		assert_int_equal(decide(f), SL_REASON_icmp_to_client);
		memcpy(e.outer.eth_dst, (uint8_t[]){ MAC_CLIENT }, 6);
		memcpy(e.outer.eth_src, (uint8_t[]){ MAC_GATEWAY }, 6);
		e.outer.src = e.quoted.dst = VIP;
		e.outer.ttl = 63;
		e.quoted.dport = e.quoted.protocol == FRAME_TCP ? 80 : 53;
		assert_leaves(f, &e);
	}
}

/* What slot and entry say, and where the error goes: number of a backend, 0 for nowhere. */
static const struct {
	uint32_t cur, prev;
	enum sl_slot_state slot;
	uint32_t entry; /* 0: none */
	enum sl_flow_state state;
	uint32_t age;
	uint32_t silent; /* a backend that doesn't serve any more */
	uint32_t to;
} places[] = {
	{ 1, 0, SL_SLOT_CLOSED, 0, 0, 0, 0, 1 },
	{ 2, 0, SL_SLOT_CLOSED, 0, 0, 0, 0, 2 },
	{ 2, 0, SL_SLOT_CLOSED, 1, SL_FLOW_ESTABLISHED, 1, 0, 2 }, /* nobody looks */
	{ 2, 1, SL_SLOT_OPEN, 0, 0, 0, 0, 1 },
	{ 2, 1, SL_SLOT_OPEN, 0, 0, 0, 1, 2 },
	{ 2, 1, SL_SLOT_OPEN, 2, SL_FLOW_ESTABLISHED, 1, 0, 2 },
	{ 2, 1, SL_SLOT_OPEN, 2, SL_FLOW_CLOSING, 1, 0, 2 },
	{ 2, 1, SL_SLOT_OPEN, 2, SL_FLOW_ESTABLISHED, 1001, 0, 1 }, /* dead */
	{ 2, 1, SL_SLOT_OPEN, 2, SL_FLOW_OPENING, 100, 0, 2 },
	{ 2, 1, SL_SLOT_OPEN, 2, SL_FLOW_OPENING, 101, 0, 1 },
	{ 2, 1, SL_SLOT_MIXED, 0, 0, 0, 0, 2 },
	{ 2, 1, SL_SLOT_MIXED, 1, SL_FLOW_ESTABLISHED, 1, 0, 1 },
	{ 2, 1, SL_SLOT_MIXED, 1, SL_FLOW_ESTABLISHED, 1, 1, 2 },
	{ 0, 0, SL_SLOT_CLOSED, 0, 0, 0, 0, 0 },
};

static void test_places(void **state)
{
	struct fixture *f = *state;
	struct world *w = &f->w;
	size_t flows = w->store.count[SL_ARRAY_flows] * sizeof(struct sl_bucket);
	struct sl_bucket *before = malloc(flows);

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		uint64_t key = world_flow_key(TCP, CLIENT, PORT);
		struct error e = to_vip(FRAME_TCP);

		for (uint32_t b = 1; b <= 2; b++)
			w->service[TCP].backend[b - 1].flags =
				SL_BACKEND_RESOLVED | SL_BACKEND_TAKES_NEW |
				(b == places[i].silent ? 0 : SL_BACKEND_SERVES);
		world_set_slots(w, TCP, sl_slot(places[i].cur, places[i].prev, places[i].slot));
		world_publish(w);
		world_snapshot_all(w);
		memset(w->store.base[SL_ARRAY_flows], 0, flows);
		if (places[i].entry)
			world_flow_insert(&w->queue[0], key,
					  sl_flow_value(places[i].entry, places[i].state,
							NOW - places[i].age),
					  NOW);
		memcpy(before, w->store.base[SL_ARRAY_flows], flows);
		build(&f->in, &e);
		assert_int_equal(decide(f),
				 places[i].to ? SL_REASON_icmp_to_backend : SL_REASON_no_backend);
		assert_memory_equal(before, w->store.base[SL_ARRAY_flows], flows);
		if (places[i].to) {
			assert_int_equal(f->egress, 1);
			leaves_to_backend(&e, places[i].to == 1 ? B1 : B2);
			build(&f->want, &e);
			if (memcmp(f->out.bytes, f->want.bytes, f->want.length) != 0)
				fail_msg("place %zu: other bytes", i);
		}
	}
	free(before);
}

/* A backend without a neighbour, and tables that moved: nothing is written. */
static void test_left_alone(void **state)
{
	struct fixture *f = *state;
	struct error e = to_vip(FRAME_UDP);

	build(&f->in, &e);
	world_live_bank(&f->w)->seq += 2;
	assert_int_equal(decide(f), SL_REASON_torn_table);
	assert_memory_equal(f->in.bytes, f->out.bytes, f->in.length);
	f->w.service[UDP].backend[0].flags &= (uint16_t)~SL_BACKEND_RESOLVED;
	world_publish(&f->w);
	world_snapshot_all(&f->w);
	assert_int_equal(decide(f), SL_REASON_no_neighbour);
	f->w.service[UDP].backend[0].flags |= SL_BACKEND_NO_ROUTE;
	world_publish(&f->w);
	world_snapshot_all(&f->w);
	assert_int_equal(decide(f), SL_REASON_backend_no_route);
	assert_memory_equal(f->in.bytes, f->out.bytes, f->in.length);
}

/* Frames that end at a page that can't be read, as long as they can be cut. */
static void test_truncated(void **state)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *page =
		mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct fixture *f = *state;
	struct error e = to_vip(FRAME_TCP);

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_not_equal(mprotect(page + size, size, PROT_NONE), -1);
	e.quoted.options = 3;
	build(&f->in, &e);
	for (uint32_t cut = 0; cut <= f->in.length; cut += 2) {
		uint8_t *at = page + size - cut;
		struct sl_packet p = { .data = at, .end = at + cut, .length = cut };
		enum sl_reason want = cut == f->in.length   ? SL_REASON_icmp_to_backend
				      : cut < f->in.l3 + 20 ? SL_REASON_not_ours
							    : SL_REASON_bad_header;
		uint16_t egress;

		memcpy(at, f->in.bytes, cut);
		assert_int_equal(world_decide(&f->w, 0, &p, &egress), want);
		/* The buffer may hold less of the frame than the wire had: headers only. */
		memcpy(at, f->in.bytes, cut);
		p.length = f->in.length;
		world_decide(&f->w, 0, &p, &egress);
	}
	munmap(page, 2 * size);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sums_to_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
