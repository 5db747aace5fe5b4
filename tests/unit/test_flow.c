/* SPDX-License-Identifier: BSD-2-Clause */
/* The flow table: entries found, expired, swept, moved, and written by several at once.
 *
 * Flows are random, never in sequence. An entry's backend is a hash of its key (tag()), so that a
 * value beside a key that isn't its own shows wherever it is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define OPENING	    100
#define ESTABLISHED 1000
#define CLOSING	    50

static uint32_t tag(uint64_t key)
{
	return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 50) | 1;
}

static uint64_t random_key(uint64_t *seed)
{
	return sl_flow_key(1, world_random(seed) & 0xffffffffffffull);
}

static struct world *make(uint32_t buckets)
{
	struct world *w = malloc(sizeof(*w));

	if (!w || world_make(w, buckets))
		abort();
	world_set_timeouts(w, 0, OPENING, ESTABLISHED, CLOSING);
	world_time(w, 5000);
	return w;
}

static void unmake(struct world *w)
{
	world_free(w);
	free(w);
}

static uint64_t enter(struct world *w, uint64_t key, enum sl_flow_state state)
{
	const struct sl_tables *t = &w->queue[0];

	return world_flow_insert(t, key, sl_flow_value(tag(key), state, t->now), t->now);
}

static struct sl_bucket *buckets(const struct world *w)
{
	return w->store.base[SL_ARRAY_flows];
}

static void sweep_all(struct world *w, uint64_t now)
{
	for (uint32_t i = 0; i < w->store.count[SL_ARRAY_flows]; i++)
		sl_flow_sweep(&w->queue[0], &buckets(w)[i], now);
}

/* How often a key stands in the table, busy or not. */
static int copies(const struct world *w, uint64_t key)
{
	int n = 0;

	for (int second = 0; second < 2; second++) {
		struct sl_bucket *b = sl_flow_bucket(&w->queue[0], world_flow_hash(w, key), second);

		if (second && b == sl_flow_bucket(&w->queue[0], world_flow_hash(w, key), false))
			break;
		for (int way = 0; way < SL_FLOW_WAYS; way++)
			n += (b->key[way] & ~SL_FLOW_BUSY) == key;
	}
	return n;
}

static void test_insert_find(void **state)
{
	struct world *w = make(64);
	uint64_t seed = 1, a = random_key(&seed), b = random_key(&seed);
	struct sl_flow_at at;

	(void)state;
	assert_null(world_flow_find(w, a).bucket);
	assert_int_equal(enter(w, a, SL_FLOW_OPENING),
			 sl_flow_value(tag(a), SL_FLOW_OPENING, 5000));
	at = world_flow_find(w, a);
	assert_non_null(at.bucket);
	assert_int_equal(at.value, sl_flow_value(tag(a), SL_FLOW_OPENING, 5000));
	assert_null(world_flow_find(w, b).bucket);
	/* The same source at another service is another flow. */
	assert_null(world_flow_find(w, a ^ sl_flow_key(3, 0)).bucket);
	/* Who comes second is told what stands there. */
	assert_int_equal(
		world_flow_insert(&w->queue[1], a, sl_flow_value(99, SL_FLOW_OPENING, 5001), 5001),
		sl_flow_value(tag(a), SL_FLOW_OPENING, 5000));
	assert_int_equal(copies(w, a), 1);
	sl_flow_update(&at, a, sl_flow_value(7, SL_FLOW_CLOSING, 5002));
	assert_int_equal(world_flow_find(w, a).value, sl_flow_value(7, SL_FLOW_CLOSING, 5002));
	unmake(w);
}

/* A writer who slept can't overwrite what the entry has become. */
static void test_update_loses(void **state)
{
	struct world *w = make(64);
	uint64_t seed = 2, a = random_key(&seed), newer;
	struct sl_flow_at one, two;

	(void)state;
	enter(w, a, SL_FLOW_OPENING);
	one = two = world_flow_find(w, a);
	newer = sl_flow_value(tag(a), SL_FLOW_ESTABLISHED, 5003);
	sl_flow_update(&one, a, newer);
	sl_flow_update(&two, a, sl_flow_value(99, SL_FLOW_OPENING, 5004));
	assert_int_equal(world_flow_find(w, a).value, newer);
	unmake(w);
}

