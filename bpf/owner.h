/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Which receive queues a worker serves: XDP's side of engine/hold.h.
 *
 * A worker serves a queue while the queue's owner word names it and it is alive. XDP judges that by
 * two things in shared memory, so it doesn't depend on control: the worker's robust mutex, in which
 * the kernel marks the owner's death within microseconds, and the age of its heartbeat, because a
 * thread that hangs still holds its mutex. If either fails, XDP swaps the owner word to nobody, in
 * the next epoch, and decides the queue's packets itself from then on. A worker checks the word
 * before it transmits, so it notices that it was replaced, and takes the queue back by a swap of
 * its own.
 *
 * A wrong judgement does no harm, because both engines decide by the same tables and flow entries.
 * docs/decisions/0010-ownership.md goes through the interleavings.
 */
#ifndef SL_BPF_OWNER_H
#define SL_BPF_OWNER_H

#include "seam.h"

/* SL_HANDOVER_NEVER while the worker is alive, else why it isn't. */
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

/* Whether a worker serves the queue. Takes the queue from a worker that isn't alive any more. */
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
