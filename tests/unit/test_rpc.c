/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket, in-process: its file, its bounds, and clients that mean harm. What a request
 * means is tested in test_rpc_message.c. The event loop runs only while a test waits, so a client
 * and the server take turns in one thread; every wait is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../../control/rpc/server.h"

#define WAIT_MS 10000 /* for what must happen */

struct fixture {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct sl_rpc *rpc;
	int calls;
};

/* The toy methods. */

static int call_echo(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	(void)error;
	f->calls++;
	*result = params ? json_incref((json_t *)params) : NULL;
	return 0;
}

static int call_big(void *context, const json_t *params, json_t **result, char error[SL_ERROR_MAX])
{
	struct fixture *f = context;
	char *text = malloc(1000);

	(void)params;
	(void)error;
	f->calls++;
	memset(text, 'x', 1000);
	*result = json_stringn(text, 1000);
	free(text);
	return 0;
}

static int call_count(void *context, const json_t *params, json_t **result,
		      char error[SL_ERROR_MAX])
{
	struct fixture *f = context;

	(void)params;
	(void)error;
	*result = json_integer(f->calls);
	return 0;
}

static const struct sl_rpc_method METHODS[] = {
	{ "echo", false, call_echo },
	{ "change", true, call_echo },
	{ "big", false, call_big },
	{ "count", false, call_count },
};
#define N_METHODS (sizeof(METHODS) / sizeof(METHODS[0]))

/* The fixture, and the client's side of it. */

static int open_rpc(struct fixture *f, struct sl_rpc **rpc, bool may_change,
		    char error[SL_ERROR_MAX])
{
	return sl_rpc_open(rpc, f->base, f->path, 0600, may_change, METHODS, N_METHODS, f, error);
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sl_rpc_close(f->rpc);
	event_base_free(f->base);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0); /* nothing else is left in it */
	free(f);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static int client(const char *path)
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

/* Sends it all, unless the server hangs up. */
static void say(struct fixture *f, int fd, const char *text, size_t length)
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

/* Reads until the text holds so many lines or the server hangs up. Bytes read, or -1: hung up. */
static ssize_t hear(struct fixture *f, int fd, size_t lines, char *text, size_t size)
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

/* The server hangs up, having said no more than this. */
static void expect_end(struct fixture *f, int fd, const char *last)
{
	char text[4096];

	assert_int_equal(hear(f, fd, SIZE_MAX, text, sizeof(text)), -1);
	assert_string_equal(text, last);
	close(fd);
}

static void expect_alive(struct fixture *f)
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

#define OK(result, id) "{\"jsonrpc\":\"2.0\",\"result\":" result ",\"id\":" id "}"
#define ERROR(code, text, id)                                                                      \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" code ",\"message\":\"" text "\"},\"id\":" id "}"
#define CALL(method, rest) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\"" rest "}"

static void test_reading_socket(void **state)
{
	static const char ask[] = CALL("change", ",\"id\":1") "\n" CALL("change", "") "\n" CALL(
		"echo", ",\"id\":2") "\n";
	struct fixture *f = *state;
	char text[1024], error[SL_ERROR_MAX];
	int fd;

	sl_rpc_close(f->rpc);
	assert_int_equal(open_rpc(f, &f->rpc, false, error), 0);
	fd = client(f->path);
	say(f, fd, ask, sizeof(ask) - 1);
	assert_true(hear(f, fd, 2, text, sizeof(text)) > 0);
	assert_string_equal(
		text, ERROR("-32001", "this socket is for reading", "1") "\n" OK("null", "2") "\n");
	assert_int_equal(f->calls, 1);
	close(fd);
}

/* The socket file. */