/* Alive to the last tick of its lifetime; its place is free after the grace, not before. */
static void test_expiry(void **state)
{
	static const struct {
		enum sl_flow_state state;
		uint32_t lifetime;
	} cases[] = { { SL_FLOW_OPENING, OPENING },
		      { SL_FLOW_ESTABLISHED, ESTABLISHED },
		      { SL_FLOW_CLOSING, CLOSING } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = make(1);
		const struct sl_flow_timeouts *timeouts = sl_seam_timeouts(&w->queue[0], 1);
		uint64_t seed = 3, a = random_key(&seed), end = 5000 + cases[i].lifetime;
		struct sl_flow_at at;

		enter(w, a, cases[i].state);
		at = world_flow_find(w, a);
		assert_true(sl_flow_alive(at.value, timeouts, end));
		assert_false(sl_flow_alive(at.value, timeouts, end + 1));
		assert_true(sl_flow_alive(at.value, timeouts, 4990)); /* a clock slightly behind */
		assert_false(sl_flow_replaceable(&w->queue[0], a, at.value, end + SL_FLOW_GRACE));
		assert_true(
			sl_flow_replaceable(&w->queue[0], a, at.value, end + SL_FLOW_GRACE + 1));
		sweep_all(w, end + SL_FLOW_GRACE);
		assert_int_equal(copies(w, a), 1);
		sweep_all(w, end + SL_FLOW_GRACE + 1);
		assert_int_equal(copies(w, a), 0);
		assert_null(world_flow_find(w, a).bucket);
		unmake(w);
	}
}

/* Time is 48 bits and goes round. */
static void test_time_wraps(void **state)
{
	struct world *w = make(1);
	const struct sl_flow_timeouts *timeouts = sl_seam_timeouts(&w->queue[0], 1);
	uint64_t value = sl_flow_value(1, SL_FLOW_ESTABLISHED, (1ull << 48) - 10);

	(void)state;
	assert_true(sl_flow_alive(value, timeouts, (1ull << 48) + ESTABLISHED - 10));
	assert_false(sl_flow_alive(value, timeouts, (1ull << 48) + ESTABLISHED - 9));
	unmake(w);
}

/* One bucket of four: a fifth flow finds no room until one is dead for longer than the grace. */
static void test_full(void **state)
{
	struct world *w = make(1);
	uint64_t seed = 4, key[4], more = random_key(&seed);

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_not_equal(enter(w, key[i] = random_key(&seed), SL_FLOW_ESTABLISHED), 0);
	assert_int_equal(enter(w, more, SL_FLOW_OPENING), 0);
	assert_int_equal(copies(w, more), 0);
	world_time(w, 5000 + ESTABLISHED + SL_FLOW_GRACE);
	assert_int_equal(enter(w, more, SL_FLOW_OPENING), 0);
	world_time(w, 5000 + ESTABLISHED + SL_FLOW_GRACE + 1);
	assert_int_not_equal(enter(w, more, SL_FLOW_OPENING), 0);
	assert_int_equal(copies(w, more), 1);
	for (int i = 1; i < 4; i++)
		assert_int_equal(copies(w, key[i]), 1);
	unmake(w);
}

/* Entries of a service that is gone are dead at once. */
static void test_service_gone(void **state)
{
	struct world *w = make(1);
	uint64_t seed = 5, a = random_key(&seed);

	(void)state;
	enter(w, a, SL_FLOW_ESTABLISHED);
	world_set_timeouts(w, 0, 0, 0, 0);
	sweep_all(w, 5000 + SL_FLOW_GRACE);
	assert_int_equal(copies(w, a), 1);
	sweep_all(w, 5000 + SL_FLOW_GRACE + 1);
	assert_int_equal(copies(w, a), 0);
	unmake(w);
}

/* A busy entry is nobody's: not matched, not taken, not swept, not moved. */
static void test_busy(void **state)
{
	struct world *w = make(1);
	uint64_t seed = 6, key = 0;
	struct sl_bucket *b = buckets(w);

	(void)state;
	for (int i = 0; i < 4; i++)
		enter(w, key = random_key(&seed), SL_FLOW_ESTABLISHED);
	for (int i = 0; i < 4; i++)
		b->key[i] |= SL_FLOW_BUSY;
	assert_null(world_flow_find(w, key).bucket);
	world_time(w, 5000 + 2 * SL_FLOW_GRACE);
	sweep_all(w, 5000 + 2 * SL_FLOW_GRACE);
	assert_int_equal(enter(w, random_key(&seed), SL_FLOW_OPENING), 0);
	assert_int_equal(copies(w, key), 1);
	b->key[2] &= ~SL_FLOW_BUSY;
	assert_int_not_equal(enter(w, random_key(&seed), SL_FLOW_OPENING), 0);
	assert_true(b->key[0] & b->key[1] & b->key[3] & SL_FLOW_BUSY);
	unmake(w);
}

/* A table of few buckets is filled until it says no: what it took is all there, once, with its own
 * value, wherever it was moved to. */
