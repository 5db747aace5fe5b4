/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "../abi/life.h"
#include "clean.h"
#include "hold.h"
#include "steady.h"

struct turn {
	const struct sl_worker_run *run;
	struct sl_tables tables;
	struct sl_worker *self;
	struct sl_tally *tally;
	uint64_t next_time;  /* TSC at which the clock is read again */
	uint64_t read_time;  /* TSC at which it was read */
	uint64_t read_now;   /* ticks: what it said */
	uint64_t tick_rate;  /* ticks a cycle of the TSC, 2^-32 */
	uint64_t time_every; /* TSC */
	uint64_t turned;     /* TSC at which this turn began */
	uint64_t patience;   /* TSC: of XDP with us */
	struct sl_clean clean;
	struct sl_known known;
	struct sl_hold hold[SL_LANES_MAX]; /* on the queue of each receive lane */
	/* What leaves by each port, gathered over a burst. */
	uint32_t n_out[SL_PORTS_CONFIG_MAX];
	struct rte_mbuf *out[SL_PORTS_CONFIG_MAX][SL_BURST];
};

enum {
	CLOCK_READS = 4000, /* a second: the clock's step as engines see it, a quarter of a tick */
	SWEEP_SECONDS = 4,  /* for the whole table */
	PREFETCH_AHEAD = 4,
	DRAIN_ROUNDS = 256, /* bursts: more than a receive ring holds */
	DRAIN_MS = 2,
	IDLE_TURNS = 64,
	PATIENCE_ALONE_MS = 10, /* on a core that the kernel schedules nothing else on */
	PATIENCE_SHARED_MS = 100,
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

static void drop(struct turn *turn, struct rte_mbuf **frame, uint32_t n, enum sl_reason reason)
{
	turn->tally->packets[reason] += n;
	rte_pktmbuf_free_bulk(frame, n);
}

/* Whether we were kept from running for so long that XDP may have taken any of our queues, and has
 * if anything came in by it. What we hold from before is old either way: its sender has repeated
 * it, and the repetition may have come in by another queue while ours still had our word on it. */
static bool was_away(const struct turn *turn, uint64_t tsc)
{
	return tsc - turn->turned > turn->patience;
}

/* What is in the outbox goes out, unless the queue that it came from isn't ours any more. That is
 * asked at the last moment: we may have hung as well while another worker had the lane. */
static void flush(struct turn *turn, uint32_t port, const struct sl_hold *hold)
{
	const struct sl_lane *lane = &turn->run->tx[port];
	struct rte_mbuf **out = turn->out[port];
	uint32_t n = turn->n_out[port], sent = 0;
	bool ours;

	if (sl_unlikely(lane->lock != NULL))
		rte_spinlock_lock(lane->lock);
	ours = sl_hold_is_ours(hold) && !was_away(turn, rte_rdtsc());
	if (sl_likely(ours))
		sent = rte_eth_tx_burst(lane->device, lane->queue, out, (uint16_t)n);
	if (sl_unlikely(lane->lock != NULL))
		rte_spinlock_unlock(lane->lock);
	if (sl_unlikely(sent < n))
		drop(turn, out + sent, n - sent, ours ? SL_REASON_tx_full : SL_REASON_stale);
	turn->n_out[port] = 0;
}

static struct sl_packet packet_of(struct rte_mbuf *m, uint16_t ingress)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	return (struct sl_packet){ .data = data,
				   .end = data + rte_pktmbuf_data_len(m),
				   .frame = m->buf_addr,
				   .length = rte_pktmbuf_pkt_len(m),
				   .ingress = ingress };
}

/* The same as a step has found it. */
static inline struct sl_packet packet_of_step(const struct rte_mbuf *m, const struct sl_step *step)
{
	uint8_t *data = step->l3 - step->l3_at;

	return (struct sl_packet){ .data = data,
				   .end = data + rte_pktmbuf_data_len(m),
				   .frame = m->buf_addr,
				   .length = rte_pktmbuf_pkt_len(m) };
}

static __attribute__((noinline)) void cut_chain(struct rte_mbuf *m)
{
	rte_pktmbuf_free(m->next);
	m->next = NULL;
	m->nb_segs = 1;
}

