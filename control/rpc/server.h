/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: JSON-RPC 2.0, a message a line, over a Unix stream socket.
 *
 * The daemon opens two, one for changes and one for reading, told apart by their file modes; both
 * answer from the same table of methods. Everything runs in the event loop of the base given, so a
 * method is never called beside another one.
 *
 * A method answers at once, or returns SL_RPC_LATER and its answer comes by sl_rpc_finish(). Its
 * connection waits meanwhile, because answers come in the order of the requests; other connections
 * are served. Changes wait for each other while busy() says so, those that only read don't.
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

/* One call of a method whose answer is due. It outlives its client and the socket. */
struct sl_rpc_call;

enum { SL_RPC_LATER = 1 }; /* what a method returns whose answer comes by sl_rpc_finish() */

/* Who connected, as the kernel says (SO_PEERCRED, read when the client connects). */
struct sl_rpc_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

struct sl_rpc_method {
	const char *name; /* "backend.drain" */
	bool changes;	  /* refused on the reading socket; waits while busy() is true */
	/* 0 or -errno with a message in error; -EINVAL says that params are at fault. params is an
	 * object or NULL, and gone when the method returns; *result is a new reference.
	 * SL_RPC_LATER: neither is set, and sl_rpc_finish(call) must follow, exactly once. After
	 * any other return value the call is gone. Must not close the socket that it serves. */
	int (*call)(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		    char error[SL_ERROR_MAX]);
};

/* Answers a call whose method returned SL_RPC_LATER, or is about to return it. Takes result; err
 * and error (which may be NULL) are as a method's. Only notes the answer: it is sent, and the
 * client's next request called, from the event loop. Nothing happens if the client is gone. */
void sl_rpc_finish(struct sl_rpc_call *call, int err, json_t *result, const char *error);

/* Both hold until the call is finished. */
const struct sl_rpc_peer *sl_rpc_call_peer(const struct sl_rpc_call *call);
const char *sl_rpc_call_method(const struct sl_rpc_call *call);

/* Makes the socket file, with exactly this mode. A file that a dead process left is replaced; where
 * somebody listens, -EADDRINUSE. methods must outlive the socket and every call. 0, or -errno with
 * a message. */
int sl_rpc_open(struct sl_rpc **rpc, struct event_base *base, const char *path, mode_t mode,
		bool may_change, const struct sl_rpc_method *methods, size_t n_methods,
		void *context, char error[SL_ERROR_MAX]);

/* Closes its clients too, and unlinks the file if it is still the one that was made. Calls whose
 * answer is due stay, and must still be finished, which frees them. */
void sl_rpc_close(struct sl_rpc *rpc);

/* Makes changes wait for each other: while busy(context) is true, no method with `changes` is
 * called. Clients whose next request is one wait in the order in which they came to it; each calls
 * one and then queues behind the others. busy() is asked before every such call. */
void sl_rpc_set_busy(struct sl_rpc *rpc, bool (*busy)(void *context));

/* busy() has become false: the changes that waited are called, from the event loop. */
void sl_rpc_resume(struct sl_rpc *rpc);

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
