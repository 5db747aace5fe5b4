/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands limit.list, limit.set and so on. A change edits the operators' layer in a
 * transaction (transaction/transaction.h). The service's limits follow from that layer and the file
 * (desired/effective.h). */
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
