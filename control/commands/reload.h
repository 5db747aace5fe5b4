/* SPDX-License-Identifier: BSD-2-Clause */
/* The file, read again while we serve: for the command and for SIGHUP.
 *
 * The difference is published as one generation, or nothing changes at all. What is fixed while the
 * instance lives is refused; what the processes read only when they start is told of, and stays as
 * it was until then.
 */
#ifndef SL_CONTROL_COMMANDS_RELOAD_H
#define SL_CONTROL_COMMANDS_RELOAD_H

#include "../daemon.h"

/* Sentences about what changed, and about what in the file is not in force, are appended to the
 * array `changes`. Publishes only if there is a difference. */
int sl_reload(struct sl_control *c, json_t *changes, char error[SL_ERROR_MAX]);

/* Sentences about what operators removed although the file has it. */
void sl_reload_removed(const struct sl_control *c, json_t *list);

#endif
