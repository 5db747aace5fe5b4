/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets as packets meet them: how much passes, and when. Rates, bursts, what a long silence
 * leaves, rates that change under a flow, clocks that disagree; for every place that a bucket's
 * word can have. Who is limited and what becomes of a packet: test_limit_rules.c.
 *
 * All times are given. A rate is measured from a bucket that is just empty, over ten seconds, or
 * what the first 200,000 packets take where that is less (at 100 Gbit/s and 64 bytes half a
 * millisecond, at 1 Gbit/s and 1,500 bytes 1.2 seconds), or what 2,000 take where that is more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../control/model/pace.h"
#include "limited.h"

enum { PACKETS_MOST = 200000, PACKETS_LEAST = 2000 };

/* Where clocks agree and no rate changes, a tenth of the packets and of the time shows the rate as
 * exactly. Sanitized packets take ten times as long, so that build offers no more than that. */
#ifdef __SANITIZE_ADDRESS__
enum { PACKETS_STEADY = PACKETS_MOST / 10, LONG_S = 1 };
#else
enum { PACKETS_STEADY = PACKETS_MOST, LONG_S = 10 };
#endif

#define US50 (50 * (int64_t)TICKS_PER_US)

/* Where a bucket lives. */
static const struct place {
	const char *name;
	uint8_t scope;
	uint8_t direction;
	bool replies;
	uint8_t queues;
} places[] = {
	{ "flow entry", SL_SCOPE_FLOW, TO, false, 1 },
	{ "flow entry, replies", SL_SCOPE_FLOW, FROM, true, 1 },
	{ "flow entry, two queues", SL_SCOPE_FLOW, BOTH, false, 2 },
	{ "meter", SL_SCOPE_CLIENT, TO, false, 1 },
	{ "meter, replies, two queues", SL_SCOPE_CLIENT, FROM, true, 2 },
	{ "balance of a backend", SL_SCOPE_BACKEND, TO, false, 1 },
	{ "balance of a backend, two queues", SL_SCOPE_BACKEND, FROM, true, 2 },
	{ "balance of a service", SL_SCOPE_SERVICE, TO, false, 1 },
	{ "balance of a service, two queues", SL_SCOPE_SERVICE, BOTH, false, 2 },
};
#define PLACES (sizeof(places) / sizeof(places[0]))

#define N(array) (sizeof(array) / sizeof((array)[0]))

static size_t wrong;

/* A packet of the one flow that these tests have, in the direction that is limited. */
static struct limited_packet packet_of(const struct place *at, uint16_t size)
{
	uint32_t row = world_slot_of(&world, WEB, CLIENT, PORT);

	return (struct limited_packet){ .size = size,
					.reply = at->replies ? (uint8_t)(1 + row % 2) : 0 };
}

/* A flow that has begun, so that replies are its. */
static void begin(const struct place *at, const struct sl_config_limit *limit, uint32_t buckets)
{
	struct sl_config_limit l = *limit;

	l.scope = at->scope;
	l.direction = at->direction;
	limited_begin(buckets);
	limited_add(WEB, &l);
	limited_publish();
	if (at->replies)
		assert_true(limited_passes(0, &(struct limited_packet){ .size = 64 }));
}

/* Units that a packet takes: bits, or packets. */
static uint64_t worth(uint8_t unit, uint32_t size)
{
	return unit == SL_UNIT_BYTES ? size * 8ull : 1;
}

struct offer {
	struct limited_packet packet;
	uint64_t rate; /* units a second */
	uint64_t worth;
	uint32_t together; /* packets that come at a time */
	uint32_t queues;
	uint64_t packets;
	bool steps_back; /* the clock, by 50 us, every eighth time */
};

/* Offers packets from `now` on; how many passed. */
static uint64_t offer(const struct offer *o)
{
	uint64_t start = now, passed = 0, round = 0;

	for (uint64_t n = 0; n < o->packets; round++) {
		now = start + (uint64_t)((unsigned __int128)n * o->worth * TICKS_PER_S / o->rate);
		if (o->steps_back && round % 8 == 7)
			now -= (uint64_t)US50;
		for (uint32_t i = 0; i < o->together && n < o->packets; i++, n++)
			passed += limited_passes(
				o->queues > 1 ? i * o->queues / o->together ^ (round & 1) : 0,
				&o->packet);
	}
	now = start + (uint64_t)((unsigned __int128)o->packets * o->worth * TICKS_PER_S / o->rate);
	return passed;
}

