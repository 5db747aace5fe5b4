/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes an instance down: the XDP programs off their interfaces, then every pin, flows included.
 * Nothing is left of it but what operators set. */
#ifndef SL_CONTROL_COMMANDS_DETACH_H
#define SL_CONTROL_COMMANDS_DETACH_H

#include "../daemon.h"

/* Of the instance that `c` serves, or of what stands under its name. 0, or -errno with a message;
 * -EBUSY: its dataplane runs. */
int sl_detach(struct sl_control *c, char error[SL_ERROR_MAX]);

#endif
