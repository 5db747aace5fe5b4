/* SPDX-License-Identifier: BSD-2-Clause */
/* The model's control: does to the slots of one service what control/ does, at random. */
#include <string.h>

#include "promise.h"

uint8_t promise_taking(struct model *m)
{
	for (;;) {
		uint8_t b = (uint8_t)(1 + promise_below(m, BACKENDS));

		if (m->flags[b] & SL_BACKEND_TAKES_NEW)
			return b;
	}
}

static uint32_t count_taking(const struct model *m)
{
	uint32_t n = 0;

	for (int b = 1; b <= BACKENDS; b++)
		n += !!(m->flags[b] & SL_BACKEND_TAKES_NEW);
	return n;
}

/* Changes how new flows are picked. */
static void control_reschedule(struct model *m)
{
	struct sl_schedule *schedule = m->w.store.base[SL_ARRAY_schedules];
	struct sl_service *s = &m->w.service[0].record;
	uint8_t pick = (uint8_t)promise_below(m, SL_PICKS);

	if (s->pick != SL_PICK_HASH && pick == SL_PICK_HASH)
		sl_slots_mix_closed(m->slot, ROWS);
	s->pick = pick;
	s->flags = pick == SL_PICK_HASH ? 0 : SL_SERVICE_TRACK;
	schedule[s->id].cycle = (uint32_t)(1 + promise_below(m, ROWS));
}

/* Drains, fails or restores a backend, or moves some slots. */
static void control_change(struct model *m)
{
	uint8_t b = (uint8_t)(1 + promise_below(m, BACKENDS));
	uint64_t what = promise_below(m, 5);
	bool taking = m->flags[b] & SL_BACKEND_TAKES_NEW;

	if (what == 0 && taking && count_taking(m) > 2) {
		m->flags[b] = SL_BACKEND_SERVES | SL_BACKEND_RESOLVED;
	} else if (what == 1 && (!taking || count_taking(m) > 2)) {
		m->epoch[b] += m->flags[b] & SL_BACKEND_SERVES;
		m->flags[b] = SL_BACKEND_RESOLVED;
	} else if (what == 2 && !taking) {
		m->flags[b] |= SL_BACKEND_SERVES | SL_BACKEND_TAKES_NEW;
		for (int i = 0; i < ROWS / BACKENDS; i++)
			m->cur[promise_below(m, ROWS)] = b;
	} else {
		for (uint64_t i = promise_below(m, ROWS); i; i--)
			m->cur[promise_below(m, ROWS)] = promise_taking(m);
	}
	for (int i = 0; i < ROWS; i++) {
		if (!(m->flags[m->cur[i]] & SL_BACKEND_TAKES_NEW))
			m->cur[i] = promise_taking(m);
	}
	if (m->reschedules && promise_chance(m, 20))
		control_reschedule(m);
	m->tally.changes++;
	m->changed = true;
	m->next_change = m->now + 1 + promise_below(m, promise_chance(m, 50) ? 60 : 2 * TIMEOUT);
}

/* The mixed slots that disagree with a live entry, or with one in its grace. */
static uint64_t disagreeing(const struct model *m)
{
	const struct sl_tables *t = &m->w.queue[0];
	uint64_t slots = 0;

	_Static_assert(ROWS == 64, "one word of rows");
	for (uint32_t i = 0; i < t->buckets; i++) {
		for (int way = 0; way < SL_FLOW_WAYS; way++) {
			uint64_t key = t->bucket[i].key[way], value = t->bucket[i].value[way];
			uint32_t slot;

			if (!key || sl_flow_replaceable(t, key, value, m->now))
				continue;
			slot = world_slot_of(&m->w, 0, CLIENT, sl_ntohs((sl_be16)(uint16_t)key));
			if (sl_flow_backend(value) != sl_slot_cur(m->slot[slot]))
				slots |= 1ull << slot;
		}
	}
	return slots;
}

static void control_publish(struct model *m)
{
	world_snapshot_all(&m->w); /* everybody has acknowledged the previous one */
	memcpy(m->w.service[0].slot, m->slot, sizeof(m->slot));
	for (int b = 1; b <= BACKENDS; b++)
		m->w.service[0].backend[b - 1].flags = m->flags[b];
	world_publish(&m->w);
	m->tally.publishes++;
	m->changed = false;
}

static bool control_holds(struct model *m)
{
	uint64_t failed = promise_failures(m);

	if (failed != m->untrackable) {
		m->untrackable = failed;
		m->full_since = m->now;
		m->ever_full = true;
	}
	return m->ever_full && m->now - m->full_since < WINDOW;
}

/* An open slot whose prev doesn't serve any more: flows that found no room went to cur. So
 * untracked flows belong to cur when cur changes, or when prev serves again. */
static void control_disown(struct model *m)
{
	const struct sl_backend *live = m->w.service[0].backend;

	for (int i = 0; i < ROWS; i++) {
		uint32_t cur = sl_slot_cur(m->slot[i]), prev = sl_slot_prev(m->slot[i]);

		if (sl_slot_state(m->slot[i]) == SL_SLOT_OPEN && prev &&
		    !(live[prev - 1].flags & SL_BACKEND_SERVES) &&
		    (cur != m->cur[i] || m->flags[prev] & SL_BACKEND_SERVES))
			m->slot[i] = sl_slot(cur, cur, SL_SLOT_OPEN);
	}
}

void promise_control(struct model *m)
{
	struct sl_slots_count count = sl_slots_count(m->slot, m->opened, ROWS);
	uint64_t disagree = count.mixed ? disagreeing(m) : 0;
	bool hold = control_holds(m);
	uint32_t settled = sl_slots_reconcile(m->slot, ROWS, &disagree), mixed, moved;

	mixed = sl_slots_close(m->slot, m->opened, ROWS, (uint32_t)m->now, WINDOW, hold);
	if (m->now >= m->next_change)
		control_change(m);
	control_disown(m);
	moved = sl_slots_move(m->slot, m->opened, ROWS, m->cur, (uint32_t)m->now);
	m->tally.settled += settled;
	m->tally.mixed += mixed;
	m->tally.opened += moved;
	m->tally.held += hold && count.open;
	if (settled || mixed || moved || m->changed)
		control_publish(m);
}
