/* SPDX-License-Identifier: BSD-2-Clause */
/* Who serves a queue, and what that does to its flows: all schedules of a small machine.
 *
 * A depth-first search over the states of ownership.h, each visited once (known by a hash of 128
 * bits). In every step of every schedule:
 *
 *   - a packet of an established flow goes to the backend that answered its SYN;
 *   - no record of a bank that was being rewritten is followed;
 *   - the owner word goes from one epoch to the next;
 *   - a worker that finds the word its own has put it there itself: XDP took nothing meanwhile;
 *   - when all is quiet, the queue is served: by the worker if one lives, by XDP if none does.
 *
 * The one excuse: of two copies of a SYN that are under way at a change, each may be decided on
 * another side of it. That handshake may have to be tried again.
 *
 * Scenarios are chosen so that each takes seconds: one or two flows, a few packets, up to three
 * changes, up to three mishaps. docs/decisions/ on ownership says what isn't covered.
 *
 *     test_ownership [deep]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ownership.h"

enum { DEPTH = 4000 };

static const struct scenario *scenario;

static void begin(struct state *s)
{
	memset(s, 0, sizeof(*s));
	s->generation = FIRST;
	s->seq[0] = s->seq[1] = 2;
	s->slots[0] = s->extent[0] = 1;
	s->die = scenario->die;
	s->restart = scenario->restart;
	s->look_old = scenario->look_old;
	s->stops = scenario->stop;
	ownership_prepare(s, scenario);
	for (int f = 0; f < FLOWS; f++) {
		for (int k = 0; k < KINDS; k++)
			s->flow[f].left[k] = scenario->flow[f].count[k];
		s->flow[f].backend = scenario->flow[f].established;
		s->flow[f].began = s->flow[f].backend ? FIRST : 0;
	}
	if (scenario->no_worker)
		return;
	s->actor[WORKER].op = TURN;
	s->queue.owner = s->actor[WORKER].mine = sl_queue_owner(0, 1);
	s->taker = WORKER;
	s->futex = WORKER_TID;
	s->socket = 1;
}

static bool can_publish(const struct state *s)
{
	if (s->actor[CONTROL].op == PUBLISH)
		return true;
	if (s->published == PUBLISHES || !scenario->slot[s->published + 1].cur)
		return false;
	if (!scenario->settle ||
	    (s->published + 1 < PUBLISHES && scenario->slot[s->published + 2].cur))
		return true;
	/* The window is over: whoever was silent since it opened isn't promised anything. */
	for (int f = 0; f < FLOWS; f++)
		if (s->flow[f].began && s->flow[f].heard <= FIRST)
			return false;
	return true;
}

static bool can_arrive(const struct state *s, int which)
{
	int cpu = CPU0 + which / (FLOWS * KINDS), f = which / KINDS % FLOWS, kind = which % KINDS;

	if (cpu - CPU0 >= scenario->cpus || !s->flow[f].left[kind])
		return false;
	/* The CPUs are alike: the second is needed only while the first is busy. */
	if (s->actor[cpu].op != NONE || (cpu == CPU1 && s->actor[CPU0].op == NONE))
		return false;
	if (kind == SYN)
		return scenario->flow[f].late_syn && s->flow[f].began ? s->flow[f].backend
								      : !s->flow[f].backend;
	return s->flow[f].backend;
}

static bool enabled(const struct state *s, int action)
{
	bool runs = s->actor[WORKER].op != NONE;

	if (action >= ARRIVE)
		return can_arrive(s, action - ARRIVE);
	switch (action) {
	case STEP + WORKER:
	case STEP + CPU0:
	case STEP + CPU1:
		return s->actor[action - STEP].op != NONE;
	case STEP + CONTROL:
		return can_publish(s);
	case DIE:
		return runs && s->die;
	case CLOSE:
		return !runs && s->socket;
	case RESTART:
		return !runs && s->restart;
	case LOOK_OLD:
		return runs && s->look_old && !ownership_looks_old(s);
	case STOP:
		return runs && s->stops && !s->stop;
	}
	return false;
}

static void close_socket(struct state *s)
{
	for (int i = 0; i < RING; i++)
		ownership_outcome.ring_lost += s->ring[i] != 0;
	memset(s->ring, 0, sizeof(s->ring));
	s->socket = 0;
}

