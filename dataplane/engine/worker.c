/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "../abi/liveness.h"
#include "../core/partial.h"
#include "fast_path.h"
#include "flow_sweeper.h"
#include "hang_timeout.h"
#include "hold.h"
#include "neighbour_queue.h"

struct worker {
	const struct sl_worker_run *run;
	struct sl_tables tables;
	struct sl_worker *self;
	struct sl_reason_counters *counters;
	uint64_t next_time;    /* TSC at which to read the clock again */
	uint64_t read_time;    /* TSC at which the clock was read */
	uint64_t read_now;     /* in ticks: the time that it told */
	uint64_t tick_rate;    /* ticks per TSC cycle, times 2^32 */
	uint64_t time_every;   /* TSC cycles between readings */
	uint64_t turned;       /* TSC at which this turn began */
	uint64_t hang_timeout; /* TSC cycles after which XDP takes over */
	struct sl_flow_sweeper sweeper;
	struct sl_service_cache cache;
	struct sl_hold hold[SL_LANES_MAX]; /* for the queue of each receive lane */
	struct sl_neighbour_queues waiting;
	uint64_t waited_since; /* of packets that are decided again; 0: of no others */
	/* Outbox: the packets of a burst that leave by each port. */
	uint32_t n_out[SL_PORTS_CONFIG_MAX];
	struct rte_mbuf *out[SL_PORTS_CONFIG_MAX][SL_BURST];
};

