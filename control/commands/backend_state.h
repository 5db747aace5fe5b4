/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands backend.drain, backend.ready and backend.maintenance: which packets a backend gets.
 * Each is of one backend, or of all backends with one address, in every service, in one
 * transaction. A drain may have an end (desired/drains.h). */
#ifndef SL_CONTROL_COMMANDS_BACKEND_STATE_H
#define SL_CONTROL_COMMANDS_BACKEND_STATE_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_backend_drain_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_ready_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_maintenance_command(void *context, struct sl_rpc_call *call, const json_t *params,
				   json_t **result, char error[SL_ERROR_MAX]);

#endif
