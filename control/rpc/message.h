/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers one line from a client: JSON-RPC 2.0, without any socket. */
#ifndef SL_CONTROL_RPC_MESSAGE_H
#define SL_CONTROL_RPC_MESSAGE_H

#include "server.h"

struct evbuffer;

enum sl_rpc_code {
	SL_RPC_PARSE = -32700,	  /* not JSON */
	SL_RPC_REQUEST = -32600,  /* JSON, but no request */
	SL_RPC_METHOD = -32601,	  /* no such method */
	SL_RPC_PARAMS = -32602,	  /* a method returned -EINVAL */
	SL_RPC_FAILED = -32000,	  /* a method returned another -errno, which data names */
	SL_RPC_READING = -32001,  /* a change on the read-only socket */
	SL_RPC_TOO_MANY = -32002, /* too many clients */
};

/* What every client of one socket may do. */
struct sl_rpc_scope {
	const struct sl_rpc_method *methods;
	size_t n_methods;
	void *context;
	bool may_change;
	/* Carries out batches with changes, see sl_rpc_set_batch(); NULL: none does. */
	const struct sl_rpc_method *batch;
	struct sl_rpc_limits limits;
};

/* The state of one line until it is answered. Its owner sets the first part and zeroes the rest. */
struct sl_rpc_line {
	const struct sl_rpc_scope *scope;
	struct sl_rpc_peer peer;
	bool (*may_change)(void *owner); /* asked before a change is called; NULL: always */
	/* Called when the call is finished: call sl_rpc_line_answer() again, but not from here. */
	void (*ready)(void *owner);
	void *owner;
	/* Empty at first. It is complete when sl_rpc_line_answer() returns 0. */
	struct evbuffer *answer;

	bool is_batch;
	bool running;		  /* sl_rpc_line_answer() is running, so ready() isn't needed */
	size_t requests;	  /* in this line; 0: not known yet */
	size_t next;		  /* index of the next request to call */
	struct sl_rpc_call *call; /* the call whose answer is due */
	int error;		  /* -ENOMEM: the call's answer is incomplete */
};

enum { SL_RPC_WAIT = 2 }; /* the next request is a change, and may_change() is false */

/* Answers the line, or continues with it. The text must be the same at each call, until 0 is
 * returned. Then the whole line is answered: `answer` holds one line, or nothing if no answer is
 * due (notifications), and the next line may follow. SL_RPC_LATER: a call's answer is due, and
 * ready() will be called. SL_RPC_WAIT: call this again when changes may be called. -ENOMEM:
 * `answer` may hold a part of a line, so the client has to be closed. */
int sl_rpc_line_answer(struct sl_rpc_line *line, const char *text, size_t length);

/* Drops the line: the answer to its call is discarded. `answer` stays the owner's. */
void sl_rpc_line_drop(struct sl_rpc_line *line);

/* Appends an error that belongs to no request. Returns 0 or -ENOMEM. */
int sl_rpc_message_refuse(enum sl_rpc_code code, const char *message, struct evbuffer *answer);

#endif
