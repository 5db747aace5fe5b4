/* SPDX-License-Identifier: BSD-2-Clause */
/* control/model/rows.c: what each call makes of one slot, as tables; then the promise itself,
 * against flows that are routed by a model of core/route.h while slots move, close, settle, grow
 * and shrink. All times lie around the wrap of 32 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../control/model/rows.h"

/* sl_slot(), as constants that tables can hold. */
#define C(cur)	     ((uint32_t)(cur))
#define O(cur, prev) ((uint32_t)(cur) | (prev) << 14 | 1u << 28)
#define M(cur)	     ((uint32_t)(cur) | 2u << 28)

#define NOW  0x40u /* shortly after the wrap */
#define THEN 0xffffff00u
#define AGE  (NOW - THEN)

static void test_move(void **state)
{
	static const struct {
		uint32_t slot, cur, want;
		bool opens;
	} t[] = {
		{ C(1), 1, C(1), false },
		{ C(1), 2, O(2, 1), true },
		{ C(1), 0, O(0, 1), true },
		{ C(0), 2, C(2), false },
		{ C(0), 0, C(0), false },
		{ O(2, 1), 2, O(2, 1), false },
		{ O(2, 1), 3, O(3, 1), false },
		{ O(2, 1), 1, O(1, 1), false }, /* and back: 2 has entries */
		{ O(0, 1), 3, O(3, 1), false },
		{ O(2, 1), 0, O(0, 1), false },
		{ M(1), 1, M(1), false },
		{ M(1), 2, O(2, 1), true },
		{ M(1), 0, O(0, 1), true },
		{ M(0), 2, M(2), false }, /* entries of drained backends stand */
		{ C(16383), 16382, O(16382, 16383), true },
	};

	(void)state;
	assert_int_equal(O(2, 1), sl_slot(2, 1, SL_SLOT_OPEN));
	assert_int_equal(M(2), sl_slot(2, 0, SL_SLOT_MIXED));
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		uint32_t slot = t[i].slot, opened = THEN;
		uint32_t count = sl_slots_move(&slot, &opened, 1, &t[i].cur, NOW);

		if (slot != t[i].want || opened != (t[i].opens ? NOW : THEN) ||
		    count != (sl_slot_cur(t[i].slot) != t[i].cur))
			fail_msg("case %zu: %08x, opened %08x, count %u", i, slot, opened, count);
	}
}

