/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a worker's cycles go: loops that do a part of its work, on the same port and tables.
 *
 *     io        receive and transmit: a bare loop
 *     classify  also parses and finds service and slot: the first pass over a burst
 *     decide    also slot, flow entry, backend, rewrite and counters: the second pass
 *
 * What the worker costs beyond `decide` is the snapshot of the root, the outbox, the counting of
 * reasons and the time. Each loop is measured as a whole and the differences are taken, so that
 * work which overlaps in one loop still overlaps.
 */
#ifndef SL_BENCH_STAGES_H
#define SL_BENCH_STAGES_H

#include "../dataplane/engine/worker.h"

enum sl_stage { SL_STAGE_IO, SL_STAGE_CLASSIFY, SL_STAGE_DECIDE, SL_STAGES };

/* The stage of this name; SL_STAGES: there is none. */
enum sl_stage sl_stage_named(const char *name);

/* Runs the stage for this many packets, or until *run->stop. Returns TSC cycles. */
uint64_t sl_stage_loop(const struct sl_worker_run *run, enum sl_stage stage, uint64_t *packets);

#endif
