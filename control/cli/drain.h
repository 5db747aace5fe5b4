/* SPDX-License-Identifier: BSD-2-Clause */
/* `backend drain --wait`: begins the drain, then asks how far it is until it has ended.
 *
 * The drain goes on by itself, whatever becomes of this process: deadline and removal belong to
 * control's state. So a control process that restarts is waited for, and the same command, given
 * again, waits for the same end.
 */
#ifndef SL_CLI_DRAIN_H
#define SL_CLI_DRAIN_H

#include "request.h"

/* Whether params (NULL: none) have the option --wait, which no method knows. */
bool sl_drain_waits(const json_t *params);

/* Runs the command, without that option, and waits. Returns an exit status: SL_EXIT_EXPIRED if a
 * deadline has passed before all could be switched off, 130 if it was interrupted. */
int sl_drain_run(const struct sl_settings *settings, const struct sl_command *command,
		 json_t *params);

#endif
