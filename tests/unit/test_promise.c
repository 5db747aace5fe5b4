/* SPDX-License-Identifier: BSD-2-Clause */
/* The promise, as a randomized model: no established TCP connection that sent a packet within the
 * idle timeout, and whose backend still serves, is broken by a change.
 *
 * Clients call from FLOWS ports, over two queues of which one looks at the root late. SYNs are
 * lost, doubled and delayed; flows chat, idle for up to the timeout and beyond, close from either
 * side, reset, vanish, and their ports are used again. Control moves slots by control/model/rows.h,
 * drains, fails and restores backends, closes windows and settles slots as control/upkeep/sweep.h
 * says. The decision itself is core/, on real frames. Time is virtual, in ticks.
 *
 * Established: a backend answered the SYN, and a packet after it reached that backend. What happens
 * to others is counted. One thing is excused, since a packet doesn't tell: a copy of a SYN that
 * arrives when the connection lasts already, where no live entry that binds it says so (the first
 * packet of its flow since the slot moved, or its backend takes no new flows any more). That looks
 * exactly like a port used again.
 *
 *     test_promise [SEED [PACKETS]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "promise.h"

static uint64_t first_seed = 1;
static uint64_t packets = 1500000;

uint64_t promise_below(struct model *m, uint64_t n)
{
	return world_random(&m->seed) % n;
}

bool promise_chance(struct model *m, uint32_t percent)
{
	return promise_below(m, 100) < percent;
}

/* Events, in a heap by time. */

