/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Picks the slot of a new flow, for schedulers that don't go by the flow's hash (enum sl_pick).
 *
 * Control fills the slots of a service in proportion to the backends' weights, whatever the
 * scheduler. So a slot that is picked at random is a weighted choice, and slots that are picked one
 * after the other are weighted round robin. Where two writers pick by turn, each has turns of its
 * own, which begin at another slot.
 *
 * Only the first packet of a flow is picked: a TCP SYN, or a datagram without an entry. The service
 * tracks all flows, so the entry remembers the choice. Any other packet without an entry goes to
 * the slot of its hash: it belongs to a flow that is older than its service's scheduler, or that
 * found no room in the table.
 */
#ifndef SL_CORE_PICK_H
#define SL_CORE_PICK_H

#include "seam.h"

/* The slot whose turn it is: one after that of the flow that was entered before. */
SL_INLINE uint32_t sl_pick_turn(const struct sl_tables *t, uint32_t id, uint64_t entered)
{
	const struct sl_schedule *schedule = sl_seam_schedule(t, id);
	uint32_t cycle = schedule ? *(const volatile uint32_t *)&schedule->cycle : 0;
	uint64_t begin = sl_seam_writer(t) * 0x9e3779b9ull & UINT32_MAX;

	return cycle ? (uint32_t)((entered + (begin * cycle >> 32)) % cycle) : 0;
}

/* The backend of a new flow; counts from 1, 0: none. slots, slot_mask, id and pick are those of its
 * service, hash is the flow's. The tables may have changed since the caller read them: the result
 * counts only if they are current. */
SL_INLINE uint32_t sl_pick_impl(const struct sl_tables *t, uint32_t slots, uint32_t slot_mask,
				uint32_t id, uint32_t pick, uint64_t hash)
{
	const struct sl_service_counters *counters = sl_seam_service_counters(t, id);
	const uint32_t *slot;
	uint32_t at;

	if (!counters)
		return 0;
	if (pick == SL_PICK_TURN)
		at = sl_pick_turn(t, id, counters->tracked);
	else /* the hash is keyed; the count makes a flow that comes again another one */
		at = (uint32_t)((hash ^ counters->tracked) * 0x9e3779b97f4a7c15ull >> 32);
	slot = sl_seam_slot(t, (uint64_t)slots * SL_SLOTS_PER_BLOCK + (at & slot_mask));
	return slot ? sl_slot_cur(*(const volatile uint32_t *)slot) : 0;
}

#endif
