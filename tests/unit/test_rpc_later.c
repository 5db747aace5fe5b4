/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that come later: their order, changes that wait for each other, and clients or a socket
 * that are gone before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc_world.h"

#define NAMED(method, name, id)                                                                    \
	"{\"jsonrpc\":\"2.0\",\"method\":\"" method "\",\"params\":{\"name\":\"" name              \
	"\"},\"id\":" id "}"
#define NAMED_OK(name, id) OK("{\"name\":\"" name "\"}", id)

static bool busy(void *context)
{
	const struct fixture *f = context;

	return f->busy;
}

static void say_text(struct fixture *f, int fd, const char *text)
{
	say(f, fd, text, strlen(text));
}

static void turns(struct fixture *f, int n)
{
	while (n-- > 0)
		turn(f);
}

static void run_ms(struct fixture *f, int ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end; usleep(1000))
		turn(f);
}

/* Exactly these lines are there to read, and no more after them. */
static void expect(struct fixture *f, int fd, const char *want)
{
	char text[4096];
	size_t lines = 0;

	for (const char *c = want; *c; c++)
		lines += *c == '\n';
	turns(f, 20);
	assert_int_equal(hear(f, fd, lines, text, sizeof(text)), strlen(want));
	assert_string_equal(text, want);
	assert_int_equal(recv(fd, text, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Finishes the call that is due for longest, and with it ends `publish`. */
static void finish(struct fixture *f, int err, const char *text)
{
	struct sl_rpc_call *call = f->due[0];

	assert_in_range(f->n_due, 1, DUE_MAX);
	memmove(f->due, f->due + 1, (size_t)--f->n_due * sizeof(f->due[0]));
	f->busy = false;
	sl_rpc_finish(call, err, err ? NULL : json_string(text), err ? text : NULL);
	if (f->rpc)
		sl_rpc_resume(f->rpc);
}

static void test_order(void **state)
{
	static const char ask[] =
		CALL("later", ",\"id\":1") "\n" CALL("echo", ",\"id\":2") "\n" CALL(
			"later", ",\"id\":3") "\n" CALL("later",
							",\"id\":4") "\n" CALL("echo",
									       ",\"id\":5") "\n";
	struct fixture *f = *state;
	int fd = client(f->path);

	say_text(f, fd, ask);
	expect(f, fd, "");
	assert_int_equal(f->n_due, 1);
	assert_int_equal(f->calls, 0);
	expect_alive(f); /* others don't wait */

	finish(f, 0, "done");
	expect(f, fd, OK("\"done\"", "1") "\n" OK("null", "2") "\n");
	finish(f, -ENOENT, "no backend");
	expect(f, fd,
	       "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"no backend\","
	       "\"data\":{\"errno\":2,\"name\":\"ENOENT\"}},\"id\":3}\n");
	finish(f, -EINVAL, "weight: too large");
	expect(f, fd, ERROR("-32602", "weight: too large", "4") "\n" OK("null", "5") "\n");
	close(fd);
}

static void test_batch(void **state)
{
	static const char ask[] =
		"[" NAMED("echo", "a", "1") "," NAMED("later", "b", "2") ",7," CALL(
			"later", "") "," NAMED("later", "c",
					       "3") "," NAMED("echo", "d",
							      "4") "]\n" NAMED("echo", "e",
									       "5") "\n";
	struct fixture *f = *state;
	int fd = client(f->path);

	say_text(f, fd, ask);
	for (int i = 0; i < 3; i++) {
		expect(f, fd, "");
		assert_string_equal(f->called, i == 2 ? "abc" : "ab");
		assert_int_equal(f->n_due, 1);
		finish(f, 0, "done");
	}
	expect(f, fd,
	       "[" NAMED_OK("a", "1") "," OK("\"done\"", "2") "," ERROR(
		       "-32600", "a request is an object",
		       "null") "," OK("\"done\"",
				      "3") "," NAMED_OK("d", "4") "]\n" NAMED_OK("e", "5") "\n");

	/* its last request */
	say_text(f, fd, "[" NAMED("later", "f", "6") "]\n" NAMED("echo", "g", "7") "\n");
	expect(f, fd, "");
	finish(f, 0, "done");
	expect(f, fd, "[" OK("\"done\"", "6") "]\n" NAMED_OK("g", "7") "\n");
	close(fd);
}

/* No answer, but what follows waits for the end of it. */
static void test_notification(void **state)
{
	struct fixture *f = *state;
	int fd = client(f->path);

	say_text(f, fd, CALL("later", "") "\n" CALL("echo", ",\"id\":1") "\n");
	expect(f, fd, "");
	assert_int_equal(f->calls, 0);
	finish(f, 0, "unheard");
	expect(f, fd, OK("null", "1") "\n");
	say_text(f, fd, "[" CALL("later", "") "," CALL("later", "") "]\n");
	expect(f, fd, "");
	finish(f, -EIO, "unheard");
	expect(f, fd, "");
	finish(f, 0, "unheard");
	expect(f, fd, "");
	say_text(f, fd, CALL("echo", ",\"id\":2") "\n");
	expect(f, fd, OK("null", "2") "\n");
	close(fd);
}

/* A method that finishes before it returns costs no depth of calls. */
static void test_soon(void **state)
{
	enum { N = 20000 };
	static const char ask[] = CALL("soon", "") "\n";
	struct fixture *f = *state;
	char *all = malloc(N * sizeof(ask));
	int fd = client(f->path);

	for (int i = 0; i < N; i++)
		memcpy(all + (size_t)i * (sizeof(ask) - 1), ask, sizeof(ask) - 1);
	say(f, fd, all, N * (sizeof(ask) - 1));
	free(all);
	say_text(f, fd, "[" CALL("soon", ",\"id\":1") "," CALL("soon", ",\"id\":2") "]\n");
	expect(f, fd, "[" OK("null", "1") "," OK("null", "2") "]\n");
	assert_int_equal(f->calls, N + 2);
	close(fd);
}

static void test_peer(void **state)
{
	struct fixture *f = *state;
	const struct sl_rpc_peer *peer;
	int fd = client(f->path);

	say_text(f, fd, CALL("later", ",\"id\":1") "\n");
	turns(f, 5);
	assert_int_equal(f->n_due, 1);
	peer = sl_rpc_call_peer(f->due[0]);
	assert_int_equal(peer->uid, getuid());
	assert_int_equal(peer->gid, getgid());
	assert_int_equal(peer->pid, getpid());
	assert_string_equal(sl_rpc_call_method(f->due[0]), "later");
	finish(f, 0, "done");
	expect(f, fd, OK("\"done\"", "1") "\n");
	close(fd);
}

/* The client is gone before its answer, known to the server (an answer lies unread) or not. */
static void test_gone(void **state)
{
	static const char *const asks[] = {
		CALL("echo", ",\"id\":1") "\n" CALL("later", ",\"id\":2") "\n",
		CALL("later", ",\"id\":2") "\n",
		CALL("echo", ",\"id\":1") "\n[" CALL("echo", ",\"id\":2") "," CALL(
			"later", "") "," CALL("echo", ",\"id\":3") "]\n",
		CALL("later", ",\"id\":2") "\n{\"js",
	};
	struct fixture *f = *state;

	limit(f, (struct sl_rpc_limits){ .clients = 1,
					 .request_bytes = 1 << 20,
					 .batch = 256,
					 .unread_bytes = 4 << 20,
					 .patience_ms = 10000 });
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		int fd = client(f->path);

		say_text(f, fd, asks[i]);
		turns(f, 5);
		assert_int_equal(f->n_due, 1);
		assert_string_equal(sl_rpc_call_method(f->due[0]), "later");
		close(fd);
		turns(f, 5);
		if (i % 2 == 0)
			expect_alive(f); /* there is room: the client is closed */
		assert_int_equal(sl_rpc_call_peer(f->due[0])->pid, getpid());
		finish(f, i == 1 ? -EIO : 0, "unheard");
		turns(f, 5);
		expect_alive(f);
	}
}

/* A client that has sent all it will is still answered. */
static void test_half_open(void **state)
{
	struct fixture *f = *state;
	int fd = client(f->path);

	say_text(f, fd, CALL("later", ",\"id\":1") "\n" CALL("echo", ",\"id\":2") "\n");
	shutdown(fd, SHUT_WR);
	expect(f, fd, "");
	finish(f, 0, "done");
	expect_end(f, fd, OK("\"done\"", "1") "\n" OK("null", "2") "\n");
}

/* Whoever waits for its own answer, or for its turn, isn't hurried; a line that is begun behind it
 * is, from then on. */
static void test_patience(void **state)
{
	struct fixture *f = *state;
	int pending, waiting;

	limit(f, (struct sl_rpc_limits){ 64, 1 << 20, 256, 4 << 20, .patience_ms = 100 });
	sl_rpc_set_busy(f->rpc, busy);
	pending = client(f->path);
	waiting = client(f->path);
	say_text(f, pending, CALL("publish", ",\"id\":1") "\n{\"js");
	say_text(f, waiting, CALL("change", ",\"id\":2") "\n");
	run_ms(f, 350);
	expect(f, pending, "");
	expect(f, waiting, "");
	finish(f, 0, "done");
	expect(f, pending, OK("\"done\"", "1") "\n");
	expect(f, waiting, OK("null", "2") "\n");
	expect_end(f, pending,
		   ERROR("-32600", "the request wasn't finished within 100 ms", "null") "\n");
	close(waiting);
}

/* Changes wait for the one that isn't done, in order; who asks twice queues twice; reads go on. */
static void test_busy(void **state)
{
	struct fixture *f = *state;
	int a = client(f->path), b = client(f->path), c = client(f->path), r = client(f->path);

	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, NAMED("publish", "A", "1") "\n" NAMED("change", "a", "2") "\n");
	turns(f, 5);
	say_text(f, b,
		 NAMED("echo", "r", "1") "\n" NAMED("publish", "B", "2") "\n" NAMED("publish", "b",
										    "3") "\n");
	turns(f, 5);
	say_text(f, c, "[" NAMED("publish", "C", "1") "," NAMED("change", "c", "2") "]\n");
	turns(f, 5);
	say_text(f, r, NAMED("echo", "R", "1") "\n");
	expect(f, r, NAMED_OK("R", "1") "\n");
	expect(f, b, NAMED_OK("r", "1") "\n");
	assert_string_equal(f->called, "ArR");

	/* called though it is still busy */
	sl_rpc_resume(f->rpc);
	turns(f, 20);
	assert_string_equal(f->called, "ArR");

	finish(f, 0, "done"); /* a waits again, behind c */
	expect(f, a, OK("\"done\"", "1") "\n");
	assert_string_equal(f->called, "ArRB");
	finish(f, 0, "done");
	expect(f, b, OK("\"done\"", "2") "\n");
	assert_string_equal(f->called, "ArRBC");
	expect(f, c, "");
	expect_alive(f);
	finish(f, 0, "done");
	expect(f, a, NAMED_OK("a", "2") "\n");
	assert_string_equal(f->called, "ArRBCab");
	expect(f, c, "");
	finish(f, 0, "done");
	expect(f, b, OK("\"done\"", "3") "\n");
	expect(f, c, "[" OK("\"done\"", "1") "," NAMED_OK("c", "2") "]\n");
	assert_string_equal(f->called, "ArRBCabc");
	assert_int_equal(f->n_due, 0);
	close(a);
	close(b);
	close(c);
	close(r);
}

/* Who waits and hangs up makes way: its change isn't called. */
static void test_busy_gone(void **state)
{
	struct fixture *f = *state;
	int a = client(f->path), b = client(f->path), c = client(f->path);

	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, NAMED("publish", "A", "1") "\n");
	turns(f, 5);
	say_text(f, b, NAMED("echo", "r", "1") "\n" NAMED("change", "B", "2") "\n");
	turns(f, 5);
	say_text(f, c, NAMED("change", "C", "1") "\n");
	turns(f, 5);
	close(b);
	turns(f, 5);
	finish(f, 0, "done");
	expect(f, a, OK("\"done\"", "1") "\n");
	expect(f, c, NAMED_OK("C", "1") "\n");
	assert_string_equal(f->called, "ArC");
	close(a);
	close(c);
}

