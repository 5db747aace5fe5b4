/* SPDX-License-Identifier: BSD-2-Clause */
#include "together.h"

#include <stdio.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

static int loop(void *arg)
{
	struct sl_seat *seat = arg;

	seat->cycles = sl_stage_loop(&seat->run, SL_STAGE_IO, &seat->packets);
	return 0;
}

static int work(void *arg)
{
	struct sl_seat *seat = arg;
	const struct sl_worker *self =
		(const struct sl_worker *)seat->run.store->base[SL_ARRAY_workers] +
		seat->run.number;
	uint64_t cycles = self->cycles_all, packets = self->packets;

	sl_worker_main(&seat->run);
	seat->cycles = self->cycles_all - cycles;
	seat->packets = self->packets - packets;
	return 0;
}

void sl_together_init(struct sl_together *t, const struct sl_store *store, struct sl_ports *ports,
		      uint32_t n, const struct sl_generator *like)
{
	t->n = RTE_MIN(n, (uint32_t)SL_SEATS);
	for (uint32_t i = 0; i < t->n; i++) {
		struct sl_seat *seat = &t->seat[i];

		seat->run = (struct sl_worker_run){
			.store = store, .number = i, .stop = &seat->stop, .n_ports = 1
		};
		seat->run.n_rx =
			sl_ports_deal(ports, i, seat->run.rx, RTE_DIM(seat->run.rx), seat->run.tx);
		seat->generator = *like;
		seat->generator.random = (i + 1) * 0x9e3779b97f4a7c15ull;
		seat->generator.stop = &seat->stop;
	}
}

/* Packets forwarded to backends or clients since the instance was made. */
static uint64_t forwarded(const struct sl_together *t, uint32_t workers)
{
	const struct sl_reason_counters *counters =
		t->seat[0].run.store->base[SL_ARRAY_reason_counters];
	uint64_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		n += counters[i].packets[SL_REASON_to_backend] +
		     counters[i].packets[SL_REASON_to_client];
	return n;
}

bool sl_together_begin(struct sl_together *t, uint32_t n, uint64_t packets, bool workers,
		       bool generated)
{
	bool begun = n && n <= t->n;

	t->forwarded = begun ? forwarded(t, n) : 0;
	for (uint32_t i = 0; i < n && begun; i++) {
		struct sl_seat *seat = &t->seat[i];

		seat->packets = seat->generator.left = packets;
		seat->callback = NULL;
		atomic_store(&seat->stop, false);
		if (generated)
			seat->callback = rte_eth_add_rx_callback(
				seat->run.rx[0].device, seat->run.rx[0].queue, sl_generator_fill,
				&seat->generator);
		begun = rte_eal_remote_launch(workers ? work : loop, seat, i + 1) == 0;
	}
	return begun;
}

bool sl_together_done(struct sl_together *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (rte_eal_get_lcore_state(i + 1) == RUNNING)
			return false;
	for (uint32_t i = 0; i < n; i++) {
		struct sl_seat *seat = &t->seat[i];

		rte_eal_wait_lcore(i + 1);
		if (!seat->callback)
			continue;
		rte_eth_remove_rx_callback(seat->run.rx[0].device, seat->run.rx[0].queue,
					   seat->callback);
		rte_free((void *)(uintptr_t)seat->callback);
	}
	return true;
}

bool sl_together_report(const struct sl_together *t, uint32_t n, bool workers)
{
	uint64_t all = 0;

	printf("{\"cycles\": [");
	for (uint32_t i = 0; i < n; i++) {
		all += t->seat[i].packets;
		printf("%s%.3f", i ? ", " : "",
		       (double)t->seat[i].cycles / (double)t->seat[i].packets);
	}
	puts("]}");
	return !workers || forwarded(t, n) - t->forwarded == all;
}