enum {
	CLOCK_READS = 4000, /* per second; between readings the TSC is used */
	SWEEP_SECONDS = 4,  /* per pass over the flow table */
	PREFETCH_AHEAD = 4,
	DRAIN_ROUNDS = 256, /* bursts: more than a receive ring holds */
	DRAIN_MS = 2,
	IDLE_TURNS = 64,
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

static void drop(struct worker *worker, struct rte_mbuf **frame, uint32_t n, enum sl_reason reason)
{
	worker->counters->packets[reason] += n;
	rte_pktmbuf_free_bulk(frame, n);
}

/* Whether this thread was off its core for so long that XDP may have taken any of our queues; it
 * has if a packet came in by it. The packets we hold are old either way: their senders have
 * retransmitted, and the retransmission may have come in by another queue while we still owned
 * ours. */
static bool was_away(const struct worker *worker, uint64_t tsc)
{
	return tsc - worker->turned > worker->hang_timeout;
}

/* Transmits the outbox of a port, unless we don't own the queue any more that the packets came in
 * by. This is checked at the last moment, with the lane's lock held: we may have hung while another
 * worker had the lane. */
static void flush(struct worker *worker, uint32_t port, const struct sl_hold *hold)
{
	const struct sl_lane *lane = &worker->run->tx[port];
	struct rte_mbuf **out = worker->out[port];
	uint32_t n = worker->n_out[port], sent = 0;
	bool ours;

	if (sl_unlikely(lane->lock != NULL))
		rte_spinlock_lock(lane->lock);
	ours = sl_hold_is_ours(hold) && !was_away(worker, rte_rdtsc());
	if (sl_likely(ours))
		sent = rte_eth_tx_burst(lane->device, lane->queue, out, (uint16_t)n);
	if (sl_unlikely(lane->lock != NULL))
		rte_spinlock_unlock(lane->lock);
	if (sl_unlikely(sent < n))
		drop(worker, out + sent, n - sent, ours ? SL_REASON_tx_full : SL_REASON_stale);
	worker->n_out[port] = 0;
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

/* The same for a packet of the fast path. */
static inline struct sl_packet packet_of_step(const struct rte_mbuf *m,
					      const struct sl_fast_lookup *fast)
{
	uint8_t *data = fast->l3 - fast->l3_at;

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

/* The packet became longer or shorter: updates its buffer. */
static inline void follow(struct rte_mbuf *m, const struct sl_packet *p)
{
	m->data_off = (uint16_t)(p->data - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(p->end - p->data);
	m->pkt_len = p->length;
	if (sl_unlikely(m->nb_segs > 1 && m->data_len == m->pkt_len))
		cut_chain(m);
}

/* Consecutive packets with the same reason are counted at once. */
struct run {
	enum sl_reason reason;
	uint32_t n;
};

static void count(struct worker *worker, struct run *run, enum sl_reason reason)
{
	if (sl_likely(run->reason == reason)) {
		run->n++;
		return;
	}
	worker->counters->packets[run->reason] += run->n;
	*run = (struct run){ reason, 1 };
}

static void finish(struct worker *worker, struct run *run, struct rte_mbuf *m,
		   enum sl_reason reason, uint16_t egress)
{
	uint8_t verdict = verdict_of[reason];

	if (sl_likely(verdict == SL_FORWARD || verdict == SL_REPLY)) {
		if (sl_likely(egress < worker->run->n_ports)) {
			worker->out[egress][worker->n_out[egress]++] = m;
			count(worker, run, reason);
			return;
		}
		reason = SL_REASON_no_port;
	}
	/* On AF_XDP a packet can't go back to the kernel. XDP only redirects packets that it
	 * classified as ours, so one that isn't was overtaken by a publish on its way here. */
	count(worker, run, reason);
	rte_pktmbuf_free(m);
}

/* A burst between the two passes of the decision. */
struct batch {
	const struct sl_lane *lane;
	struct rte_mbuf **frame;
	uint32_t n;
	struct sl_fast_lookup fast[SL_BURST]; /* for packets of the fast path (fast_path.h) */
	struct sl_lookup lookup[SL_BURST];    /* for the others */
	const struct sl_service *cache_next;  /* goes into the cache after this burst */
};

/* The first pass of the slow path. */
static __attribute__((noinline)) void classify_slow(struct worker *worker, struct batch *b,
						    uint32_t i)
{
	struct sl_packet p = packet_of(b->frame[i], b->lane->port);
	struct sl_lookup *lookup = &b->lookup[i];

	b->fast[i].kind = SL_FAST_NONE;
	sl_classify(&worker->tables, &p, lookup);
	if ((lookup->packet_class == SL_CLASS_SERVICE ||
	     lookup->packet_class == SL_CLASS_SERVICE6) &&
	    !(lookup->service->flags & SL_SERVICE_RANGE))
		b->cache_next = lookup->service;
}

/* Keeps a packet whose next hop's MAC address isn't known. False: there is no room. The address is
 * the last that was asked for; for a packet to a backend none is. */
static __attribute__((noinline)) bool wait_for_neighbour(struct worker *worker,
							 const struct batch *b, uint32_t i)
{
	const struct sl_neighbour_requests *r = worker->tables.neighbour_requests;
	const struct sl_lookup *lookup = &b->lookup[i];
	bool to_service = lookup->packet_class == SL_CLASS_SERVICE ||
			  lookup->packet_class == SL_CLASS_SERVICE6;
	const union sl_addr *hop = to_service ? &lookup->service->vip
					      : &r->addr[(r->head - 1) % SL_NEIGHBOUR_REQUESTS];
	uint64_t since = worker->waited_since ? worker->waited_since : worker->tables.now;

	if (!worker->waiting.used)
		worker->waiting.generation = worker->tables.generation;
	if (!sl_neighbour_queue_add(&worker->waiting, hop, b->frame[i],
				    (uint16_t)(b->lane - worker->run->rx), since))
		return false;
	worker->self->waited += !worker->waited_since;
	return true;
}

/* The second pass of the slow path; or the fast path's `reason` for a packet that isn't forwarded.
 * If the tables changed while the packet was decided, it is decided once more, from the root on. */
static __attribute__((noinline)) void route_slow(struct worker *worker, struct batch *b, uint32_t i,
						 struct run *run, enum sl_reason reason)
{
	struct rte_mbuf *m = b->frame[i];
	struct sl_lookup *lookup = &b->lookup[i];
	uint16_t egress = 0;

	if (reason == SL_RETRY_SLOW_PATH && b->fast[i].kind != SL_FAST_NONE)
		sl_fast_to_lookup(&worker->tables, &b->fast[i], lookup);
	for (bool again = false;; again = true) {
		if (reason == SL_RETRY_SLOW_PATH) {
			struct sl_packet p = packet_of(m, b->lane->port);

			reason = sl_decide_end(&worker->tables, &p,
					       sl_route(&worker->tables, &p, lookup, &egress),
					       &egress);
			follow(m, &p);
		}
		if (sl_likely(reason != SL_REASON_torn_table) || again)
			break;
		worker->self->restarts++;
		if (!sl_tables_snapshot(&worker->tables, worker->run->store))
			break;
		/* The following packets were classified with the old tables. */
		for (uint32_t j = i; j < b->n; j++)
			classify_slow(worker, b, j);
		reason = SL_RETRY_SLOW_PATH;
	}
	if (sl_unlikely(reason == SL_REASON_no_neighbour)) {
		if (wait_for_neighbour(worker, b, i))
			return;
		reason = SL_REASON_neighbour_queue_full;
	}
	finish(worker, run, m, reason, egress);
}

/* The second pass of the fast path for a new flow. */
static __attribute__((noinline)) enum sl_reason route_new_flow(struct worker *worker,
							       struct rte_mbuf *m,
							       const struct sl_fast_lookup *fast,
							       uint16_t *egress)
{
	struct sl_packet p = packet_of_step(m, fast);
	enum sl_reason reason =
		sl_fast_route_new_flow(&worker->tables, fast, worker->run->n_ports, &p, egress);

	follow(m, &p);
	return reason;
}

/* The second pass of the fast path for consecutive packets of one kind, from packet i on. Returns
 * the index after the last one that was forwarded; *why: the reason of the packet there, if it has
 * that kind but isn't forwarded. */
static inline __attribute__((always_inline)) uint32_t route_fast(struct worker *worker,
								 struct batch *b, uint32_t i,
								 enum sl_fast_kind kind,
								 enum sl_reason *why)
{
	uint32_t n = b->n, ports = worker->run->n_ports, begin = i;
	enum sl_fast_kind way = kind & ~SL_FAST_IPV6;
	enum sl_reason sent = way == SL_FAST_REPLY ? SL_REASON_to_client : SL_REASON_to_backend;
	enum sl_reason reason = sent;

	for (; i < n && b->fast[i].kind == kind; i++) {
		struct rte_mbuf *m = b->frame[i];
		struct sl_packet p = packet_of_step(m, &b->fast[i]);
		uint16_t egress;

		reason = sl_fast_route(&worker->tables, &b->fast[i], kind, ports, &p, &egress);
		if (sl_unlikely(reason == SL_RETRY_NEW_FLOW)) {
			uint16_t to;

			reason = route_new_flow(worker, m, &b->fast[i], &to);
			if (reason == sent) {
				worker->out[to][worker->n_out[to]++] = m;
				continue;
			}
		}
		if (sl_unlikely(reason != sent))
			break;
		if (way == SL_FAST_TUNNEL)
			follow(m, &p);
		worker->out[egress][worker->n_out[egress]++] = m;
	}
	*why = reason;
	worker->counters->packets[sent] += i - begin;
	return i;
}

/* Each kind has a loop of its own. */
#define FAST_KINDS(X)                                                                              \
	X(NAT)                                                                                     \
	X(REPLY)                                                                                   \
	X(DIRECT)                                                                                  \
	X(TUNNEL)                                                                                  \
	X(NAT6)                                                                                    \
	X(REPLY6)                                                                                  \
	X(DIRECT6)                                                                                 \
	X(TUNNEL6)
#define ROUTE_FUNCTION(kind)                                                                       \
	static __attribute__((noinline)) uint32_t route_##kind(                                    \
		struct worker *worker, struct batch *b, uint32_t i, enum sl_reason *why)           \
	{                                                                                          \
		return route_fast(worker, b, i, SL_FAST_##kind, why);                              \
	}
FAST_KINDS(ROUTE_FUNCTION)
#undef ROUTE_FUNCTION

/* Of a port by which partial checksums may come in. */
static __attribute__((noinline)) void complete_checksums(const struct sl_hold *hold,
							 struct rte_mbuf **frame, uint32_t n)
{
	uint64_t completed = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct sl_packet p = packet_of(frame[i], 0);

		completed += sl_partial_complete_impl(&p, true);
	}
	if (completed)
		__atomic_fetch_add(&hold->queue->completed, completed, __ATOMIC_RELAXED);
}

static void burst(struct worker *worker, const struct sl_lane *lane, const struct sl_hold *hold,
		  struct rte_mbuf **frame, uint32_t n)
{
	const struct sl_tables *t = &worker->tables;
	struct sl_fast_keys keys = sl_fast_keys(t, lane->port);
	struct run run = { SL_REASON_to_backend, 0 };
	struct batch b;

	b.lane = lane;
	b.frame = frame;
	b.n = n;
	b.cache_next = NULL;
	if (sl_unlikely(worker->cache.generation != t->generation))
		sl_cache_flush(&worker->cache, t->generation);
	if (sl_unlikely(__atomic_load_n(&t->root->partial, __ATOMIC_RELAXED) >> lane->port & 1))
		complete_checksums(hold, frame, n);
	/* The array has room behind the last packet, so the loop needs no bound for its
	 * prefetches. */
	for (uint32_t i = n; i < n + PREFETCH_AHEAD; i++)
		frame[i] = frame[n - 1];
	for (uint32_t i = 0; i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(frame[i], void *));
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = frame[i];

		rte_prefetch0(rte_pktmbuf_mtod(frame[i + PREFETCH_AHEAD], void *));
		if (sl_unlikely(sl_fast_classify(t, &worker->cache, keys, lane->port,
						 rte_pktmbuf_mtod(m, uint8_t *),
						 rte_pktmbuf_data_len(m), rte_pktmbuf_pkt_len(m),
						 &b.fast[i]) == SL_FAST_NONE))
			classify_slow(worker, &b, i);
	}
	for (uint32_t i = 0; i < n;) {
		enum sl_reason reason = SL_RETRY_SLOW_PATH;

		switch (b.fast[i].kind) {
#define ROUTE_CASE(kind)                                                                           \
	case SL_FAST_##kind:                                                                       \
		i = route_##kind(worker, &b, i, &reason);                                          \
		break;
			FAST_KINDS(ROUTE_CASE)
#undef ROUTE_CASE
		}
		if (sl_unlikely(reason != SL_REASON_to_backend && reason != SL_REASON_to_client))
			route_slow(worker, &b, i++, &run, reason);
	}
	worker->counters->packets[run.reason] += run.n;
	if (sl_unlikely(b.cache_next != NULL))
		sl_fast_cache_fill(t, &worker->cache, b.cache_next, b.fast, n);
	for (uint32_t port = 0; port < worker->run->n_ports; port++)
		if (worker->n_out[port])
			flush(worker, port, hold);
}

/* Sends the frames that the main thread has passed to this worker. */
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

/* Every quarter of a millisecond: reads the clock, shows a sign of life, sweeps a part of the flow
 * table, sends the main thread's frames. */
static void tick(struct worker *worker, uint64_t tsc)
{
	uint64_t now = clock_ns();

	worker->read_now = (now - worker->tables.root->origin_ns) >> SL_TICK_SHIFT;
	worker->read_time = tsc;
	worker->tables.now = worker->read_now;
	__atomic_store_n(&worker->self->heartbeat_ns, now, __ATOMIC_RELAXED);
	sl_flow_sweeper_run(&worker->sweeper, &worker->tables);
	if (worker->run->outgoing)
		send_outgoing(worker->run);
	worker->next_time = tsc + worker->time_every;
}

/* Between two readings of the clock the time follows from the TSC: token buckets need it for each
 * burst. */
static void update_time(struct worker *worker)
{
	int64_t since = (int64_t)(worker->turned - worker->read_time);

	worker->tables.now =
		worker->read_now + (uint64_t)(since * (int64_t)worker->tick_rate >> 32);
}

static void take_snapshot(struct worker *worker)
{
	sl_tables_snapshot(&worker->tables, worker->run->store);
	/* Release: every read of the older tables comes before. */
	if (sl_unlikely(worker->self->generation != worker->tables.generation))
		__atomic_store_n(&worker->self->generation, worker->tables.generation,
				 __ATOMIC_RELEASE);
}

static void begin(struct worker *worker, const struct sl_worker_run *run)
{
	const struct sl_store *store = run->store;
	uint32_t workers = store->count[SL_ARRAY_workers];
	unsigned cpu = 0;

	*worker = (struct worker){ .run = run };
	sl_tables_init(&worker->tables, store, run->number);
	worker->self = (struct sl_worker *)store->base[SL_ARRAY_workers] + run->number;
	worker->counters =
		(struct sl_reason_counters *)store->base[SL_ARRAY_reason_counters] + run->number;
	worker->time_every = rte_get_tsc_hz() / CLOCK_READS;
	worker->tick_rate = (1000000000ull >> SL_TICK_SHIFT << 32) / rte_get_tsc_hz();
	worker->sweeper.stride = worker->tables.buckets / (CLOCK_READS * SWEEP_SECONDS) + 1;
	worker->sweeper.next = (uint32_t)((uint64_t)worker->tables.buckets * run->number / workers);
	getcpu(&cpu, NULL);
	worker->self->cpu = cpu;
	worker->self->tid = (uint32_t)gettid();
	worker->self->started_ns = clock_ns();
	worker->self->hang_timeout_ns = sl_hang_timeout_ns(run->adaptive, cpu);
	worker->hang_timeout = rte_get_tsc_hz() / 1000000 * worker->self->hang_timeout_ns / 1000;
	for (size_t i = 0; i < run->n_rx; i++)
		worker->hold[i].queue = (struct sl_queue *)store->base[SL_ARRAY_queues] +
					run->rx[i].port * SL_QUEUES_PER_PORT + run->rx[i].number;
	tick(worker, rte_rdtsc());
	take_snapshot(worker);
	sl_liveness_begin(&worker->self->alive);
	__atomic_store_n(&worker->self->pid, (uint32_t)getpid(), __ATOMIC_RELEASE);
}

static void swap_queues(struct worker *worker, bool take, enum sl_handover why)
{
	for (size_t i = 0; i < worker->run->n_rx; i++)
		sl_hold_swap(&worker->hold[i], take ? worker->run->number + 1 : 0, why);
}

/* Of all lanes: they are old, as what waits in a receive queue is by then. */
static void drop_waiting(struct worker *worker)
{
	struct sl_neighbour_queue q;

	for (uint32_t i = 0; i < SL_NEIGHBOUR_QUEUES; i++)
		if (sl_neighbour_queue_take(&worker->waiting, i, &q))
			drop(worker, q.frame, q.n, SL_REASON_stale);
}

/* Drops the packets that wait in the queue: they are old, and XDP has served their flows since. */
static void drain(struct worker *worker, size_t i)
{
	const struct sl_lane *lane = &worker->run->rx[i];
	struct rte_mbuf *frame[SL_BURST];
	uint32_t n;

	tick(worker, rte_rdtsc()); /* show a sign of life before anybody looks */
	drop_waiting(worker);
	for (int round = 0; round < DRAIN_ROUNDS; round++) {
		n = rte_eth_rx_burst(lane->device, lane->queue, frame, SL_BURST);
		if (!n)
			break;
		drop(worker, frame, n, SL_REASON_stale);
	}
}

/* XDP took the queue while we hung: takes it back. */
static void take_back(struct worker *worker, size_t i)
{
	drain(worker, i);
	sl_hold_swap(&worker->hold[i], worker->run->number + 1, SL_HANDOVER_WOKE);
}

/* Decides the packets of a queue again. Those that go on waiting keep their place in time. */
static void decide_again(struct worker *worker, const struct sl_neighbour_queue *q)
{
	struct rte_mbuf *frame[SL_BURST + PREFETCH_AHEAD];
	uint32_t n = 0;

	worker->waited_since = q->since;
	for (uint32_t i = 0; i < q->n; i++) {
		frame[n++] = q->frame[i];
		if (i + 1 < q->n && q->lane[i + 1] == q->lane[i])
			continue;
		burst(worker, &worker->run->rx[q->lane[i]], &worker->hold[q->lane[i]], frame, n);
		n = 0;
	}
	worker->waited_since = 0;
}

/* Each generation may have brought the MAC addresses that packets wait for. */
static __attribute__((noinline)) void serve_waiting(struct worker *worker)
{
	struct sl_neighbour_queues *w = &worker->waiting;
	bool is_new = w->generation != worker->tables.generation;
	struct sl_neighbour_queue q[SL_NEIGHBOUR_QUEUES];
	uint32_t n = 0;

	w->generation = worker->tables.generation;
	update_time(worker);
	for (uint32_t i = 0; i < SL_NEIGHBOUR_QUEUES; i++) {
		/* Signed: the time goes back a little where the clock is read again. */
		int64_t waited = (int64_t)(worker->tables.now - w->queue[i].since);
		bool late = waited > (int64_t)SL_NEIGHBOUR_WAIT;

		if ((is_new || late) && sl_neighbour_queue_take(w, i, &q[n])) {
			if (is_new)
				n++;
			else
				drop(worker, q[n].frame, q[n].n, SL_REASON_neighbour_failed);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		decide_again(worker, &q[i]);
}

/* Serves one burst of each lane; returns whether there was any packet. */
static bool serve(struct worker *worker)
{
	struct rte_mbuf *frame[SL_BURST + PREFETCH_AHEAD];
	bool busy = false;

	for (size_t i = 0; i < worker->run->n_rx; i++) {
		const struct sl_lane *lane = &worker->run->rx[i];
		uint32_t n = rte_eth_rx_burst(lane->device, lane->queue, frame, SL_BURST);

		if (!n)
			continue;
		/* Only now: the packets are younger than any publish before this point, so no older
		 * table may decide them. */
		take_snapshot(worker);
		update_time(worker);
		busy = true;
		worker->self->bursts++;
		worker->self->packets += n;
		burst(worker, lane, &worker->hold[i], frame, n);
	}
	return busy;
}

/* Sleeps the longer the longer there were no packets, but far less than the hang timeout. */
static void idle_sleep(uint32_t idle)
{
	uint32_t us = idle < 2 * IDLE_TURNS ? 50 : idle < 4 * IDLE_TURNS ? 200 : 500;

	if (idle >= IDLE_TURNS)
		nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Hands the queues to XDP first; the packets that are in our rings by then are still served. */
static void end(struct worker *worker)
{
	uint64_t until = rte_rdtsc() + rte_get_tsc_hz() * DRAIN_MS / 1000;

	swap_queues(worker, false, SL_HANDOVER_STOPPED);
	while (rte_rdtsc() < until) {
		take_snapshot(worker);
		serve(worker);
	}
	drop_waiting(worker);
	sl_liveness_end(&worker->self->alive);
	__atomic_store_n(&worker->self->pid, 0, __ATOMIC_RELEASE);
}

int sl_worker_main(void *arg)
{
	const struct sl_worker_run *run = arg;
	struct worker worker;
	uint32_t idle = 0;

	begin(&worker, run);
	swap_queues(&worker, true, SL_HANDOVER_STARTED);
	worker.turned = rte_rdtsc();
	while (!atomic_load_explicit(run->stop, memory_order_relaxed)) {
		uint64_t tsc;
		bool busy;

		take_snapshot(&worker);
		for (size_t i = 0; i < run->n_rx; i++)
			if (sl_unlikely(!sl_hold_is_ours(&worker.hold[i])))
				take_back(&worker, i);
		if (sl_unlikely(worker.waiting.used))
			serve_waiting(&worker);
		busy = serve(&worker);
		idle = busy ? 0 : idle + 1;
		if (run->adaptive && !busy)
			idle_sleep(idle);
		tsc = rte_rdtsc();
		worker.self->cycles_all += tsc - worker.turned;
		if (busy)
			worker.self->cycles_busy += tsc - worker.turned;
		if (sl_unlikely(was_away(&worker, tsc)))
			for (size_t i = 0; i < run->n_rx; i++)
				drain(&worker, i);
		worker.turned = tsc;
		if (tsc >= worker.next_time)
			tick(&worker, tsc);
	}
	end(&worker);
	return 0;
}
