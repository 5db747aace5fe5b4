/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "../abi/life.h"
#include "seam.h"

/* What leaves by one port, gathered over a burst. */
struct outbox {
	uint32_t n;
	struct rte_mbuf *frame[SL_BURST];
};

struct turn {
	const struct sl_worker_run *run;
	struct sl_tables tables;
	struct sl_worker *self;
	struct sl_tally *tally;
	uint64_t next_time;  /* TSC at which the clock is read again */
	uint64_t time_every; /* TSC */
	uint32_t sweep;      /* next bucket */
	uint32_t sweep_step; /* buckets each time that the clock is read */
	struct outbox out[SL_PORTS_CONFIG_MAX];
};

enum {
	CLOCK_READS = 4000, /* a second: the clock's step as engines see it, a quarter of a tick */
	SWEEP_SECONDS = 4,  /* for the whole table */
};

static const uint8_t verdict_of[SL_REASON_MAX] = {
#define SL_REASON_VERDICT(name, verdict, help) [SL_REASON_##name] = verdict,
	SL_REASONS(SL_REASON_VERDICT)
#undef SL_REASON_VERDICT
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void flush(struct turn *turn, uint32_t port)
{
	const struct sl_lane *lane = &turn->run->tx[port];
	struct outbox *out = &turn->out[port];
	uint32_t sent = rte_eth_tx_burst(lane->device, lane->queue, out->frame, (uint16_t)out->n);

	if (sl_unlikely(sent < out->n)) {
		turn->tally->packets[SL_REASON_tx_full] += out->n - sent;
		rte_pktmbuf_free_bulk(out->frame + sent, out->n - sent);
	}
	out->n = 0;
}

static struct sl_packet packet_of(struct rte_mbuf *m, uint16_t ingress)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	return (struct sl_packet){ .data = data,
		                   .end = data + rte_pktmbuf_data_len(m),
		                   .length = rte_pktmbuf_pkt_len(m),
		                   .ingress = ingress };
}

/* The tables moved while a packet was decided: once more, from the root. */
static enum sl_reason again(struct turn *turn, struct sl_packet *p, uint16_t *egress)
{
	struct sl_work work;

	turn->self->restarts++;
	if (!sl_tables_look(&turn->tables, turn->run->store))
		return SL_REASON_torn_table;
	sl_classify(&turn->tables, p, &work);
	return sl_route(&turn->tables, p, &work, egress);
}

static void finish(struct turn *turn, struct rte_mbuf *m, enum sl_reason reason, uint16_t egress)
{
	uint8_t verdict = verdict_of[reason];

	if (sl_likely(verdict == SL_FORWARD || verdict == SL_REPLY)) {
		if (sl_likely(egress < turn->run->n_ports)) {
			struct outbox *out = &turn->out[egress];

			out->frame[out->n++] = m;
			turn->tally->packets[reason]++;
			return;
		}
		reason = SL_REASON_no_port;
	}
	/* On AF_XDP nothing goes back to the kernel; XDP sent only what it classified as ours, so
	 * what isn't is a packet that a publish overtook on its way here. */
	turn->tally->packets[reason]++;
	rte_pktmbuf_free(m);
}

