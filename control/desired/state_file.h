/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of the state directory. A symbolic link is refused, and so is a file or directory that
 * others may write: whoever could write there could make control apply, or overwrite, anything. */
#ifndef SL_CONTROL_DESIRED_STATE_FILE_H
#define SL_CONTROL_DESIRED_STATE_FILE_H

#include <stdbool.h>

#include "../../config/config.h"

/* Opens a file for reading. Returns a descriptor, or -errno with a message; -ENOENT: there is no
 * such file. */
int sl_state_file_open(const char *state_dir, const char *name, char error[SL_ERROR_MAX]);

/* Replaces a file as a whole, or not at all. If `durable`, it is on disk when this returns, even if
 * the machine fails afterwards. Returns 0, or -errno with a message. */
int sl_state_file_write(const char *state_dir, const char *name, const char *text, bool durable,
			char error[SL_ERROR_MAX]);

#endif
