/* SPDX-License-Identifier: BSD-2-Clause */
/* The slots of one service, and how they change between two publishes.
 *
 * A slot (dataplane/abi/backend.h) changes only here, on control's copy, which is then published as
 * a new extent. dataplane/core/route.h says what the states of a slot mean to a packet. Two things
 * are always true of a slot:
 *
 * - An untracked flow that sent a packet within the window belongs to exactly one backend, the
 *   slot's owner. The owner is cur if the slot is closed or mixed, and prev if it is open. So an
 *   owner is replaced only after it has been prev for a window, or if it is 0.
 *
 * - If a flow's entry may name another backend than cur, the slot isn't closed, except while the
 *   scheduler picks without the flow's hash: then flows are looked up in closed slots too.
 *
 * Time is in ms, has 32 bits, and wraps around. Times are compared by their difference. So a window
 * is shorter than 2^31 ms, and a time that seems to lie in the future has not passed. opened_ms[i]
 * is valid only while slot i is open; it is kept when the slot becomes mixed.
 */
#ifndef SL_CONTROL_MODEL_ROWS_H
#define SL_CONTROL_MODEL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dataplane/abi/backend.h"

struct sl_slots_count {
	uint32_t open;
	uint32_t mixed;
	uint32_t earliest_ms; /* when the oldest open slot was opened; 0: none is open */
};

/* Gives every slot a new cur; 0: none. What else happens depends on the slot:
 *
 *     same cur   It stays as it is.
 *     open       prev and the window stay, because every flow that began since the first change
 *                is tracked.
 *     closed     It opens, with the old cur as prev, and its window begins. If the old cur was 0,
 *                no flow belongs to it, and the slot stays closed.
 *     mixed      It opens like a closed one. If the old cur was 0 it stays mixed, because flow
 *                entries may still disagree.
 *
 * Returns how many slots got another cur.
 */
uint32_t sl_slots_move(uint32_t *slot, uint32_t *opened_ms, uint32_t n, const uint32_t *cur,
		       uint32_t now_ms);

/* Makes cur the owner of open slots whose prev served nobody. New flows that found no room in the
 * flow table went to cur without an entry, so untracked flows belong to cur, once cur changes or
 * prev serves again. To be called before sl_slots_move(), with the same cur. The bitmaps have the
 * numbers of the backends that serve in the live generation (served) and in the next one
 * (serves). */
void sl_slots_disown(uint32_t *slot, uint32_t n, const uint32_t *cur, const uint64_t *served,
		     const uint64_t *serves);

/* Makes open slots mixed if their window has passed. Does nothing if hold is true, because a flow
 * that should have been tracked found no room. Returns how many slots changed. */
uint32_t sl_slots_close(uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t now_ms,
			uint32_t window_ms, bool hold);

/* Closes mixed slots for which a sweep found no entry that disagrees: bit i of `disagree`, a bitmap
 * of n bits, is 0. The sweep must have begun after every engine had acknowledged a generation in
 * which the slot was mixed. Returns how many slots changed. */
uint32_t sl_slots_reconcile(uint32_t *slot, uint32_t n, const uint64_t *disagree);

/* Makes every slot mixed, because flows have other slots from now on. Each flow must have an
 * entry. */
void sl_slots_mix(uint32_t *slot, uint32_t n);

/* Makes every closed slot mixed, because its flows' entries may name any backend. Untracked flows
 * keep their owner. */
void sl_slots_mix_closed(uint32_t *slot, uint32_t n);

struct sl_slots_count sl_slots_count(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n);

/* Whether a slot names this backend as cur, or as prev while it is open. */
bool sl_slots_name(const uint32_t *slot, uint32_t n, uint32_t number);

/* Changes the table's size from n to to_n slots, both powers of two. sl_slots_move() must follow,
 * with what the scheduler chooses for the new size.
 *
 * Growing is exact. The slot is hash & mask, so old slot i becomes the new slots i + j * n, with
 * its state and window.
 *
 * Shrinking merges the old slots i + j * to_n into the new slot i. That is correct if their
 * untracked flows have one owner or none. Equal slots stay as they are, with the latest window.
 * Otherwise, if one was open, the merged slot is open with the owner as prev; its window begins
 * anew, because flows began untracked in the other slots until now. If none was open, the merged
 * slot is mixed if one of them was. The flows of two owners can't be told apart: then it returns
 * -EBUSY and writes nothing.
 *
 * There is a way out: every flow of the service is tracked (SL_SERVICE_TRACK) for a whole window in
 * which no flow found the table full. After that no slot owns an untracked flow. The caller sets
 * `tracked`, and slots that differ become mixed.
 *
 * Returns 0, -EBUSY, or -EINVAL: a size is no power of two.
 */
int sl_slots_resize(const uint32_t *slot, const uint32_t *opened_ms, uint32_t n, uint32_t *to_slot,
		    uint32_t *to_opened_ms, uint32_t to_n, bool tracked, uint32_t now_ms);

#endif
