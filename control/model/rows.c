/* SPDX-License-Identifier: BSD-2-Clause */
/* rows.h describes the model. */
#include "rows.h"

#include <errno.h>
#include <string.h>

/* The difference is signed: a time that seems to lie in the future has not passed. */
static bool has_passed(uint32_t since_ms, uint32_t now_ms, uint32_t window_ms)
{
	return (int32_t)(now_ms - since_ms) >= 0 && now_ms - since_ms >= window_ms;
}

static bool is_open(uint32_t slot)
{
	return sl_slot_state(slot) == SL_SLOT_OPEN;
}

static uint32_t moved(uint32_t slot, uint32_t cur)
{
	uint32_t old = sl_slot_cur(slot);

	if (is_open(slot))
		return sl_slot(cur, sl_slot_prev(slot), SL_SLOT_OPEN);
	if (!old)
		return sl_slot(cur, 0, sl_slot_state(slot));
	return sl_slot(cur, old, SL_SLOT_OPEN);
}

uint32_t sl_slots_move(uint32_t *slot, uint32_t *opened_ms, uint32_t n, const uint32_t *cur,
		       uint32_t now_ms)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t old = slot[i];

		if (sl_slot_cur(old) == cur[i])
			continue;
		slot[i] = moved(old, cur[i]);
		if (is_open(slot[i]) && !is_open(old))
			opened_ms[i] = now_ms;
		count++;
	}
	return count;
}

uint32_t sl_slots_close(uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t now_ms,
			uint32_t window_ms, bool hold)
{
	uint32_t count = 0;

	if (hold)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!is_open(slot[i]) || !has_passed(opened_ms[i], now_ms, window_ms))
			continue;
		slot[i] = sl_slot(sl_slot_cur(slot[i]), 0, SL_SLOT_MIXED);
		count++;
	}
	return count;
}

void sl_slots_mix(uint32_t *slot, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		slot[i] = sl_slot(sl_slot_cur(slot[i]), 0, SL_SLOT_MIXED);
}

void sl_slots_mix_closed(uint32_t *slot, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (sl_slot_state(slot[i]) == SL_SLOT_CLOSED)
			slot[i] = sl_slot(sl_slot_cur(slot[i]), 0, SL_SLOT_MIXED);
}

uint32_t sl_slots_reconcile(uint32_t *slot, uint32_t n, const uint64_t *disagree)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (sl_slot_state(slot[i]) != SL_SLOT_MIXED || disagree[i / 64] >> i % 64 & 1)
			continue;
		slot[i] = sl_slot(sl_slot_cur(slot[i]), 0, SL_SLOT_CLOSED);
		count++;
	}
	return count;
}

struct sl_slots_count sl_slots_count(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n)
{
	struct sl_slots_count count = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		if (is_open(slot[i])) {
			if (!count.open || (int32_t)(opened_ms[i] - count.earliest_ms) < 0)
				count.earliest_ms = opened_ms[i];
			count.open++;
		} else if (sl_slot_state(slot[i]) == SL_SLOT_MIXED) {
			count.mixed++;
		}
	}
	return count;
}

bool sl_slots_name(const uint32_t *slot, uint32_t n, uint32_t number)
{
	for (uint32_t i = 0; i < n; i++) {
		if (sl_slot_cur(slot[i]) == number ||
		    (is_open(slot[i]) && sl_slot_prev(slot[i]) == number))
			return true;
	}
	return false;
}

/* Old slots that are merged into one. */
struct merge {
	uint32_t cur;	/* that of an open slot if there is one, else the first that isn't 0 */
	uint32_t owner; /* the first that isn't 0 */
	uint32_t opened_ms;
	bool open, mixed;
	bool same;	/* all are the same word */
	bool ambiguous; /* two owners, whose untracked flows can't be told apart */
};

static struct merge merge(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t i,
			  uint32_t step)
{
	struct merge m = { .opened_ms = opened_ms[i], .same = true };

	for (uint32_t at = i; at < n; at += step) {
		uint32_t word = slot[at];
		uint32_t owner = is_open(word) ? sl_slot_prev(word) : sl_slot_cur(word);

		m.same = m.same && word == slot[i];
		m.ambiguous = m.ambiguous || (m.owner && owner && owner != m.owner);
		if (!m.owner)
			m.owner = owner;
		if (!m.cur || (is_open(word) && !m.open))
			m.cur = sl_slot_cur(word);
		m.open = m.open || is_open(word);
		m.mixed = m.mixed || sl_slot_state(word) == SL_SLOT_MIXED;
		if ((int32_t)(opened_ms[at] - m.opened_ms) > 0)
			m.opened_ms = opened_ms[at];
	}
	return m;
}

static int shrink(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t *to_slot,
		  uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms)
{
	for (uint32_t i = 0; i < to_n && !tracked; i++) {
		if (merge(slot, opened_ms, n, i, to_n).ambiguous)
			return -EBUSY;
	}
	for (uint32_t i = 0; i < to_n; i++) {
		struct merge m = merge(slot, opened_ms, n, i, to_n);

		to_opened_ms[i] = m.opened_ms;
		if (m.same) {
			to_slot[i] = slot[i];
		} else if (m.open && !tracked) {
			to_slot[i] = sl_slot(m.cur, m.owner, SL_SLOT_OPEN);
			/* Where a slot wasn't open, flows began untracked until now. */
			to_opened_ms[i] = now_ms;
		} else {
			to_slot[i] = sl_slot(m.cur, 0,
					     m.mixed || tracked ? SL_SLOT_MIXED : SL_SLOT_CLOSED);
		}
	}
	return 0;
}

int sl_slots_resize(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t *to_slot,
		    uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms)
{
	if (!n || !to_n || n & (n - 1) || to_n & (to_n - 1))
		return -EINVAL;
	if (to_n < n)
		return shrink(slot, opened_ms, n, to_slot, to_opened_ms, to_n, tracked, now_ms);
	for (uint32_t i = 0; i < to_n; i += n) {
		memcpy(to_slot + i, slot, n * sizeof(*slot));
		memcpy(to_opened_ms + i, opened_ms, n * sizeof(*opened_ms));
	}
	return 0;
}

static bool has(const uint64_t *bits, uint32_t number)
{
	return bits[number / 64] >> number % 64 & 1;
}

void sl_slots_disown(uint32_t *slot, uint32_t n, const uint32_t *cur, const uint64_t *served,
		     const uint64_t *serves)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t old = sl_slot_cur(slot[i]), prev = sl_slot_prev(slot[i]);

		if (sl_slot_state(slot[i]) == SL_SLOT_OPEN && prev && !has(served, prev) &&
		    (old != cur[i] || has(serves, prev)))
			slot[i] = sl_slot(old, old, SL_SLOT_OPEN);
	}
}
