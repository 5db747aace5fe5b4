/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of the state directory. Neither a symbolic link nor a file or directory that others may
 * write is taken: who could write there could have us apply, or overwrite, what he likes. */
#ifndef SL_CONTROL_DESIRED_STATE_FILE_H
#define SL_CONTROL_DESIRED_STATE_FILE_H

#include <stdbool.h>

#include "../../config/config.h"

/* A descriptor to read from, or -errno with a message; -ENOENT: the file isn't there. */
int sl_state_file_open(const char *state_dir, const char *name, char error[SL_ERROR_MAX]);

/* Replaces it as a whole, or not at all. `durable`: it is on disk then, even if the machine dies.
 * 0, or -errno with a message. */
int sl_state_file_write(const char *state_dir, const char *name, const char *text, bool durable,
			char error[SL_ERROR_MAX]);

#endif
