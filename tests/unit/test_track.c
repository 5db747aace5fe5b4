/* SPDX-License-Identifier: BSD-2-Clause */
/* Just enough tracking, as a table of events: what a slot says, what the flow's entry says, what
 * arrives, and where it goes and what the entry says then. The rules are those at the top of
 * core/route.h, each with the cases that could break it.
 *
 * Backends: 1 is cur, 2 is prev, 3 is a third. Each case is a world of its own and one packet, a
 * whole frame through classify and route.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)
#define PORT   40000
#define INNER  FRAME_IP(10, 1, 0, 0) /* and the backend's number */

#define NOW	    100000
#define OPENING	    160
#define ESTABLISHED 1600
#define CLOSING	    320

enum slot { CLOSED, OPEN, MIXED, OPEN_PREV_NONE, OPEN_CUR_NONE };

/* A backend's flags. */
enum health { UP, DRAINS, FAILED };

enum what { SYN, SYN_ACK, ACK, FIN, RST, DGRAM };

/* An entry: of which backend (0: none at all), in which state, how long ago. */
struct entry {
	uint32_t backend;
	enum sl_flow_state state;
	uint64_t age;
};

struct track_case {
	const char *name;
	enum slot slot;
	bool track_all;
	bool picks; /* new flows go to backend 3, whatever their hash */
	bool full;  /* no room for another entry */
	enum health health[3];
	struct entry before;
	enum what what;
	uint32_t backend; /* 0: dropped */
	struct entry after;
};

#define NEW  SL_FLOW_OPENING
#define EST  SL_FLOW_ESTABLISHED
#define CLO  SL_FLOW_CLOSING
#define DEAD (ESTABLISHED + 1)
#define NONE                                                                                       \
	{                                                                                          \
		0, 0, 0                                                                            \
	}
#define ALIVE(b, s)                                                                                \
	{                                                                                          \
		b, s, 5                                                                            \
	}

