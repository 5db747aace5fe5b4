/* SPDX-License-Identifier: BSD-2-Clause */
/* The scenarios that test_ownership.c searches. In a slot's history A had it before B, and B before
 * C. */
#include "ownership.h"

#define A 1
#define B 2
#define C 3

#define CLOSED(cur)                                                                                \
	{                                                                                          \
		cur, 0, SL_SLOT_CLOSED                                                             \
	}
#define OPEN(cur, prev)                                                                            \
	{                                                                                          \
		cur, prev, SL_SLOT_OPEN                                                            \
	}
#define MIXED(cur)                                                                                 \
	{                                                                                          \
		cur, 0, SL_SLOT_MIXED                                                              \
	}

#define DRAINING                                                                                   \
	{                                                                                          \
		SL_BACKEND_SERVES                                                                  \
	}

#define NEW(syn, data, fin)                                                                        \
	{                                                                                          \
		.count = { 0, syn, data, fin }                                                     \
	}
#define HELD(backend, data, fin)                                                                   \
	{                                                                                          \
		.established = backend, .count = { 0, 0, data, fin }                               \
	}

const struct scenario ownership_scenarios[] = {
	{ .name = "hang or false alarm, row moves",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { NEW(1, 1, 1) },
	  .cpus = 1,
	  .look_old = 1 },
	{ .name = "the same, an older flow",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { HELD(A, 1, 1) },
	  .cpus = 1,
	  .look_old = 1 },
	{ .name = "the same, two CPUs",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { HELD(A, 2, 0) },
	  .cpus = 2,
	  .look_old = 1,
	  .deep = true },
	{ .name = "two CPUs, two alarms",
	  .slot = { OPEN(B, A) },
	  .flow = { HELD(A, 1, 1) },
	  .cpus = 2,
	  .look_old = 2,
	  .deep = true },
	{ .name = "dies anywhere, restarts, row moves",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { NEW(1, 2, 0) },
	  .cpus = 1,
	  .die = 1,
	  .restart = 1 },
	{ .name = "the same, two CPUs",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { HELD(A, 2, 0) },
	  .cpus = 2,
	  .die = 1,
	  .restart = 1,
	  .deep = true },
	{ .name = "hangs, dies, restarts, two CPUs",
	  .slot = { OPEN(B, A) },
	  .flow = { NEW(1, 2, 0) },
	  .cpus = 2,
	  .die = 1,
	  .look_old = 1,
	  .restart = 1 },
	{ .name = "stops while it hangs, restarts",
	  .slot = { OPEN(B, A) },
	  .flow = { NEW(1, 2, 0) },
	  .cpus = 1,
	  .look_old = 1,
	  .stop = 1,
	  .restart = 1 },
	{ .name = "two copies of a SYN",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { NEW(2, 1, 0) },
	  .cpus = 2 },
	{ .name = "two copies of a SYN, hang",
	  .slot = { CLOSED(A), OPEN(B, A) },
	  .flow = { NEW(2, 1, 0) },
	  .cpus = 1,
	  .look_old = 1 },
	{ .name = "two copies of a SYN, no change",
	  .slot = { OPEN(B, A) },
	  .flow = { NEW(2, 1, 0) },
	  .cpus = 2,
	  .look_old = 1 },
	{ .name = "tracked flow, a stray SYN, row moves again",
	  .slot = { OPEN(B, A), OPEN(C, A) },
	  .flow = { { .count = { 0, 2, 1, 0 }, .late_syn = true } },
	  .cpus = 1,
	  .look_old = 1 },
	{ .name = "two changes, old flow and new",
	  .slot = { CLOSED(A), OPEN(B, A), OPEN(C, A) },
	  .flow = { NEW(1, 1, 0), HELD(A, 1, 0) },
	  .cpus = 1 },
	{ .name = "three changes, two slow CPUs",
	  .slot = { CLOSED(A), OPEN(B, A), OPEN(C, A), OPEN(B, A) },
	  .flow = { HELD(A, 2, 0) },
	  .cpus = 2,
	  .no_worker = true },
	{ .name = "three changes, hang",
	  .slot = { CLOSED(A), OPEN(B, A), OPEN(C, A), OPEN(B, A) },
	  .flow = { HELD(A, 1, 0) },
	  .cpus = 1,
	  .look_old = 1 },
	{ .name = "three changes, hang, two packets",
	  .slot = { CLOSED(A), OPEN(B, A), OPEN(C, A), OPEN(B, A) },
	  .flow = { HELD(A, 2, 0) },
	  .cpus = 1,
	  .look_old = 1,
	  .deep = true },
	{ .name = "the window closes",
	  .slot = { CLOSED(A), OPEN(B, A), MIXED(B) },
	  .flow = { NEW(1, 2, 0) },
	  .cpus = 1,
	  .look_old = 1,
	  .settle = true },
	{ .name = "its backend drains",
	  .slot = { OPEN(A, C), OPEN(B, C) },
	  .flags = { { 0 }, { SL_BACKEND_SERVES } },
	  .flow = { NEW(1, 1, 1) },
	  .cpus = 1,
	  .look_old = 1 },
	{ .name = "two flows in a bucket, dies",
	  .slot = { OPEN(B, A) },
	  .flow = { NEW(1, 1, 0), HELD(A, 1, 0) },
	  .cpus = 1,
	  .die = 1,
	  .restart = 1 },
	{ .name = "the same, two CPUs",
	  .slot = { OPEN(B, A) },
	  .flow = { NEW(1, 1, 0), HELD(A, 1, 0) },
	  .cpus = 2,
	  .die = 1,
	  .restart = 1,
	  .deep = true },
	{ .name = "an entry moves under its flow",
	  .slot = { OPEN(B, A) },
	  .flow = { HELD(A, 1, 0), HELD(C, 2, 0) },
	  .cpus = 2,
	  .no_worker = true,
	  .full = FULL_FIRST },
	{ .name = "the same, hang",
	  .slot = { OPEN(B, A) },
	  .flow = { HELD(A, 1, 0), HELD(C, 2, 0) },
	  .cpus = 2,
	  .look_old = 1,
	  .full = FULL_FIRST,
	  .deep = true },
	{ .name = "an entry moves to its first bucket",
	  .slot = { OPEN(B, A) },
	  .flow = { HELD(A, 1, 0), HELD(C, 2, 0) },
	  .cpus = 2,
	  .no_worker = true,
	  .full = FULL_SECOND },
	{ .name = "an entry moves, dies half way",
	  .slot = { OPEN(B, A) },
	  .flow = { HELD(A, 1, 0), HELD(C, 1, 1) },
	  .cpus = 1,
	  .die = 1,
	  .restart = 1,
	  .full = FULL_FIRST },
	{ .name = NULL },
};
