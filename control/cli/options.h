/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells words from options: those of sluicectl itself, and those of all commands. */
#ifndef SL_CLI_OPTIONS_H
#define SL_CLI_OPTIONS_H

#include "request.h"

#define SL_TIMEOUT_DEFAULT_S 10
#define SL_TIMEOUT_MAX_S     3600

/* "-1" is a number, not an option: getopt gets such a word without its sign. Returns the words for
 * sl_options_parse(), which reorders them, and which the caller frees. NULL: no memory. */
char **sl_options_words(int argc, char **argv);

/* Sets `settings`, and the words and options of a command; argv[0] is skipped. Whether an option
 * belongs to the command is checked by sl_command_params(). Returns 0, or an exit status after an
 * error was printed. */
int sl_options_parse(struct sl_settings *settings, int argc, char **argv, char **seen,
		     struct sl_given_words *given);

#endif