static const struct track_case cases[] = {
	/* Closed: to cur, no look-up, no state. */
	{ "closed: data", CLOSED, .what = ACK, .backend = 1 },
	{ "closed: SYN", CLOSED, .what = SYN, .backend = 1 },
	{ "closed: an entry isn't even looked at", CLOSED, .before = ALIVE(3, EST), .what = ACK,
	  .backend = 1, .after = ALIVE(3, EST) },
	{ "closed: a FIN marks nothing", CLOSED, .before = ALIVE(1, EST), .what = FIN, .backend = 1,
	  .after = ALIVE(1, EST) },
	{ "closed: cur failed, nobody else is asked", CLOSED, .health = { FAILED }, .what = ACK,
	  .backend = 1 },

	/* Open, not found. */
	{ "open: SYN to cur, tracked", OPEN, .what = SYN, .backend = 1, .after = { 1, NEW, 0 } },
	{ "open: data to prev, tracked there", OPEN, .what = ACK, .backend = 2,
	  .after = { 2, EST, 0 } },
	{ "open: SYN with ACK is data", OPEN, .what = SYN_ACK, .backend = 2,
	  .after = { 2, EST, 0 } },
	{ "open: a datagram is data", OPEN, .what = DGRAM, .backend = 2, .after = { 2, EST, 0 } },
	{ "open: FIN to prev, tracked as closing", OPEN, .what = FIN, .backend = 2,
	  .after = { 2, CLO, 0 } },
	{ "open: RST to prev, tracked as closing", OPEN, .what = RST, .backend = 2,
	  .after = { 2, CLO, 0 } },
	{ "open: prev drains, data still go there", OPEN, .health = { UP, DRAINS }, .what = ACK,
	  .backend = 2, .after = { 2, EST, 0 } },
	{ "open: prev failed, data to cur, tracked", OPEN, .health = { UP, FAILED }, .what = ACK,
	  .backend = 1, .after = { 1, EST, 0 } },
	{ "open: prev failed, SYN to cur, tracked", OPEN, .health = { UP, FAILED }, .what = SYN,
	  .backend = 1, .after = { 1, NEW, 0 } },
	{ "open: no prev, data to cur, tracked", OPEN_PREV_NONE, .what = ACK, .backend = 1,
	  .after = { 1, EST, 0 } },
	{ "open: no cur, SYN finds nobody", OPEN_CUR_NONE, .what = SYN },
	{ "open: no cur, data to prev", OPEN_CUR_NONE, .what = ACK, .backend = 2,
	  .after = { 2, EST, 0 } },

	/* Open, no room. */
	{ "full: SYN to prev", OPEN, .full = true, .what = SYN, .backend = 2 },
	{ "full: SYN to prev though it drains", OPEN, .full = true, .health = { UP, DRAINS },
	  .what = SYN, .backend = 2 },
	{ "full: prev failed, SYN to cur", OPEN, .full = true, .health = { UP, FAILED },
	  .what = SYN, .backend = 1 },
	{ "full: data to prev", OPEN, .full = true, .what = ACK, .backend = 2 },
	{ "full: all tracked and closed: to cur", CLOSED, .track_all = true, .full = true,
	  .what = SYN, .backend = 1 },

	/* Open, found. */
	{ "found: data follow it", OPEN, .before = ALIVE(3, EST), .what = ACK, .backend = 3,
	  .after = ALIVE(3, EST) },
	{ "found: data end the opening", OPEN, .before = ALIVE(3, NEW), .what = ACK, .backend = 3,
	  .after = { 3, EST, 0 } },
	{ "found: a second SYN follows it", OPEN, .before = ALIVE(3, NEW), .what = SYN,
	  .backend = 3, .after = ALIVE(3, NEW) },
	{ "found: a stray SYN steals nothing", OPEN, .before = ALIVE(3, EST), .what = SYN,
	  .backend = 3, .after = ALIVE(3, EST) },
	{ "found: FIN marks it", OPEN, .before = ALIVE(3, EST), .what = FIN, .backend = 3,
	  .after = { 3, CLO, 0 } },
	{ "found: RST marks it", OPEN, .before = ALIVE(3, EST), .what = RST, .backend = 3,
	  .after = { 3, CLO, 0 } },
	{ "found: RST ends an opening", OPEN, .before = ALIVE(3, NEW), .what = RST, .backend = 3,
	  .after = { 3, CLO, 0 } },
	{ "found: the last ACK of a closing flow", OPEN, .before = ALIVE(3, CLO), .what = ACK,
	  .backend = 3, .after = ALIVE(3, CLO) },
	{ "found: at the latest, the last ACK comes within a sixteenth", OPEN,
	  .before = { 3, CLO, CLOSING / 16 }, .what = ACK, .backend = 3,
	  .after = { 3, CLO, CLOSING / 16 } },
	{ "found: data long after a FIN, the flow lives", OPEN,
	  .before = { 3, CLO, CLOSING / 16 + 1 }, .what = ACK, .backend = 3,
	  .after = { 3, EST, 0 } },
	{ "found: a FIN long after a FIN", OPEN, .before = { 3, CLO, CLOSING / 16 + 1 },
	  .what = FIN, .backend = 3, .after = { 3, CLO, 0 } },
	{ "found: seen lately, not stamped again", OPEN, .before = { 3, EST, ESTABLISHED / 16 },
	  .what = ACK, .backend = 3, .after = { 3, EST, ESTABLISHED / 16 } },
	{ "found: stamped after a sixteenth of its life", OPEN,
	  .before = { 3, EST, ESTABLISHED / 16 + 1 }, .what = ACK, .backend = 3,
	  .after = { 3, EST, 0 } },
	{ "found: alive at its last tick", OPEN, .before = { 3, EST, ESTABLISHED }, .what = ACK,
	  .backend = 3, .after = { 3, EST, 0 } },
	{ "found: its backend drains, data stay", OPEN, .health = { UP, UP, DRAINS },
	  .before = ALIVE(3, EST), .what = ACK, .backend = 3, .after = ALIVE(3, EST) },

	/* Found, but it doesn't bind. */
	{ "reuse: SYN on a closing entry is new", OPEN, .before = ALIVE(3, CLO), .what = SYN,
	  .backend = 1, .after = { 1, NEW, 0 } },
	{ "reuse: SYN where its backend takes no new", OPEN, .health = { UP, UP, DRAINS },
	  .before = ALIVE(3, NEW), .what = SYN, .backend = 1, .after = { 1, NEW, 0 } },
	{ "failed: data to cur", OPEN, .health = { UP, UP, FAILED }, .before = ALIVE(3, EST),
	  .what = ACK, .backend = 1, .after = { 1, EST, 0 } },
	{ "failed: SYN to cur", OPEN, .health = { UP, UP, FAILED }, .before = ALIVE(3, EST),
	  .what = SYN, .backend = 1, .after = { 1, NEW, 0 } },
	{ "failed: not to prev, where it never was", OPEN, .health = { UP, UP, FAILED },
	  .before = ALIVE(3, NEW), .what = ACK, .backend = 1, .after = { 1, EST, 0 } },
	{ "gone: an entry of no backend of this service", OPEN, .before = ALIVE(9, EST),
	  .what = ACK, .backend = 1, .after = { 1, EST, 0 } },

	/* Found, but dead: as if not found, in its own place. */
	{ "dead: data to prev", OPEN, .before = { 3, EST, DEAD }, .what = ACK, .backend = 2,
	  .after = { 2, EST, 0 } },
	{ "dead: SYN to cur", OPEN, .before = { 3, EST, DEAD }, .what = SYN, .backend = 1,
	  .after = { 1, NEW, 0 } },
	{ "dead: of an opening", OPEN, .before = { 3, NEW, OPENING + 1 }, .what = ACK, .backend = 2,
	  .after = { 2, EST, 0 } },
	{ "dead: of a closing flow", OPEN, .before = { 3, CLO, CLOSING + 1 }, .what = ACK,
	  .backend = 2, .after = { 2, EST, 0 } },
	{ "dead: needs no room", OPEN, .full = true, .before = { 3, EST, DEAD }, .what = SYN,
	  .backend = 1, .after = { 1, NEW, 0 } },

	/* Mixed: look up, track nothing new. */
	{ "mixed: data to cur, no state", MIXED, .what = ACK, .backend = 1 },
	{ "mixed: SYN to cur, no state", MIXED, .what = SYN, .backend = 1 },
	{ "mixed: data follow an entry", MIXED, .before = ALIVE(3, EST), .what = ACK, .backend = 3,
	  .after = ALIVE(3, EST) },
	{ "mixed: a live entry lives on", MIXED, .before = { 3, EST, ESTABLISHED }, .what = ACK,
	  .backend = 3, .after = { 3, EST, 0 } },
	{ "mixed: a stray SYN steals nothing", MIXED, .before = ALIVE(3, EST), .what = SYN,
	  .backend = 3, .after = ALIVE(3, EST) },
	{ "mixed: FIN marks it", MIXED, .before = ALIVE(3, EST), .what = FIN, .backend = 3,
	  .after = { 3, CLO, 0 } },
	{ "mixed: SYN on a closing entry to cur", MIXED, .before = ALIVE(3, CLO), .what = SYN,
	  .backend = 1, .after = { 1, NEW, 0 } },
	{ "mixed: a dead entry becomes cur's", MIXED, .before = { 3, EST, DEAD }, .what = ACK,
	  .backend = 1, .after = { 1, EST, 0 } },
	{ "mixed: its backend failed", MIXED, .health = { UP, UP, FAILED }, .before = ALIVE(3, EST),
	  .what = ACK, .backend = 1, .after = { 1, EST, 0 } },
	{ "mixed: full, SYN to cur", MIXED, .full = true, .what = SYN, .backend = 1 },

	/* Every flow is tracked. */
	{ "all: SYN in a closed row", CLOSED, .track_all = true, .what = SYN, .backend = 1,
	  .after = { 1, NEW, 0 } },
	{ "all: data in a closed row", CLOSED, .track_all = true, .what = ACK, .backend = 1,
	  .after = { 1, EST, 0 } },
	{ "all: a datagram in a closed row", CLOSED, .track_all = true, .what = DGRAM, .backend = 1,
	  .after = { 1, EST, 0 } },
	{ "all: an entry is followed in a closed row", CLOSED, .track_all = true,
	  .before = ALIVE(3, EST), .what = ACK, .backend = 3, .after = ALIVE(3, EST) },
	{ "all: mixed tracks too", MIXED, .track_all = true, .what = SYN, .backend = 1,
	  .after = { 1, NEW, 0 } },
	{ "all: open, data to prev", OPEN, .track_all = true, .what = ACK, .backend = 2,
	  .after = { 2, EST, 0 } },
	{ "all: open, prev failed, tracked at cur", OPEN, .track_all = true,
	  .health = { UP, FAILED }, .what = ACK, .backend = 1, .after = { 1, EST, 0 } },
	{ "all: SYN, full, to prev", OPEN, .track_all = true, .full = true, .what = SYN,
	  .backend = 2 },

	/* The scheduler doesn't go by the hash. */
	{ "picks: SYN", CLOSED, .track_all = true, .picks = true, .what = SYN, .backend = 3,
	  .after = { 3, NEW, 0 } },
	{ "picks: SYN, open", OPEN, .track_all = true, .picks = true, .what = SYN, .backend = 3,
	  .after = { 3, NEW, 0 } },
	{ "picks: SYN of a live flow", CLOSED, .track_all = true, .picks = true,
	  .before = ALIVE(2, EST), .what = SYN, .backend = 2, .after = ALIVE(2, EST) },
	{ "picks: SYN of a port used again", CLOSED, .track_all = true, .picks = true,
	  .before = ALIVE(2, CLO), .what = SYN, .backend = 3, .after = { 3, NEW, 0 } },
	{ "picks: data of an unknown flow", CLOSED, .track_all = true, .picks = true, .what = ACK,
	  .backend = 1, .after = { 1, EST, 0 } },
	{ "picks: data of an unknown flow, open", OPEN, .track_all = true, .picks = true,
	  .what = ACK, .backend = 2, .after = { 2, EST, 0 } },
	{ "picks: the end of an unknown flow", CLOSED, .track_all = true, .picks = true,
	  .what = RST, .backend = 1, .after = { 1, CLO, 0 } },
	{ "picks: a datagram", CLOSED, .track_all = true, .picks = true, .what = DGRAM,
	  .backend = 3, .after = { 3, EST, 0 } },
	{ "picks: a datagram of an older flow", OPEN, .track_all = true, .picks = true,
	  .what = DGRAM, .backend = 2, .after = { 2, EST, 0 } },
	{ "picks: SYN, full, by hash", CLOSED, .track_all = true, .picks = true, .full = true,
	  .what = SYN, .backend = 1 },
	{ "picks: a datagram, full, by hash", CLOSED, .track_all = true, .picks = true,
	  .full = true, .what = DGRAM, .backend = 1 },
};

