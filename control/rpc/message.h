/* SPDX-License-Identifier: BSD-2-Clause */
/* One line from a client, and its answer: JSON-RPC 2.0 without any socket. */
#ifndef SL_CONTROL_RPC_MESSAGE_H
#define SL_CONTROL_RPC_MESSAGE_H

#include "server.h"

struct evbuffer;

enum sl_rpc_code {
	SL_RPC_PARSE = -32700,	 /* not JSON */
	SL_RPC_REQUEST = -32600, /* JSON, but no request */
	SL_RPC_METHOD = -32601,	 /* no such method */
	SL_RPC_PARAMS = -32602,	 /* -EINVAL of a method */
	SL_RPC_FAILED = -32000,	 /* any other -errno of a method; data says which */
	SL_RPC_READING = -32001, /* a change on the reading socket */
	SL_RPC_CROWDED = -32002, /* too many clients */
};

/* What every client of one socket may do. */
struct sl_rpc_scope {
	const struct sl_rpc_method *methods;
	size_t n_methods;
	void *context;
	bool may_change;
	struct sl_rpc_limits limits;
};

/* Appends one line to answer, or nothing where none is due (notifications). -ENOMEM leaves a part
 * of a line there: give the client up. */
int sl_rpc_message_answer(const struct sl_rpc_scope *scope, const char *line, size_t length,
			  struct evbuffer *answer);

/* Appends an error that belongs to no request. */
int sl_rpc_message_refuse(enum sl_rpc_code code, const char *message, struct evbuffer *answer);

#endif
