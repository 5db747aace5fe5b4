/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine of ownership.h: its memory, and the programs of its parties.
 *
 * Steps are sequentially consistent. x86 is weaker (a load may overtake an older store to another
 * word), which matters only between a store and a load that depend on each other across parties.
 * All such pairs here have a compare-and-swap or a full fence in between.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ownership.h"

#include "ownership_seam.h"

/* Steps */

struct outcome ownership_outcome;
const char *ownership_broken;
bool ownership_looks_early;
bool ownership_tells;
char ownership_told[128];

static struct actor *me;
static jmp_buf out;
static uint8_t replayed;
static bool stepped;

static void hold_true(bool promise, const char *text)
{
	if (!promise && !ownership_broken)
		ownership_broken = text;
}

static void swap_owner(uint64_t old, uint64_t new)
{
	hold_true(new >> 32 == (old >> 32) + 1, "an epoch was skipped or given out twice");
	m->taker = (uint8_t)self;
}

static uint64_t pop(void)
{
	uint8_t packet = m->ring[0];

	memmove(m->ring, m->ring + 1, RING - 1);
	m->ring[RING - 1] = 0;
	return packet;
}

static void push(uint8_t packet)
{
	if (!m->socket) {
		ownership_outcome.ring_lost++;
		return;
	}
	for (int i = 0; i < RING; i++) {
		if (!m->ring[i]) {
			m->ring[i] = packet;
			return;
		}
	}
	ownership_outcome.ring_full++;
}

/* The packet leaves for a backend, decided by the tables of that generation. */
static void wire(uint8_t packet, uint8_t backend, uint8_t generation)
{
	uint8_t flow = packet / KINDS, kind = packet % KINDS;

	ownership_outcome.sent++;
	hold_true(backend != POISON, "a torn record was followed");
	if (!m->flow[flow].backend)
		m->flow[flow].backend = backend;
	if (backend != m->flow[flow].backend) {
		hold_true(m->flow[flow].copies > 1 && m->flow[flow].began != m->generation,
			  kind == SYN ? "copies of a SYN went to two backends"
				      : "a packet of an established flow went to another backend");
		ownership_outcome.again++;
	}
	if (generation > m->flow[flow].heard)
		m->flow[flow].heard = generation;
}

static uint64_t perform(enum access what, uint64_t *at, uint64_t a, uint64_t b)
{
	uint64_t old = at ? *at : 0;

	switch (what) {
	case LOAD:
		if (self == WORKER && me->op == SEND && at == &m->queue.owner && old == me->mine)
			hold_true(m->taker == WORKER,
				  "the worker transmits from a queue that XDP took");
		return old;
	case STORE:
		*at = a;
		return 0;
	case SWAP:
		if (old == a) {
			*at = b;
			if (at == &m->queue.owner)
				swap_owner(a, b);
		}
		return old;
	case POP:
		return pop();
	case PUSH:
		push((uint8_t)a);
		return 0;
	case WIRE:
		wire((uint8_t)a, (uint8_t)b, (uint8_t)(b >> 8));
		return 0;
	}
	abort();
}

static uint64_t step(enum access what, uint64_t *at, uint64_t a, uint64_t b)
{
	static const char *const verbs[] = { "load", "store", "swap", "receive", "push", "send" };
	uint64_t value;

	if (at == &seen_queue.owner)
		at = &m->queue.owner;
	if (replayed < me->n)
		return me->log[replayed++];
	if (stepped)
		longjmp(out, 1);
	stepped = true;
	value = perform(what, at, a, b);
	if (ownership_tells)
		snprintf(ownership_told, sizeof(ownership_told), "%s +%td: %llx, %llx -> %llx",
			 verbs[what], at ? (char *)at - (char *)m : -1, (unsigned long long)a,
			 (unsigned long long)b, (unsigned long long)value);
	if (me->n == LOG) {
		fprintf(stderr, "an operation of more than %d accesses: LOG\n", LOG);
		abort();
	}
	me->log[me->n++] = value;
	replayed = me->n;
	return value;
}

/* Programs. What comes after the last access of an operation runs once; what comes before runs
 * again and again. */