/* One bucket where the table is to be full, so that nothing can be moved away. */
static void make_world(struct world *w, const struct track_case *c)
{
	static const uint16_t flags[] = {
		[UP] = SL_BACKEND_SERVES | SL_BACKEND_TAKES_NEW | SL_BACKEND_RESOLVED,
		[DRAINS] = SL_BACKEND_SERVES | SL_BACKEND_RESOLVED,
		[FAILED] = SL_BACKEND_RESOLVED,
	};
	static const uint32_t slots[] = {
		[CLOSED] = 1,
		[OPEN] = 1 | 2 << 14 | SL_SLOT_OPEN << 28,
		[MIXED] = 1 | SL_SLOT_MIXED << 28,
		[OPEN_PREV_NONE] = 1 | SL_SLOT_OPEN << 28,
		[OPEN_CUR_NONE] = 2 << 14 | SL_SLOT_OPEN << 28,
	};
	static const uint8_t mac[12];

	assert_int_equal(world_make(w, c->full ? 1 : 64), 0);
	world_add_service(w, VIP, 80, c->what == DGRAM ? IPPROTO_UDP : IPPROTO_TCP, 64);
	for (uint32_t b = 1; b <= 3; b++) {
		world_add_backend(w, 0, INNER + b, 8080, mac, 0);
		w->service[0].backend[b - 1].flags = flags[c->health[b - 1]];
	}
	world_set_slots(w, 0, slots[c->slot]);
	if (c->picks) {
		/* The first slot's turn comes again and again. It isn't the flow's own. */
		w->service[0].record.pick = SL_PICK_TURN;
		w->service[0].slot[0] = sl_slot(3, 0, SL_SLOT_CLOSED);
		((struct sl_schedule *)w->store.base[SL_ARRAY_schedules])[1].cycle = 1;
	}
	world_set_timeouts(w, 0, OPENING, ESTABLISHED, CLOSING);
	w->service[0].record.flags = SL_SERVICE_LOOKUP | (c->track_all ? SL_SERVICE_TRACK : 0);
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, NOW);
}

