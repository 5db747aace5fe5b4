/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports which engine serves each receive queue, since when and why. The owner words tell it,
 * which the engines swap among themselves (bpf/owner.h, dataplane/engine/hold.h). Control only
 * watches; a hand-over needs nothing from it. */
#ifndef SL_CONTROL_TABLES_QUEUES_H
#define SL_CONTROL_TABLES_QUEUES_H

#include <stdbool.h>

#include "../daemon.h"

/* Logs what has changed since the last call, and sets c->stranded to the ports that are
 * stranded. */
void sl_queues_watch(struct sl_control *c);

/* Whether the port's interface was deleted and created again since the dataplane opened it. Its
 * sockets are dead then, and no frame that a worker sends there leaves. */
bool sl_queues_stranded(const struct sl_control *c, uint32_t port);

/* Returns an array of { port, queue, engine, worker, since_s, why, handovers: { … } }, which the
 * caller owns. */
json_t *sl_queues_report(const struct sl_control *c);

#endif