/* A line as large as may be waits, with another behind it: it is called once, answered in full. */
static void test_busy_large(void **state)
{
	enum { N = 200000 };
	struct sl_rpc_limits limits = SL_RPC_LIMITS;
	struct fixture *f = *state;
	int a = client(f->path), b, length;
	char *line, *text = malloc(N + 200);

	length = asprintf(
		&line,
		"{\"jsonrpc\":\"2.0\",\"method\":\"change\",\"params\":{\"text\":\"%0*d\"},"
		"\"id\":2}\n",
		N, 7);
	turns(f, 5);
	limits.request_bytes = (size_t)length - 1;
	limit(f, limits);
	b = client(f->path);
	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, CALL("publish", ",\"id\":1") "\n");
	turns(f, 5);
	say(f, b, line, (size_t)length);
	say_text(f, b, NAMED("echo", "B", "3") "\n");
	expect(f, b, "");
	finish(f, 0, "done");
	expect(f, a, OK("\"done\"", "1") "\n");
	assert_int_equal(hear(f, b, 2, text, N + 200), N + 46 + sizeof(NAMED_OK("B", "3")));
	expect(f, b, "");
	assert_int_equal(f->calls, 2);
	close(a);
	close(b);
	free(line);
	free(text);
}

/* More is sent behind a change that waits than the server takes in: it rests, and all is answered.
 */