static void put_entry(struct world *w, uint64_t key, const struct entry *e)
{
	world_flow_insert(&w->queue[0], key, sl_flow_value(e->backend, e->state, NOW - e->age),
			  NOW);
}

static void fill_table(struct world *w)
{
	struct entry e = ALIVE(1, EST);

	for (uint16_t port = 1; port <= SL_FLOW_WAYS; port++)
		put_entry(w, world_flow_key(1, CLIENT, port), &e);
	assert_null(world_flow_find(w, world_flow_key(0, CLIENT, PORT)).bucket);
}

/* The backend that one packet goes to; 0: dropped for want of one. */
static uint32_t one_packet(struct world *w, enum what what)
{
	static const uint8_t flags[] = {
		[SYN] = FRAME_SYN, [SYN_ACK] = FRAME_SYN | FRAME_ACK,
		[ACK] = FRAME_ACK, [FIN] = FRAME_FIN | FRAME_ACK,
		[RST] = FRAME_RST, [DGRAM] = 0,
	};
	struct frame f;
	struct frame_spec spec = { .src = CLIENT, .dst = VIP, .sport = PORT, .dport = 80 };
	struct sl_packet p = { .data = f.bytes };
	enum sl_reason reason;
	uint16_t egress;

	spec.protocol = what == DGRAM ? FRAME_UDP : FRAME_TCP;
	spec.flags = flags[what];
	frame_build(&f, &spec);
	p.length = f.length;
	p.end = p.data + p.length;
	reason = world_decide(w, 0, &p, &egress);
	if (reason == SL_REASON_no_backend)
		return 0;
	assert_int_equal(reason, SL_REASON_to_backend);
	return f.bytes[f.l3 + 19];
}