static void push(struct model *m, struct event e)
{
	size_t i = m->n++;

	if (m->n > m->room) {
		m->room = m->room ? 2 * m->room : 4096;
		m->heap = realloc(m->heap, m->room * sizeof(*m->heap));
		assert_non_null(m->heap);
	}
	for (; i && m->heap[(i - 1) / 2].at > e.at; i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = e;
}

static struct event pop(struct model *m)
{
	struct event first = m->heap[0], last = m->heap[--m->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < m->n && m->heap[child + 1].at < m->heap[child].at)
			child++;
		if (child >= m->n || m->heap[child].at >= last.at)
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = last;
	return first;
}

static void later(struct model *m, uint32_t flow, enum kind kind, uint64_t ticks)
{
	push(m, (struct event){ .at = m->now + ticks,
				.flow = flow,
				.call = m->flow[flow].call,
				.kind = (uint8_t)kind });
}

/* Packets. */

static uint16_t port_of(uint32_t flow)
{
	return (uint16_t)(1024 + flow * 13);
}

uint64_t promise_failures(const struct model *m)
{
	uint64_t n = 0;

	for (int q = 0; q < WORLD_QUEUES; q++)
		n += m->w.queue[q].service_counters[1].untrackable;
	return n;
}

static uint64_t entry_of(struct model *m, uint32_t flow)
{
	struct sl_flow_at at = world_flow_find(&m->w, world_flow_key(0, CLIENT, port_of(flow)));

	return at.bucket ? at.value : 0;
}

static void note(struct model *m, uint32_t flow, enum kind what, uint64_t entry, uint8_t to,
		 bool failed)
{
	struct flow *f = &m->flow[flow];

	f->note[f->notes++ % NOTES] = (struct note){
		.at = m->now,
		.entry = entry,
		.slot = m->slot[world_slot_of(&m->w, 0, CLIENT, port_of(flow))],
		.call = f->call,
		.what = (uint8_t)what,
		.to = to,
		.failed = failed,
	};
}

/* Sends one through a random queue; the backend that gets it, or 0. */
static uint8_t client_sends(struct model *m, uint32_t flow, uint8_t flags, enum kind what)
{
	struct frame_spec spec = { .src = CLIENT, .dst = VIP, .dport = 80, .flags = flags };
	uint32_t q = (uint32_t)promise_below(m, WORLD_QUEUES);
	uint64_t before = promise_failures(m), entry = entry_of(m, flow);
	struct sl_packet p;
	struct frame f;
	uint16_t egress;
	uint8_t to = 0;

	spec.sport = port_of(flow);
	frame_build(&f, &spec);
	p = (struct sl_packet){ f.bytes, f.bytes + f.length, NULL, f.length, 0, 0 };
	if (!q || promise_chance(m, 50))
		world_snapshot(&m->w, q);
	if (world_decide(&m->w, q, &p, &egress) == SL_REASON_to_backend)
		to = f.bytes[f.l3 + 19];
	m->tally.packets++;
	note(m, flow, what, entry, to, promise_failures(m) != before);
	return to;
}

static void backend_sends(struct model *m, uint32_t flow, uint8_t backend, uint8_t flags)
{
	struct frame_spec spec = { .src = INNER + backend, .dst = CLIENT, .sport = 8080 };
	struct sl_packet p;
	struct frame f;
	uint16_t egress;

	spec.dport = port_of(flow);
	spec.flags = flags;
	frame_build(&f, &spec);
	p = (struct sl_packet){ f.bytes, f.bytes + f.length, NULL, f.length, 1, 0 };
	assert_int_equal(world_decide(&m->w, (uint32_t)promise_below(m, WORLD_QUEUES), &p, &egress),
			 SL_REASON_to_client);
	m->tally.packets++;
}

/* Connections. */

static bool serves(const struct model *m, const struct flow *f)
{
	return m->flags[f->backend] & SL_BACKEND_SERVES && m->epoch[f->backend] == f->epoch;
}

static void print_broken(const struct model *m, uint32_t flow, uint8_t to)
{
	static const char *const names[] = { "call", "SYN",	 "stray SYN",	"join",
					     "data", "last ACK", "backend ends" };
	static const char *const slots[] = { "closed", "open", "mixed", "?" };
	static const char *const states[] = { "opening", "established", "closing", "?" };
	const struct flow *f = &m->flow[flow];

	if (m->tally.broken > 3)
		return;
	print_error("broken at %llu: flow %u of backend %u went to %u; last sent %llu ago\n",
		    (unsigned long long)m->now, flow, f->backend, to,
		    (unsigned long long)(m->now - f->sent));
	for (uint32_t i = f->notes > NOTES ? f->notes - NOTES : 0; i < f->notes; i++) {
		const struct note *n = &f->note[i % NOTES];

		print_error(
			"  %7llu call %u %-12s %s cur %u prev %u, entry %u %s age %lld → %u%s\n",
			(unsigned long long)n->at, n->call, names[n->what],
			slots[sl_slot_state(n->slot)], sl_slot_cur(n->slot), sl_slot_prev(n->slot),
			sl_flow_backend(n->entry), states[sl_flow_state(n->entry)],
			n->entry ? (long long)(n->at - sl_flow_time(n->entry)) : 0, n->to,
			n->failed ? " (no room)" : "");
	}
}

/* The port is free, and is used again at once, soon, or some time within the timeout. */
static void hang_up(struct model *m, uint32_t flow)
{
	static const uint64_t rest[] = { 6, 2 * CLOSING, TIMEOUT };

	m->flow[flow].phase = IDLE;
	later(m, flow, CALL, promise_below(m, rest[promise_below(m, 3)]));
}

/* A packet of a connection went to somebody who doesn't know it, or to nobody. */
static void misled(struct model *m, uint32_t flow, uint8_t to)
{
	struct flow *f = &m->flow[flow];

	if (f->phase == JOINED) {
		m->tally.handshakes++;
	} else if (!serves(m, f)) {
		m->tally.failed++;
	} else if (m->now - f->sent > TIMEOUT) {
		m->tally.idle++;
	} else if (f->excused) {
		m->tally.excused++;
	} else {
		m->tally.broken++;
		print_broken(m, flow, to);
	}
	if (to)
		backend_sends(m, flow, to, FRAME_RST);
	hang_up(m, flow);
}

/* A backend got a SYN and answers; the answer may be lost. */
static void answered(struct model *m, uint32_t flow, uint8_t backend)
{
	if (!backend || !(m->flags[backend] & SL_BACKEND_SERVES) || promise_chance(m, 5))
		return;
	push(m, (struct event){ .at = m->now + 2 + promise_below(m, 6),
				.flow = flow,
				.call = m->flow[flow].call,
				.epoch = m->epoch[backend],
				.kind = JOIN,
				.backend = backend });
}

static void on_syn(struct model *m, uint32_t flow)
{
	struct flow *f = &m->flow[flow];

	if (f->phase != CALLING)
		return;
	if (f->tries++ == 5) {
		hang_up(m, flow);
		return;
	}
	later(m, flow, SYN, 20u << f->tries);
	if (promise_chance(m, 10))
		return; /* lost */
	if (promise_chance(m, 5))
		later(m, flow, STRAY, promise_below(m, 4));
	if (promise_chance(m, 3))
		later(m, flow, STRAY, promise_below(m, TIMEOUT / 2));
	answered(m, flow, client_sends(m, flow, FRAME_SYN, SYN));
}

static void on_call(struct model *m, uint32_t flow)
{
	struct flow *f = &m->flow[flow];

	f->phase = CALLING;
	f->call++;
	f->tries = 0;
	f->excused = false;
	m->tally.calls++;
	on_syn(m, flow);
}

/* Whether an entry says that this SYN is a stray one. */
static bool is_bound(struct model *m, uint32_t flow)
{
	uint64_t entry = entry_of(m, flow);
	uint32_t backend = sl_flow_backend(entry);

	return entry && sl_flow_alive(entry, sl_seam_timeouts(&m->w.queue[0], 1), m->now) &&
	       sl_flow_state(entry) != SL_FLOW_CLOSING && backend == m->flow[flow].backend &&
	       m->flags[backend] & SL_BACKEND_TAKES_NEW;
}

static void on_stray(struct model *m, uint32_t flow)
{
	struct flow *f = &m->flow[flow];
	bool bound = is_bound(m, flow);
	uint8_t to = client_sends(m, flow, FRAME_SYN, STRAY);

	if (f->phase == CALLING)
		answered(m, flow, to);
	else if (to != f->backend && !bound)
		f->excused = true;
}

static void on_join(struct model *m, const struct event *e)
{
	struct flow *f = &m->flow[e->flow];

	if (f->phase != CALLING || f->call != e->call)
		return;
	f->phase = JOINED;
	f->backend = e->backend;
	f->epoch = e->epoch;
	f->sent = m->now;
	later(m, e->flow, DATA, 0);
}

static uint64_t pause(struct model *m)
{
	uint64_t r = promise_below(m, 100);

	if (r < 60)
		return 1 + promise_below(m, 20);
	if (r < 85)
		return 1 + promise_below(m, TIMEOUT / 4);
	return r < 98 ? TIMEOUT - promise_below(m, TIMEOUT / 2)
		      : TIMEOUT + 1 + promise_below(m, TIMEOUT);
}

/* FIN or RST, from the client or from the backend; or it just vanishes. */
static void on_end(struct model *m, uint32_t flow)
{
	struct flow *f = &m->flow[flow];
	uint8_t flags = promise_chance(m, 80) ? FRAME_FIN | FRAME_ACK : FRAME_RST, to;

	if (promise_chance(m, 10)) {
		hang_up(m, flow);
		return;
	}
	if (promise_chance(m, 50)) {
		to = client_sends(m, flow, flags, DATA);
		if (to != f->backend || !serves(m, f)) {
			misled(m, flow, to);
			return;
		}
	}
	backend_sends(m, flow, f->backend, flags);
	f->phase = ENDING;
	later(m, flow, LAST_ACK, 1 + promise_below(m, 6));
}

static void on_data(struct model *m, uint32_t flow)
{
	struct flow *f = &m->flow[flow];
	uint32_t slot = m->slot[world_slot_of(&m->w, 0, CLIENT, port_of(flow))];
	uint8_t to;

	if (f->phase == LASTING && promise_chance(m, 8)) {
		on_end(m, flow);
		return;
	}
	to = client_sends(m, flow, FRAME_ACK, DATA);
	if (to != f->backend || !serves(m, f)) {
		misled(m, flow, to);
		return;
	}
	m->tally.lasting += f->phase == JOINED;
	m->tally.stayed += to != sl_slot_cur(slot);
	f->phase = LASTING;
	f->sent = m->now;
	later(m, flow, DATA, pause(m));
}

static void on_event(struct model *m, const struct event *e)
{
	struct flow *f = &m->flow[e->flow];

	if (e->kind == CALL)
		on_call(m, e->flow);
	else if (e->kind == STRAY)
		on_stray(m, e->flow);
	else if (e->kind == JOIN)
		on_join(m, e);
	else if (e->call != f->call)
		return;
	else if (e->kind == SYN)
		on_syn(m, e->flow);
	else if (e->kind == DATA)
		on_data(m, e->flow);
	else if (e->kind == LAST_ACK) {
		client_sends(m, e->flow, FRAME_ACK, LAST_ACK);
		hang_up(m, e->flow);
	}
}

/* One tick: engines sweep a few buckets, a queue is at most this late to look at the root. */
static void tick(struct model *m)
{
	const struct sl_tables *t = &m->w.queue[0];

	world_snapshot_all(&m->w);
	world_time(&m->w, ++m->now);
	for (uint32_t i = 0; i < 1 + t->buckets / 256; i++) {
		sl_flow_sweep(t, &t->bucket[m->swept % t->buckets], m->now);
		m->swept++;
	}
	if (m->now % 10 == 0)
		promise_control(m);
}

static struct model *make_model(uint64_t seed, uint32_t buckets, uint16_t service_flags)
{
	static const uint8_t mac[12];
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	assert_int_equal(world_make(&m->w, buckets), 0);
	m->seed = seed;
	m->now = 10000;
	m->next_change = m->now + TIMEOUT;
	world_add_service(&m->w, VIP, 80, FRAME_TCP, ROWS);
	m->w.service[0].record.flags = service_flags;
	for (uint32_t b = 1; b <= BACKENDS; b++) {
		world_add_backend(&m->w, 0, INNER + b, 8080, mac, 1);
		m->flags[b] = m->w.service[0].backend[b - 1].flags;
	}
	world_add_route(&m->w, 0, 0, SL_ROUTE_VIA);
	world_set_timeouts(&m->w, 0, OPENING, LIFE, CLOSING);
	for (uint32_t i = 0; i < ROWS; i++) {
		m->cur[i] = promise_taking(m);
		m->slot[i] = sl_slot(m->cur[i], 0, SL_SLOT_CLOSED);
	}
	memcpy(m->w.service[0].slot, m->slot, sizeof(m->slot));
	world_publish(&m->w);
	world_snapshot_all(&m->w);
	world_time(&m->w, m->now);
	for (uint32_t f = 0; f < FLOWS; f++)
		later(m, f, CALL, promise_below(m, TIMEOUT));
	return m;
}

static void report(const struct model *m, uint64_t seed)
{
	const struct tally *t = &m->tally;

#define N(name) (unsigned long long)t->name
	print_message("seed %llu: %llu packets, %llu ticks, %llu calls, %llu established; "
		      "%llu changes, %llu publishes\n",
		      (unsigned long long)seed, N(packets), (unsigned long long)m->now, N(calls),
		      N(lasting), N(changes), N(publishes));
	print_message(
		"  rows: %llu moved, %llu windows closed (%llu looks held them), %llu settled; "
		"%llu inserts found no room\n",
		N(opened), N(mixed), N(held), N(settled), (unsigned long long)promise_failures(m));
	print_message("  %llu packets stayed where cur had moved on; ended with a failed backend "
		      "%llu, after the timeout %llu, in their handshake %llu, by an unbound SYN "
		      "%llu\n",
		      N(stayed), N(failed), N(idle), N(handshakes), N(excused));
	print_message("  broken: %llu\n", N(broken));
#undef N
}

/* Runs a model of that many buckets, and makes sure that it was worth the while. */
static void run(uint64_t seed, uint32_t buckets, uint16_t service_flags, bool full,
		bool reschedules)
{
	struct model *m = make_model(seed, buckets, service_flags);

	m->reschedules = reschedules;
	while (m->tally.packets < packets) {
		struct event e = pop(m);

		while (m->now < e.at)
			tick(m);
		on_event(m, &e);
	}
	report(m, seed);
	assert_int_equal(m->tally.broken, 0);
	assert_true(m->tally.stayed > packets / 100 && m->tally.lasting > packets / 100);
	assert_true(full ? promise_failures(m) > 100
			 : m->tally.settled > packets / (reschedules ? 50000 : 20000));
	world_free(&m->w);
	free(m->heap);
	free(m);
}

static void test_room_for_all(void **state)
{
	(void)state;
	run(first_seed, 4096, 0, false, false);
}

/* Room for most: inserts fail now and then. */
static void test_table_tight(void **state)
{
	(void)state;
	run(first_seed + 1, 560, 0, true, false);
}

static void test_table_full(void **state)
{
	(void)state;
	run(first_seed + 2, 100, 0, true, false);
}

static void test_track_all(void **state)
{
	(void)state;
	run(first_seed + 3, 4096, SL_SERVICE_TRACK, false, false);
}

/* The scheduler changes too, with room for all and without. */
static void test_schedulers(void **state)
{
	(void)state;
	run(first_seed + 4, 4096, 0, false, true);
	run(first_seed + 5, 560, 0, true, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_for_all), cmocka_unit_test(test_table_tight),
		cmocka_unit_test(test_table_full),   cmocka_unit_test(test_track_all),
		cmocka_unit_test(test_schedulers),
	};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		packets = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