static void test_file(void **state)
{
	struct fixture *f = *state;
	struct sl_rpc *second = NULL;
	char error[SL_ERROR_MAX];
	mode_t mask = umask(0177);
	struct stat st;
	int fd;

	/* a live one stays */
	assert_int_equal(open_rpc(f, &second, true, error), -EADDRINUSE);
	assert_non_null(strstr(error, "another process serves it"));
	expect_alive(f);

	/* exactly this mode, whatever the umask */
	sl_rpc_close(f->rpc);
	assert_int_equal(stat(f->path, &st), -1);
	assert_int_equal(
		sl_rpc_open(&f->rpc, f->base, f->path, 0666, true, METHODS, N_METHODS, f, error),
		0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);

	/* somebody else's file in our place isn't unlinked, and no socket isn't replaced */
	unlink(f->path);
	fd = open(f->path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	sl_rpc_close(f->rpc);
	f->rpc = NULL;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(open_rpc(f, &f->rpc, true, error), -EEXIST);
	unlink(f->path);

	/* a dead one is replaced */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	{
		struct sockaddr_un addr = { .sun_family = AF_UNIX };

		snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
		assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	}
	close(fd);
	assert_int_equal(open_rpc(f, &f->rpc, true, error), 0);
	expect_alive(f);
	umask(mask);
}

static void test_bad_paths(void **state)
{
	struct fixture *f = *state;
	char path[200], error[SL_ERROR_MAX];
	struct sl_rpc *rpc;

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = 0;
	assert_int_equal(sl_rpc_open(&rpc, f->base, path, 0600, true, METHODS, N_METHODS, f, error),
			 -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/none/control.sock", f->dir);
	assert_int_equal(sl_rpc_open(&rpc, f->base, path, 0600, true, METHODS, N_METHODS, f, error),
			 -ENOENT);
}

/* Clients that mean harm. */

static void limit(struct fixture *f, struct sl_rpc_limits limits)
{
	sl_rpc_limit(f->rpc, &limits);
}

static void test_exact_size(void **state)
{
	struct sl_rpc_limits limits = SL_RPC_LIMITS;
	struct fixture *f = *state;
	char text[1024], *line = malloc(limits.request_bytes + 2);
	int fd = client(f->path);

	/* the largest request, in two pieces */
	memset(line, ' ', limits.request_bytes + 2);
	memcpy(line, CALL("echo", ",\"id\":1"), strlen(CALL("echo", ",\"id\":1")));
	line[limits.request_bytes] = '\n';
	say(f, fd, line, 700000);
	say(f, fd, line + 700000, limits.request_bytes + 1 - 700000);
	assert_true(hear(f, fd, 1, text, sizeof(text)) > 0);
	assert_string_equal(text, OK("null", "1") "\n");

	/* one byte more */
	line[limits.request_bytes] = ' ';
	line[limits.request_bytes + 1] = '\n';
	say(f, fd, line, limits.request_bytes + 2);
	expect_end(f, fd, ERROR("-32600", "a request has at most 1048576 bytes", "null") "\n");
	free(line);
	expect_alive(f);
}

static void test_crowd(void **state)
{
	struct fixture *f = *state;
	int fd[64], late;

	for (int i = 0; i < 64; i++) {
		fd[i] = client(f->path);
		assert_true(fd[i] >= 0);
		turn(f);
	}
	for (int i = 0; i < 40; i++) {
		late = client(f->path);
		say(f, late, "{", i & 1); /* unread bytes must not eat the answer */
		expect_end(f, late,
			   ERROR("-32002", "64 clients are connected already: try again later",
				 "null") "\n");
	}
	for (int i = 0; i < 64; i++)
		close(fd[i]);
	for (int i = 0; i < 64; i++)
		turn(f);
	expect_alive(f);
}

static void test_dripping(void **state)
{
	struct fixture *f = *state;
	int64_t start = now_ms();
	int fd;

	limit(f, (struct sl_rpc_limits){ 64, 1 << 20, 256, 4 << 20, .patience_ms = 200 });
	fd = client(f->path);
	turn(f);
	/* a byte now and then doesn't buy time */
	while (send(fd, "[", 1, MSG_NOSIGNAL) == 1) {
		turn(f);
		usleep(2000);
		assert_true(now_ms() < start + WAIT_MS);
	}
	assert_in_range(now_ms() - start, 150, WAIT_MS);
	expect_end(f, fd,
		   ERROR("-32600", "the request wasn't finished within 200 ms", "null") "\n");
	expect_alive(f);
}

/* Silence between requests costs nothing, however long. */
static void test_idle(void **state)
{
	static const char ask[] = CALL("echo", ",\"id\":1") "\n";
	struct fixture *f = *state;
	char text[256];
	int fd;

	limit(f, (struct sl_rpc_limits){ 64, 1 << 20, 256, 4 << 20, .patience_ms = 400 });
	fd = client(f->path);
	for (int i = 0; i < 2; i++) {
		say(f, fd, ask, 10);
		say(f, fd, ask + 10, sizeof(ask) - 1 - 10);
		assert_true(hear(f, fd, 1, text, sizeof(text)) > 0);
		usleep(600000);
		turn(f);
	}
	close(fd);
}

/* Asks and never reads: it is served until so much lies unread, and hung up in the end, while
 * others are served. */
static void test_deaf(void **state)
{
	static const char ask[] = CALL("big", ",\"id\":1") "\n";
	struct fixture *f = *state;
	int64_t end = now_ms() + WAIT_MS;
	int fd, calls;

	limit(f, (struct sl_rpc_limits){ 64, 1 << 20, 256, 20000, .patience_ms = 1000 });
	fd = client(f->path);
	while (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) > 0) {
		turn(f);
		assert_true(now_ms() < end);
	}
	assert_int_equal(errno, EAGAIN);
	expect_alive(f);
	calls = f->calls;
	for (int i = 0; i < 100; i++)
		turn(f);
	assert_int_equal(f->calls, calls); /* it waits */
	while (send(fd, "\n", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN) {
		turn(f);
		assert_true(now_ms() < end);
	}
	assert_int_equal(errno, EPIPE);
	close(fd);
	expect_alive(f);
}

/* Asks much, reads late: it gets everything. */
static void test_late_reader(void **state)
{
	enum { N = 3000 };
	static const char ask[] = CALL("big", ",\"id\":1") "\n";
	struct fixture *f = *state;
	char *all = malloc(N * sizeof(ask)), *text = malloc(N * 1100);
	int fd;

	limit(f, (struct sl_rpc_limits){ 64, 1 << 20, 256, 20000, .patience_ms = 10000 });
	for (int i = 0; i < N; i++)
		memcpy(all + (size_t)i * (sizeof(ask) - 1), ask, sizeof(ask) - 1);
	fd = client(f->path);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_true(send(fd, all, N * (sizeof(ask) - 1), MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 1000; i++)
		turn(f);
	assert_true(f->calls < N); /* stopped by what lies unread */
	assert_int_equal(hear(f, fd, N, text, N * 1100), N * (1000 + 2 + 35));
	assert_int_equal(f->calls, N);
	free(all);
	free(text);
	close(fd);
}

/* A thousand requests at once: whoever asks meanwhile is served before they are done. */
static void test_turns(void **state)
{
	enum { N = 1000 };
	static const char ask[] = CALL("echo", ",\"id\":1") "\n";
	static const char count[] = CALL("count", ",\"id\":1") "\n";
	struct fixture *f = *state;
	char *all = malloc(N * sizeof(ask)), text[256];
	int greedy, modest;

	for (int i = 0; i < N; i++)
		memcpy(all + (size_t)i * (sizeof(ask) - 1), ask, sizeof(ask) - 1);
	greedy = client(f->path);
	modest = client(f->path);
	turn(f);
	assert_true(send(greedy, all, N * (sizeof(ask) - 1), MSG_NOSIGNAL) > 0);
	assert_true(send(modest, count, sizeof(count) - 1, MSG_NOSIGNAL) > 0);
	assert_true(hear(f, modest, 1, text, sizeof(text)) > 0);
	assert_in_range(atoi(strstr(text, "result") + 8), 1, N / 2);
	assert_int_equal(f->calls, N);
	free(all);
	close(greedy);
	close(modest);
}

/* Sends and shuts its half: whole lines are answered, a part of one is dropped. */
static void test_half_open(void **state)
{
	static const char ask[] = CALL("echo", ",\"id\":1") "\n" CALL("change", ",\"id\":2");
	struct fixture *f = *state;
	int fd = client(f->path);

	say(f, fd, ask, sizeof(ask) - 1);
	shutdown(fd, SHUT_WR);
	expect_end(f, fd, OK("null", "1") "\n");
	assert_int_equal(f->calls, 1);
	expect_alive(f);
}

static void test_vanishing(void **state)
{
	static const char ask[] = CALL("big", ",\"id\":1") "\n" CALL("big", ",\"id\":1") "\n{\"js";
	struct fixture *f = *state;

	for (size_t cut = 0; cut < sizeof(ask); cut += 3) {
		int fd = client(f->path);

		if (cut & 1)
			turn(f);
		say(f, fd, ask, cut);
		close(fd);
		turn(f);
	}
	for (int i = 0; i < 10; i++)
		turn(f);
	expect_alive(f);
}

/* No descriptor left for a new client: the loop rests, the old ones are served. */
static void test_descriptors(void **state)
{
	static const char ask[] = CALL("echo", ",\"id\":1") "\n";
	struct fixture *f = *state;
	struct rlimit before, none;
	int old = client(f->path), new;
	char text[256];

	turn(f);
	new = client(f->path);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t) new + 1;
	setrlimit(RLIMIT_NOFILE, &none);
	say(f, old, ask, sizeof(ask) - 1);
	assert_true(hear(f, old, 1, text, sizeof(text)) > 0);
	setrlimit(RLIMIT_NOFILE, &before);
	say(f, new, ask, sizeof(ask) - 1);
	assert_true(hear(f, new, 1, text, sizeof(text)) > 0); /* a second later */
	close(old);
	close(new);
}

/* Closed with clients in every state. */
static void test_close(void **state)
{
	struct fixture *f = *state;
	int idle = client(f->path), part = client(f->path), pending = client(f->path);

	turn(f);
	say(f, part, "{\"", 2);
	sl_rpc_close(f->rpc);
	f->rpc = NULL;
	expect_end(f, idle, "");
	expect_end(f, part, "");
	expect_end(f, pending, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_file),	TEST(test_bad_paths), TEST(test_reading_socket),
		TEST(test_exact_size),	TEST(test_crowd),     TEST(test_dripping),
		TEST(test_idle),	TEST(test_deaf),      TEST(test_late_reader),
		TEST(test_turns),	TEST(test_half_open), TEST(test_vanishing),
		TEST(test_descriptors), TEST(test_close),
	};

	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
