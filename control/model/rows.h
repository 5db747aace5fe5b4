/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of one service, between two publishes.
 *
 * A row (dataplane/abi/backend.h) changes only here, on control's copy, which is then published as
 * a new extent. What the states mean to a packet stands in dataplane/core/route.h. What must hold
 * whatever happens to a row:
 *
 *   An untracked flow that sent a packet within the window belongs to exactly one backend, the
 *   row's owner: cur where the row is closed or mixed, prev where it is open. So an owner is
 *   replaced only after a window of being prev, or where it is nobody.
 *
 *   Where an entry may name another backend than cur, the row isn't closed.
 *
 * Time is in ms, 32 bits, and wraps: it is compared by difference, so a window is shorter than
 * 2^31 ms, and a time that seems to lie ahead has not passed. opened_ms[i] means something only
 * while row i is open; it is kept when the row becomes mixed.
 */
#ifndef SL_CONTROL_MODEL_ROWS_H
#define SL_CONTROL_MODEL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dataplane/abi/backend.h"

struct sl_rows_count {
	uint32_t open;
	uint32_t mixed;
	uint32_t earliest_ms; /* when the oldest open row was opened; 0 where none is */
};

/* A new cur for every row, 0 for none:
 *
 *   same cur   unchanged
 *   open       cur replaced; prev and the window stay, since every flow that began since the first
 *              change is tracked
 *   closed     open, prev = the old cur, the window begins; or closed on the new cur where the old
 *              one was none, to whom nobody belongs
 *   mixed      the same, but never closed: entries stand. On an old cur of none it stays mixed
 *
 * Returns how many rows got another cur. */
uint32_t sl_rows_move(uint32_t *row, uint32_t *opened_ms, uint32_t n, const uint32_t *cur,
		      uint32_t now_ms);

/* Open rows whose prev served nobody: who found no room in the flow table went to cur without an
 * entry, so cur is whom untracked flows belong to, once cur moves on or prev comes back. Before
 * sl_rows_move(), with the same cur. Bitmaps by number: who served in the live generation, who
 * serves in the next. */
void sl_rows_disown(uint32_t *row, uint32_t n, const uint32_t *cur, const uint64_t *served,
		    const uint64_t *serves);

/* Open rows whose window has passed become mixed; none while hold is true (a flow that should have
 * been tracked found no room). Returns how many. */
uint32_t sl_rows_close(uint32_t *row, const uint32_t *opened_ms, uint32_t n, uint32_t now_ms,
		       uint32_t window_ms, bool hold);

/* Mixed rows become closed where a sweep found no entry that disagrees: bit i of `disagree`, a
 * bitmap of n bits, is 0. The sweep must have begun after every engine had acknowledged a
 * generation in which the row was mixed. Returns how many. */
uint32_t sl_rows_settle(uint32_t *row, uint32_t n, const uint64_t *disagree);

/* Every row becomes mixed: flows have other rows from now on, and each has an entry. */
void sl_rows_mix(uint32_t *row, uint32_t n);

struct sl_rows_count sl_rows_count(const uint32_t *row, const uint32_t *opened_ms, uint32_t n);

/* Does some row name this backend, as cur, or as prev while open? */
bool sl_rows_name(const uint32_t *row, uint32_t n, uint32_t number);

/* Another table size: from n rows to to_n, both powers of two. sl_rows_move() comes afterwards,
 * with what the scheduler says for the new size.
 *
 * Growing is exact, since a row is hash & mask: old row i becomes new rows i + j * n, with state
 * and window.
 *
 * Shrinking merges old rows i + j * to_n into new row i, and that is sound where their untracked
 * flows have one owner, or none. Equal rows stay as they are, with the latest window; else, where
 * one was open, the merged row is open with the owner as prev and its window begins anew (flows
 * began untracked in the others until now); else it is mixed where one was mixed. Two owners can't
 * be told apart: -EBUSY, nothing is written.
 *
 * The way out is to track every flow of the service (SL_SERVICE_TRACK) for one whole window in
 * which no flow found the table full. Then no row owns an untracked flow, the caller says
 * `tracked`, and whatever differs becomes mixed. -EINVAL: a size is no power of two. */
int sl_rows_resize(const uint32_t *row, const uint32_t *opened_ms, uint32_t n, uint32_t *to_row,
		   uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms);

#endif
