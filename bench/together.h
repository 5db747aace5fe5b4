/* SPDX-License-Identifier: BSD-2-Clause */
/* Several workers at once, each on its own core with a queue and a generator of its own: measures
 * what they cost each other. They share what workers always share: the tables, the flow table, the
 * pool of packet buffers.
 */
#ifndef SL_BENCH_TOGETHER_H
#define SL_BENCH_TOGETHER_H

#include "../dataplane/engine/worker.h"
#include "generator.h"
#include "stages.h"

#define SL_SEATS 16

struct sl_seat {
	struct sl_worker_run run;
	struct sl_generator generator;
	const struct rte_eth_rxtx_callback *callback;
	atomic_bool stop;
	uint64_t packets;
	uint64_t cycles;
};

struct sl_together {
	uint32_t n;
	uint64_t forwarded; /* counters before the run */
	struct sl_seat seat[SL_SEATS];
};

/* Prepares n workers, at most as many as the configuration has. Each gets the traffic of `like` in
 * another random order. */
void sl_together_init(struct sl_together *t, const struct sl_store *store, struct sl_ports *ports,
		      uint32_t n, const struct sl_generator *like);

/* Starts a run: the first n seats take this many packets each, on lcores 1 and up, as workers or as
 * bare loops with or without the generator. False: a core is busy, or there are too few. */
bool sl_together_begin(struct sl_together *t, uint32_t n, uint64_t packets, bool workers,
		       bool generated);

/* Whether all have finished. Then each seat has its result. */
bool sl_together_done(struct sl_together *t, uint32_t n);

/* Prints one line of JSON with the cycles per packet of each. False: a worker's packet wasn't
 * forwarded. */
bool sl_together_report(const struct sl_together *t, uint32_t n, bool workers);

#endif