static bool entry_is(struct world *w, uint64_t key, const struct entry *want)
{
	struct sl_flow_at at = world_flow_find(w, key);

	if (!at.bucket || !want->backend)
		return !at.bucket && !want->backend;
	return at.value == sl_flow_value(want->backend, want->state, NOW - want->age);
}

static bool one_case(const struct track_case *c)
{
	uint64_t key = world_flow_key(0, CLIENT, PORT);
	struct sl_service_counters *counters;
	struct world w;
	uint32_t backend;
	bool right;

	make_world(&w, c);
	counters = &w.queue[0].service_counters[1];
	if (c->before.backend)
		put_entry(&w, key, &c->before);
	if (c->full && !c->before.backend)
		fill_table(&w);
	backend = one_packet(&w, c->what);
	right = backend == c->backend && entry_is(&w, key, &c->after);
	if (!right)
		print_error("%s: to %u, entry %llx\n", c->name, backend,
			    (unsigned long long)world_flow_find(&w, key).value);
	/* Entries made and refused are counted, since windows stay open for the latter. */
	if (counters->tracked != (!c->before.backend && c->after.backend) ||
	    counters->untrackable != (c->full && !c->before.backend && c->slot != MIXED)) {
		print_error("%s: tracked %llu, untrackable %llu\n", c->name,
			    (unsigned long long)counters->tracked,
			    (unsigned long long)counters->untrackable);
		right = false;
	}
	world_free(&w);
	return right;
}