/* Where no room can be made, few flows try; the first that finds some ends that. */
static void test_crowded(void **state)
{
	struct world *w = make(64);
	const struct sl_service_counters *counters = &w->queue[0].service_counters[1];
	uint64_t seed = 11, failures;
	int entered = 0;

	(void)state;
	for (int i = 0; i < 2000; i++)
		enter(w, random_key(&seed), SL_FLOW_ESTABLISHED);
	failures = counters->insert_failures;
	assert_true(failures >= SL_FLOW_FULL_AFTER);
	for (int i = 0; i < 10 << SL_FLOW_RETRY_SHIFT; i++)
		assert_int_equal(enter(w, random_key(&seed), SL_FLOW_OPENING), 0);
	assert_in_range(counters->insert_failures - failures, 1, 40);
	sweep_all(w, 5000 + 2 * SL_FLOW_GRACE);
	world_time(w, 5000 + 2 * SL_FLOW_GRACE);
	for (int i = 0; i < 170; i++)
		entered += enter(w, random_key(&seed), SL_FLOW_OPENING) != 0;
	/* Two thirds of the table: of the few that need room made, the first ones don't get it. */
	assert_in_range(entered, 165, 170);
	unmake(w);
}

static void test_relocation(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 400; seed++) {
		struct world *w = make(8);
		uint64_t s = seed, key[40], failed = 0;
		int n = 0;

		while (n < 32 && failed < 8) {
			key[n] = random_key(&s);
			if (enter(w, key[n], SL_FLOW_ESTABLISHED))
				n++;
			else
				failed++;
		}
		assert_true(n >= 24);
		for (int i = 0; i < n; i++) {
			assert_int_equal(copies(w, key[i]), 1);
			assert_int_equal(sl_flow_backend(world_flow_find(w, key[i]).value),
					 tag(key[i]));
		}
		unmake(w);
	}
}

static uint64_t count_entries(const struct world *w)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < w->store.count[SL_ARRAY_flows]; i++) {
		for (int way = 0; way < SL_FLOW_WAYS; way++)
			n += buckets(w)[i].key[way] != 0;
	}
	return n;
}

/* A million flows at two loads. */
static uint64_t fill(double load)
{
	const uint32_t flows = 1000000;
	struct world *w = make((uint32_t)(flows / load / SL_FLOW_WAYS));
	uint64_t seed = 8, failed = 0, second = 0;

	for (uint32_t i = 0; i < flows; i++)
		failed += !enter(w, random_key(&seed), SL_FLOW_ESTABLISHED);
	assert_int_equal(count_entries(w), flows - failed);
	seed = 8;
	for (uint32_t i = 0; i < flows; i++) {
		uint64_t key = random_key(&seed);
		struct sl_flow_at at = world_flow_find(w, key);

		assert_true(at.bucket || failed);
		if (!at.bucket)
			continue;
		assert_int_equal(sl_flow_backend(at.value), tag(key));
		second += at.bucket != sl_flow_bucket(&w->queue[0], world_flow_hash(w, key), false);
	}
	print_message("%u flows at %.2f load: %llu failed, %.1f%% in their second bucket\n", flows,
		      load, (unsigned long long)failed, 100.0 * (double)second / flows);
	unmake(w);
	return failed;
}

static void test_fill(void **state)
{
	(void)state;
	assert_int_equal(fill(0.75), 0);
	assert_true(fill(0.86) < 100);
}

/* Several writers at once. Each has flows of its own, which live on, so that nobody else enters or
 * removes them (but anybody moves them); all share flows that come, stop being used, and die. Time
 * goes by rounds, so that the table turns over whatever the machine's speed. */

#define THREADS	      3
#define POOL	      200000 /* shared flows, of which WINDOW are in use at a time */
#define WINDOW	      3000
#define DRIFT	      25 /* a tick */
#define OWN	      3000
#define ROUNDS	      64   /* a tick */
#define CROWD_BUCKETS 4300 /* about 0.86 load */
#define CROWD_LIFE    100000000

struct crowd {
	struct world *w;
	uint64_t shared[POOL];
	uint64_t now;
	int stop;
};

struct member {
	struct crowd *crowd;
	pthread_t thread;
	uint64_t seed;
	uint64_t own[OWN];
	bool entered[OWN];
	uint64_t rounds, foreign, lost, failed, inserted;
};

static void check_tag(struct member *m, uint64_t key, uint64_t value)
{
	m->foreign += value && sl_flow_backend(value) != tag(key);
}

/* Finds and refreshes, or enters. True when it was there; *stands: whether it is now. */
static bool touch(struct member *m, const struct sl_tables *t, uint64_t key,
		  enum sl_flow_state state, bool *stands)
{
	uint64_t hash = world_flow_hash(m->crowd->w, key), value;
	struct sl_flow_at at = sl_flow_find(t, key, hash);