static void arrive(struct state *s, int which)
{
	struct actor *cpu = &s->actor[CPU0 + which / (FLOWS * KINDS)];
	int f = which / KINDS % FLOWS, kind = which % KINDS;

	s->flow[f].left[kind]--;
	if (kind == SYN && !s->flow[f].backend)
		s->flow[f].copies++;
	if (kind == SYN && !s->flow[f].began)
		s->flow[f].began = (uint8_t)s->generation;
	cpu->op = XDP;
	cpu->packet = (uint8_t)(which % (FLOWS * KINDS));
}

static void act(struct state *s, int action)
{
	struct actor *worker = &s->actor[WORKER];

	if (action >= ARRIVE) {
		arrive(s, action - ARRIVE);
		return;
	}
	switch (action) {
	case DIE: /* what it was about to store is never stored */
		*worker = (struct actor){ .op = NONE };
		s->futex |= SL_LIVENESS_DIED;
		s->stop = 0;
		s->die--;
		return;
	case CLOSE:
		close_socket(s);
		return;
	case RESTART:
		close_socket(s);
		s->socket = 1;
		s->stop = 0;
		worker->op = BEGIN;
		s->restart--;
		return;
	case LOOK_OLD:
		ownership_look_old(s);
		s->look_old--;
		return;
	case STOP:
		s->stop = 1;
		s->stops--;
		return;
	default:
		if (action == STEP + CONTROL)
			s->actor[CONTROL].op = PUBLISH;
		ownership_run(s, action - STEP);
	}
}

/* Nothing is under way and nothing is to come but the worker's idle turns. */
static bool is_quiet(const struct state *s)
{
	const struct actor *w = &s->actor[WORKER];

	for (int action = 0; action < ACTIONS; action++)
		if (action != STEP + WORKER && action != LOOK_OLD && enabled(s, action))
			return false;
	return (w->op == NONE || (w->op == TURN && !w->n)) && !s->ring[0] && !s->stop;
}

static const char *check_quiet(const struct state *quiet)
{
	struct state s = *quiet;
	struct actor *w = &s.actor[WORKER];

	if (w->op == NONE)
		return (uint32_t)s.queue.owner && s.futex & SL_LIVENESS_TID &&
				       !(s.futex & SL_LIVENESS_DIED)
			       ? "the queue is lost to a worker that is no more"
			       : NULL;
	for (int turns = 0; turns < 2; turns++)
		do
			ownership_run(&s, WORKER);
		while (w->op != TURN || w->n);
	return s.queue.owner == w->mine && (uint32_t)s.queue.owner == 1
		       ? NULL
		       : "a worker lives, and the queue isn't its own";
}

/* States that were seen */

