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
};

/* Takes fd, non-blocking; who can't be served is told so and closed. */
void sl_rpc_clients_add(struct sl_rpc_clients *clients, int fd);
void sl_rpc_clients_close(struct sl_rpc_clients *clients);

#endif