static void test_busy_many(void **state)
{
	enum { N = 1000 };
	static const char ask[] = CALL("echo", ",\"id\":1") "\n";
	static const char ok[] = OK("null", "1") "\n";
	struct sl_rpc_limits limits = SL_RPC_LIMITS;
	struct fixture *f = *state;
	char *all = malloc(N * sizeof(ask)), *text = malloc(N * sizeof(ok) + 100);
	int a = client(f->path), b;
	size_t sent = 0;

	turns(f, 5);
	limits.request_bytes = 1000;
	limit(f, limits);
	b = client(f->path);
	for (int i = 0; i < N; i++)
		memcpy(all + (size_t)i * (sizeof(ask) - 1), ask, sizeof(ask) - 1);
	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, CALL("publish", ",\"id\":1") "\n");
	turns(f, 5);
	say_text(f, b, CALL("change", ",\"id\":1") "\n");
	for (ssize_t n; sent < N * (sizeof(ask) - 1); sent += (size_t)n) {
		n = send(b, all + sent, N * (sizeof(ask) - 1) - sent, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		turns(f, 5);
	}
	assert_int_equal(f->calls, 0);
	finish(f, 0, "done");
	expect(f, a, OK("\"done\"", "1") "\n");
	say(f, b, all + sent, N * (sizeof(ask) - 1) - sent);
	assert_int_equal(hear(f, b, N + 1, text, N * sizeof(ok) + 100), (N + 1) * (sizeof(ok) - 1));
	assert_int_equal(f->calls, N + 1);
	close(a);
	close(b);
	free(all);
	free(text);
}

