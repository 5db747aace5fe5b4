/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker: one thread on one core, run to completion.
 *
 * In each turn of its loop it reads the root (and so acknowledges the last publish), then takes a
 * burst from each of its receive lanes. It classifies the whole burst while the cache lines that
 * are needed next are prefetched, then routes it, then transmits. It keeps no packet for the next
 * turn, but for those few whose next hop's MAC address isn't known (neighbour_queue.h).
 *
 * It serves a queue as long as the queue's owner word is what it stored there. XDP may change the
 * word when it judges the worker dead or hung (bpf/owner.h). The worker notices before it
 * transmits, drops the packets it has, empties the queue and takes the word back.
 */
#ifndef SL_ENGINE_WORKER_H
#define SL_ENGINE_WORKER_H

#include <stdatomic.h>

#include <rte_ring.h>

#include "../abi/store.h"
#include "ports.h"

enum { SL_BURST = 32, SL_LANES_MAX = SL_PORTS_CONFIG_MAX * SL_QUEUES_PER_PORT };

struct sl_worker_run {
	const struct sl_store *store;
	uint32_t number; /* number of the worker, and of the writer */
	atomic_bool *stop;
	struct sl_lane rx[SL_LANES_MAX];
	size_t n_rx;
	struct sl_lane tx[SL_PORTS_CONFIG_MAX];
	uint32_t n_ports;
	struct rte_ring *outgoing; /* frames that the main thread wants sent; NULL: never any */
	bool adaptive;		   /* sleeps a little when there are no packets */
};

/* A worker thread's main function, for rte_eal_remote_launch(). */
int sl_worker_main(void *run);

#endif
