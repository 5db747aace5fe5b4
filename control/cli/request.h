/* SPDX-License-Identifier: BSD-2-Clause */
/* What all commands have in common: where the sockets are, patience with a control process that is
 * starting, and errors and results as people or programs read them. Functions that return int
 * return an exit status (enum sl_exit), if nothing else is said. */
#ifndef SL_CLI_REQUEST_H
#define SL_CLI_REQUEST_H

#include <jansson.h>

#include "commands.h"

#define SL_RUN_DIR "/run/sluice"

/* The options of sluicectl itself. */
struct sl_settings {
	const char *instance;
	const char *socket; /* as given; NULL: the instance's default */
	bool json;
	bool help;
	bool version;
	int timeout_ms;
	int line; /* of a batch, which errors name; 0: none */
};

/* Prints an error. Returns `status`. */
int sl_request_fail(const struct sl_settings *settings, enum sl_exit status, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));

/* Finds the socket of a command. */
int sl_request_socket(const struct sl_settings *settings, bool changes, char path[SL_PATH_MAX]);

/* As sl_connection_ask(), but waits for a control process that is starting. -EINPROGRESS: it still
 * is. */
int sl_request_ask(const struct sl_settings *settings, const char *path, const char *method,
		   json_t *params, json_t **answer, char error[SL_ERROR_MAX]);

/* Print why there is no answer (rc, from sl_request_ask()), and the daemon's error. */
int sl_request_silence(const struct sl_settings *settings, const struct sl_command *command,
		       const char *path, int rc, const char *error);
int sl_request_error(const struct sl_settings *settings, const json_t *error);

void sl_request_print(const struct sl_settings *settings, const struct sl_command *command,
		      const json_t *result);

/* Checks the result of a change: whether it is saved and acknowledged. */
int sl_request_check(const struct sl_settings *settings, const struct sl_command *command,
		     const json_t *result);

/* Sends the command, and prints its result. */
int sl_request_run(const struct sl_settings *settings, const struct sl_command *command,
		   json_t *params);

#endif