/* Changes that are done at once take turns all the same while others wait. */
static void test_busy_turns(void **state)
{
	struct fixture *f = *state;
	int a = client(f->path), b = client(f->path), c = client(f->path);

	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, NAMED("publish", "A", "1") "\n");
	turns(f, 5);
	say_text(f, b,
		 "[" NAMED("change", "B", "1") "," NAMED("change", "b",
							 "2") "]\n" NAMED("change", "y", "3") "\n");
	turns(f, 5);
	say_text(f, c, NAMED("change", "C", "1") "\n" NAMED("change", "c", "2") "\n");
	turns(f, 5);
	finish(f, 0, "done");
	expect(f, a, OK("\"done\"", "1") "\n");
	expect(f, b, "[" NAMED_OK("B", "1") "," NAMED_OK("b", "2") "]\n" NAMED_OK("y", "3") "\n");
	expect(f, c, NAMED_OK("C", "1") "\n" NAMED_OK("c", "2") "\n");
	assert_string_equal(f->called, "ABCbcy");
	close(a);
	close(b);
	close(c);
}

/* The socket is closed while calls are due and clients wait: they are finished, unheard. */
static void test_close(void **state)
{
	struct fixture *f = *state;
	int a = client(f->path), b = client(f->path), c = client(f->path), d = client(f->path);

	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, NAMED("publish", "A", "1") "\n" NAMED("echo", "a", "2") "\n");
	say_text(f, b, "[" NAMED("echo", "b", "1") "," NAMED("later", "B", "2") "]\n");
	say_text(f, c, NAMED("change", "C", "1") "\n");
	say_text(f, d, "[" NAMED("echo", "d", "1") "," NAMED("change", "D", "2") "]\n");
	turns(f, 20);
	assert_int_equal(f->n_due, 2);
	assert_string_equal(f->called, "AbBd");
	sl_rpc_close(f->rpc);
	f->rpc = NULL;
	finish(f, 0, "unheard");
	turns(f, 5);
	finish(f, -EIO, "unheard");
	turns(f, 5);
	assert_string_equal(f->called, "AbBd");
	expect_end(f, a, "");
	expect_end(f, b, "");
	expect_end(f, c, "");
	expect_end(f, d, "");
}

/* The call is finished, the socket closed before its client was served again. */
static void test_close_finished(void **state)
{
	struct fixture *f = *state;
	int a = client(f->path), b = client(f->path);

	sl_rpc_set_busy(f->rpc, busy);
	say_text(f, a, CALL("publish", ",\"id\":1") "\n");
	say_text(f, b, CALL("change", ",\"id\":1") "\n");
	turns(f, 5);
	finish(f, 0, "unheard");
	sl_rpc_close(f->rpc);
	f->rpc = NULL;
	turns(f, 5);
	expect_end(f, a, "");
	expect_end(f, b, "");
	assert_int_equal(f->calls, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_order),      TEST(test_batch),      TEST(test_notification),
		TEST(test_soon),       TEST(test_peer),	      TEST(test_gone),
		TEST(test_half_open),  TEST(test_patience),   TEST(test_busy),
		TEST(test_busy_gone),  TEST(test_busy_large), TEST(test_busy_many),
		TEST(test_busy_turns), TEST(test_close),      TEST(test_close_finished),
	};

	return cmocka_run_group_tests_name("rpc_later", tests, NULL, NULL);
}