/* The verdict made the frame longer or shorter: the buffer follows. */
static inline void follow(struct rte_mbuf *m, const struct sl_packet *p)
{
	m->data_off = (uint16_t)(p->data - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(p->end - p->data);
	m->pkt_len = p->length;
	if (sl_unlikely(m->nb_segs > 1 && m->data_len == m->pkt_len))
		cut_chain(m);
}

/* How often the same reason came in a row: counted once. */
struct run {
	enum sl_reason reason;
	uint32_t n;
};

static void count(struct turn *turn, struct run *run, enum sl_reason reason)
{
	if (sl_likely(run->reason == reason)) {
		run->n++;
		return;
	}
	turn->tally->packets[run->reason] += run->n;
	*run = (struct run){ reason, 1 };
}

static void finish(struct turn *turn, struct run *run, struct rte_mbuf *m, enum sl_reason reason,
		   uint16_t egress)
{
	uint8_t verdict = verdict_of[reason];

	if (sl_likely(verdict == SL_FORWARD || verdict == SL_REPLY)) {
		if (sl_likely(egress < turn->run->n_ports)) {
			turn->out[egress][turn->n_out[egress]++] = m;
			count(turn, run, reason);
			return;
		}
		reason = SL_REASON_no_port;
	}
	/* On AF_XDP nothing goes back to the kernel; XDP sent only what it classified as ours, so
	 * what isn't is a packet that a publish overtook on its way here. */
	count(turn, run, reason);
	rte_pktmbuf_free(m);
}

/* A burst on its way through the two halves of the decision. */
struct batch {
	const struct sl_lane *lane;
	struct rte_mbuf **frame;
	uint32_t n;
	struct sl_step step[SL_BURST]; /* of what is steady (steady.h) */
	struct sl_work work[SL_BURST]; /* of the others */
	const struct sl_service *met;  /* whom it will know from the next burst on */
};

/* The first half of what isn't steady, from the buffer on. */
static __attribute__((noinline)) void classify_other(struct turn *turn, struct batch *b, uint32_t i)
{
	struct sl_packet p = packet_of(b->frame[i], b->lane->port);
	struct sl_work *work = &b->work[i];

	b->step[i].kind = SL_STEADY_NOT;
	sl_classify(&turn->tables, &p, work);
	if ((work->todo == SL_TODO_SERVICE || work->todo == SL_TODO_SERVICE6) &&
	    !(work->service->flags & SL_SERVICE_RANGE))
		b->met = work->service;
}

/* The second half of what isn't steady, or isn't sent: then with the reason. Where the tables moved
 * while it was decided, it is once more, from the root. */
static __attribute__((noinline)) void route_other(struct turn *turn, struct batch *b, uint32_t i,
						  struct run *run, enum sl_reason reason)
{
	struct rte_mbuf *m = b->frame[i];
	struct sl_work *work = &b->work[i];
	uint16_t egress = 0;

	if (reason == SL_ELSEWHERE && b->step[i].kind != SL_STEADY_NOT)
		sl_step_work(&turn->tables, &b->step[i], work);
	for (bool again = false;; again = true) {
		if (reason == SL_ELSEWHERE) {
			struct sl_packet p = packet_of(m, b->lane->port);

			reason = sl_decide_end(&turn->tables, &p,
					       sl_route(&turn->tables, &p, work, &egress), &egress);
			follow(m, &p);
		}
		if (sl_likely(reason != SL_REASON_torn_table) || again)
			break;
		turn->self->restarts++;
		if (!sl_tables_look(&turn->tables, turn->run->store))
			break;
		/* What comes after was classified before. */
		for (uint32_t j = i; j < b->n; j++)
			classify_other(turn, b, j);
		reason = SL_ELSEWHERE;
	}
	finish(turn, run, m, reason, egress);
}

/* The second half of a flow that isn't known. */
static __attribute__((noinline)) enum sl_reason enter(struct turn *turn, struct rte_mbuf *m,
						      const struct sl_step *step, uint16_t *egress)
{
	struct sl_packet p = packet_of_step(m, step);
	enum sl_reason reason =
		sl_steady_enter(&turn->tables, step, turn->run->n_ports, &p, egress);

	follow(m, &p);
	return reason;
}

/* The second half of packets of one kind, from packet i on: up to which. *why: what came of that
 * one, if it isn't sent. */
static inline __attribute__((always_inline)) uint32_t route_steady(struct turn *turn,
								   struct batch *b, uint32_t i,
								   enum sl_steady_kind kind,
								   enum sl_reason *why)
{
	uint32_t n = b->n, ports = turn->run->n_ports, begin = i;
	enum sl_steady_kind way = kind & ~SL_STEADY_SIX;
	enum sl_reason sent = way == SL_STEADY_REPLY ? SL_REASON_to_client : SL_REASON_to_backend;
	enum sl_reason reason = sent;

	for (; i < n && b->step[i].kind == kind; i++) {
		struct rte_mbuf *m = b->frame[i];
		struct sl_packet p = packet_of_step(m, &b->step[i]);
		uint16_t egress;

		reason = sl_steady_route(&turn->tables, &b->step[i], kind, ports, &p, &egress);
		if (sl_unlikely(reason == SL_UNKNOWN_FLOW)) {
			uint16_t to;

			reason = enter(turn, m, &b->step[i], &to);
			if (reason == sent) {
				turn->out[to][turn->n_out[to]++] = m;
				continue;
			}
		}
		if (sl_unlikely(reason != sent))
			break;
		if (way == SL_STEADY_TUNNEL)
			follow(m, &p);
		turn->out[egress][turn->n_out[egress]++] = m;
	}
	*why = reason;
	turn->tally->packets[sent] += i - begin;
	return i;
}

/* A loop for each kind. */
#define STEADY_KINDS(X)                                                                            \
	X(NAT)                                                                                     \
	X(REPLY)                                                                                   \
	X(DIRECT)                                                                                  \
	X(TUNNEL)                                                                                  \
	X(NAT6)                                                                                    \
	X(REPLY6)                                                                                  \
	X(DIRECT6)                                                                                 \
	X(TUNNEL6)
#define ROUTE_FUNCTION(kind)                                                                       \
	static __attribute__((noinline))                                                           \
	uint32_t route_##kind(struct turn *turn, struct batch *b, uint32_t i, enum sl_reason *why) \
	{                                                                                          \
		return route_steady(turn, b, i, SL_STEADY_##kind, why);                            \
	}
STEADY_KINDS(ROUTE_FUNCTION)
#undef ROUTE_FUNCTION

static void burst(struct turn *turn, const struct sl_lane *lane, const struct sl_hold *hold,
		  struct rte_mbuf **frame, uint32_t n)
{
	const struct sl_tables *t = &turn->tables;
	struct sl_steady_keys keys = sl_steady_keys(t, lane->port);
	struct run run = { SL_REASON_to_backend, 0 };
	struct batch b;

	b.lane = lane;
	b.frame = frame;
	b.n = n;
	b.met = NULL;
	if (sl_unlikely(turn->known.generation != t->generation))
		sl_known_forget(&turn->known, t->generation);
	/* There is room behind the last, so that the loop needn't ask where it is. */
	for (uint32_t i = n; i < n + PREFETCH_AHEAD; i++)
		frame[i] = frame[n - 1];
	for (uint32_t i = 0; i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(frame[i], void *));
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = frame[i];

		rte_prefetch0(rte_pktmbuf_mtod(frame[i + PREFETCH_AHEAD], void *));
		if (sl_unlikely(sl_steady_classify(t, &turn->known, keys, lane->port,
						   rte_pktmbuf_mtod(m, uint8_t *),
						   rte_pktmbuf_data_len(m), rte_pktmbuf_pkt_len(m),
						   &b.step[i]) == SL_STEADY_NOT))
			classify_other(turn, &b, i);
	}
	for (uint32_t i = 0; i < n;) {
		enum sl_reason reason = SL_ELSEWHERE;

		switch (b.step[i].kind) {
#define ROUTE_CASE(kind)                                                                           \
	case SL_STEADY_##kind:                                                                     \
		i = route_##kind(turn, &b, i, &reason);                                            \
		break;
			STEADY_KINDS(ROUTE_CASE)
#undef ROUTE_CASE
		}
		if (sl_unlikely(reason != SL_REASON_to_backend && reason != SL_REASON_to_client))
			route_other(turn, &b, i++, &run, reason);
	}
	turn->tally->packets[run.reason] += run.n;
	if (sl_unlikely(b.met != NULL))
		sl_steady_learn(t, &turn->known, b.met, b.step, n);
	for (uint32_t port = 0; port < turn->run->n_ports; port++)
		if (turn->n_out[port])
			flush(turn, port, hold);
}

/* What the main thread wants to be sent. */
static void send_outgoing(const struct sl_worker_run *run)
{
	struct rte_mbuf *frame[SL_BURST];
	uint32_t n = rte_ring_dequeue_burst(run->outgoing, (void **)frame, SL_BURST, NULL);

	for (uint32_t i = 0; i < n; i++) {
		const struct sl_lane *lane = &run->tx[frame[i]->port];

		if (rte_eth_tx_burst(lane->device, lane->queue, &frame[i], 1) == 0)
			rte_pktmbuf_free(frame[i]);
	}
}

/* A quarter of a millisecond has passed: the time, a sign of life, a piece of the flow table, and
 * what others want to be sent. */
static void tick(struct turn *turn, uint64_t tsc)
{
	uint64_t now = clock_ns();

	turn->read_now = (now - turn->tables.root->origin_ns) >> SL_TICK_SHIFT;
	turn->read_time = tsc;
	turn->tables.now = turn->read_now;
	__atomic_store_n(&turn->self->heartbeat_ns, now, __ATOMIC_RELAXED);
	sl_clean_turn(&turn->clean, &turn->tables);
	if (turn->run->outgoing)
		send_outgoing(turn->run);
	turn->next_time = tsc + turn->time_every;
}

/* Between two readings the TSC tells: token buckets want the time of a burst. */
static void tell_time(struct turn *turn)
{
	int64_t since = (int64_t)(turn->turned - turn->read_time);

	turn->tables.now = turn->read_now + (uint64_t)(since * (int64_t)turn->tick_rate >> 32);
}

static void look(struct turn *turn)
{
	sl_tables_look(&turn->tables, turn->run->store);
	/* Release: every read of the older tables comes before. */
	if (sl_unlikely(turn->self->generation != turn->tables.generation))
		__atomic_store_n(&turn->self->generation, turn->tables.generation,
				 __ATOMIC_RELEASE);
}

/* Whether the kernel was told to keep other work off this core (isolcpus). */
static bool core_is_isolated(unsigned cpu)
{
	FILE *list = fopen("/sys/devices/system/cpu/isolated", "re");
	unsigned first, last;
	bool found = false;
	int n;

	while (list && !found && (n = fscanf(list, "%u-%u,", &first, &last)) > 0)
		found = cpu == first || (n == 2 && cpu > first && cpu <= last);
	if (list)
		fclose(list);
	return found;
}

/* XDP judges by the coarse clock, which is up to a step behind, and only when a packet comes: told
 * a step and a millisecond less it finds us hung after the time that we mean, at the latest. */
static uint64_t patience_ns(const struct sl_worker_run *run, unsigned cpu)
{
	bool alone = !run->adaptive && core_is_isolated(cpu);
	uint64_t ns = (alone ? PATIENCE_ALONE_MS : PATIENCE_SHARED_MS) * 1000000ull;
	struct timespec step = { 0 };

	clock_getres(CLOCK_MONOTONIC_COARSE, &step);
	return ns - RTE_MIN((uint64_t)step.tv_nsec + 1000000, ns / 2);
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
	turn->tick_rate = (1000000000ull >> SL_TICK_SHIFT << 32) / rte_get_tsc_hz();
	turn->clean.step = turn->tables.buckets / (CLOCK_READS * SWEEP_SECONDS) + 1;
	turn->clean.next = (uint32_t)((uint64_t)turn->tables.buckets * run->number / workers);
	getcpu(&cpu, NULL);
	turn->self->cpu = cpu;
	turn->self->tid = (uint32_t)gettid();
	turn->self->started_ns = clock_ns();
	turn->self->patience_ns = patience_ns(run, cpu);
	turn->patience = rte_get_tsc_hz() / 1000000 * turn->self->patience_ns / 1000;
	for (size_t i = 0; i < run->n_rx; i++)
		turn->hold[i].queue = (struct sl_queue *)store->base[SL_ARRAY_queues] +
				      run->rx[i].port * SL_QUEUES_PER_PORT + run->rx[i].number;
	tick(turn, rte_rdtsc());
	look(turn);
	sl_life_begin(&turn->self->alive);
	__atomic_store_n(&turn->self->pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
}

static void swap_queues(struct turn *turn, bool take, enum sl_handover why)
{
	for (size_t i = 0; i < turn->run->n_rx; i++)
		sl_hold_swap(&turn->hold[i], take ? turn->run->number + 1 : 0, why);
}

/* What waits in the queue is old, and XDP has served its flows since. */
static void drain(struct turn *turn, size_t i)
{
	const struct sl_lane *lane = &turn->run->rx[i];
	struct rte_mbuf *frame[SL_BURST];
	uint32_t n;

	tick(turn, rte_rdtsc()); /* alive again, before anybody looks */
	for (int round = 0; round < DRAIN_ROUNDS; round++) {
		n = rte_eth_rx_burst(lane->device, lane->queue, frame, SL_BURST);
		if (!n)
			break;
		drop(turn, frame, n, SL_REASON_stale);
	}
}

/* XDP took the queue while we hung. */
static void take_back(struct turn *turn, size_t i)
{
	drain(turn, i);
	sl_hold_swap(&turn->hold[i], turn->run->number + 1, SL_HANDOVER_WOKE);
}

/* One burst from each lane; whether there was any. */
static bool serve(struct turn *turn)
{
	struct rte_mbuf *frame[SL_BURST + PREFETCH_AHEAD];
	bool busy = false;

	for (size_t i = 0; i < turn->run->n_rx; i++) {
		const struct sl_lane *lane = &turn->run->rx[i];
		uint32_t n = rte_eth_rx_burst(lane->device, lane->queue, frame, SL_BURST);

		if (!n)
			continue;
		/* Only now: what came in was sent before, so no older table may decide it. */
		look(turn);
		tell_time(turn);
		busy = true;
		turn->self->bursts++;
		turn->self->packets += n;
		burst(turn, lane, &turn->hold[i], frame, n);
	}
	return busy;
}

/* Longer the longer there was nothing, and far below any patience with us. */
static void rest(uint32_t idle)
{
	uint32_t us = idle < 2 * IDLE_TURNS ? 50 : idle < 4 * IDLE_TURNS ? 200 : 500;

	if (idle >= IDLE_TURNS)
		nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* The queues go to XDP first; what had reached our rings by then is still served. */
static void end(struct turn *turn)
{
	uint64_t until = rte_rdtsc() + rte_get_tsc_hz() * DRAIN_MS / 1000;

	swap_queues(turn, false, SL_HANDOVER_STOPPED);
	while (rte_rdtsc() < until) {
		look(turn);
		serve(turn);
	}
	sl_life_end(&turn->self->alive);
	__atomic_store_n(&turn->self->pid, 0, __ATOMIC_RELEASE);
}

int sl_worker_main(void *arg)
{
	const struct sl_worker_run *run = arg;
	struct turn turn;
	uint32_t idle = 0;

	begin(&turn, run);
	swap_queues(&turn, true, SL_HANDOVER_STARTED);
	turn.turned = rte_rdtsc();
	while (!atomic_load_explicit(run->stop, memory_order_relaxed)) {
		uint64_t tsc;
		bool busy;

		look(&turn);
		for (size_t i = 0; i < run->n_rx; i++)
			if (sl_unlikely(!sl_hold_is_ours(&turn.hold[i])))
				take_back(&turn, i);
		busy = serve(&turn);
		idle = busy ? 0 : idle + 1;
		if (run->adaptive && !busy)
			rest(idle);
		tsc = rte_rdtsc();
		turn.self->cycles_all += tsc - turn.turned;
		if (busy)
			turn.self->cycles_busy += tsc - turn.turned;
		if (sl_unlikely(was_away(&turn, tsc)))
			for (size_t i = 0; i < run->n_rx; i++)
				drain(&turn, i);
		turn.turned = tsc;
		if (tsc >= turn.next_time)
			tick(&turn, tsc);
	}
	end(&turn);
	return 0;
}
