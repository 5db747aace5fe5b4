/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker knows of services (engine/service_cache.h), and for how long: a place is one
 * service's at a time, never another's; who is busy stays; a generation ends it all. That what is
 * decided so is right is said by test_packets, test_parity and the vectors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "world.h"

#define VIP	FRAME_IP(198, 51, 100, 7)
#define CLIENT	FRAME_IP(203, 0, 113, 9)
#define BACKEND FRAME_IP(10, 1, 0, 1)

enum { SERVICES = 3 * SL_CACHE_ENTRIES, FIRST_PORT = 8000 };

struct fixture {
	struct world w;
	struct sl_service_cache cache;
	struct sl_service service[SERVICES]; /* of one VIP, port after port */
};

static int setup(void **state)
{
	static const uint8_t mac[12] = { 2 };
	static struct fixture f;

	if (world_make(&f.w, 64))
		return -1;
	world_add_service(&f.w, VIP, FIRST_PORT, FRAME_TCP, WORLD_ROWS);
	world_add_backend(&f.w, 0, BACKEND, 80, mac, 0);
	world_set_slots(&f.w, 0, sl_slot(1, 0, SL_SLOT_CLOSED));
	world_publish(&f.w);
	world_snapshot_all(&f.w);
	for (uint32_t i = 0; i < SERVICES; i++) {
		f.service[i] = *world_live_service(&f.w, 0);
		f.service[i].endpoint =
			sl_endpoint(sl_htons((uint16_t)(FIRST_PORT + i)), FRAME_TCP);
	}
	memset(&f.cache, 0, sizeof(f.cache));
	sl_cache_flush(&f.cache, f.w.queue[0].generation);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	world_free(&f->w);
	return 0;
}

static void learn(struct fixture *f, uint32_t service, const struct sl_fast_lookup *step,
		  uint32_t n)
{
	sl_fast_cache_fill(&f->w.queue[0], &f->cache, &f->service[service], step, n);
}

/* Whether a packet to the service is known to be its. */
static bool is_cached(struct fixture *f, uint32_t service, struct sl_fast_lookup *step)
{
	const struct sl_tables *t = &f->w.queue[0];
	struct frame_spec spec = { .src = CLIENT,
				   .sport = 40000,
				   .dst = VIP,
				   .dport = (uint16_t)(FIRST_PORT + service),
				   .flags = FRAME_ACK };
	struct frame frame;

	frame_build(&frame, &spec);
	if (sl_fast_classify(t, &f->cache, sl_fast_keys(t, 0), 0, frame.bytes, frame.length,
			     frame.length, step) == SL_FAST_NONE)
		return false;
	assert_ptr_equal(step->service->service, &f->service[service]);
	return true;
}

static void test_places(void **state)
{
	struct fixture *f = *state;
	struct sl_fast_lookup step;
	uint32_t cache = 0;

	for (uint32_t i = 0; i < SERVICES; i++)
		assert_false(is_cached(f, i, &step));
	for (uint32_t i = 0; i < SERVICES; i++) {
		learn(f, i, NULL, 0);
		assert_true(is_cached(f, i, &step));
	}
	for (uint32_t i = 0; i < SERVICES; i++)
		cache += is_cached(f, i, &step);
	assert_in_range(cache, SL_CACHE_ENTRIES * 3 / 4, SL_CACHE_ENTRIES);
}

/* Two services of one place. */
static void of_one_entry(struct fixture *f, uint32_t *one, uint32_t *other)
{
	struct sl_fast_lookup step;

	for (*one = 0; *one < SERVICES; ++*one) {
		learn(f, *one, NULL, 0);
		for (*other = *one + 1; *other < SERVICES; ++*other) {
			learn(f, *other, NULL, 0);
			if (!is_cached(f, *one, &step))
				return;
		}
	}
	fail_msg("no two services share a place");
}

/* Of two the one that a burst makes use of stays. */
static void test_busy(void **state)
{
	struct fixture *f = *state;
	struct sl_fast_lookup step[2];
	uint32_t one, other;

	of_one_entry(f, &one, &other);
	learn(f, one, NULL, 0);
	assert_true(is_cached(f, one, &step[0]));
	step[1].kind = SL_FAST_NONE;
	learn(f, other, step, 2);
	assert_true(is_cached(f, one, &step[0]));
	assert_false(is_cached(f, other, &step[1]));
	step[0].kind = SL_FAST_NONE;
	learn(f, other, step, 2);
	assert_true(is_cached(f, other, &step[1]));
}

static void test_generations(void **state)
{
	struct fixture *f = *state;
	struct sl_fast_lookup step;

	learn(f, 0, NULL, 0);
	world_publish(&f->w);
	world_snapshot_all(&f->w);
	learn(f, 1, NULL, 0); /* what is known is of the generation before */
	assert_false(is_cached(f, 1, &step));
	sl_cache_flush(&f->cache, f->w.queue[0].generation);
	assert_false(is_cached(f, 0, &step));
	learn(f, 1, NULL, 0);
	assert_true(is_cached(f, 1, &step));
	assert_int_equal(f->cache.n_used, 1);
}

