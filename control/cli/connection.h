/* SPDX-License-Identifier: BSD-2-Clause */
/* One request to a control socket, and its answer. */
#ifndef SL_CLI_CONNECTION_H
#define SL_CLI_CONNECTION_H

#include <jansson.h>

#include "../../config/config.h"

/* Connects, sends the request, waits for the answer and closes. params is borrowed and may be NULL.
 * *answer is a new reference to the response object, with "result" or "error".
 *
 * Errors, all with a message: -ENOENT or -ECONNREFUSED, nobody listens; -EACCES, no permission;
 * -ETIMEDOUT; -EPROTO, the answer isn't one of our daemon; -ECONNRESET, it closed the
 * connection. */
int sl_connection_ask(const char *path, const char *method, json_t *params, int timeout_ms,
		      json_t **answer, char error[SL_ERROR_MAX]);

#endif
