/* SPDX-License-Identifier: BSD-2-Clause */
/* A transaction that somebody asked for over the control socket: who that is, and the answer. */
#ifndef SL_CONTROL_COMMANDS_CHANGE_H
#define SL_CONTROL_COMMANDS_CHANGE_H

#include "../transaction/transaction.h"

struct sl_rpc_call;

/* Begins a transaction for this call; `call` is NULL where the daemon asks by itself (SIGHUP). The
 * members of *answer, an object that lives as long as the transaction, come first in the result.
 * NULL: no memory. */
struct sl_transaction *sl_change_begin(struct sl_control *c, struct sl_rpc_call *call,
				       const char *what, json_t **answer);

/* Gives it up. Returns err. */
int sl_change_drop(struct sl_transaction *t, int err);

/* Runs it. 0 with *result, -errno with a message in `error`, or SL_RPC_LATER: the answer goes to
 * the call when the publish has ended. The result says generation, workers and
 * workers_acknowledged, "changes" (sentences), and "saved": false with a "text" where that failed.
 */
int sl_change_run(struct sl_transaction *t, json_t **result, char error[SL_ERROR_MAX]);

#endif