static void become(enum op op)
{
	memset(me->log, 0, sizeof(me->log[0]) * me->n);
	me->n = 0;
	me->op = (uint8_t)op;
}

/* The service's record, in two pieces that may be of different generations. */
static struct sl_service classify(const struct sl_tables *t)
{
	struct sl_service s = { .id = 1, .n_backends = BACKENDS, .flags = SL_SERVICE_LOOKUP };

	s.slots = (uint32_t)step(LOAD, &m->slots[t->generation & 1], 0, 0);
	s.backends = (uint32_t)step(LOAD, &m->extent[t->generation & 1], 0, 0) * BACKENDS;
	return s;
}

enum { NO_BACKEND = 0, TORN = -1 };

/* A packet of the fast path, as far as backends are concerned (engine/fast_path.h). */
static uint32_t route_fast(const struct sl_tables *t, const struct sl_lookup *w, uint64_t key,
			   uint8_t flags)
{
	struct sl_flow_query query =
		sl_flow_query_of(t, w->service, w, key, w->service->flags, false);
	const uint32_t *slot =
		sl_seam_slot(t, (uint64_t)w->service->slots * SL_SLOTS_PER_BLOCK + w->at);
	const struct sl_flow_timeouts *timeouts = sl_seam_timeouts(t, sl_flow_key_service(key));
	struct sl_flow_at entry;
	uint32_t backend;

	query.slot = *slot;
	query.event = (uint8_t)sl_event_of(flags);
	query.now = sl_seam_now(t);
	if (sl_slot_state(query.slot) == SL_SLOT_CLOSED && !query.track_all)
		return sl_slot_cur(query.slot);
	entry = sl_track_find(t, &query, false);
	if (!entry.bucket)
		entry = sl_track_find(t, &query, true);
	if (!entry.bucket || query.event == SL_EVENT_BEGIN)
		return 0;
	if (query.event != SL_EVENT_DATA ||
	    !sl_track_needs_no_update(entry.value, timeouts, query.now))
		return sl_flow_alive(entry.value, timeouts, query.now)
			       ? sl_track_hit(t, &query, timeouts, &entry)
			       : 0;
	backend = sl_flow_backend(entry.value);
	return sl_backend_flags(t, &query, backend) & SL_BACKEND_SERVES ? backend : 0;
}

/* sl_route_service() as far as backends are concerned; a worker tries the fast path first. */
static int route(const struct sl_tables *t, const struct sl_service *s, uint8_t packet, bool steady)
{
	static const uint8_t flags[KINDS] = { [SYN] = SL_TCP_SYN, [FIN] = SL_TCP_FIN };
	uint64_t key = flow_key[packet / KINDS];
	struct sl_lookup w = { .service = s, .hash = sl_hash_flow(key, the_root.flow_key) };
	struct sl_ip4 ip = { .src = (sl_be32)(key >> 16) };
	struct sl_policer_query unlimited = { .n_limits = 0 };
	enum sl_policer_verdict verdict = SL_POLICER_PASS;
	uint32_t backend = 0;

	if (steady)
		backend = route_fast(t, &w, key, flags[packet % KINDS]);
	if (!backend)
		backend = sl_route_pick(t, &w, &ip, (sl_be16)key, s->flags,
					(uint8_t)sl_event_of(flags[packet % KINDS]), &unlimited, 0,
					&verdict, false, SL_VARIANT_PLAIN);
	if (!sl_seam_current(t))
		return TORN;
	return backend && backend <= s->n_backends ? (int)backend : NO_BACKEND;
}

static void worker_begin(void)
{
	struct sl_hold h = { .queue = &m->queue };

	step(STORE, &m->heartbeat, FRESH, 0);
	step(STORE, &m->futex, WORKER_TID, 0);
	sl_hold_swap(&h, 1, SL_HANDOVER_STARTED);
	me->mine = h.mine;
	become(TURN);
}

/* The snapshot is taken after the receive, never before: another engine may have decided an earlier
 * packet of the flow by newer tables. A turn without packets takes one too, which doesn't matter
 * here. */
