/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What engines write about themselves: liveness, acknowledgements, counters, neighbour requests.
 *
 * A writer is a worker of the dataplane or a CPU that runs the XDP program. Each writer has its own
 * records, so counters are neither shared nor atomic; readers add them up. Worker w is writer w;
 * CPU c is writer workers + c. Control only reads here, and trusts nothing that it reads.
 */
#ifndef SL_ABI_WORKER_H
#define SL_ABI_WORKER_H

#ifndef __bpf__
#include <pthread.h>
#endif

#include "address.h"
#include "reason.h"

/* A robust, process-shared mutex that its owner holds while it lives. When the owner dies, the
 * kernel sets FUTEX_OWNER_DIED in the futex word within microseconds, long before it closes the
 * process's descriptors. A BPF program can read that word. */
union sl_liveness {
#ifndef __bpf__
	pthread_mutex_t mutex;
#endif
	uint32_t futex;
	uint64_t size[5];
};
#define SL_LIVENESS_DIED 0x40000000u /* FUTEX_OWNER_DIED */
#define SL_LIVENESS_TID	 0x3fffffffu /* FUTEX_TID_MASK; 0: nobody holds it */

/* The dataplane's answer to root->proposed. */
enum sl_accept {
	SL_ACCEPT_OK,
	SL_ACCEPT_INDEX,  /* a record names an index outside its array */
	SL_ACCEPT_EGRESS, /* a record names a port that this dataplane doesn't have */
	SL_ACCEPT_PORTS,  /* the ports differ from this dataplane's, or their order does */
	SL_ACCEPT_FORM,	  /* a value that the ABI doesn't define, or a bank that doesn't fit */
};

/* The dataplane process. Its main thread writes this. */
struct sl_engine {
	uint64_t instance; /* root->instance that it attached to */
	uint32_t pid;
	uint32_t workers;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t accepted;   /* the last generation that was checked */
	uint32_t answer;     /* enum sl_accept, for `accepted` */
	uint32_t at;	     /* index of the record that was refused */
	uint8_t pad0[24];
	union sl_liveness alive; /* held by the main thread */
	uint8_t pad1[24];
} __attribute__((aligned(64)));

struct sl_worker {
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC when it last read the root */
	uint64_t generation;   /* acknowledged: the worker uses no older table */
	uint32_t pid;	       /* 0: this worker doesn't run */
	uint32_t tid;
	uint32_t cpu;
	uint32_t pad0;
	uint64_t started_ns;
	uint64_t hang_timeout_ns; /* a heartbeat older than this is a hang: XDP takes over */
	uint8_t pad1[16];
	/* Load, for `sluicectl top`. */
	uint64_t cycles_busy; /* TSC, in bursts with at least one packet */
	uint64_t cycles_all;
	uint64_t bursts; /* bursts with at least one packet */
	uint64_t packets;
	uint64_t restarts; /* packets decided again because the tables changed meanwhile */
	uint64_t waited;   /* packets that waited for a next hop, see engine/neighbour_queue.h */
	uint8_t pad2[16];
	union sl_liveness alive;
	uint8_t pad3[24];
	uint8_t pad4[64];
} __attribute__((aligned(64)));

/* Why a queue's owner changed last. */
enum sl_handover {
	SL_HANDOVER_NEVER,   /* no worker took it yet: XDP serves it, if it may */
	SL_HANDOVER_STARTED, /* a worker started */
	SL_HANDOVER_STOPPED, /* a worker stopped in order */
	SL_HANDOVER_DIED,    /* XDP found its worker dead */
	SL_HANDOVER_HUNG,    /* XDP found its worker's heartbeat too old */
	SL_HANDOVER_WOKE,    /* a worker that had hung took it back */
	SL_HANDOVERS,
};

/* Who serves a receive queue. `owner` changes only by compare-and-swap, each time to the next
 * epoch. Whoever changed it then stores when and why. See docs/decisions/0010-ownership.md. */
struct sl_queue {
	uint64_t owner; /* 63..32 epoch, 31..0 worker + 1; 0: XDP */
	uint64_t since_ns;
	uint64_t why;		      /* enum sl_handover */
	uint64_t times[SL_HANDOVERS]; /* how often it changed, by reason */
	/* The port as the dataplane opened it; only in the record of queue 0. */
	uint8_t mac[6];
	uint8_t pad0[2];
	uint32_t ifindex; /* 0: no kernel interface */
	uint8_t pad1[4];
	/* Frames for a worker that none got, as the driver counts them: no buffer was free, or they
	 * were larger than one. Of devices with several queues in the record of queue 0. Written by
	 * the dataplane's main thread. */
	uint64_t missed;
	/* Partial checksums (core/partial.h): those that were completed, and those that XDP found
	 * and had to leave. Whoever serves the queue adds to them atomically. */
	uint64_t completed;
	uint64_t left_partial;
	uint8_t pad[8];
} __attribute__((aligned(64)));

static inline uint64_t sl_queue_owner(uint64_t before, uint32_t worker_plus_1)
{
	return ((before >> 32) + 1) << 32 | worker_plus_1;
}

#define SL_QUEUES_PER_PORT 16

/* How many packets ended with each reason; one record per writer. */
struct sl_reason_counters {
	uint64_t packets[SL_REASON_MAX];
} __attribute__((aligned(64)));

/* Counters of one backend, by one writer; index = writer * ids + sl_backend.counter_id. There are
 * twice as many ids as backends in the capacity, because ids of removed backends stay in
 * quarantine. */
struct sl_backend_counters {
	uint64_t packets_in;  /* to the backend */
	uint64_t bytes_in;    /* bytes of frames as received, without FCS */
	uint64_t connections; /* TCP SYNs sent to it, and first packets of tracked UDP flows */
	uint64_t packets_out; /* from the backend to clients */
	uint64_t bytes_out;
	uint64_t pad[3];
} __attribute__((aligned(64)));

/* Counters of one service, by one writer; index = writer * ids + sl_service.id, with as many ids as
 * flow_timeouts has records. */
struct sl_service_counters {
	uint64_t no_backend;
	uint64_t no_neighbour;
	uint64_t tracked;     /* flow entries made */
	uint64_t untrackable; /* flows without room in the table: windows stay open */
	uint64_t ttl_exceeded;
	uint64_t moved;		  /* entries moved to their other bucket to make room */
	uint64_t insert_failures; /* consecutive failures to make room, see core/flow.h */
	uint64_t hairpin;	  /* packets that were refused, see core/hairpin.h */
} __attribute__((aligned(64)));

/* Next hops whose MAC address a writer asks control to resolve. A ring that overwrites its oldest
 * entry. */
#define SL_NEIGHBOUR_REQUESTS 7
struct sl_neighbour_requests {
	uint64_t head; /* requests so far; the last is at (head - 1) % SL_NEIGHBOUR_REQUESTS */
	uint64_t next_answer; /* when this writer may send its next answer: core/answer.h */
	union sl_addr addr[SL_NEIGHBOUR_REQUESTS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(union sl_liveness) == 40, "x86-64 glibc");
_Static_assert(sizeof(struct sl_engine) == 128, "two cache lines");
_Static_assert(sizeof(struct sl_worker) == 256, "four cache lines");
_Static_assert(sizeof(struct sl_queue) == 128, "two cache lines");
_Static_assert(sizeof(struct sl_backend_counters) == 64, "one cache line");
_Static_assert(sizeof(struct sl_service_counters) == 64, "one cache line");
_Static_assert(sizeof(struct sl_neighbour_requests) == 128, "two cache lines");

#endif
