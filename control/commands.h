/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket can be asked: one array of methods. A change is made on a clone of the
 * model and published before it is answered, so a command either holds everywhere or has not
 * happened. docs/control-socket.md lists parameters and results. */
#ifndef SL_CONTROL_COMMANDS_H
#define SL_CONTROL_COMMANDS_H

#include "control.h"

extern const struct sl_rpc_method sl_commands[];
extern const size_t sl_n_commands;

/* Reads the file again and publishes the difference, if there is any; for SIGHUP as well. What
 * changed is appended to the array `changes`. */
int sl_reload(struct sl_control *c, json_t *changes, char error[SL_ERROR_MAX]);

#endif
