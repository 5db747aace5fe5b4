/* SPDX-License-Identifier: BSD-2-Clause */
/* limit.list and its like. A change edits the layer of operators in a transaction
 * (transaction.h); the service's limits follow from that and the file (desired/effective.h). */
#ifndef SL_CONTROL_COMMANDS_LIMIT_H
#define SL_CONTROL_COMMANDS_LIMIT_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_limit_list_command(void *context, struct sl_rpc_call *call, const json_t *params,
			  json_t **result, char error[SL_ERROR_MAX]);
int sl_limit_show_command(void *context, struct sl_rpc_call *call, const json_t *params,
			  json_t **result, char error[SL_ERROR_MAX]);
int sl_limit_set_command(void *context, struct sl_rpc_call *call, const json_t *params,
			 json_t **result, char error[SL_ERROR_MAX]);
int sl_limit_clear_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX]);

int sl_limit_top_command(void *context, struct sl_rpc_call *call, const json_t *params,
			 json_t **result, char error[SL_ERROR_MAX]);

#endif
