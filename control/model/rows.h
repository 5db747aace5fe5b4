/* SPDX-License-Identifier: BSD-2-Clause */
/* The slots of one service, between two publishes.
 *
 * A slot (dataplane/abi/backend.h) changes only here, on control's copy, which is then published as
 * a new extent. What the states mean to a packet stands in dataplane/core/route.h. What must hold
 * whatever happens to a slot:
 *
 *   An untracked flow that sent a packet within the window belongs to exactly one backend, the
 *   slot's owner: cur where the slot is closed or mixed, prev where it is open. So an owner is
 *   replaced only after a window of being prev, or where it is nobody.
 *
 *   Where an entry may name another backend than cur, the slot isn't closed.
 *
 * Time is in ms, 32 bits, and wraps: it is compared by difference, so a window is shorter than
 * 2^31 ms, and a time that seems to lie ahead has not passed. opened_ms[i] means something only
 * while slot i is open; it is kept when the slot becomes mixed.
 */
#ifndef SL_CONTROL_MODEL_ROWS_H
#define SL_CONTROL_MODEL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dataplane/abi/backend.h"

struct sl_slots_count {
	uint32_t open;
	uint32_t mixed;
	uint32_t earliest_ms; /* when the oldest open slot was opened; 0 where none is */
};

/* A new cur for every slot, 0 for none:
 *
 *   same cur   unchanged
 *   open       cur replaced; prev and the window stay, since every flow that began since the first
 *              change is tracked
 *   closed     open, prev = the old cur, the window begins; or closed on the new cur where the old
 *              one was none, to whom nobody belongs
 *   mixed      the same, but never closed: entries stand. On an old cur of none it stays mixed
 *
 * Returns how many slots got another cur. */
uint32_t sl_slots_move(uint32_t *slot, uint32_t *opened_ms, uint32_t n, const uint32_t *cur,
		       uint32_t now_ms);

/* Open slots whose prev served nobody: who found no room in the flow table went to cur without an
 * entry, so cur is whom untracked flows belong to, once cur moves on or prev comes back. Before
 * sl_slots_move(), with the same cur. Bitmaps by number: who served in the live generation, who
 * serves in the next. */
void sl_slots_disown(uint32_t *slot, uint32_t n, const uint32_t *cur, const uint64_t *served,
		     const uint64_t *serves);

/* Open slots whose window has passed become mixed; none while hold is true (a flow that should have
 * been tracked found no room). Returns how many. */
uint32_t sl_slots_close(uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t now_ms,
			uint32_t window_ms, bool hold);

/* Mixed slots become closed where a sweep found no entry that disagrees: bit i of `disagree`, a
 * bitmap of n bits, is 0. The sweep must have begun after every engine had acknowledged a
 * generation in which the slot was mixed. Returns how many. */
uint32_t sl_slots_reconcile(uint32_t *slot, uint32_t n, const uint64_t *disagree);

/* Every slot becomes mixed: flows have other slots from now on, and each has an entry. */
void sl_slots_mix(uint32_t *slot, uint32_t n);

struct sl_slots_count sl_slots_count(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n);

/* Does some slot name this backend, as cur, or as prev while open? */
bool sl_slots_name(const uint32_t *slot, uint32_t n, uint32_t number);

/* Another table size: from n slots to to_n, both powers of two. sl_slots_move() comes afterwards,
 * with what the scheduler says for the new size.
 *
 * Growing is exact, since a slot is hash & mask: old slot i becomes new slots i + j * n, with state
 * and window.
 *
 * Shrinking merges old slots i + j * to_n into new slot i, and that is sound where their untracked
 * flows have one owner, or none. Equal slots stay as they are, with the latest window; else, where
 * one was open, the merged slot is open with the owner as prev and its window begins anew (flows
 * began untracked in the others until now); else it is mixed where one was mixed. Two owners can't
 * be told apart: -EBUSY, nothing is written.
 *
 * The way out is to track every flow of the service (SL_SERVICE_TRACK) for one whole window in
 * which no flow found the table full. Then no slot owns an untracked flow, the caller says
 * `tracked`, and whatever differs becomes mixed. -EINVAL: a size is no power of two. */
int sl_slots_resize(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t *to_slot,
		    uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms);

#endif