static void test_close(void **state)
{
	static const struct {
		uint32_t slot, opened, window;
		bool hold;
		uint32_t want;
	} t[] = {
		{ O(2, 1), THEN, AGE, false, M(2) },
		{ O(2, 1), THEN, AGE + 1, false, O(2, 1) },
		{ O(2, 1), THEN, AGE, true, O(2, 1) },
		{ O(0, 1), THEN, AGE, false, M(0) },
		{ O(2, 1), NOW, 0, false, M(2) },
		{ O(2, 1), NOW + 1, 0, false, O(2, 1) }, /* of a clock that ran ahead */
		{ C(1), THEN, 0, false, C(1) },
		{ M(1), THEN, 0, false, M(1) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		uint32_t slot = t[i].slot;
		uint32_t count =
			sl_slots_close(&slot, &t[i].opened, 1, NOW, t[i].window, t[i].hold);

		if (slot != t[i].want || count != (slot != t[i].slot))
			fail_msg("case %zu: %08x, count %u", i, slot, count);
	}
}

static void test_settle(void **state)
{
	uint32_t slot[70];
	uint64_t disagree[2] = { 1, 1ull << 5 };

	(void)state;
	for (uint32_t i = 0; i < 70; i++)
		slot[i] = i < 68 ? M(i) : O(i, 1);
	slot[1] = C(1);
	assert_int_equal(sl_slots_reconcile(slot, 70, disagree), 68 - 2);
	for (uint32_t i = 2; i < 68; i++)
		assert_int_equal(slot[i], C(i));
	assert_int_equal(slot[0], M(0));
	assert_int_equal(slot[1], C(1));
	assert_int_equal(slot[69], O(69, 1));
	slot[69] = M(69);
	assert_int_equal(sl_slots_reconcile(slot, 70, disagree), 0);
}

static void test_count_and_name(void **state)
{
	uint32_t slot[] = { C(1), O(2, 3), M(4), O(5, 0), O(6, 7) };
	uint32_t opened[] = { 0x80000000, 7, 0xf0000000, THEN, THEN + 1 };
	struct sl_slots_count count = sl_slots_count(slot, opened, 5);

	(void)state;
	assert_int_equal(count.open, 3);
	assert_int_equal(count.mixed, 1);
	assert_int_equal(count.earliest_ms, THEN);
	count = sl_slots_count(slot, opened, 1);
	assert_int_equal(count.open + count.mixed + count.earliest_ms, 0);
	for (uint32_t number = 1; number < 10; number++)
		assert_int_equal(sl_slots_name(slot, 5, number), number <= 7);
	slot[0] = C(1) | 9 << 14; /* prev means something only while open */
	assert_false(sl_slots_name(slot, 5, 9));
}

static void test_grow(void **state)
{
	uint32_t slot[] = { C(1), O(2, 1), M(3), C(0) }, opened[] = { 9, 8, 7, 6 };
	uint32_t to[16], to_opened[16];

	(void)state;
	for (uint32_t to_n = 4; to_n <= 16; to_n *= 2) {
		assert_int_equal(sl_slots_resize(slot, opened, 4, to, to_opened, to_n, false, NOW),
				 0);
		for (uint32_t i = 0; i < to_n; i++) {
			assert_int_equal(to[i], slot[i & 3]);
			assert_int_equal(to_opened[i], opened[i & 3]);
		}
	}
	assert_int_equal(sl_slots_resize(slot, opened, 4, to, to_opened, 12, false, NOW), -EINVAL);
	assert_int_equal(sl_slots_resize(slot, opened, 3, to, to_opened, 4, false, NOW), -EINVAL);
	assert_int_equal(sl_slots_resize(slot, opened, 4, to, to_opened, 0, true, NOW), -EINVAL);
}

/* Two slots become one. want_opened 0: of no interest. */
static void test_shrink(void **state)
{
	static const struct {
		uint32_t slot[2], opened[2];
		bool tracked;
		int err;
		uint32_t want, want_opened;
	} t[] = {
		{ { C(1), C(1) }, { 0, 0 }, false, 0, C(1), 0 },
		{ { C(1), C(2) }, { 0, 0 }, false, -EBUSY, 0, 0 },
		{ { C(1), C(2) }, { 0, 0 }, true, 0, M(1), 0 },
		{ { C(0), C(2) }, { 0, 0 }, false, 0, C(2), 0 },
		{ { C(1), M(1) }, { 0, 0 }, false, 0, M(1), 0 },
		{ { M(0), C(1) }, { 0, 0 }, false, 0, M(1), 0 },
		{ { M(2), M(2) }, { 0, 0 }, false, 0, M(2), 0 },
		{ { M(2), M(1) }, { 0, 0 }, false, -EBUSY, 0, 0 },
		{ { O(2, 1), O(2, 1) }, { 3, THEN }, false, 0, O(2, 1), 3 },
		{ { O(2, 1), O(2, 1) }, { THEN, 3 }, true, 0, O(2, 1), 3 },
		{ { O(2, 1), O(3, 1) }, { THEN, 3 }, false, 0, O(2, 1), NOW },
		{ { O(2, 1), C(1) }, { 3, THEN }, false, 0, O(2, 1), NOW },
		{ { C(1), O(2, 1) }, { 3, THEN }, false, 0, O(2, 1), NOW },
		{ { M(1), O(2, 1) }, { 3, THEN }, false, 0, O(2, 1), NOW },
		{ { C(0), O(2, 1) }, { 3, THEN }, false, 0, O(2, 1), NOW },
		{ { C(2), O(2, 1) }, { 3, THEN }, false, -EBUSY, 0, 0 },
		{ { O(2, 1), O(2, 3) }, { 3, 3 }, false, -EBUSY, 0, 0 },
		{ { O(2, 1), O(2, 3) }, { 3, 3 }, true, 0, M(2), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		uint32_t slot = 0, opened = 0;
		int err = sl_slots_resize(t[i].slot, t[i].opened, 2, &slot, &opened, 1,
					  t[i].tracked, NOW);

		if (err != t[i].err || slot != t[i].want ||
		    (t[i].want_opened && opened != t[i].want_opened))
			fail_msg("case %zu: %d, %08x, opened %08x", i, err, slot, opened);
	}
}

/* The promise. Flows talk through slots; an entry is alive for WINDOW after it was last used. */

#define WINDOW	 100u
#define FLOWS	 400
#define ROWS_MAX 128
#define BACKENDS 3

struct flow {
	uint32_t hash;
	uint32_t backend; /* 0: not begun, or over */
	uint32_t last_ms;
	uint32_t entry; /* a backend, or 0 */
	uint32_t entry_ms;
};

struct world {
	uint64_t random;
	uint32_t now_ms;
	uint32_t n;
	uint32_t slot[ROWS_MAX], opened_ms[ROWS_MAX];
	bool track;
	uint32_t track_since_ms;
	struct flow flow[FLOWS];
	unsigned int packets, moves, closed, settled, grown, shrunk, busy;
};

static uint32_t draw(struct world *w, uint32_t below)
{
	uint64_t x = w->random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((x >> 32) * below >> 32);
}

static bool entered(const struct world *w, const struct flow *f)
{
	return f->entry && w->now_ms - f->entry_ms <= WINDOW;
}

/* Where a packet goes: dataplane/core/route.h, where every backend serves and there is room. */
static uint32_t model_route(const struct world *w, struct flow *f, bool begins)
{
	uint32_t slot = w->slot[f->hash & (w->n - 1)], to = sl_slot_cur(slot);
	bool open = sl_slot_state(slot) == SL_SLOT_OPEN;

	if (sl_slot_state(slot) == SL_SLOT_CLOSED && !w->track)
		return to;
	if (entered(w, f)) {
		f->entry_ms = w->now_ms;
		return f->entry;
	}
	if (open && !begins && sl_slot_prev(slot))
		to = sl_slot_prev(slot);
	f->entry = open || w->track ? to : 0;
	f->entry_ms = w->now_ms;
	return to;
}

static void talk(struct world *w)
{
	struct flow *f = &w->flow[draw(w, FLOWS)];

	if (!f->backend || w->now_ms - f->last_ms >= WINDOW) {
		if (entered(w, f))
			return; /* a reused port is another story */
		f->hash = draw(w, UINT32_MAX);
		f->backend = model_route(w, f, true);
	} else {
		uint32_t to = model_route(w, f, false);

		if (to != f->backend)
			fail_msg("packet %u: a flow of %u went to %u", w->packets, f->backend, to);
	}
	f->last_ms = w->now_ms;
	w->packets++;
}

static void move(struct world *w)
{
	uint32_t cur[ROWS_MAX], some = draw(w, 4), all = draw(w, BACKENDS + 1);

	for (uint32_t i = 0; i < w->n; i++) {
		cur[i] = sl_slot_cur(w->slot[i]);
		if (some == 0)
			cur[i] = all; /* 0 among them: everything drained */
		else if (some == 1 || draw(w, 8) == 0)
			cur[i] = 1 + draw(w, BACKENDS);
	}
	w->moves += sl_slots_move(w->slot, w->opened_ms, w->n, cur, w->now_ms);
}

static void sweep(struct world *w)
{
	uint64_t disagree[ROWS_MAX / 64] = { 0 };

	for (int i = 0; i < FLOWS; i++) {
		uint32_t at = w->flow[i].hash & (w->n - 1);

		if (entered(w, &w->flow[i]) && w->flow[i].entry != sl_slot_cur(w->slot[at]))
			disagree[at / 64] |= 1ull << at % 64;
	}
	w->settled += sl_slots_reconcile(w->slot, w->n, disagree);
}

static void resize(struct world *w)
{
	uint32_t n = 1u << draw(w, 8), slot[ROWS_MAX], opened_ms[ROWS_MAX];
	bool tracked = w->track && w->now_ms - w->track_since_ms >= WINDOW;
	int err = sl_slots_resize(w->slot, w->opened_ms, w->n, slot, opened_ms, n, tracked,
				  w->now_ms);

	if (err) {
		assert_int_equal(err, -EBUSY);
		assert_true(n < w->n && !tracked);
		w->busy++;
		return;
	}
	w->grown += n > w->n;
	w->shrunk += n < w->n;
	memcpy(w->slot, slot, n * sizeof(*slot));
	memcpy(w->opened_ms, opened_ms, n * sizeof(*slot));
	w->n = n;
}

static void step(struct world *w)
{
	uint32_t what = draw(w, 1000);

	w->now_ms += draw(w, 50) == 0;
	if (what < 2)
		move(w);
	else if (what < 10)
		w->closed += sl_slots_close(w->slot, w->opened_ms, w->n, w->now_ms, WINDOW, false);
	else if (what < 15)
		sweep(w);
	else if (what < 16)
		resize(w);
	else if (what == 16 && draw(w, 4) == 0) {
		w->track = !w->track;
		w->track_since_ms = w->now_ms;
	} else
		talk(w);
}

static void test_promise(void **state)
{
	static struct world w;
	unsigned int packets = 0, shrunk = 0, settled = 0, busy = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 20; seed++) {
		w = (struct world){ .random = seed, .now_ms = 0u - 2000, .n = 16 };
		for (int i = 0; i < 1000000; i++)
			step(&w);
		packets += w.packets;
		shrunk += w.shrunk;
		settled += w.settled;
		busy += w.busy;
		assert_true(w.moves && w.closed && w.settled && w.grown && w.shrunk);
	}
	assert_true(busy);
	print_message("%u packets, %u rows settled, %u shrunk, %u refused\n", packets, settled,
		      shrunk, busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),	cmocka_unit_test(test_close),
		cmocka_unit_test(test_settle),	cmocka_unit_test(test_count_and_name),
		cmocka_unit_test(test_grow),	cmocka_unit_test(test_shrink),
		cmocka_unit_test(test_promise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
