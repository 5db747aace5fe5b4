/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands freeze and unfreeze: whether automation (health, so far) may change what is served.
 * Operators may always. */
#ifndef SL_CONTROL_COMMANDS_FREEZE_H
#define SL_CONTROL_COMMANDS_FREEZE_H

#include "../daemon.h"

struct sl_rpc_call;

int sl_freeze_command(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX]);
int sl_unfreeze_command(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX]);

#endif