static bool is_cached6(struct fixture *f, const union sl_addr *dst, uint32_t endpoint)
{
	const struct sl_tables *t = &f->w.queue[0];
	uint8_t frame[74] = { [12] = 0x86, 0xdd, 0x60, [19] = 20, FRAME_TCP, 64 };
	union sl_addr src = world_addr(CLIENT, true);
	sl_be16 port = (sl_be16)(uint16_t)endpoint;
	struct sl_fast_lookup step;

	memcpy(frame + 22, &src, 16);
	memcpy(frame + 38, dst, 16);
	memcpy(frame + 56, &port, 2);
	return sl_fast_classify(t, &f->cache, sl_fast_keys(t, 0), 0, frame, sizeof(frame),
				sizeof(frame), &step) != SL_FAST_NONE;
}

/* IPv6 services are found by a digest, and others of the same one aren't taken for them. */
static void test_digest(void **state)
{
	struct fixture *f = *state;
	struct sl_service *s = &f->service[0];
	union sl_addr other;
	uint64_t to;

	s->vip = world_addr(VIP, true);
	to = sl_cache_tag6(&s->vip, s->endpoint);
	assert_false(is_cached6(f, &s->vip, s->endpoint));
	learn(f, 0, NULL, 0);
	assert_true(is_cached6(f, &s->vip, s->endpoint));
	other = s->vip;
	other.q[0] -= 1;
	assert_int_equal(sl_cache_tag6(&other, s->endpoint + 1), to);
	assert_false(is_cached6(f, &other, s->endpoint + 1));
	other.q[1] ^= (sl_cache_tag6(&other, s->endpoint) ^ to) & ~1ull;
	assert_int_equal(sl_cache_tag6(&other, s->endpoint), to);
	assert_false(is_cached6(f, &other, s->endpoint));
	s->prefix6 = 64; /* affinity that isn't for here */
	sl_cache_flush(&f->cache, f->w.queue[0].generation);
	learn(f, 0, NULL, 0);
	assert_false(is_cached6(f, &s->vip, s->endpoint));
}

/* What a record says must be there; and ranges have no port to be found by. */
static void test_wrong(void **state)
{
	struct fixture *f = *state;
	struct sl_fast_lookup step;

	f->service[0].slots = UINT32_MAX;
	f->service[1].backends = UINT32_MAX;
	f->service[2].n_backends = UINT16_MAX;
	f->service[3].slot_mask = UINT32_MAX;
	f->service[4].id = UINT16_MAX;
	f->service[5].flags |= SL_SERVICE_RANGE;
	for (uint32_t i = 0; i < 6; i++) {
		learn(f, i, NULL, 0);
		assert_false(is_cached(f, i, &step));
	}
}

/* A SYN to a service that tracks all, with some room in front of it. */
static enum sl_reason decide_syn(struct fixture *f, uint16_t sport, bool tag)
{
	struct frame_spec spec = {
		.src = CLIENT, .sport = sport, .dst = VIP, .dport = FIRST_PORT, .flags = FRAME_SYN
	};
	struct frame frame;
	uint8_t buffer[64 + FRAME_MAX];
	struct sl_packet p = { .frame = buffer, .data = buffer + 64 };
	uint16_t egress;

	if (tag)
		spec.tag_type[0] = SL_ETH_VLAN;
	frame_build(&frame, &spec);
	memcpy(p.data, frame.bytes, frame.length);
	p.length = frame.length;
	p.end = p.data + p.length;
	return world_decide(&f->w, 0, &p, &egress);
}

/* A flow for which there is no room is counted once, whichever way it goes from there. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	struct sl_tables *t = &f->w.queue[0];
	struct sl_service *s = world_live_service(&f->w, 0);
	struct sl_backend *b = (struct sl_backend *)(uintptr_t)&t->backend[s->backends];
	uint64_t *untrackable = &t->service_counters[s->id].untrackable, seed = 1, expected = 0;
	uint16_t sport = 1024;

	s->flags |= SL_SERVICE_TRACK | SL_SERVICE_LOOKUP;
	world_set_timeouts(&f->w, 0, 1000, 1000, 1000);
	for (int i = 0; i < 4000; i++)
		world_flow_insert(t, sl_flow_key(s->id, world_random(&seed) >> 16),
				  sl_flow_value(1, SL_FLOW_ESTABLISHED, 0), 0);
	for (int mode = SL_MODE_NAT; mode <= SL_MODE_GUE; mode++) {
		for (int kind = 0; kind < 4; kind++) {
			s->mode = (uint8_t)mode;
			b->mss = kind == 1 ? 1000 : 0;
			b->addr = world_addr(BACKEND, kind == 2);
			assert_int_equal(decide_syn(f, sport++, kind == 3), SL_REASON_to_backend);
			assert_int_equal(*untrackable, ++expected);
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_places), TEST(test_busy),  TEST(test_generations),
		TEST(test_digest), TEST(test_wrong), TEST(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
