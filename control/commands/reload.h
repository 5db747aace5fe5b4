/* SPDX-License-Identifier: BSD-2-Clause */
/* The file, read again while we serve: for the command and for SIGHUP.
 *
 * The difference is published as one generation, or nothing changes at all. What is fixed while the
 * instance lives is refused; what the processes read only when they start is told of, and stays as
 * it was until then.
 */
#ifndef SL_CONTROL_COMMANDS_RELOAD_H
#define SL_CONTROL_COMMANDS_RELOAD_H

#include "../daemon.h"

struct sl_rpc_call;

/* A transaction (transaction.h), which publishes only if there is a difference. In the answer,
 * "changes" are sentences about what changed and what of the file takes effect later, "live" those
 * about what operators set that differs from the file. `what`: who asks, for the log. */
int sl_reload(struct sl_control *c, struct sl_rpc_call *call, const char *what, json_t **result,
	      char error[SL_ERROR_MAX]);

#endif
