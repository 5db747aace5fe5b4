/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of a worker that wait for their next hop's MAC address, as the kernel's own do (its
 * unres_qlen). Control is asked to resolve it, and when the worker takes the generation that it
 * publishes, they are decided once more: nothing was changed in them so far.
 *
 * Each next hop that is waited for has a short queue. What finds no room is dropped, and so is a
 * queue that has waited for too long: by then the senders have sent again. A queue is known by the
 * next hop's address; that of a service's backend by the VIP, since the backend isn't known here.
 *
 * XDP can't keep a packet. What it has instead is core/neighbour.h.
 */
#ifndef SL_ENGINE_NEIGHBOUR_QUEUE_H
#define SL_ENGINE_NEIGHBOUR_QUEUE_H

#include <rte_mbuf.h>

#include "seam.h"

enum {
	SL_NEIGHBOUR_QUEUES = 16,
	SL_NEIGHBOUR_QUEUE_LENGTH = 16,
};
#define SL_NEIGHBOUR_WAIT (1000000000u >> SL_TICK_SHIFT) /* ticks: a second */

struct sl_neighbour_queue {
	union sl_addr hop;
	uint64_t since; /* ticks */
	uint32_t n;	/* 0: not in use */
	uint16_t lane[SL_NEIGHBOUR_QUEUE_LENGTH];
	struct rte_mbuf *frame[SL_NEIGHBOUR_QUEUE_LENGTH];
};

struct sl_neighbour_queues {
	uint32_t used;
	uint64_t generation; /* that all of them were decided by last */
	struct sl_neighbour_queue queue[SL_NEIGHBOUR_QUEUES];
};

/* Takes the frame. False: there is no room. since: when its wait began. */
static inline bool sl_neighbour_queue_add(struct sl_neighbour_queues *w, const union sl_addr *hop,
					  struct rte_mbuf *frame, uint16_t lane, uint64_t since)
{
	struct sl_neighbour_queue *q = NULL;

	for (uint32_t i = 0; i < SL_NEIGHBOUR_QUEUES; i++) {
		struct sl_neighbour_queue *at = &w->queue[i];

		if (at->n && sl_addr_equal(&at->hop, hop)) {
			q = at;
			break;
		}
		if (!at->n && !q)
			q = at;
	}
	if (!q || q->n == SL_NEIGHBOUR_QUEUE_LENGTH)
		return false;
	if (!q->n) {
		q->hop = *hop;
		q->since = since;
		w->used++;
	}
	q->lane[q->n] = lane;
	q->frame[q->n++] = frame;
	return true;
}

/* Empties a queue into *out, if it is in use. */
static inline bool sl_neighbour_queue_take(struct sl_neighbour_queues *w, uint32_t i,
					   struct sl_neighbour_queue *out)
{
	if (!w->queue[i].n)
		return false;
	*out = w->queue[i];
	w->queue[i].n = 0;
	w->used--;
	return true;
}

#endif
