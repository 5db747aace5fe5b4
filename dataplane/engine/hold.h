/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's claim on a receive queue; bpf/owner.h is the other side of it.
 *
 * The queue's owner word holds an epoch and a worker. Everybody changes it by compare-and-swap,
 * each time to the next epoch. So if the word still is what the worker stored itself, nobody else
 * has served this queue in between.
 */
#ifndef SL_ENGINE_HOLD_H
#define SL_ENGINE_HOLD_H

#include <stdbool.h>
#include <time.h>

#include "../abi/worker.h"

struct sl_hold {
	struct sl_queue *queue;
	uint64_t mine; /* the owner word while we hold the queue */
};

static inline bool sl_hold_is_ours(const struct sl_hold *h)
{
	return __atomic_load_n(&h->queue->owner, __ATOMIC_ACQUIRE) == h->mine;
}

/* Swaps the owner word to this worker (counted from 1) or to nobody (0), and stores why. A release
 * only swaps the word that we stored last: if XDP took the queue, it stays XDP's. */
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
	h->mine = ~0ull; /* matches no word: XDP has taken the queue */
}

#endif
