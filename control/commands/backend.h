/* SPDX-License-Identifier: BSD-2-Clause */
/* backend.add and its like: one backend of one service changes.
 *
 * A change begins on a clone of the model, is published, and only then written down among the
 * overrides, so that what survives a restart is what was live. */
#ifndef SL_CONTROL_COMMANDS_BACKEND_H
#define SL_CONTROL_COMMANDS_BACKEND_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_backend_add_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_drain_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_ready_command(void *context, struct sl_rpc_call *call, const json_t *params,
			     json_t **result, char error[SL_ERROR_MAX]);
int sl_backend_weight_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX]);

#endif
