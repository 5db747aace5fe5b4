/* SPDX-License-Identifier: BSD-2-Clause */
#include "stages.h"

#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "../dataplane/engine/fast_path.h"

static inline __attribute__((always_inline)) void work_on(struct sl_tables *tables,
							  struct sl_service_cache *cache,
							  enum sl_stage stage, uint16_t port,
							  struct rte_mbuf **frame, uint16_t n)
{
	struct sl_fast_keys keys = sl_fast_keys(tables, port);
	struct sl_fast_lookup step[SL_BURST];

	if (stage == SL_STAGE_IO)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = frame[i];
		uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
		struct sl_packet p = { .data = data,
				       .end = data + rte_pktmbuf_data_len(m),
				       .length = rte_pktmbuf_pkt_len(m),
				       .ingress = port };
		struct sl_lookup lookup;

		if (sl_likely(sl_fast_classify(tables, cache, keys, port, data,
					       rte_pktmbuf_data_len(m), rte_pktmbuf_pkt_len(m),
					       &step[i]) != SL_FAST_NONE))
			continue;
		sl_classify(tables, &p, &lookup);
		if (lookup.packet_class == SL_CLASS_SERVICE)
			sl_cache_fill(tables, cache, lookup.service);
	}
	__asm__ volatile("" : : "r"(step) : "memory");
	if (stage == SL_STAGE_CLASSIFY)
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct sl_packet p = { .data = step[i].l3 - step[i].l3_at,
				       .length = rte_pktmbuf_pkt_len(frame[i]) };
		uint16_t egress = 0;

		if (sl_likely(step[i].kind == SL_FAST_NAT))
			sl_fast_route(tables, &step[i], SL_FAST_NAT, 1, &p, &egress);
		__asm__ volatile("" : : "r"(egress));
	}
}

static inline __attribute__((always_inline)) uint64_t loop(const struct sl_worker_run *run,
							   struct sl_tables *t,
							   struct sl_service_cache *cache,
							   enum sl_stage stage, uint64_t *packets)
{
	const struct sl_lane *rx = &run->rx[0], *tx = &run->tx[0];
	uint64_t done = 0, begin = rte_rdtsc();
	struct rte_mbuf *frame[SL_BURST];

	while (done < *packets && !atomic_load_explicit(run->stop, memory_order_relaxed)) {
		uint16_t n = rte_eth_rx_burst(rx->device, rx->queue, frame, SL_BURST), sent;

		work_on(t, cache, stage, rx->port, frame, n);
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
	static _Thread_local struct sl_service_cache cache; /* starts zeroed */
	struct sl_tables t;
	struct timespec ts;

	sl_tables_init(&t, run->store, run->number);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	t.now = ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - t.root->origin_ns) >>
		SL_TICK_SHIFT;
	if (!sl_tables_snapshot(&t, run->store))
		return 0;
	sl_cache_flush(&cache, t.generation);
	switch (stage) { /* each stage is its own loop: no code that isn't measured */
	case SL_STAGE_CLASSIFY:
		return loop(run, &t, &cache, SL_STAGE_CLASSIFY, packets);
	case SL_STAGE_DECIDE:
		return loop(run, &t, &cache, SL_STAGE_DECIDE, packets);
	default:
		return loop(run, &t, &cache, SL_STAGE_IO, packets);
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
