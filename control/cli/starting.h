/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a control process that doesn't answer yet is about to. */
#ifndef SL_CLI_STARTING_H
#define SL_CLI_STARTING_H

#include <stdbool.h>

/* A control process holds its instance's lock from its first moment on, and listens when it is
 * ready. So it is starting where nobody listens on `socket` and the lock beside it is held. */
bool sl_control_is_starting(const char *socket);

#endif