static uint64_t packets_in(uint64_t seconds, uint64_t rate, uint64_t one, uint64_t most)
{
	uint64_t n = seconds * rate / one;

	return n > most ? most : n < PACKETS_LEAST ? PACKETS_LEAST : n;
}

/* Within half a percent, but for the one packet that had begun or that didn't quite fit. */
static void check(const char *name, uint64_t rate, uint16_t size, const struct offer *o,
		  uint64_t passed)
{
	double want = (double)o->packets * (double)rate / (double)o->rate;

	if ((double)passed <= want * 1.005 + 1 && (double)passed >= want * 0.995 - 1)
		return;
	print_error("%s, %llu a second, %u bytes: %llu passed, not %.1f\n", name,
		    (unsigned long long)rate, size, (unsigned long long)passed, want);
	wrong++;
}

static void one_rate(const struct place *at, const struct sl_config_limit *limit, uint16_t size,
		     int64_t ahead, bool steps_back)
{
	bool fast = limit->rate / worth(limit->unit, size) > 100000;
	struct offer o = { .rate = 2 * limit->rate,
			   .worth = worth(limit->unit, size),
			   .together = fast ? 32 : at->queues,
			   .queues = at->queues,
			   .steps_back = steps_back };

	begin(at, limit, 64);
	skew[1] = ahead;
	o.packet = packet_of(at, size);
	o.packets = packets_in(10, o.rate, o.worth,
			       ahead || steps_back ? PACKETS_MOST : PACKETS_STEADY);
	for (uint32_t q = 0; q < at->queues; q++)
		limited_burst(q, &o.packet, UINT32_MAX);
	check(at->name, limit->rate, size, &o, offer(&o));
	limited_end();
}

static const uint16_t sizes[] = { 64, 65, 590, 1514, 9000 };

static void test_rates(void **state)
{
	static const uint64_t rates[] = { 1000,	      100000,	   1000000,	10000000,
					  1000000000, 10000000000, 100000000000 };

	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++)
		for (size_t r = 0; r < N(rates); r++)
			for (size_t s = 0; s < N(sizes); s++)
				one_rate(&places[p],
					 &(struct sl_config_limit){
						 .rate = rates[r],
						 .burst = rates[r] < 1000000000 ? 65536 : 1 << 20 },
					 sizes[s], 0, false);
	assert_int_equal(wrong, 0);
}

static void test_packets(void **state)
{
	static const uint64_t rates[] = { 1, 30, 1000, 70000, 1000000, 30000000, 148809523 };

	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++)
		for (size_t r = 0; r < N(rates); r++)
			one_rate(&places[p],
				 &(struct sl_config_limit){
					 .unit = SL_UNIT_PACKETS, .rate = rates[r], .burst = 64 },
				 1514, 0, false);
	assert_int_equal(wrong, 0);
}

/* Packets that are larger than the whole burst pass a full bucket, at the rate. */
static void test_large(void **state)
{
	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++)
		one_rate(&places[p], &(struct sl_config_limit){ .rate = 1000000, .burst = 2048 },
			 9000, 0, false);
	assert_int_equal(wrong, 0);
}

/* The fast ones once more, for LONG_S seconds. */
static void test_long(void **state)
{
	static const struct sl_config_limit limit = { .rate = 10000000000, .burst = 1 << 20 };

	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++) {
		struct offer o = { .rate = 2 * limit.rate,
				   .worth = 72000,
				   .together = 32,
				   .queues = places[p].queues,
				   .packets = LONG_S * 2 * limit.rate / 72000 };

		if (places[p].queues == 1 && places[p].scope != SL_SCOPE_CLIENT)
			continue;
		begin(&places[p], &limit, 64);
		o.packet = packet_of(&places[p], 9000);
		limited_burst(0, &o.packet, UINT32_MAX);
		check(places[p].name, limit.rate, 9000, &o, offer(&o));
		limited_end();
	}
	assert_int_equal(wrong, 0);
}

