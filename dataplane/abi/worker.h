/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What engines say of themselves: life signs, acknowledgements, counters, wishes.
 *
 * A writer is a worker of the dataplane or a CPU on which the XDP program runs; each has records
 * of its own, so no counter is shared and none is atomic: who reads sums. Worker w is writer w;
 * CPU c is writer workers + c. Control only reads, and trusts nothing that it reads.
 */
#ifndef SL_ABI_WORKER_H
#define SL_ABI_WORKER_H

#ifndef __bpf__
#include <pthread.h>
#endif

#include "address.h"
#include "reason.h"

/* A robust, process-shared mutex that its owner holds while it lives. The kernel sets
 * FUTEX_OWNER_DIED in the futex word within microseconds of the owner's death, long before its
 * descriptors close, and a BPF program can read that word. */
union sl_liveness {
#ifndef __bpf__
	pthread_mutex_t mutex;
#endif
	uint32_t futex;
	uint64_t size[5];
};
#define SL_LIVENESS_DIED 0x40000000u /* FUTEX_OWNER_DIED */
#define SL_LIVENESS_TID	 0x3fffffffu /* FUTEX_TID_MASK: 0 is nobody */

/* Answer to root->proposed. */
enum sl_accept {
	SL_ACCEPT_OK,
	SL_ACCEPT_INDEX,  /* a record names something outside its array */
	SL_ACCEPT_EGRESS, /* a record names a port that this dataplane doesn't have */
	SL_ACCEPT_PORTS,  /* the ports are others, or in another order, than this dataplane's */
	SL_ACCEPT_FORM, /* a value that the ABI doesn't define, or a bank that doesn't fit its head
			 */
};

/* The dataplane process. Written by its main thread. */
struct sl_engine {
	uint64_t instance; /* root->instance as attached */
	uint32_t pid;
	uint32_t workers;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t accepted;   /* generation, the last that was looked at */
	uint32_t answer;     /* enum sl_accept, about `accepted` */
	uint32_t at;	     /* the record that was refused */
	uint8_t pad0[24];
	union sl_liveness alive; /* held by the main thread */
	uint8_t pad1[24];
} __attribute__((aligned(64)));

struct sl_worker {
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC, at every look at the root */
	uint64_t generation;   /* acknowledged: no older table is in use */
	uint32_t pid;	       /* 0: this worker doesn't exist */
	uint32_t tid;
	uint32_t cpu;
	uint32_t pad0;
	uint64_t started_ns;
	uint64_t hang_timeout_ns; /* a heartbeat older than this is a hang: XDP then takes over */
	uint8_t pad1[16];
	/* Load, for `sluicectl top`. */
	uint64_t cycles_busy; /* TSC, in bursts that held a packet */
	uint64_t cycles_all;
	uint64_t bursts; /* that held a packet */
	uint64_t packets;
	uint64_t restarts; /* bursts decided again because the tables moved under them */
	uint8_t pad2[24];
	union sl_liveness alive;
	uint8_t pad3[24];
	uint8_t pad4[64];
} __attribute__((aligned(64)));

/* Why a queue's owner changed; the last change is kept with it. */
enum sl_handover {
	SL_HANDOVER_NEVER,   /* nobody took it yet: XDP serves it, where it may */
	SL_HANDOVER_STARTED, /* a worker began */
	SL_HANDOVER_STOPPED, /* a worker ended as it should */
	SL_HANDOVER_DIED,    /* XDP found its worker dead */
	SL_HANDOVER_HUNG,    /* XDP found its heartbeat too old */
	SL_HANDOVER_WOKE,    /* a worker that hung came back */
	SL_HANDOVERS,
};

/* Who serves a receive queue. `owner` changes by compare-and-swap alone, each time with the next
 * epoch; whoever swapped it then tells when and why. See docs/decisions on ownership. */
struct sl_queue {
	uint64_t owner; /* 63..32 epoch, 31..0 worker + 1; 0: XDP */
	uint64_t since_ns;
	uint64_t why;		      /* enum sl_handover */
	uint64_t times[SL_HANDOVERS]; /* how often it changed for each reason */
	/* Of the port, as the dataplane opened it; in the record of queue 0. */
	uint8_t mac[6];
	uint8_t pad0[2];
	uint32_t ifindex; /* 0: no kernel interface */
	uint8_t pad1[4];
	/* Frames for a worker that none got, as the driver counts them: no buffer was free, or they
	 * were larger than one. Of devices with several queues in the record of queue 0. Written by
	 * the dataplane's main thread. */
	uint64_t missed;
	uint8_t pad[24];
} __attribute__((aligned(64)));

static inline uint64_t sl_queue_owner(uint64_t before, uint32_t worker_plus_1)
{
	return ((before >> 32) + 1) << 32 | worker_plus_1;
}

#define SL_QUEUES_PER_PORT 16

/* How often each reason was the end of a packet; one record a writer. */
struct sl_reason_counters {
	uint64_t packets[SL_REASON_MAX];
} __attribute__((aligned(64)));

/* Of one backend, by one writer; index = writer * ids + sl_backend.counter_id, where ids is twice
 * the capacity of backends: those of backends that left rest. */
struct sl_backend_counters {
	uint64_t packets_in;  /* to the backend */
	uint64_t bytes_in;    /* of frames, as received, without FCS */
	uint64_t connections; /* TCP SYNs sent to it, and first packets of tracked UDP flows */
	uint64_t packets_out; /* from the backend to clients */
	uint64_t bytes_out;
	uint64_t pad[3];
} __attribute__((aligned(64)));

/* Of one service, by one writer; index = writer * ids + sl_service.id, as many as terms has. */
struct sl_service_counters {
	uint64_t no_backend;
	uint64_t no_neighbour;
	uint64_t tracked;     /* entries made */
	uint64_t untrackable; /* entries that found no room: control keeps windows open for them */
	uint64_t ttl_exceeded;
	uint64_t moved;		  /* entries moved to make room for another */
	uint64_t insert_failures; /* how often in a row no room could be made, see core/flow.h */
	uint64_t pad;
} __attribute__((aligned(64)));

/* Next hops that a writer would like to know the MAC of; a ring, overwritten when nobody reads. */
#define SL_NEIGHBOUR_REQUESTS 7
struct sl_neighbour_requests {
	uint64_t head;	      /* wishes so far; the last is at (head - 1) % SL_NEIGHBOUR_REQUESTS */
	uint64_t next_answer; /* not a wish: when this writer's next answer is due, core/answer.h */
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
