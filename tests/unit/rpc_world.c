/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

/* The toy methods. */

/* Writes down in which order methods were called. */
static void note(struct fixture *f, const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "name"));

	if (name)
		strncat(f->called, name, sizeof(f->called) - strlen(f->called) - 1);
}

static int call_echo(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	(void)call;
	(void)error;
	f->calls++;
	note(f, params);
	*result = params ? json_incref((json_t *)params) : NULL;
	return 0;
}

static int call_big(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		    char error[SL_ERROR_MAX])
{
	struct fixture *f = context;
	char *text = malloc(1000);

	(void)call;
	(void)params;
	(void)error;
	f->calls++;
	memset(text, 'x', 1000);
	*result = json_stringn(text, 1000);
	free(text);
	return 0;
}

static int call_count(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	(void)call;
	(void)params;
	(void)error;
	*result = json_integer(f->calls);
	return 0;
}

/* Its answer comes by finish(). */
static int call_later(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	(void)error;
	*result = json_string("dropped");
	note(f, params);
	assert_in_range(f->n_due, 0, DUE_MAX - 1);
	f->due[f->n_due++] = call;
	return SL_RPC_LATER;
}

/* As `later`, and other changes wait for it. */
static int call_publish(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	assert_false(f->busy);
	f->busy = true;
	return call_later(context, call, params, result, error);
}

/* Finishes before it returns. */
static int call_soon(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	(void)params;
	(void)result;
	(void)error;
	f->calls++;
	sl_rpc_finish(call, 0, NULL, NULL);
	return SL_RPC_LATER;
}

const struct sl_rpc_method rpc_methods[] = {
	{ "echo", false, call_echo },	{ "change", true, call_echo },
	{ "big", false, call_big },	{ "count", false, call_count },
	{ "later", false, call_later }, { "publish", true, call_publish },
	{ "soon", true, call_soon },
};
const size_t rpc_n_methods = sizeof(rpc_methods) / sizeof(rpc_methods[0]);

/* The fixture, and the client's side of it. */

int open_rpc(struct fixture *f, struct sl_rpc **rpc, bool may_change, char error[SL_ERROR_MAX])
{
	return sl_rpc_open(rpc, f->base, f->path, 0600, may_change, rpc_methods, rpc_n_methods, f,
			   error);
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[SL_ERROR_MAX];

	signal(SIGPIPE, SIG_IGN);
	snprintf(f->dir, sizeof(f->dir), "/tmp/sluice-rpc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->dir);
	f->base = event_base_new();
	assert_non_null(f->base);
	assert_int_equal(open_rpc(f, &f->rpc, true, error), 0);
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	sl_rpc_close(f->rpc);
	event_base_free(f->base);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0); /* nothing else is left in it */
	free(f);
	return 0;
}

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

int client(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void say(struct fixture *f, int fd, const char *text, size_t length)
{
	int64_t end = now_ms() + WAIT_MS;

	while (length > 0) {
		ssize_t n = send(fd, text, length, MSG_NOSIGNAL);

		if (n == -1 && errno == EPIPE)
			return;
		assert_true(now_ms() < end);
		turn(f);
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
}

ssize_t hear(struct fixture *f, int fd, size_t lines, char *text, size_t size)
{
	int64_t end = now_ms() + WAIT_MS;
	size_t length = 0;

	text[0] = 0;
	while (lines > 0) {
		ssize_t n;

		turn(f);
		n = recv(fd, text + length, size - 1 - length, 0);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			return -1;
		assert_true(now_ms() < end);
		if (n == -1)
			continue;
		for (ssize_t i = 0; i < n; i++)
			lines -= lines > 0 && text[length + (size_t)i] == '\n';
		length += (size_t)n;
		text[length] = 0;
		assert_true(length + 1 < size);
	}
	return (ssize_t)length;
}

void expect_end(struct fixture *f, int fd, const char *last)
{
	char text[4096];

	assert_int_equal(hear(f, fd, SIZE_MAX, text, sizeof(text)), -1);
	assert_string_equal(text, last);
	close(fd);
}

void expect_alive(struct fixture *f)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":1}\n";
	char text[256];
	int fd = client(f->path);

	assert_true(fd >= 0);
	say(f, fd, ask, sizeof(ask) - 1);
	assert_true(hear(f, fd, 1, text, sizeof(text)) > 0);
	assert_string_equal(text, "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}\n");
	close(fd);
	turn(f);
}

void limit(struct fixture *f, struct sl_rpc_limits limits)
{
	sl_rpc_limit(f->rpc, &limits);
}
