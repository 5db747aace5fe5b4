/* SPDX-License-Identifier: BSD-2-Clause */
#include "stages.h"

#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "../dataplane/engine/steady.h"

static inline __attribute__((always_inline)) void work_on(struct sl_tables *tables,
							  struct sl_known *known,
							  enum sl_stage stage, uint16_t port,
							  struct rte_mbuf **frame, uint16_t n)
{
	struct sl_steady_keys keys = sl_steady_keys(tables, port);
	struct sl_step step[SL_BURST];

	if (stage == SL_STAGE_IO)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = frame[i];
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
		struct sl_packet p = { .data = data,
				       .end = data + rte_pktmbuf_data_len(m),
				       .length = rte_pktmbuf_pkt_len(m),
				       .ingress = port };
		struct sl_work work;

		if (sl_likely(sl_steady_classify(tables, known, keys, port, data,
						 rte_pktmbuf_data_len(m), rte_pktmbuf_pkt_len(m),
						 &step[i]) != SL_STEADY_NOT))
			continue;
		sl_classify(tables, &p, &work);
		if (work.todo == SL_TODO_SERVICE)
			sl_known_learn(tables, known, work.service);
	}
	__asm__ volatile("" : : "r"(step) : "memory");
	if (stage == SL_STAGE_CLASSIFY)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct sl_packet p = { .data = step[i].l3 - step[i].l3_at,
				       .length = rte_pktmbuf_pkt_len(frame[i]) };
		uint16_t egress = 0;

		if (sl_likely(step[i].kind == SL_STEADY_NAT))
			sl_steady_route(tables, &step[i], SL_STEADY_NAT, 1, &p, &egress);
		__asm__ volatile("" : : "r"(egress));
	}
}

static inline __attribute__((always_inline)) uint64_t loop(const struct sl_worker_run *run,
							   struct sl_tables *t,
							   struct sl_known *known,
							   enum sl_stage stage, uint64_t *packets)
{
	const struct sl_lane *rx = &run->rx[0], *tx = &run->tx[0];
	uint64_t done = 0, begin = rte_rdtsc();
	struct rte_mbuf *frame[SL_BURST];

	while (done < *packets && !atomic_load_explicit(run->stop, memory_order_relaxed)) {
		uint16_t n = rte_eth_rx_burst(rx->device, rx->queue, frame, SL_BURST), sent;

		work_on(t, known, stage, rx->port, frame, n);
		sent = rte_eth_tx_burst(tx->device, tx->queue, frame, n);
		if (sent < n)
			rte_pktmbuf_free_bulk(frame + sent, n - sent);
		done += n;
	}
	*packets = done;
	return rte_rdtsc() - begin;
}

uint64_t sl_stage_loop(const struct sl_worker_run *run, enum sl_stage stage, uint64_t *packets)
{
	static _Thread_local struct sl_known known; /* begins as zero */
	struct sl_tables t;
	struct timespec ts;

	sl_tables_init(&t, run->store, run->number);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	t.now = ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - t.root->origin_ns) >>
		SL_TICK_SHIFT;
	if (!sl_tables_look(&t, run->store))
		return 0;
	sl_known_forget(&known, t.generation);
	switch (stage) { /* each a loop of its own: what isn't measured isn't there */
	case SL_STAGE_CLASSIFY:
		return loop(run, &t, &known, SL_STAGE_CLASSIFY, packets);
	case SL_STAGE_DECIDE:
		return loop(run, &t, &known, SL_STAGE_DECIDE, packets);
	default:
		return loop(run, &t, &known, SL_STAGE_IO, packets);
	}
}

enum sl_stage sl_stage_named(const char *name)
{
	static const char *const names[SL_STAGES] = { "io", "classify", "decide" };
	int i = 0;

	while (i < SL_STAGES && strcmp(names[i], name) != 0)
		i++;
	return (enum sl_stage)i;
}