static void test_table(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		wrong += !one_case(&cases[i]);
	assert_int_equal(wrong, 0);
}

/* What a backend sends ends a flow as well, so that a reused port begins anew. */
static void test_reply_ends(void **state)
{
	static const struct {
		uint8_t flags;
		enum sl_flow_state before, after;
		uint64_t age;
	} replies[] = {
		{ FRAME_ACK, EST, EST, 5 },
		{ FRAME_SYN | FRAME_ACK, NEW, NEW, 5 },
		{ FRAME_FIN | FRAME_ACK, EST, CLO, 5 },
		{ FRAME_RST, EST, CLO, 5 },
		{ FRAME_RST | FRAME_ACK, NEW, CLO, 5 },
		{ FRAME_FIN | FRAME_ACK, EST, CLO, ESTABLISHED },
		/* It may be an earlier flow's, and name another backend: it stays dead. */
		{ FRAME_FIN | FRAME_ACK, EST, EST, DEAD },
		{ FRAME_RST, NEW, NEW, OPENING + 1 },
	};
	const struct track_case c = { .slot = OPEN };
	uint64_t key = world_flow_key(0, CLIENT, PORT);

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		struct entry before = { 3, replies[i].before, replies[i].age };
		struct entry after = before;
		struct frame_spec spec = { .src = INNER + 3, .dst = CLIENT };
		struct sl_packet p;
		struct world w;
		struct frame f;
		uint16_t egress;

		make_world(&w, &c);
		world_add_route(&w, 0, 0, SL_ROUTE_VIA);
		world_publish(&w);
		world_snapshot_all(&w);
		put_entry(&w, key, &before);
		spec.sport = 8080;
		spec.dport = PORT;
		spec.flags = replies[i].flags;
		frame_build(&f, &spec);
		p = (struct sl_packet){ f.bytes, f.bytes + f.length, NULL, f.length, 1, 0 };
		assert_int_equal(world_decide(&w, 1, &p, &egress), SL_REASON_to_client);
		after.state = replies[i].after;
		if (after.state != before.state)
			after.age = 0;
		assert_true(entry_is(&w, key, &after));
		world_free(&w);
	}
}

/* A service whose slots are all closed has no state, whatever arrives. */
static void test_no_state(void **state)
{
	struct track_case c = { .slot = CLOSED };
	struct world w;

	(void)state;
	make_world(&w, &c);
	w.service[0].record.flags = 0;
	world_publish(&w);
	world_snapshot_all(&w);
	assert_int_equal(world_live_service(&w, 0)->flags & SL_SERVICE_LOOKUP, 0);
	for (enum what what = SYN; what <= RST; what++)
		assert_int_equal(one_packet(&w, what), 1);
	assert_null(world_flow_find(&w, world_flow_key(0, CLIENT, PORT)).bucket);
	world_free(&w);
}

/* Nothing is entered from tables that have moved. */
static void test_torn_enters_nothing(void **state)
{
	const struct track_case c = { .slot = OPEN };
	uint64_t key = world_flow_key(0, CLIENT, PORT);
	struct frame_spec spec = { .src = CLIENT, .dst = VIP, .sport = PORT, .dport = 80 };
	struct sl_packet p;
	struct world w;
	struct frame f;
	uint16_t egress;

	(void)state;
	make_world(&w, &c);
	spec.flags = FRAME_SYN;
	frame_build(&f, &spec);
	p = (struct sl_packet){ f.bytes, f.bytes + f.length, NULL, f.length, 0, 0 };
	world_live_bank(&w)->seq += 2;
	assert_int_equal(world_decide(&w, 0, &p, &egress), SL_REASON_torn_table);
	assert_null(world_flow_find(&w, key).bucket);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_reply_ends),
		cmocka_unit_test(test_no_state),
		cmocka_unit_test(test_torn_enters_nothing),
	};

	return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