/* The clock steps back by 50 us time and again; that of the second queue is 50 us off. */
static void test_clocks(void **state)
{
	static const struct sl_config_limit limits[] = {
		{ .rate = 100000, .burst = 65536 },
		{ .rate = 10000000, .burst = 65536 },
		{ .rate = 1000000000, .burst = 65536 },
		{ .rate = 10000000000, .burst = 1 << 20 },
		{ .rate = 100000000000, .burst = 1 << 21 },
	};
	static const struct {
		int64_t ahead;
		bool steps_back;
	} clocks[] = { { 0, true }, { US50, false }, { -US50, false }, { US50, true } };

	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++)
		for (size_t r = 0; r < N(limits); r++)
			for (size_t k = 0; k < N(clocks); k++)
				one_rate(&places[p], &limits[r], 1514, clocks[k].ahead,
					 clocks[k].steps_back);
	assert_int_equal(wrong, 0);
}

/* A queue that took a lease and is heard of no more takes nothing with it: the other one alone
 * comes to the whole rate, and a silence later to the whole burst. */
static void test_dead_queue(void **state)
{
	static const struct sl_config_limit l = { .rate = 1000000000, .burst = 1 << 20 };

	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++) {
		struct offer o = { .rate = 2 * l.rate,
				   .worth = 8192,
				   .together = 32,
				   .queues = 1,
				   .packets = 50000 };

		begin(&places[p], &l, 8);
		o.packet = packet_of(&places[p], 1024);
		for (uint32_t i = 0; i < 3; i++)
			assert_true(limited_passes(1, &o.packet));
		limited_burst(0, &o.packet, UINT32_MAX);
		check(places[p].name, l.rate, 1024, &o, offer(&o));
		now += TICKS_PER_S;
		assert_int_equal(limited_burst(0, &o.packet, UINT32_MAX), 1024);
		assert_false(limited_passes(1, &o.packet)); /* what it took has lapsed */
		limited_end();
	}
	assert_int_equal(wrong, 0);
}

/* Where the whole burst takes less than clocks differ by, whose is behind finds it used up: that
 * may fall short of the rate, but never exceeds it. */
static void test_small_bursts(void **state)
{
	static const struct sl_config_limit limit = { .rate = 100000000000, .burst = 65536 };

	(void)state;
	for (size_t p = 0; p < PLACES; p++) {
		struct offer o = { .rate = 2 * limit.rate,
				   .worth = 12112,
				   .together = 32,
				   .queues = places[p].queues,
				   .packets = PACKETS_MOST,
				   .steps_back = true };

		begin(&places[p], &limit, 64);
		skew[1] = -US50;
		o.packet = packet_of(&places[p], 1514);
		assert_in_range(offer(&o), PACKETS_MOST / 8, PACKETS_MOST / 2 * 1005 / 1000);
		limited_end();
	}
}

/* Silence */

/* Time passes; a worker sweeps the whole table every four seconds, or nobody does. */
static void idle(uint64_t ticks, bool sweeps)
{
	uint64_t until = now + ticks;
	struct sl_bucket *bucket = world.store.base[SL_ARRAY_flows];

	for (now += 4 * TICKS_PER_S; sweeps && now < until; now += 4 * TICKS_PER_S) {
		world_time(&world, now);
		for (uint32_t i = 0; i < world.store.count[SL_ARRAY_flows]; i++)
			sl_flow_sweep(&world.queue[0], &bucket[i], now);
	}
	now = until;
}

/* What passes at once, by all queues of the place. A flow whose entry is gone begins again. */
static uint32_t at_once(const struct place *at, const struct limited_packet *p, uint32_t most)
{
	uint32_t n;

	if (at->replies && at->direction == FROM)
		limited_send(0, &(struct limited_packet){ .size = 64 });
	if (at->queues == 1)
		return limited_burst(0, p, UINT32_MAX);
	n = limited_burst(0, p, most / 2);
	n += limited_burst(1, p, UINT32_MAX);
	return n + limited_burst(0, p, UINT32_MAX);
}