	*stands = true;
	value = sl_flow_value(tag(key), state, t->now);
	if (at.bucket) {
		check_tag(m, key, at.value);
		if (sl_flow_backend(at.value) == tag(key))
			sl_flow_update(&at, key, value);
		return true;
	}
	value = world_flow_insert(t, key, value, t->now);
	check_tag(m, key, value);
	m->failed += !value;
	m->inserted += value != 0;
	*stands = value;
	return false;
}

static void *work(void *context)
{
	struct member *m = context;
	struct crowd *c = m->crowd;
	struct sl_tables t = c->w->queue[0];

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		uint64_t r = world_random(&m->seed);
		uint32_t i = (uint32_t)(r >> 32) % OWN;
		bool stands;

		t.now = m->rounds % ROUNDS ? __atomic_load_n(&c->now, __ATOMIC_RELAXED)
					   : __atomic_add_fetch(&c->now, 1, __ATOMIC_RELAXED);
		touch(m, &t, c->shared[(t.now * DRIFT + r % WINDOW) % POOL], SL_FLOW_CLOSING,
		      &stands);
		m->lost += !touch(m, &t, m->own[i], SL_FLOW_ESTABLISHED, &stands) && m->entered[i];
		m->entered[i] = stands;
		sl_flow_sweep(&t, &t.bucket[world_random(&m->seed) % t.buckets], t.now);
		m->rounds++;
	}
	return NULL;
}

static uint64_t count_duplicates(struct crowd *c, struct member *m)
{
	uint64_t n = 0;

	for (int i = 0; i < POOL; i++)
		n += copies(c->w, c->shared[i]) > 1;
	for (int k = 0; k < THREADS; k++) {
		for (int i = 0; i < OWN; i++)
			n += copies(c->w, m[k].own[i]) > 1;
	}
	return n;
}

/* Keys that were left busy, for good. */
static uint64_t count_busy(const struct world *w)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < w->store.count[SL_ARRAY_flows]; i++) {
		for (int way = 0; way < SL_FLOW_WAYS; way++)
			n += buckets(w)[i].key[way] >> 63;
	}
	return n;
}

static void run_crowd(struct crowd *c, struct member *m, int ms)
{
	struct timespec step = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	for (int k = 0; k < THREADS; k++)
		assert_int_equal(pthread_create(&m[k].thread, NULL, work, &m[k]), 0);
	nanosleep(&step, NULL);
	__atomic_store_n(&c->stop, 1, __ATOMIC_RELAXED);
	for (int k = 0; k < THREADS; k++)
		pthread_join(m[k].thread, NULL);
}

static void report_crowd(struct crowd *c, struct member *m, struct member *all)
{
	for (int k = 0; k < THREADS; k++) {
		all->rounds += m[k].rounds;
		all->inserted += m[k].inserted;
		all->foreign += m[k].foreign;
		all->lost += m[k].lost;
		all->failed += m[k].failed;
	}
	print_message("%llu rounds, %llu inserted, %llu found no room; %.2f load at the end\n",
		      (unsigned long long)all->rounds, (unsigned long long)all->inserted,
		      (unsigned long long)all->failed,
		      (double)count_entries(c->w) / (CROWD_BUCKETS * SL_FLOW_WAYS));
	print_message("%llu foreign values, %llu live flows not found, %llu twice in the table\n",
		      (unsigned long long)all->foreign, (unsigned long long)all->lost,
		      (unsigned long long)count_duplicates(c, m));
}

static void test_crowd(void **state)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct member *m = calloc(THREADS + 1, sizeof(*m)), *all = &m[THREADS];
	uint64_t seed = 9;

	(void)state;
	assert_true(c && m);
	c->w = make(CROWD_BUCKETS);
	c->now = 5000;
	world_set_timeouts(c->w, 0, OPENING, CROWD_LIFE, CLOSING);
	for (int i = 0; i < POOL; i++)
		c->shared[i] = random_key(&seed);
	for (int k = 0; k < THREADS; k++) {
		m[k].crowd = c;
		m[k].seed = seed + (uint64_t)k;
		for (int i = 0; i < OWN; i++)
			m[k].own[i] = random_key(&seed);
	}
	run_crowd(c, m, 2000);
	report_crowd(c, m, all);
	assert_int_equal(all->foreign, 0);
	/* A reader that is put aside between its two buckets may miss an entry that moves there and
	 * back meanwhile. */
	assert_true(all->lost <= 1 + all->rounds / 1000000);
	assert_int_equal(count_busy(c->w), 0);
	unmake(c->w);
	free(c);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insert_find), cmocka_unit_test(test_update_loses),
		cmocka_unit_test(test_expiry),	    cmocka_unit_test(test_time_wraps),
		cmocka_unit_test(test_full),	    cmocka_unit_test(test_service_gone),
		cmocka_unit_test(test_busy),	    cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_relocation),  cmocka_unit_test(test_fill),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
