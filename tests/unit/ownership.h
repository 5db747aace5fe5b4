/* SPDX-License-Identifier: BSD-2-Clause */
/* A receive queue as a machine of small steps, which test_ownership.c tries in every order.
 *
 * There are five parties: a worker, two CPUs in the XDP program, control, and fate (death, restart,
 * a heartbeat that looks old, a stop). Each access to shared memory is one step, and between two
 * steps of a party any number of steps of others may come. So a party that hangs is simply one
 * whose next step comes late.
 *
 * Wherever possible the real code runs: flow.h and route.h of the core, engine/hold.h, bpf/owner.h.
 * Their atomic accesses are macros in ownership.c. A party's position in its program is represented
 * by the values that it has read since its operation began: to continue, the operation runs again
 * from its beginning, gets those values, makes one more access, and stops before the next. So a
 * state is a plain structure that can be copied and compared.
 *
 * The main loops around that code (worker.c, engine.bpf.c, the order of stores in
 * control/tables/publish.c) are written again in ownership.c, step by step.
 */
#ifndef SL_TEST_OWNERSHIP_H
#define SL_TEST_OWNERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dataplane/abi/layout.h"

#define FLOWS	   2
#define PUBLISHES  3 /* at most, after the first one */
#define RING	   2 /* frames that the worker's socket can hold */
#define LOG	   160
#define POISON	   4 /* the backend that a torn record leads to */
#define BACKENDS   4
#define BUCKETS	   3
#define FIRST	   2 /* the live generation at the beginning; its bank is 0 */
#define WORKER_TID 77

enum party { WORKER, CPU0, CPU1, CONTROL, PARTIES };
enum kind { SYN = 1, DATA, FIN, KINDS };

/* All events that may come next, and from ARRIVE on: ARRIVE + (cpu * FLOWS + flow) * KINDS +
 * kind. */
enum action {
	STEP,		      /* + party */
	DIE = STEP + PARTIES, /* the worker dies, wherever it is */
	CLOSE,		      /* the kernel closes the dead process's socket */
	RESTART,	      /* a new process opens its socket and starts */
	LOOK_OLD,	      /* the heartbeat becomes too old, rightly or not */
	STOP,		      /* the worker is told to stop */
	ARRIVE,		      /* a packet comes in at a CPU */
	ACTIONS = ARRIVE + 2 * FLOWS * KINDS,
};

enum op { NONE, BEGIN, TURN, DECIDE, SEND, END, DRAIN, XDP, PUBLISH };

struct scenario {
	const char *name;
	struct {
		uint8_t cur, prev;
		enum sl_slot_state state;
	} slot[PUBLISHES + 1]; /* by generation; a cur of 0 ends the list */
	uint16_t flags[PUBLISHES + 1]
		      [BACKENDS]; /* of the backends; all 0: all serve and take new flows */
	struct {
		uint8_t established;  /* with this backend at the beginning */
		uint8_t count[KINDS]; /* packets that may come in */
		bool late_syn; /* all but the first one, if the connection is already established */
	} flow[FLOWS];
	uint8_t cpus, die, restart, look_old, stop;
	bool no_worker; /* at the beginning */
	bool deep;	/* millions of states: runs only when asked for */
	bool settle;	/* the last publish waits until each flow has sent a packet since */
	/* Buckets 0 and 1: flow 2's entry lies in bucket 0, which is its first or its second. */
	enum { ROOM, FULL_FIRST, FULL_SECOND } full;
};

extern const struct scenario ownership_scenarios[]; /* the last one has no name */

struct actor {
	uint8_t op;
	uint8_t packet; /* flow * KINDS + kind */
	uint8_t backend;
	uint8_t ending;		  /* the worker serves what is left in its rings */
	uint8_t n;		  /* entries in log */
	uint64_t mine;		  /* struct sl_hold */
	uint64_t generation, seq; /* struct sl_tables */
	uint64_t log[LOG];
};

struct state {
	struct actor actor[PARTIES];
	/* Shared memory. */
	struct sl_queue queue;
	uint64_t futex, heartbeat, stop, socket, generation;
	uint64_t seq[2], slots[2], extent[2]; /* by bank; the service's record in two words */
	struct sl_bucket bucket[BUCKETS];
	uint8_t ring[RING];
	/* What only the test knows. */
	uint8_t taker; /* enum party that stored the owner word */
	uint8_t published;
	uint8_t die, restart, look_old, stops; /* still to come */
	struct {
		uint8_t left[KINDS];
		uint8_t backend; /* that answered the SYN */
		uint8_t heard;	 /* generation in which a later packet last got through */
		uint8_t began;	 /* generation in which the first SYN came in */
		uint8_t copies;	 /* of its SYNs that came in before it was established */
	} flow[FLOWS];
};

/* Where packets went, over all orders. */
struct outcome {
	uint64_t sent, stale, ring_full, ring_lost, torn, no_backend, again, restarted;
};
extern struct outcome ownership_outcome;

/* A step that violates a promise sets this text. */
extern const char *ownership_broken;

/* The worker takes its snapshot before it receives: a planted mistake that the test has to find. */
extern bool ownership_looks_early;

/* Makes one step of a party that has something to do. */
void ownership_run(struct state *s, int party);

/* Sets up the scenario's tables as the first generation. */
void ownership_prepare(struct state *s, const struct scenario *scenario);
void ownership_look_old(struct state *s);
bool ownership_looks_old(const struct state *s);

/* One line about the last step, if asked for. */
extern bool ownership_tells;
extern char ownership_told[128];

#endif
