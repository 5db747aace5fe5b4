/* SPDX-License-Identifier: BSD-2-Clause */
/* A transaction that a client of the control socket requested, with the client's identity and the
 * answer. */
#ifndef SL_CONTROL_COMMANDS_CHANGE_H
#define SL_CONTROL_COMMANDS_CHANGE_H

#include "../transaction/transaction.h"

struct sl_rpc_call;

/* Begins a transaction for this call. `call` is NULL if the daemon itself begins it (SIGHUP).
 * *answer is set to an object that lives as long as the transaction; its members come first in the
 * result. Returns NULL if there is no memory. */
struct sl_transaction *sl_change_begin(struct sl_control *c, struct sl_rpc_call *call,
				       const char *what, json_t **answer);

/* Drops the transaction. Returns err. */
int sl_change_drop(struct sl_transaction *t, int err);

/* Runs the transaction; in a batch it is staged (transaction/batch.h). Returns 0 with *result,
 * -errno with a message in `error`, or SL_RPC_LATER: then the call is answered when the publish has
 * ended. The result has "generation", "workers", "workers_acknowledged" and "changes" (sentences).
 * If saving failed it also has "saved": false, and a "text" that says why. */
int sl_change_run(struct sl_transaction *t, json_t **result, char error[SL_ERROR_MAX]);

#endif
