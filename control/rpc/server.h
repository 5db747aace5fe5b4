/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: JSON-RPC 2.0, one message per line, over a Unix stream socket.
 *
 * The daemon opens two, one for changes and one for reading only, which have different file modes.
 * Both answer from the same table of methods. Everything runs in the event loop of the given base,
 * so no two methods run at the same time.
 *
 * A method answers at once, or returns SL_RPC_LATER and answers by sl_rpc_finish(). Its connection
 * waits meanwhile, because answers come in the order of the requests; other connections are served.
 * Changes wait for each other while busy() is true. Methods that only read don't.
 *
 * Clients are treated as hostile. Each has bounds on its request, on what it leaves unread and on
 * the time it may take over either, and lets others have their turn after a few requests.
 * docs/control-socket.md describes the protocol for users, message.c implements messages, and
 * connection.c implements connections.
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

enum { SL_RPC_LATER = 1 }; /* a method returns this if it answers by sl_rpc_finish() */

/* Who connected, as reported by the kernel (SO_PEERCRED, read when the client connects). */
struct sl_rpc_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

struct sl_rpc_method {
	const char *name; /* such as "backend.drain" */
	bool changes;	  /* refused on the read-only socket; waits while busy() is true */
	/* Returns 0, or -errno with a message in error; -EINVAL: params are invalid. params is an
	 * object or NULL, and is gone when the method returns; *result is a new reference.
	 * SL_RPC_LATER: neither result nor error is set, and sl_rpc_finish(call) must follow,
	 * exactly once. After any other return value the call is gone. A method must not close the
	 * socket that it serves. */
	int (*call)(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		    char error[SL_ERROR_MAX]);
};

/* Answers a call whose method returned SL_RPC_LATER, or is about to return it. Takes result. err
 * and error (which may be NULL) are as a method's. This only stores the answer: it is sent, and the
 * client's next request called, from the event loop. If the client is gone, nothing happens. */
void sl_rpc_finish(struct sl_rpc_call *call, int err, json_t *result, const char *error);

/* Both return values are valid until the call is finished. */
const struct sl_rpc_peer *sl_rpc_call_peer(const struct sl_rpc_call *call);
const char *sl_rpc_call_method(const struct sl_rpc_call *call);

/* Creates the socket file, with exactly this mode, and listens. A file that a dead process left is
 * replaced. methods must outlive the socket and every call. Returns 0, or -errno with a message;
 * -EADDRINUSE: somebody listens there. */
int sl_rpc_open(struct sl_rpc **rpc, struct event_base *base, const char *path, mode_t mode,
		bool may_change, const struct sl_rpc_method *methods, size_t n_methods,
		void *context, char error[SL_ERROR_MAX]);

/* Closes the socket and its clients, and unlinks the file if it is still the one that was created.
 * Calls whose answer is due stay, and must still be finished, which frees them. */
void sl_rpc_close(struct sl_rpc *rpc);

/* Makes changes wait for each other: while busy(context) is true, no method with `changes` is
 * called. Clients whose next request is a change wait in the order in which they came to it; each
 * has one called and then queues behind the others. busy() is asked before every such call. */
void sl_rpc_set_busy(struct sl_rpc *rpc, bool (*busy)(void *context));

/* Lets the method of this name carry out batches with changes, as a whole: its params are
 * {"requests": [...]}, and its outcome is that of each request. Otherwise the requests of a batch
 * are called one by one. */
void sl_rpc_set_batch(struct sl_rpc *rpc, const char *method);

/* Tells that busy() has become false. The changes that waited are called, from the event loop. */
void sl_rpc_resume(struct sl_rpc *rpc);

struct sl_rpc_limits {
	size_t clients;	      /* the most at the same time */
	size_t request_bytes; /* of one line */
	size_t batch;	      /* requests in one line */
	size_t unread_bytes;  /* of answers; while more are unread, a client's requests wait */
	int patience_ms;      /* for an unfinished request, and for a client that doesn't read */
};

#define SL_RPC_LIMITS                                                                              \
	{                                                                                          \
		.clients = 64, .request_bytes = 1 << 20, .batch = 256, .unread_bytes = 4 << 20,    \
		.patience_ms = 30000,                                                              \
	}

/* Sets other limits than these, for clients that connect from now on. Tests use it, to avoid waits
 * of half a minute. */
void sl_rpc_limit(struct sl_rpc *rpc, const struct sl_rpc_limits *limits);

#endif
