/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands service.add, service.remove and service.set. They change services by overrides of
 * the operators (desired/operators.h), in a transaction (transaction/transaction.h). A service has
 * the same fields as in the file: docs/configuration.md, "services". */
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