static void worker_serve(const struct sl_tables *early, uint64_t packet, enum op idle)
{
	me->packet = (uint8_t)packet;
	me->generation = packet ? early->generation : 0;
	me->seq = packet ? early->seq : 0;
	become(packet ? DECIDE : idle);
}

static void worker_turn(void)
{
	struct sl_hold h = { .queue = &m->queue, .mine = me->mine };
	struct sl_tables early = { 0 };
	uint64_t packet, stale = 0;

	if (step(LOAD, &m->stop, 0, 0)) {
		become(END);
		return;
	}
	if (ownership_looks_early)
		look(&early);
	if (!sl_hold_is_ours(&h)) {
		step(STORE, &m->heartbeat, FRESH, 0);
		while (step(POP, NULL, 0, 0))
			stale++;
		sl_hold_swap(&h, 1, SL_HANDOVER_WOKE);
	}
	packet = step(POP, NULL, 0, 0);
	if (!packet)
		step(STORE, &m->heartbeat, FRESH,
		     0); /* at some time, not necessarily in every turn */
	ownership_outcome.stale += stale;
	me->mine = h.mine;
	worker_serve(&early, packet, TURN);
}

static void worker_decide(void)
{
	struct sl_tables t = { me->generation, me->seq, TICKS };
	struct sl_service s;
	bool again;
	int backend;

	if (!ownership_looks_early)
		look(&t);
	s = classify(&t);
	backend = route(&t, &s, me->packet, true);
	again = backend == TORN;
	if (again) {
		look(&t);
		s = classify(&t);
		backend = route(&t, &s, me->packet, false);
	}
	ownership_outcome.restarted += again;
	ownership_outcome.torn += backend == TORN;
	ownership_outcome.no_backend += backend == NO_BACKEND;
	me->backend = backend > 0 ? (uint8_t)backend : 0;
	me->generation = backend > 0 ? t.generation : 0;
	me->seq = 0;
	if (backend <= 0)
		me->packet = 0;
	become(backend > 0 ? SEND : me->ending ? DRAIN : TURN);
}

static void worker_send(void)
{
	struct sl_hold h = { .queue = &m->queue, .mine = me->mine };
	bool ours = sl_hold_is_ours(&h);

	if (ours)
		step(WIRE, NULL, me->packet, me->generation << 8 | me->backend);
	ownership_outcome.stale += !ours;
	me->packet = me->backend = 0;
	me->generation = 0;
	become(me->ending ? DRAIN : TURN);
}

static void worker_end(void)
{
	struct sl_hold h = { .queue = &m->queue, .mine = me->mine };

	sl_hold_swap(&h, 0, SL_HANDOVER_STOPPED);
	me->mine = h.mine;
	me->ending = 1;
	become(DRAIN);
}

static void worker_drain(void)
{
	struct sl_tables early = { 0 };
	uint64_t packet = step(POP, NULL, 0, 0);

	if (!packet)
		step(STORE, &m->futex, 0, 0);
	worker_serve(&early, packet, NONE);
	if (!packet)
		*me = (struct actor){ .op = NONE };
}

static void end_packet(uint64_t *counter)
{
	if (counter)
		++*counter;
	me->packet = 0;
	become(NONE);
}

/* xsk_def_prog(). */
static void xdp(void)
{
	struct sl_tables t = { .now = TICKS - 4 };
	struct sl_service s;
	int backend;

	look(&t);
	s = classify(&t);
	if (!sl_seam_current(&t)) {
		end_packet(&ownership_outcome.torn);
		return;
	}
	if (sl_owner_serves(0, 0) && step(LOAD, &m->socket, 0, 0)) {
		step(PUSH, NULL, me->packet, 0);
		end_packet(NULL);
		return;
	}
	backend = route(&t, &s, me->packet, false);
	if (backend > 0)
		step(WIRE, NULL, me->packet, t.generation << 8 | (uint64_t)backend);
	end_packet(backend == TORN	   ? &ownership_outcome.torn
		   : backend == NO_BACKEND ? &ownership_outcome.no_backend
					   : NULL);
}

/* sl_publish(): rewrites the idle bank while its sequence word is odd, then commits by one
 * store. */
