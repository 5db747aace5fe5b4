/* SPDX-License-Identifier: BSD-2-Clause */
/* service.add and its like: services that come, go and change live, by words of the operators about
 * them (desired/operators.h) in a transaction (transaction.h). What a service may say is what the
 * file may: docs/configuration.md, "services". */
#ifndef SL_CONTROL_COMMANDS_SERVICE_H
#define SL_CONTROL_COMMANDS_SERVICE_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_service_add_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX]);
int sl_service_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX]);
int sl_service_set_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX]);

#endif