static void expect(const struct place *at, const struct limited_packet *p,
		   const struct sl_config_limit *l, uint64_t idle_s, uint32_t want)
{
	uint32_t n = at_once(at, p, want);

	/* Costs in flow entries are rounded to 4 ns each: a microsecond later the last one fits. */
	if (at->scope == SL_SCOPE_FLOW && n + 1 == want) {
		now += TICKS_PER_US;
		n += limited_burst(0, p, 1);
	}
	/* A queue that stops halfway keeps what is left of its lease, less than a packet. */
	if (n == want || (at->scope >= SL_SCOPE_BACKEND && n + at->queues - 1 == want))
		return;
	print_error("%s, %llu a second, burst %llu, %u bytes, idle for %llu s: %u, not %u\n",
		    at->name, (unsigned long long)l->rate, (unsigned long long)l->burst, p->size,
		    (unsigned long long)idle_s, n, want);
	wrong++;
}

static void one_burst(const struct place *at, const struct sl_config_limit *l, uint16_t size,
		      uint64_t idle_s, bool sweeps)
{
	uint64_t one = l->unit == SL_UNIT_BYTES ? size : 1;
	uint64_t grown = idle_s * l->rate / (l->unit == SL_UNIT_BYTES ? 8 : 1);
	struct limited_packet p;

	begin(at, l, 8);
	p = packet_of(at, size);
	expect(at, &p, l, 0, (uint32_t)(l->burst / one));
	idle(idle_s * TICKS_PER_S, sweeps);
	expect(at, &p, l, idle_s, (uint32_t)((grown < l->burst ? grown : l->burst) / one));
	limited_end();
}

static const struct {
	struct sl_config_limit limit;
	uint16_t size;
} bursts[] = {
	{ { .rate = 1000, .burst = 64000 }, 64 },
	{ { .rate = 1000, .burst = 64000 }, 1000 },
	{ { .rate = 3000000, .burst = 65536 }, 64 },
	{ { .rate = 8000000, .burst = 9000 }, 9000 },
	{ { .rate = 333333333, .burst = 151400 }, 1514 },
	{ { .rate = 10000000000, .burst = 1 << 20 }, 1024 },
	{ { .unit = SL_UNIT_PACKETS, .rate = 7, .burst = 70 }, 64 },
	{ { .unit = SL_UNIT_PACKETS, .rate = 1000000, .burst = 64 }, 64 },
};

static void test_bursts(void **state)
{
	static const uint64_t seconds[] = { 1, 3600, 30 * 86400 };

	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++) {
		for (size_t b = 0; b < N(bursts); b++) {
			for (size_t i = 0; i < N(seconds); i++) {
				/* Unswept entries come round: test_unswept(). */
				if (places[p].scope != SL_SCOPE_FLOW || seconds[i] <= 3600)
					one_burst(&places[p], &bursts[b].limit, bursts[b].size,
						  seconds[i], false);
				if (places[p].scope == SL_SCOPE_FLOW)
					one_burst(&places[p], &bursts[b].limit, bursts[b].size,
						  seconds[i], true);
			}
		}
	}
	assert_int_equal(wrong, 0);
}

/* An entry that nobody sweeps for two rounds of its clock blocks nobody for longer than its bucket
 * takes to fill, nor lets more than one burst through. */
static void test_unswept(void **state)
{
	static const struct sl_config_limit l = { .rate = 1000, .burst = 64000 };
	const struct sl_limit *record = &world.service[WEB].limit[0];
	uint32_t most = 0;

	(void)state;
	for (uint64_t minutes = 10; minutes < 27 * 24 * 60; minutes += 130) {
		struct limited_packet p;

		begin(&places[0], &l, 8);
		p = packet_of(&places[0], 1000);
		assert_int_equal(limited_burst(0, &p, UINT32_MAX), 64);
		idle(minutes * 60 * TICKS_PER_S, false);
		if (!limited_passes(0, &p)) {
			most++;
			now += record->pace.most;
			assert_true(limited_passes(0, &p));
		}
		assert_true(limited_burst(0, &p, UINT32_MAX) <= 64);
		limited_end();
	}
	assert_true(most <= 2);
}

/* Changes */

/* What control does to the bucket of a limit whose rate it changed. */
static void rescale(const struct place *at, const struct limited_packet *p,
		    const struct sl_pace *from)
{
	const struct sl_pace *to = &world.service[WEB].limit[0].pace;
	uint64_t *word = limited_word(0, p), ahead;

	assert_non_null(word);
	if (at->scope == SL_SCOPE_FLOW) {
		ahead = sl_gcra_ahead_ticks(sl_flow_time(*word), now, SL_TIME_AHEAD);
		*word = sl_flow_value(sl_flow_backend(*word), sl_flow_state(*word),
				      now + sl_pace_rescale(from, to, ahead));
		return;
	}
	ahead = sl_gcra_ahead(*word, now << SL_METER_SHIFT, UINT64_MAX) >> SL_METER_SHIFT;
	*word = (now + sl_pace_rescale(from, to, ahead)) << SL_METER_SHIFT;
}

