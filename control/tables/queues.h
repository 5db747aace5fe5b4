/* SPDX-License-Identifier: BSD-2-Clause */
/* Which engine serves each receive queue, since when and why: told by the owner words, which the
 * engines swap among themselves (bpf/owner.h, dataplane/engine/hold.h). Control only watches; a
 * hand-over needs nothing from it. */
#ifndef SL_CONTROL_TABLES_QUEUES_H
#define SL_CONTROL_TABLES_QUEUES_H

#include <stdbool.h>

#include "../daemon.h"

/* Logs what changed since the last look, and notes in c->stranded which ports are stranded. */
void sl_queues_watch(struct sl_control *c);

/* Whether the port's interface was deleted and made again since the dataplane opened it: its
 * sockets are dead, and no frame that a worker sends there leaves. */
bool sl_queues_stranded(const struct sl_control *c, uint32_t port);

/* An array of { port, queue, engine, worker, since_s, why, handovers: { … } }. */
json_t *sl_queues_report(const struct sl_control *c);

#endif
