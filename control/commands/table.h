/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods of the control socket, in one array. A change is made on a clone of the model and
 * published before it is answered, so it either takes effect everywhere or not at all.
 * docs/control-socket.md lists parameters and results. */
#ifndef SL_CONTROL_COMMANDS_TABLE_H
#define SL_CONTROL_COMMANDS_TABLE_H

#include "../rpc/server.h"

extern const struct sl_rpc_method sl_commands[];
extern const size_t sl_n_commands;

#endif
