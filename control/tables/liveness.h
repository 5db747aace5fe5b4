/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the dataplane and its workers live, as shared memory shows it. Each holds a robust mutex,
 * which the kernel marks when the holder dies. Each worker also has a heartbeat, which stops when
 * it hangs. All of it is treated as untrusted input. */
#ifndef SL_CONTROL_TABLES_LIVENESS_H
#define SL_CONTROL_TABLES_LIVENESS_H

#include "../daemon.h"

bool sl_dataplane_alive(const struct sl_control *c);

/* The number of worker records in use; 0 if no dataplane lives. */
uint32_t sl_workers(const struct sl_control *c);

/* Whether the worker lives and its heartbeat is recent. */
bool sl_worker_alive(const struct sl_control *c, uint32_t worker);

/* Whether the worker lives. It may hang. */
bool sl_worker_holds_mutex(const struct sl_control *c, uint32_t worker);

/* Whether at least one worker lives, and all that live hang. */
bool sl_workers_hang(const struct sl_control *c);

uint64_t sl_worker_generation(const struct sl_control *c, uint32_t worker);

/* The oldest generation that a living worker may still use, including workers that hang. If no
 * worker lives, it is the live generation. */
uint64_t sl_workers_reached(const struct sl_control *c);

#endif
