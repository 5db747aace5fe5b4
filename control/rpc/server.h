/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: JSON-RPC 2.0, a message a line, over a Unix stream socket.
 *
 * The daemon opens two, one for changes and one for reading, told apart by their file modes; both
 * answer from the same table of methods. Everything runs in the event loop of the base given, so a
 * method is never called beside another one, and a change is atomic for whoever asks.
 *
 * Clients are taken as hostile. Each has a bound on the request, on what it leaves unread and on
 * the time it may take over either, and gives way to the others after a few requests. The protocol
 * as users see it: docs/control-socket.md. What a message means: message.c. One connection:
 * connection.c.
 *
 * The process must ignore SIGPIPE.
 */
#ifndef SL_CONTROL_RPC_SERVER_H
#define SL_CONTROL_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#include "../../config/config.h"

struct event_base;
struct sl_rpc;

struct sl_rpc_method {
	const char *name; /* "backend.drain" */
	bool changes;	  /* refused on the reading socket */
	/* 0 or -errno with a message in error; -EINVAL says that params are at fault. params is an
	 * object or NULL; *result is a new reference. Must not close the socket that it serves. */
	int (*call)(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX]);
};

/* Makes the socket file, with exactly this mode. A file that a dead process left is replaced; where
 * somebody listens, -EADDRINUSE. methods must outlive the socket. 0, or -errno with a message. */
int sl_rpc_open(struct sl_rpc **rpc, struct event_base *base, const char *path, mode_t mode,
		bool may_change, const struct sl_rpc_method *methods, size_t n_methods,
		void *context, char error[SL_ERROR_MAX]);

/* Closes its clients too, and unlinks the file if it is still the one that was made. */
void sl_rpc_close(struct sl_rpc *rpc);

struct sl_rpc_limits {
	size_t clients;	      /* at once */
	size_t request_bytes; /* of one line */
	size_t batch;	      /* requests in one line */
	size_t unread_bytes;  /* of answers, beyond which a client's requests wait */
	int patience_ms;      /* for an unfinished request, and for a client that doesn't read */
};

#define SL_RPC_LIMITS                                                                              \
	{                                                                                          \
		.clients = 64, .request_bytes = 1 << 20, .batch = 256, .unread_bytes = 4 << 20,    \
		.patience_ms = 30000,                                                              \
	}

/* Other limits than these, for clients that come from now on: tests have no half minutes. */
void sl_rpc_limit(struct sl_rpc *rpc, const struct sl_rpc_limits *limits);

#endif
