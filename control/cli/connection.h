/* SPDX-License-Identifier: BSD-2-Clause */
/* One question to a control socket, and its answer. */
#ifndef SL_CLI_CONNECTION_H
#define SL_CLI_CONNECTION_H

#include <jansson.h>

#include "../../config/config.h"

/* Connects, asks, waits for the line that answers, closes. params is borrowed and may be NULL.
 * *answer is a new reference to the response object, with "result" or "error".
 *
 * -ENOENT, -ECONNREFUSED: nobody listens; -EACCES: not for us; -ETIMEDOUT; -EPROTO: something else
 * than our daemon answered; -ECONNRESET: it hung up. All with a message. */
int sl_connection_ask(const char *path, const char *method, json_t *params, int timeout_ms,
		      json_t **answer, char error[SL_ERROR_MAX]);

#endif
