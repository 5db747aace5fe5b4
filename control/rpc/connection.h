/* SPDX-License-Identifier: BSD-2-Clause */
/* The connections of one control socket. */
#ifndef SL_CONTROL_RPC_CONNECTION_H
#define SL_CONTROL_RPC_CONNECTION_H

#include <sys/queue.h>

#include "message.h"

struct sl_rpc_client;

struct sl_rpc_clients {
	struct event_base *base;
	struct sl_rpc_scope scope;
	LIST_HEAD(, sl_rpc_client) list;
	size_t count;
	/* The clients whose next request is a change that can't be called yet, in order. */
	TAILQ_HEAD(, sl_rpc_client) waiting;
	struct event *resume; /* serves the first of them */
	bool resuming;	      /* the client being served was the first of them */
	bool (*busy)(void *context);
};

int sl_rpc_clients_open(struct sl_rpc_clients *clients, struct event_base *base,
			const struct sl_rpc_scope *scope);
void sl_rpc_clients_close(struct sl_rpc_clients *clients);

/* Takes ownership of fd, which is non-blocking. A client that can't be served gets an error and is
 * closed. */
void sl_rpc_clients_add(struct sl_rpc_clients *clients, int fd);

/* Calls changes that wait, from the event loop, unless busy() is still true. */
void sl_rpc_clients_resume(struct sl_rpc_clients *clients);

#endif
