/* SPDX-License-Identifier: BSD-2-Clause */
/* Model: rows.h. */
#include "rows.h"

#include <errno.h>
#include <string.h>

/* Signed: a time that seems to lie ahead has not passed. */
static bool has_passed(uint32_t since_ms, uint32_t now_ms, uint32_t window_ms)
{
	return (int32_t)(now_ms - since_ms) >= 0 && now_ms - since_ms >= window_ms;
}

static bool is_open(uint32_t row)
{
	return sl_row_state(row) == SL_ROW_OPEN;
}

static uint32_t moved(uint32_t row, uint32_t cur)
{
	uint32_t old = sl_row_cur(row);

	if (is_open(row))
		return sl_row(cur, sl_row_prev(row), SL_ROW_OPEN);
	if (!old)
		return sl_row(cur, 0, sl_row_state(row));
	return sl_row(cur, old, SL_ROW_OPEN);
}

uint32_t sl_rows_move(uint32_t *row, uint32_t *opened_ms, uint32_t n, const uint32_t *cur,
		      uint32_t now_ms)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t old = row[i];

		if (sl_row_cur(old) == cur[i])
			continue;
		row[i] = moved(old, cur[i]);
		if (is_open(row[i]) && !is_open(old))
			opened_ms[i] = now_ms;
		count++;
	}
	return count;
}

uint32_t sl_rows_close(uint32_t *row, const uint32_t *opened_ms, uint32_t n, uint32_t now_ms,
		       uint32_t window_ms, bool hold)
{
	uint32_t count = 0;

	if (hold)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!is_open(row[i]) || !has_passed(opened_ms[i], now_ms, window_ms))
			continue;
		row[i] = sl_row(sl_row_cur(row[i]), 0, SL_ROW_MIXED);
		count++;
	}
	return count;
}

void sl_rows_mix(uint32_t *row, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		row[i] = sl_row(sl_row_cur(row[i]), 0, SL_ROW_MIXED);
}

uint32_t sl_rows_settle(uint32_t *row, uint32_t n, const uint64_t *disagree)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (sl_row_state(row[i]) != SL_ROW_MIXED || disagree[i / 64] >> i % 64 & 1)
			continue;
		row[i] = sl_row(sl_row_cur(row[i]), 0, SL_ROW_CLOSED);
		count++;
	}
	return count;
}

struct sl_rows_count sl_rows_count(const uint32_t *row, const uint32_t *opened_ms, uint32_t n)
{
	struct sl_rows_count count = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		if (is_open(row[i])) {
			if (!count.open || (int32_t)(opened_ms[i] - count.earliest_ms) < 0)
				count.earliest_ms = opened_ms[i];
			count.open++;
		} else if (sl_row_state(row[i]) == SL_ROW_MIXED) {
			count.mixed++;
		}
	}
	return count;
}

bool sl_rows_name(const uint32_t *row, uint32_t n, uint32_t number)
{
	for (uint32_t i = 0; i < n; i++) {
		if (sl_row_cur(row[i]) == number ||
		    (is_open(row[i]) && sl_row_prev(row[i]) == number))
			return true;
	}
	return false;
}

/* Old rows that become one. */
struct merge {
	uint32_t cur;	/* of an open one if there is one, else the first that isn't none */
	uint32_t owner; /* the first that isn't none */
	uint32_t opened_ms;
	bool open, mixed;
	bool same;  /* all are the same word */
	bool owned; /* by two: their untracked flows can't be told apart */
};

static struct merge merge(const uint32_t *row, const uint32_t *opened_ms, uint32_t n, uint32_t i,
			  uint32_t step)
{
	struct merge m = { .opened_ms = opened_ms[i], .same = true };

	for (uint32_t at = i; at < n; at += step) {
		uint32_t word = row[at];
		uint32_t owner = is_open(word) ? sl_row_prev(word) : sl_row_cur(word);

		m.same = m.same && word == row[i];
		m.owned = m.owned || (m.owner && owner && owner != m.owner);
		if (!m.owner)
			m.owner = owner;
		if (!m.cur || (is_open(word) && !m.open))
			m.cur = sl_row_cur(word);
		m.open = m.open || is_open(word);
		m.mixed = m.mixed || sl_row_state(word) == SL_ROW_MIXED;
		if ((int32_t)(opened_ms[at] - m.opened_ms) > 0)
			m.opened_ms = opened_ms[at];
	}
	return m;
}

static int shrink(const uint32_t *row, const uint32_t *opened_ms, uint32_t n, uint32_t *to_row,
		  uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms)
{
	for (uint32_t i = 0; i < to_n && !tracked; i++) {
		if (merge(row, opened_ms, n, i, to_n).owned)
			return -EBUSY;
	}
	for (uint32_t i = 0; i < to_n; i++) {
		struct merge m = merge(row, opened_ms, n, i, to_n);

		to_opened_ms[i] = m.opened_ms;
		if (m.same) {
			to_row[i] = row[i];
		} else if (m.open && !tracked) {
			to_row[i] = sl_row(m.cur, m.owner, SL_ROW_OPEN);
			/* Flows began untracked until now, where a row wasn't open. */
			to_opened_ms[i] = now_ms;
		} else {
			to_row[i] =
				sl_row(m.cur, 0, m.mixed || tracked ? SL_ROW_MIXED : SL_ROW_CLOSED);
		}
	}
	return 0;
}

int sl_rows_resize(const uint32_t *row, const uint32_t *opened_ms, uint32_t n, uint32_t *to_row,
		   uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms)
{
	if (!n || !to_n || n & (n - 1) || to_n & (to_n - 1))
		return -EINVAL;
	if (to_n < n)
		return shrink(row, opened_ms, n, to_row, to_opened_ms, to_n, tracked, now_ms);
	for (uint32_t i = 0; i < to_n; i += n) {
		memcpy(to_row + i, row, n * sizeof(*row));
		memcpy(to_opened_ms + i, opened_ms, n * sizeof(*opened_ms));
	}
	return 0;
}

static bool has(const uint64_t *bits, uint32_t number)
{
	return bits[number / 64] >> number % 64 & 1;
}

void sl_rows_disown(uint32_t *row, uint32_t n, const uint32_t *cur, const uint64_t *served,
		    const uint64_t *serves)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t old = sl_row_cur(row[i]), prev = sl_row_prev(row[i]);

		if (sl_row_state(row[i]) == SL_ROW_OPEN && prev && !has(served, prev) &&
		    (old != cur[i] || has(serves, prev)))
			row[i] = sl_row(old, old, SL_ROW_OPEN);
	}
}
