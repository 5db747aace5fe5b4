/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's hold on a receive queue: the other side of bpf/owner.h.
 *
 * The queue's owner word holds an epoch and a worker. Everybody changes it by compare-and-swap from
 * what they read, each time with the next epoch, so a word that still is what the worker put there
 * itself means that nobody decided for this queue meanwhile.
 */
#ifndef SL_ENGINE_HOLD_H
#define SL_ENGINE_HOLD_H

#include <stdbool.h>
#include <time.h>

#include "../abi/worker.h"

struct sl_hold {
	struct sl_queue *queue;
	uint64_t mine; /* what the word is while we hold it */
};

static inline bool sl_hold_is_ours(const struct sl_hold *h)
{
	return __atomic_load_n(&h->queue->owner, __ATOMIC_ACQUIRE) == h->mine;
}

/* Swaps the word to this worker (from 1), or to nobody (0), and tells why. The word that we put
 * there last is the only one that a release swaps: what XDP took is XDP's already. */
static inline void sl_hold_swap(struct sl_hold *h, uint32_t worker_plus_1, enum sl_handover why)
{
	uint64_t before =
		worker_plus_1 ? __atomic_load_n(&h->queue->owner, __ATOMIC_ACQUIRE) : h->mine;
	struct timespec ts;

	do {
		h->mine = sl_queue_owner(before, worker_plus_1);
		if (__atomic_compare_exchange_n(&h->queue->owner, &before, h->mine, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			clock_gettime(CLOCK_MONOTONIC, &ts);
			h->queue->since_ns =
				(uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
			h->queue->why = why;
			h->queue->times[why]++;
			return;
		}
	} while (worker_plus_1);
	h->mine = ~0ull; /* no word is: XDP took the queue before */
}

#endif
