/* SPDX-License-Identifier: BSD-2-Clause */
/* The model of test_promise.c. Its clients are there, its control is in promise_control.c. */
#ifndef SL_TEST_PROMISE_H
#define SL_TEST_PROMISE_H

#include "../../control/model/rows.h"
#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)
#define INNER  FRAME_IP(10, 1, 0, 0) /* also the backend's number */

#define FLOWS	 4000
#define ROWS	 WORLD_ROWS
#define BACKENDS 6

#define TIMEOUT 2000 /* the T of the promise */
#define OPENING 150
#define CLOSING 700 /* long enough that ports are reused within it */

/* What control has to make of the timeout. When a flow is last seen, its entry's time may be a
 * sixteenth of the lifetime old. And a closing entry may hide a new flow for a sixteenth of its own
 * lifetime, in which the flow isn't tracked. */
#define LIFE   (TIMEOUT + TIMEOUT / 15 + 2)
#define WINDOW (TIMEOUT + CLOSING / 16 + 2)

enum phase {
	IDLE,
	CALLING, /* a SYN was sent */
	JOINED,	 /* a backend answered */
	LASTING, /* and got a packet since: the promise holds */
	ENDING,	 /* a FIN or RST was sent, by either side */
};

enum kind { CALL, SYN, STRAY, JOIN, DATA, LAST_ACK, BACKEND_ENDS, KINDS };

struct event {
	uint64_t at;
	uint32_t flow, call, epoch;
	uint8_t kind, backend;
};

struct note { /* for the report of a broken connection */
	uint64_t at, entry;
	uint32_t slot, call;
	uint8_t what, to;
	bool failed;
};

#define NOTES 24

struct flow {
	enum phase phase;
	uint32_t call;	/* how often the port was used before */
	uint32_t epoch; /* of its backend, when it answered */
	uint8_t backend, tries;
	bool excused;
	uint64_t sent; /* its last packet */
	struct note note[NOTES];
	uint32_t notes;
};

struct tally {
	uint64_t packets, calls, lasting, stayed, idle, failed, handshakes, excused, broken;
	uint64_t changes, publishes, opened, mixed, settled, held;
};

struct model {
	struct world w;
	uint64_t seed, now;
	struct flow flow[FLOWS];
	struct event *heap;
	size_t n, room;
	uint32_t slot[ROWS], opened[ROWS], cur[ROWS];
	uint16_t flags[BACKENDS + 1];
	uint32_t epoch[BACKENDS + 1]; /* counts its failures */
	uint64_t next_change, untrackable, full_since;
	bool ever_full, changed;
	bool reschedules; /* control also changes the scheduler */
	uint32_t swept;
	struct tally tally;
};

uint64_t promise_below(struct model *m, uint64_t n);
bool promise_chance(struct model *m, uint32_t percent);

/* Inserts that found no room so far. */
uint64_t promise_failures(const struct model *m);

/* What control does in a tick, with the flow table and the clock: changes, windows, reconciled
 * slots, a publish. */
void promise_control(struct model *m);

/* Some backend that takes new flows. */
uint8_t promise_taking(struct model *m);

#endif
