/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands backend.add, backend.remove and so on. Each changes one backend of one service by an
 * override of the operators (desired/operators.h), in a transaction (transaction/transaction.h).
 * backend_state.h has those that say which packets it gets. */
#ifndef SL_CONTROL_COMMANDS_BACKEND_H
#define SL_CONTROL_COMMANDS_BACKEND_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_backend_add_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_weight_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX]);

#endif