static void burst(struct turn *turn, const struct sl_lane *lane, struct rte_mbuf **frame,
                  uint32_t n)
{
	struct sl_work work[SL_BURST];
	struct sl_packet p;

	for (uint32_t i = 0; i < n && i < 4; i++)
		rte_prefetch0(rte_pktmbuf_mtod(frame[i], void *));
	for (uint32_t i = 0; i < n; i++) {
		if (i + 4 < n)
			rte_prefetch0(rte_pktmbuf_mtod(frame[i + 4], void *));
		p = packet_of(frame[i], lane->port);
		sl_classify(&turn->tables, &p, &work[i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		enum sl_reason reason;
		uint16_t egress = 0;

		p = packet_of(frame[i], lane->port);
		reason = sl_route(&turn->tables, &p, &work[i], &egress);
		if (sl_unlikely(reason == SL_REASON_torn_table)) {
			reason = again(turn, &p, &egress);
			/* What was classified before the tables moved is classified again. */
			for (uint32_t j = i + 1; j < n; j++) {
				struct sl_packet q = packet_of(frame[j], lane->port);

				sl_classify(&turn->tables, &q, &work[j]);
			}
		}
		finish(turn, frame[i], reason, egress);
	}
	for (uint32_t port = 0; port < turn->run->n_ports; port++)
		if (turn->out[port].n)
			flush(turn, port);
}

/* A quarter of a millisecond has passed: the time, a sign of life, a piece of the flow table. */
static void tick(struct turn *turn, uint64_t tsc)
{
	uint64_t now = clock_ns();

	turn->tables.now = (now - turn->tables.root->origin_ns) >> SL_TICK_SHIFT;
	__atomic_store_n(&turn->self->heartbeat_ns, now, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < turn->sweep_step; i++) {
		sl_flow_sweep(&turn->tables, &turn->tables.bucket[turn->sweep], turn->tables.now);
		turn->sweep = turn->sweep + 1 < turn->tables.buckets ? turn->sweep + 1 : 0;
	}
	turn->next_time = tsc + turn->time_every;
}

static void look(struct turn *turn)
{
	sl_tables_look(&turn->tables, turn->run->store);
	/* Release: every read of the older tables comes before. */
	if (sl_unlikely(turn->self->generation != turn->tables.generation))
		__atomic_store_n(&turn->self->generation, turn->tables.generation,
		                 __ATOMIC_RELEASE);
}

static void begin(struct turn *turn, const struct sl_worker_run *run)
{
	const struct sl_store *store = run->store;
	uint32_t workers = store->count[SL_ARRAY_workers];
	unsigned cpu = 0;

	*turn = (struct turn){ .run = run };
	sl_tables_init(&turn->tables, store, run->number);
	turn->self = (struct sl_worker *)store->base[SL_ARRAY_workers] + run->number;
	turn->tally = (struct sl_tally *)store->base[SL_ARRAY_tally] + run->number;
	turn->time_every = rte_get_tsc_hz() / CLOCK_READS;
	turn->sweep_step = turn->tables.buckets / (CLOCK_READS * SWEEP_SECONDS) + 1;
	turn->sweep = (uint32_t)((uint64_t)turn->tables.buckets * run->number / workers);
	getcpu(&cpu, NULL);
	turn->self->cpu = cpu;
	turn->self->tid = (uint32_t)gettid();
	turn->self->started_ns = clock_ns();
	tick(turn, rte_rdtsc());
	look(turn);
	sl_life_begin(&turn->self->alive);
	__atomic_store_n(&turn->self->pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
}

static void own_queues(const struct sl_worker_run *run, bool own)
{
	struct sl_queue *queues = run->store->base[SL_ARRAY_queues];

	for (size_t i = 0; i < run->n_rx; i++) {
		const struct sl_lane *lane = &run->rx[i];
		struct sl_queue *q = &queues[lane->port * SL_QUEUES_PER_PORT + lane->number];
		uint64_t epoch = (__atomic_load_n(&q->owner, __ATOMIC_ACQUIRE) >> 32) + 1;

		q->since_ns = clock_ns();
		__atomic_store_n(&q->owner, epoch << 32 | (own ? run->number + 1 : 0),
		                 __ATOMIC_RELEASE);
	}
}

int sl_worker_main(void *arg)
{
	const struct sl_worker_run *run = arg;
	struct rte_mbuf *frame[SL_BURST];
	struct turn turn;
	uint64_t last;

	begin(&turn, run);
	own_queues(run, true);
	last = rte_rdtsc();
	while (!atomic_load_explicit(run->stop, memory_order_relaxed)) {
		uint64_t tsc;
		bool busy = false;

		look(&turn);
		for (size_t i = 0; i < run->n_rx; i++) {
			const struct sl_lane *lane = &run->rx[i];
			uint32_t n = rte_eth_rx_burst(lane->device, lane->queue, frame, SL_BURST);

			if (!n)
				continue;
			busy = true;
			turn.self->bursts++;
			turn.self->packets += n;
			burst(&turn, lane, frame, n);
		}
		tsc = rte_rdtsc();
		turn.self->cycles_all += tsc - last;
		if (busy)
			turn.self->cycles_busy += tsc - last;
		last = tsc;
		if (tsc >= turn.next_time)
			tick(&turn, tsc);
	}
	own_queues(run, false);
	sl_life_end(&turn.self->alive);
	__atomic_store_n(&turn.self->pid, 0, __ATOMIC_RELEASE);
	return 0;
}
