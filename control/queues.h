/* SPDX-License-Identifier: BSD-2-Clause */
/* Which engine serves each receive queue, since when and why: told by the owner words, which the
 * engines swap among themselves (bpf/owner.h, dataplane/engine/hold.h). Control only watches; a
 * hand-over needs nothing from it. */
#ifndef SL_CONTROL_QUEUES_H
#define SL_CONTROL_QUEUES_H

#include "control.h"

/* Logs what changed since the last look. */
void sl_queues_watch(struct sl_control *c);

/* An array of { port, queue, engine, worker, since_s, why, handovers: { … } }. */
json_t *sl_queues_report(const struct sl_control *c);

#endif
