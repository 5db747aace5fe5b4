/* SPDX-License-Identifier: BSD-2-Clause */
/* `batch FILE`: a command a line, all as one request, so that all of them become one generation or
 * none does. Each line is parsed like a command line. */
#ifndef SL_CLI_BATCH_H
#define SL_CLI_BATCH_H

#include "request.h"

/* Runs the command; params has the name of the file. Returns an exit status. */
int sl_batch_run(const struct sl_settings *settings, const struct sl_command *command,
		 const json_t *params);

#endif
