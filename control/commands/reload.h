/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the file again while the daemon serves: for the command and for SIGHUP.
 *
 * The difference is published as one generation, or nothing changes at all. A change of a field
 * that is fixed while the instance lives is refused. A change of a field that processes read only
 * when they start is reported, and takes effect then.
 */
#ifndef SL_CONTROL_COMMANDS_RELOAD_H
#define SL_CONTROL_COMMANDS_RELOAD_H

#include "../daemon.h"

struct sl_rpc_call;

/* Runs a transaction (transaction/transaction.h), which publishes only if there is a difference. In
 * the answer, "changes" are sentences about what has changed and about what takes effect later.
 * "live" are sentences about what operators set that differs from the file. `what` says for the log
 * who requested the reload. Returns as sl_change_run(). */
int sl_reload(struct sl_control *c, struct sl_rpc_call *call, const char *what, json_t **result,
	      char error[SL_ERROR_MAX]);

#endif
