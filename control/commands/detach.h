/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes an instance down: first its XDP programs off their interfaces, then every pin, including
 * the flows. Only what operators set is left. */
#ifndef SL_CONTROL_COMMANDS_DETACH_H
#define SL_CONTROL_COMMANDS_DETACH_H

#include "../daemon.h"

/* Detaches the instance that `c` serves, or what exists under its name. Returns 0, or -errno with a
 * message; -EBUSY: its dataplane runs. */
int sl_detach(struct sl_control *c, char error[SL_ERROR_MAX]);

#endif
