/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Who serves a receive queue, as XDP judges it.
 *
 * A worker serves while the queue's owner word names it and it lives. Life is two things, both in
 * shared memory, so that a dead control changes nothing: the robust mutex, in which the kernel
 * marks the owner's death within microseconds, and the age of its heartbeat, since a thread that
 * hangs holds its mutex. When either is gone XDP swaps the word to nobody, with the next epoch, and
 * decides from then on. A worker looks at the epoch before it transmits, so it finds out that it
 * was replaced; taking the queue back is its own next swap.
 *
 * A wrong judgement is harmless: both engines decide from the same tables and find the same
 * entries. docs/decisions/ has the interleavings.
 */
#ifndef SL_BPF_OWNER_H
#define SL_BPF_OWNER_H

#include "seam.h"

/* 0 while it lives, else why it doesn't. */
SL_INLINE enum sl_handover sl_owner_ended(uint32_t worker, uint64_t now_ns)
{
	const struct sl_worker *w = sl_map_at(workers, worker);
	uint32_t futex;
	int64_t age;

	if (!w)
		return SL_HANDOVER_DIED;
	futex = *(const volatile uint32_t *)&w->alive.futex;
	if (!(futex & SL_LIVENESS_TID) || futex & SL_LIVENESS_DIED)
		return SL_HANDOVER_DIED;
	/* The coarse clock may be behind the worker's. */
	age = (int64_t)(now_ns - *(const volatile uint64_t *)&w->heartbeat_ns);
	return age > (int64_t)w->hang_timeout_ns ? SL_HANDOVER_HUNG : SL_HANDOVER_NEVER;
}

/* Whether a worker serves the queue; takes the queue from one that doesn't live any more. */
SL_INLINE bool sl_owner_serves(uint16_t port, uint32_t queue)
{
	struct sl_queue *q = sl_map_at(queues, port * SL_QUEUES_PER_PORT + queue);
	enum sl_handover why;
	uint64_t owner, now;

	if (!q || queue >= SL_QUEUES_PER_PORT)
		return false;
	owner = *(const volatile uint64_t *)&q->owner;
	if (!(uint32_t)owner)
		return false;
	now = bpf_ktime_get_coarse_ns();
	why = sl_owner_ended((uint32_t)owner - 1, now);
	if (sl_likely(why == SL_HANDOVER_NEVER))
		return true;
	if (sl_entry_swap(&q->owner, owner, sl_queue_owner(owner, 0))) {
		q->since_ns = now;
		q->why = why;
		if (why == SL_HANDOVER_DIED)
			q->times[SL_HANDOVER_DIED]++;
		else
			q->times[SL_HANDOVER_HUNG]++;
	}
	return false;
}

#endif