struct seen {
	uint64_t (*at)[2];
	size_t n, room;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	__uint128_t m = (__uint128_t)(h ^ v) * 0x9fb21c651e98df25ull;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static void hash_state(const struct state *s, uint64_t h[2])
{
	/* Of the queue only the word counts: the rest is told, not decided by. */
	const uint64_t *from = &s->futex, *end = (const uint64_t *)(const void *)(s + 1);

	h[0] = mix(0x243f6a8885a308d3ull, s->queue.owner);
	h[1] = mix(0x13198a2e03707344ull, s->queue.owner);
	for (; from < end; from++) {
		h[0] = mix(h[0] + 1, *from);
		h[1] = mix(h[1], *from + 0x9e3779b97f4a7c15ull);
	}
	for (int p = 0; p < PARTIES; p++) {
		const struct actor *a = &s->actor[p];
		uint64_t head[4] = { a->op | a->packet << 8 | a->backend << 16 |
					     (uint64_t)a->ending << 24 | (uint64_t)a->n << 32,
				     a->mine, a->generation, a->seq };

		for (int i = 0; i < 4; i++) {
			h[0] = mix(h[0] + 1, head[i]);
			h[1] = mix(h[1], head[i] + 0x9e3779b97f4a7c15ull);
		}
		for (int i = 0; i < a->n; i++) {
			h[0] = mix(h[0] + 1, a->log[i]);
			h[1] = mix(h[1], a->log[i] + 0x9e3779b97f4a7c15ull);
		}
	}
	h[0] |= 1; /* 0 is an empty place */
}

static bool enter(struct seen *seen, const uint64_t h[2])
{
	size_t i = h[1] & (seen->room - 1);

	for (; seen->at[i][0]; i = (i + 1) & (seen->room - 1))
		if (seen->at[i][0] == h[0] && seen->at[i][1] == h[1])
			return false;
	seen->at[i][0] = h[0];
	seen->at[i][1] = h[1];
	seen->n++;
	return true;
}

static void grow(struct seen *seen)
{
	struct seen old = *seen;

	seen->room = old.room ? 2 * old.room : 1 << 16;
	seen->n = 0;
	seen->at = calloc(seen->room, sizeof(*seen->at));
	assert_non_null(seen->at);
	for (size_t i = 0; i < old.room; i++)
		if (old.at[i][0])
			enter(seen, old.at[i]);
	free(old.at);
}

static bool is_new(struct seen *seen, const struct state *s)
{
	uint64_t h[2];

	hash_state(s, h);
	if (seen->n * 2 >= seen->room)
		grow(seen);
	return enter(seen, h);
}

/* The search */

struct frame {
	struct state state;
	int action; /* the next to be tried */
};

static void tell(const struct frame *stack, size_t depth)
{
	static const char *const names[] = { "worker", "cpu 0",	   "cpu 1",	"control",   "dies",
					     "closes", "restarts", "looks old", "is stopped" };
	static const char *const kinds[] = { "?", "SYN", "DATA", "FIN" };

	ownership_tells = true;
	for (size_t i = 0; i <= depth; i++) {
		struct state s = stack[i].state;
		int action = stack[i].action - 1;

		ownership_told[0] = '\0';
		act(&s, action);
		if (action >= ARRIVE)
			fprintf(stderr, "%4zu cpu %d: %s of flow %d arrives\n", i,
				(action - ARRIVE) / (FLOWS * KINDS),
				kinds[(action - ARRIVE) % KINDS],
				(action - ARRIVE) / KINDS % FLOWS + 1);
		else
			fprintf(stderr, "%4zu %s %s\n", i, names[action], ownership_told);
	}
	fprintf(stderr, "%s: %s\n", scenario->name, ownership_broken);
}

/* What broke, with its story if that is asked for, or NULL. */
static const char *search(uint64_t *states, bool story)
{
	struct frame *stack = calloc(DEPTH, sizeof(*stack));
	struct seen seen = { 0 };
	size_t depth = 0, deepest = 0;
	bool more = true;

	assert_non_null(stack);
	begin(&stack[0].state);
	is_new(&seen, &stack[0].state);
	while (more && !ownership_broken) {
		struct frame *f = &stack[depth], *next = f + 1;
		int action = f->action++;

		if (action == ACTIONS) {
			more = depth-- > 0;
			continue;
		}
		if (!enabled(&f->state, action))
			continue;
		next->state = f->state;
		next->action = 0;
		act(&next->state, action);
		if (!ownership_broken && is_quiet(&next->state))
			ownership_broken = check_quiet(&next->state);
		if (!ownership_broken && is_new(&seen, &next->state) && ++depth > deepest)
			deepest = depth;
		assert_true(depth + 1 < DEPTH);
	}
	if (ownership_broken && story)
		tell(stack, depth);
	printf("%-43s %8zu states, %3zu deep:", scenario->name, seen.n, deepest);
	*states += seen.n;
	free(stack);
	free(seen.at);
	return ownership_broken;
}

static bool deep;

static void test_scenarios(void **state)
{
	struct outcome *o = &ownership_outcome;
	uint64_t states = 0;

	(void)state;
	for (size_t i = 0; ownership_scenarios[i].name; i++) {
		const char *broken;

		scenario = &ownership_scenarios[i];
		if (scenario->deep && !deep)
			continue;
		*o = (struct outcome){ 0 };
		broken = search(&states, true);
		if (broken)
			fail_msg("%s: %s", scenario->name, broken);
		printf(" sent %" PRIu64 ", stale %" PRIu64 ", lost in the ring %" PRIu64
		       ", torn %" PRIu64 ", decided again %" PRIu64 ", no backend %" PRIu64
		       ", handshakes again %" PRIu64 "\n",
		       o->sent, o->stale, o->ring_lost + o->ring_full, o->torn, o->restarted,
		       o->no_backend, o->again);
		fflush(stdout);
	}
	printf("%" PRIu64 " states%s\n", states,
	       deep ? "" : "; `test_ownership deep` searches the larger scenarios too");
}

/* The model can fail: a worker that looks at the tables before it receives breaks a connection. */
static void test_look_comes_last(void **state)
{
	uint64_t states = 0;

	(void)state;
	scenario = &ownership_scenarios[0];
	ownership_looks_early = true;
	assert_non_null(search(&states, false));
	ownership_looks_early = false;
	ownership_broken = NULL;
	printf("\n");
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look_comes_last),
		cmocka_unit_test(test_scenarios),
	};

	deep = argc > 1 && !strcmp(argv[1], "deep");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
