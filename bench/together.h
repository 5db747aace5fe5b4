/* SPDX-License-Identifier: BSD-2-Clause */
/* Several workers at once, each on its core with a queue and a generator of its own: what they cost
 * each other. They share what workers share: the tables, the flow table, the pool of buffers.
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
	uint64_t forwarded; /* before they began */
	struct sl_seat seat[SL_SEATS];
};

/* Seats for n workers, all of the configuration's. Each has the traffic of `like`, in an order of
 * its own. */
void sl_together_init(struct sl_together *t, const struct sl_store *store, struct sl_ports *ports,
		      uint32_t n, const struct sl_generator *like);

/* Begins: the first n seats take so many packets each, on lcores 1 and up; as workers, or as bare
 * loops with or without generator. False: a core is busy, or there aren't so many. */
bool sl_together_begin(struct sl_together *t, uint32_t n, uint64_t packets, bool workers,
		       bool generated);

/* Whether all are done, and if so what each counted is in its seat. */
bool sl_together_done(struct sl_together *t, uint32_t n);

/* One line of JSON with the cycles a packet of each; false: of workers' packets not all went their
 * way. */
bool sl_together_report(const struct sl_together *t, uint32_t n, bool workers);

#endif
