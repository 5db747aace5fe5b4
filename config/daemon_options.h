/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of a daemon, and the configuration that it names. */
#ifndef SL_CONFIG_DAEMON_OPTIONS_H
#define SL_CONFIG_DAEMON_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "../dataplane/abi/store.h"
#include "config.h"

struct sl_daemon_options {
	const char *file; /* the last option with an argument */
	uint32_t given;	  /* the options, by letter */
};

enum { SL_DAEMON_GOES_ON = -1 };

/* Reads the command line. `own`, which ends with a zeroed option, names options beside --config,
 * --version and --help; `val` of each is a small letter of its own. SL_DAEMON_GOES_ON, or the
 * status to exit with: the version or the usage was printed. */
int sl_daemon_options_read(int argc, char **argv, const char *usage, const struct option *own,
			   struct sl_daemon_options *options);

/* Whether the option with this letter was given. */
static inline bool sl_daemon_option(const struct sl_daemon_options *options, char letter)
{
	return options->given >> (letter - 'a') & 1;
}

/* Raises the limit of file descriptors and reads the file. SL_DAEMON_GOES_ON with the place of the
 * instance's tables, or the status to exit with, logged. */
int sl_daemon_configure(const char *file, struct sl_config *config, struct sl_store_where *where);

/* The place of an instance's tables. The configuration's texts stay in use. */
struct sl_store_where sl_daemon_where(const struct sl_config *config);

#endif
