/* SPDX-License-Identifier: BSD-2-Clause */
/* The command batch: several changes, as one generation or nothing. Each is one of the other
 * methods, with its own parameters and messages. A JSON-RPC batch that holds changes comes here
 * too. */
#ifndef SL_CONTROL_COMMANDS_BATCH_H
#define SL_CONTROL_COMMANDS_BATCH_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_batch_command(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX]);

#endif
