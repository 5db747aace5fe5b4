/* SPDX-License-Identifier: BSD-2-Clause */
#include "stages.h"

#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "../dataplane/engine/seam.h"

static struct sl_packet packet_of(struct rte_mbuf *m, uint16_t ingress)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	return (struct sl_packet){ .data = data,
				   .end = data + rte_pktmbuf_data_len(m),
				   .length = rte_pktmbuf_pkt_len(m),
				   .ingress = ingress };
}

static inline __attribute__((always_inline)) void work_on(struct sl_tables *tables,
							  enum sl_stage stage, uint16_t port,
							  struct rte_mbuf **frame, uint16_t n)
{
	struct sl_tables t = *tables;
	struct sl_work work[SL_BURST];
	struct sl_packet p;

	if (stage == SL_STAGE_IO)
		return;
	for (uint16_t i = 0; i < n; i++) {
		p = packet_of(frame[i], port);
		sl_classify_steady(&t, &p, &work[i]);
		if (sl_likely(work[i].todo == SL_TODO_SERVICE))
			t.recent = work[i].service;
		else /* keeps what classify found alive, where nobody asks for it */
			__asm__ volatile("" : : "r"(work[i].reason) : "memory");
	}
	__asm__ volatile("" : : "r"(work) : "memory");
	if (stage == SL_STAGE_CLASSIFY)
		return;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t egress = 0;

		p = packet_of(frame[i], port);
		sl_route_steady(&t, &p, &work[i], &egress);
		__asm__ volatile("" : : "r"(egress));
	}
}

static inline __attribute__((always_inline)) uint64_t
loop(const struct sl_worker_run *run, struct sl_tables *t, enum sl_stage stage, uint64_t *packets)
{
	const struct sl_lane *rx = &run->rx[0], *tx = &run->tx[0];
	uint64_t done = 0, begin = rte_rdtsc();
	struct rte_mbuf *frame[SL_BURST];

	while (done < *packets && !atomic_load_explicit(run->stop, memory_order_relaxed)) {
		uint16_t n = rte_eth_rx_burst(rx->device, rx->queue, frame, SL_BURST), sent;

		work_on(t, stage, rx->port, frame, n);
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
	struct sl_tables t;
	struct timespec ts;

	sl_tables_init(&t, run->store, run->number);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	t.now = ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - t.root->origin_ns) >>
		SL_TICK_SHIFT;
	if (!sl_tables_look(&t, run->store))
		return 0;
	switch (stage) { /* each a loop of its own: what isn't measured isn't there */
	case SL_STAGE_CLASSIFY:
		return loop(run, &t, SL_STAGE_CLASSIFY, packets);
	case SL_STAGE_DECIDE:
		return loop(run, &t, SL_STAGE_DECIDE, packets);
	default:
		return loop(run, &t, SL_STAGE_IO, packets);
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
