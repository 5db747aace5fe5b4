/* SPDX-License-Identifier: BSD-2-Clause */
/* A control socket with toy methods, and clients of it. The event loop runs only while a test
 * waits, so a client and the server take turns in one thread; every wait is bounded.
 */
#ifndef SL_TESTS_RPC_WORLD_H
#define SL_TESTS_RPC_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../control/rpc/server.h"

#define WAIT_MS 10000 /* for what must happen */
#define DUE_MAX 16

struct fixture {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct sl_rpc *rpc;
	int calls;
	struct sl_rpc_call *due[DUE_MAX]; /* calls of `later` and `publish`, in order */
	int n_due;
	bool busy;	 /* from a call of `publish` on */
	char called[64]; /* the params' `name`s of all calls that had one */
};

/* echo, change, big and count are answered at once; later, publish and soon by sl_rpc_finish(). */
extern const struct sl_rpc_method rpc_methods[];
extern const size_t rpc_n_methods;

int open_rpc(struct fixture *f, struct sl_rpc **rpc, bool may_change, char error[SL_ERROR_MAX]);
int set_up(void **state);
int tear_down(void **state);
void limit(struct fixture *f, struct sl_rpc_limits limits);

int64_t now_ms(void);
void turn(struct fixture *f);

/* A new connection, or -1. */
int client(const char *path);

/* Sends it all, unless the server hangs up. */
void say(struct fixture *f, int fd, const char *text, size_t length);

/* Reads until the text holds so many lines or the server hangs up. Bytes read, or -1: hung up. */
ssize_t hear(struct fixture *f, int fd, size_t lines, char *text, size_t size);

/* The server hangs up, having said no more than this. */
void expect_end(struct fixture *f, int fd, const char *last);

/* A new client is served. */
void expect_alive(struct fixture *f);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define OK(result, id) "{\"jsonrpc\":\"2.0\",\"result\":" result ",\"id\":" id "}"
#define ERROR(code, text, id)                                                                      \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" code ",\"message\":\"" text "\"},\"id\":" id "}"
#define CALL(method, rest) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\"" rest "}"

#endif
