/* SPDX-License-Identifier: BSD-2-Clause */
/* One line from a client, and its answer: JSON-RPC 2.0 without any socket. */
#ifndef SL_CONTROL_RPC_MESSAGE_H
#define SL_CONTROL_RPC_MESSAGE_H

#include "server.h"

struct evbuffer;

enum sl_rpc_code {
	SL_RPC_PARSE = -32700,	  /* not JSON */
	SL_RPC_REQUEST = -32600,  /* JSON, but no request */
	SL_RPC_METHOD = -32601,	  /* no such method */
	SL_RPC_PARAMS = -32602,	  /* -EINVAL of a method */
	SL_RPC_FAILED = -32000,	  /* any other -errno of a method; data says which */
	SL_RPC_READING = -32001,  /* a change on the reading socket */
	SL_RPC_TOO_MANY = -32002, /* too many clients */
};

/* What every client of one socket may do. */
struct sl_rpc_scope {
	const struct sl_rpc_method *methods;
	size_t n_methods;
	void *context;
	bool may_change;
	struct sl_rpc_limits limits;
};

/* One line on its way to its answer. Whoever owns it sets the first part, and zeroes the rest. */
struct sl_rpc_line {
	const struct sl_rpc_scope *scope;
	struct sl_rpc_peer peer;
	bool (*may_change)(void *owner); /* asked before a change is called; NULL: always */
	void (*ready)(void *owner);	 /* the call is finished: answer() again. Calls nothing. */
	void *owner;
	struct evbuffer *answer; /* empty at first; complete when answer() returns 0 */

	bool is_batch;
	bool running;		  /* answer() is at work: it needs no ready() */
	size_t requests;	  /* in this line; 0: not known yet */
	size_t next;		  /* request to call */
	struct sl_rpc_call *call; /* whose answer is due */
	int error;		  /* -ENOMEM: its answer is incomplete */
};

enum { SL_RPC_WAIT = 2 }; /* the next request is a change, and may_change() says no */

/* Goes on with the line, which is the same text at each call until 0 is returned: then all of it
 * is answered, with one line in answer or nothing where none is due (notifications), and the next
 * line may follow. SL_RPC_LATER: a call's answer is due, ready() will tell. SL_RPC_WAIT: call this
 * again when changes may be called. -ENOMEM leaves a part of a line in answer: give the client
 * up. */
int sl_rpc_line_answer(struct sl_rpc_line *line, const char *text, size_t length);

/* Gives the line up: the answer to its call goes nowhere. Leaves `answer` to its owner. */
void sl_rpc_line_drop(struct sl_rpc_line *line);

/* Appends an error that belongs to no request. */
int sl_rpc_message_refuse(enum sl_rpc_code code, const char *message, struct evbuffer *answer);

#endif
