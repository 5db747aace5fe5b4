/* SPDX-License-Identifier: BSD-2-Clause */
/* One receive queue as a machine of small steps, for test_ownership.c to try in every order.
 *
 * Five parties: a worker, two CPUs in the XDP program, control, and fate (death, restart, a
 * heartbeat that looks old, a stop). Each access to shared memory is one step, and between two
 * steps of a party any number of others' may come: so a party that hangs at some point is one whose
 * turn doesn't come, and needs no more than that.
 *
 * What runs is the code itself where it can be built here: flow.h and route.h of the core,
 * engine/hold.h, bpf/owner.h. Their atomic accesses are macros in ownership.c. A party's place in
 * its program isn't a number but the values that it has read since its operation began: to go on,
 * the operation is run again from its beginning, is given those values, makes one access more, and
 * stops where the next would be. So a state is a plain structure that can be copied and compared.
 *
 * The main loops around that code (worker.c, engine.bpf.c, the store order of
 * control/tables/publish.c) are written again in ownership.c, step by step.
 */
#ifndef SL_TEST_OWNERSHIP_H
#define SL_TEST_OWNERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "../../dataplane/abi/layout.h"

#define FLOWS	   2
#define PUBLISHES  3 /* at most, after the first */
#define RING	   2 /* frames that the worker's socket holds */
#define LOG	   160
#define POISON	   4 /* the backend that a torn record leads to */
#define BACKENDS   4
#define BUCKETS	   3
#define FIRST	   2 /* the generation that is live in the beginning; its bank is 0 */
#define WORKER_TID 77

enum party { WORKER, CPU0, CPU1, CONTROL, PARTIES };
enum kind { SYN = 1, DATA, FIN, KINDS };

/* Whatever can happen next. Beyond these: ARRIVE + (cpu * FLOWS + flow) * KINDS + kind. */
enum action {
	STEP,		      /* + party */
	DIE = STEP + PARTIES, /* the worker, wherever it is */
	CLOSE,		      /* the kernel takes back the dead process's socket */
	RESTART,	      /* a new process opens its socket and begins */
	LOOK_OLD,	      /* the heartbeat's age passes the patience, rightly or not */
	STOP,		      /* the worker is asked to end */
	ARRIVE,		      /* a packet, at a CPU */
	ACTIONS = ARRIVE + 2 * FLOWS * KINDS,
};

enum op { NONE, BEGIN, TURN, DECIDE, SEND, END, DRAIN, XDP, PUBLISH };

struct scenario {
	const char *name;
	struct {
		uint8_t cur, prev;
		enum sl_slot_state state;
	} slot[PUBLISHES + 1];			 /* of each generation; cur of 0 ends the list */
	uint16_t flags[PUBLISHES + 1][BACKENDS]; /* of its backends; all 0: all serve and take */
	struct {
		uint8_t established;  /* with this backend before it all began */
		uint8_t count[KINDS]; /* packets that arrive */
		bool late_syn;	      /* all but the first when the connection lasts already */
	} flow[FLOWS];
	uint8_t cpus, die, restart, look_old, stop;
	bool no_worker; /* in the beginning */
	bool deep;	/* millions of states: only when asked for */
	bool settle;	/* the last publish waits until each flow has been heard since */
	/* Buckets 0 and 1: flow 2's entry stands in 0, which is its first or its second. */
	enum { ROOM, FULL_FIRST, FULL_SECOND } full;
};

extern const struct scenario ownership_scenarios[]; /* the last has no name */

struct actor {
	uint8_t op;
	uint8_t packet; /* flow * KINDS + kind */
	uint8_t backend;
	uint8_t ending;		  /* the worker serves what is left */
	uint8_t n;		  /* of log */
	uint64_t mine;		  /* struct sl_hold */
	uint64_t generation, seq; /* struct sl_tables */
	uint64_t log[LOG];
};

struct state {
	struct actor actor[PARTIES];
	/* Shared memory. */
	struct sl_queue queue;
	uint64_t futex, heartbeat, stop, socket, generation;
	uint64_t seq[2], slots[2], extent[2]; /* of each bank; the service's record in two words */
	struct sl_bucket bucket[BUCKETS];
	uint8_t ring[RING];
	/* What the test knows beside. */
	uint8_t taker; /* who put the owner word there: enum party */
	uint8_t published;
	uint8_t die, restart, look_old, stops; /* left */
	struct {
		uint8_t left[KINDS];
		uint8_t backend; /* that answered the SYN */
		uint8_t heard;	 /* generation in which a packet after it last got through */
		uint8_t began;	 /* generation in which the first SYN arrived */
		uint8_t copies;	 /* of its SYN that arrived before it lasted */
	} flow[FLOWS];
};

/* What came of packets, over all schedules. */
struct outcome {
	uint64_t sent, stale, ring_full, ring_lost, torn, no_backend, again, restarted;
};
extern struct outcome ownership_outcome;

/* Set, with a text, by the step that breaks a promise. */
extern const char *ownership_broken;

/* The worker looks at the tables before it receives: wrong, and has to be found so. */
extern bool ownership_looks_early;

/* One step of a party that has something to do. */
void ownership_run(struct state *s, int party);

/* The tables of the scenario, as the first generation. */
void ownership_prepare(struct state *s, const struct scenario *scenario);
void ownership_look_old(struct state *s);
bool ownership_looks_old(const struct state *s);

/* One line on what the last step did, when asked for. */
extern bool ownership_tells;
extern char ownership_told[128];

#endif
