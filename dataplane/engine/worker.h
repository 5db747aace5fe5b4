/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker: one thread on one core, run to completion.
 *
 * Each turn it looks at the root (and so acknowledges what was published), then takes a burst from
 * each of its receive lanes: classify over the whole burst while the cache lines that it names come
 * in, then route, then transmit. Nothing is held over to the next turn.
 *
 * It serves a queue while the queue's owner word holds what it put there itself. XDP may swap the
 * word when it judges the worker dead or hung (bpf/owner.h); the worker sees it before it
 * transmits, drops what it had in hand, empties the queue and swaps the word back.
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
	uint32_t number; /* of the worker; also its writer */
	atomic_bool *stop;
	struct sl_lane rx[SL_LANES_MAX];
	size_t n_rx;
	struct sl_lane tx[SL_PORTS_CONFIG_MAX];
	uint32_t n_ports;
	struct rte_ring *outgoing; /* frames that the main thread wants sent; NULL: none ever */
	bool adaptive;		   /* sleeps a little when there is nothing to do */
};

/* A thread's main function, for rte_eal_remote_launch(). */
int sl_worker_main(void *run);

#endif
