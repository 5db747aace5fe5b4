/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the dataplane and its workers live, as their shared words say it: the robust mutex that
 * the kernel marks when its holder dies, and the heartbeat, which also tells one that hangs. All of
 * it is taken as hostile input. */
#ifndef SL_CONTROL_TABLES_LIVENESS_H
#define SL_CONTROL_TABLES_LIVENESS_H

#include "../daemon.h"

bool sl_dataplane_alive(const struct sl_control *c);
uint32_t sl_workers(const struct sl_control *c);			 /* records to look at */
bool sl_worker_alive(const struct sl_control *c, uint32_t worker);	 /* a fresh heartbeat too */
bool sl_worker_holds_mutex(const struct sl_control *c, uint32_t worker); /* it may hang */
bool sl_workers_hang(const struct sl_control *c); /* all that live, and there is one */
uint64_t sl_worker_generation(const struct sl_control *c, uint32_t worker);

/* The oldest generation that a living worker may still work with, those that hang included; the
 * live one where none lives. */
uint64_t sl_workers_reached(const struct sl_control *c);

#endif
