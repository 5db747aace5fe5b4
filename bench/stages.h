/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a worker's cycles go: loops that do a part of its work, on the same port and tables.
 *
 *     io        receive and transmit: a bare loop
 *     classify  and parse, the service, the slot's number: the first pass over a burst
 *     decide    and the slot, the flow's entry, the backend, the rewrite, its counters: the second
 *
 * What the worker costs beyond `decide` is its own: the root, the outbox, reasons, time. Each loop
 * is measured as a whole and the differences taken, so that what overlaps in one stays overlapped.
 */
#ifndef SL_BENCH_STAGES_H
#define SL_BENCH_STAGES_H

#include "../dataplane/engine/worker.h"

enum sl_stage { SL_STAGE_IO, SL_STAGE_CLASSIFY, SL_STAGE_DECIDE, SL_STAGES };

/* By its name above; SL_STAGES: none. */
enum sl_stage sl_stage_named(const char *name);

/* Runs it for so many packets, or until *run->stop where that comes first; TSC cycles. */
uint64_t sl_stage_loop(const struct sl_worker_run *run, enum sl_stage stage, uint64_t *packets);

#endif