struct change {
	uint64_t from, to;
	uint64_t burst_from, burst_to;
};

/* With so many packets of the burst used, at a rate that changes: how many pass now. What queues
 * hold as leases is theirs: worth 200 us, or a sixteenth of a burst. */
static void one_change(const struct place *at, const struct change *c, uint32_t used, uint32_t want)
{
	struct sl_config_limit from = { .rate = c->from, .burst = c->burst_from };
	struct sl_config_limit to = { .rate = c->to, .burst = c->burst_to };
	struct offer o = { .rate = 2 * c->to, .worth = 8000, .together = 2 };
	uint32_t n, spare = at->scope >= SL_SCOPE_BACKEND ? 1 + want / 16 : 1;
	struct sl_pace pace;

	begin(at, &from, 8);
	o.queues = at->queues;
	o.packet = packet_of(at, 1000);
	o.packets = packets_in(10, o.rate, o.worth, PACKETS_MOST);
	assert_int_equal(limited_burst(0, &o.packet, used), used);
	pace = world.service[WEB].limit[0].pace;
	limited_change(WEB, 0, &to);
	world.service[WEB].limit[0].scope = at->scope;
	limited_publish();
	rescale(at, &o.packet, &pace);
	n = at_once(at, &o.packet, want);
	if (n > want + spare || n + spare < want) {
		print_error("%s, %llu -> %llu, %u used: %u pass, not %u\n", at->name,
			    (unsigned long long)c->from, (unsigned long long)c->to, used, n, want);
		wrong++;
	}
	check(at->name, c->to, 1000, &o, offer(&o));
	limited_end();
}

static const struct change changes[] = {
	{ 1000000, 10000000, 64000, 64000 },   { 10000000, 1000000, 64000, 64000 },
	{ 1000, 1000000000, 64000, 64000 },    { 1000000000, 1000, 64000, 64000 },
	{ 10000000, 10000000, 64000, 128000 }, { 10000000, 20000000, 128000, 64000 },
};

/* What was used stays used, what was left is left: nothing is given, nobody is punished. */
static void test_changes(void **state)
{
	(void)state;
	wrong = 0;
	for (size_t p = 0; p < PLACES; p++) {
		for (size_t i = 0; i < N(changes); i++) {
			const struct change *c = &changes[i];
			uint32_t before = (uint32_t)(c->burst_from / 1000);
			uint32_t after = (uint32_t)(c->burst_to / 1000);

			for (uint32_t used = 1; used <= before; used += before / 2 - 1)
				one_change(&places[p], c, used, after > used ? after - used : 0);
		}
	}
	assert_int_equal(wrong, 0);
}

/* Before control has come to it, too: nothing is blocked for longer than a burst takes, and no more
 * than one passes. */
static void test_engines_alone(void **state)
{
	(void)state;
	for (size_t p = 0; p < PLACES; p++) {
		for (size_t i = 0; i < N(changes); i++) {
			const struct change *c = &changes[i];
			struct sl_config_limit from = { .rate = c->from, .burst = c->burst_from };
			struct sl_config_limit to = { .rate = c->to, .burst = c->burst_to };
			struct limited_packet packet;

			begin(&places[p], &from, 8);
			packet = packet_of(&places[p], 1000);
			limited_burst(0, &packet, UINT32_MAX);
			limited_change(WEB, 0, &to);
			limited_publish();
			assert_true(at_once(&places[p], &packet, 0) <= c->burst_to / 1000);
			now += world.service[WEB].limit[0].pace.most;
			assert_true(limited_passes(0, &packet));
			limited_end();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),	      cmocka_unit_test(test_packets),
		cmocka_unit_test(test_large),	      cmocka_unit_test(test_long),
		cmocka_unit_test(test_clocks),	      cmocka_unit_test(test_dead_queue),
		cmocka_unit_test(test_small_bursts),  cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_unswept),	      cmocka_unit_test(test_changes),
		cmocka_unit_test(test_engines_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
