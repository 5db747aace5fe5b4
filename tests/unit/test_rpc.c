/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket, in-process: its file, its bounds, and clients that mean harm. What a request
 * means is tested in test_rpc_message.c, answers that come later in test_rpc_later.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc_world.h"

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
	assert_int_equal(sl_rpc_open(&f->rpc, f->base, f->path, 0666, true, rpc_methods,
				     rpc_n_methods, f, error),
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
	assert_int_equal(
		sl_rpc_open(&rpc, f->base, path, 0600, true, rpc_methods, rpc_n_methods, f, error),
		-ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/none/control.sock", f->dir);
	assert_int_equal(
		sl_rpc_open(&rpc, f->base, path, 0600, true, rpc_methods, rpc_n_methods, f, error),
		-ENOENT);
}

/* Clients that mean harm. */

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