static void publish(void)
{
	uint64_t generation = FIRST + m->published + 1ull, seq;
	uint32_t bank = generation & 1;

	seq = step(LOAD, &m->seq[bank], 0, 0);
	step(STORE, &m->seq[bank], seq | 1, 0);
	step(STORE, &m->slots[bank], 0, 0); /* cleared first; extent 0 leads to POISON */
	step(STORE, &m->extent[bank], generation - FIRST + 1, 0);
	step(STORE, &m->slots[bank], generation - FIRST + 1, 0);
	step(STORE, &m->seq[bank], (seq | 1) + 1, 0);
	step(STORE, &m->generation, generation, 0);
	m->published++;
	become(NONE);
}

void ownership_run(struct state *s, int party)
{
	static void (*const program[])(void) = {
		[BEGIN] = worker_begin,
		[TURN] = worker_turn,
		[DECIDE] = worker_decide,
		[SEND] = worker_send,
		[END] = worker_end,
		[DRAIN] = worker_drain,
		[XDP] = xdp,
		[PUBLISH] = publish,
	};

	m = s;
	self = party;
	me = &s->actor[party];
	stepped = false;
	replayed = 0;
	if (!setjmp(out))
		program[me->op]();
}

/* A flow of the service that has these two buckets. */
static uint64_t find_key(uint16_t service, uint32_t first, uint32_t second, uint32_t *next)
{
	for (;; ++*next) {
		uint64_t key = sl_flow_key(service, *next * 7919ull + 1);
		uint64_t hash = sl_hash_flow(key, the_root.flow_key);

		if (sl_hash_bucket(hash, BUCKETS) == first &&
		    sl_hash_bucket2(hash, BUCKETS, the_root.flow_key) == second) {
			++*next;
			return key;
		}
	}
}

/* Flow 1 has buckets 0 and 1, flow 2 has 0 and 2, in either order. When 0 and 1 are full, the entry
 * of flow 2 is the one that can move to another bucket. */
static void fill_buckets(struct state *s, const struct scenario *sc)
{
	uint32_t next = 1;

	flow_key[0] = find_key(1, 0, 1, &next);
	flow_key[1] = find_key(1, sc->full == FULL_SECOND ? 2 : 0, sc->full == FULL_SECOND ? 0 : 2,
			       &next);
	for (uint32_t i = 0; sc->full && i < 2 * SL_FLOW_WAYS; i++) {
		struct sl_bucket *b = &s->bucket[i / SL_FLOW_WAYS];

		b->key[i % SL_FLOW_WAYS] =
			find_key(2, i / SL_FLOW_WAYS, i / SL_FLOW_WAYS ^ 1, &next);
		b->value[i % SL_FLOW_WAYS] = sl_flow_value(1, SL_FLOW_ESTABLISHED, TICKS);
	}
	if (sc->full) {
		s->bucket[0].key[0] = flow_key[1];
		s->bucket[0].value[0] =
			sl_flow_value(sc->flow[1].established, SL_FLOW_ESTABLISHED, TICKS);
	}
}

void ownership_prepare(struct state *s, const struct scenario *sc)
{
	for (uint32_t e = 0; e < PUBLISHES + 2; e++) {
		for (uint32_t i = 0; i < SL_SLOTS_PER_BLOCK; i++)
			blocks[e].slot[i] = e ? sl_slot(sc->slot[e - 1].cur, sc->slot[e - 1].prev,
							sc->slot[e - 1].state)
					      : sl_slot(POISON, POISON, SL_SLOT_OPEN);
		for (uint32_t b = 0; b < BACKENDS; b++) {
			uint16_t flags = e ? sc->flags[e - 1][b] : 0;

			backends[e * BACKENDS + b].flags =
				flags ? flags : SL_BACKEND_SERVES | SL_BACKEND_TAKES_NEW;
		}
	}
	s->heartbeat = FRESH;
	fill_buckets(s, sc);
}

void ownership_look_old(struct state *s)
{
	s->heartbeat = OLD;
}

bool ownership_looks_old(const struct state *s)
{
	return s->heartbeat == OLD;
}
