/* SPDX-License-Identifier: BSD-2-Clause */
/* One request to a control socket, and its answer.
 *
 * The descriptor is non-blocking, and one deadline covers everything from connect to the last byte.
 * So a daemon that hangs costs the caller no more than the timeout.
 */
#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (256u << 20)
#define RETRY_MS   10

struct connection {
	int fd;
	int64_t deadline_ms;
	int timeout_ms;
	char *error; /* SL_ERROR_MAX */
};

static int fail(struct connection *c, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct connection *c, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->error, SL_ERROR_MAX, format, args);
	va_end(args);
	return rc;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int late(struct connection *c)
{
	return fail(c, -ETIMEDOUT, "no answer within %g s", c->timeout_ms / 1000.0);
}

static int wait_for(struct connection *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	for (;;) {
		int64_t left = c->deadline_ms - now_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return late(c);
		if (errno != EINTR)
			return fail(c, -errno, "poll: %m");
	}
}

static int open_to(struct connection *c, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return fail(c, -ENAMETOOLONG, "%s: too long for a socket's path", path);
	memcpy(addr.sun_path, path, strlen(path));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		return fail(c, -errno, "socket: %m");
	while (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) == -1) {
		/* the backlog is full: all one can do with a Unix socket is to try again */
		if (errno == EAGAIN && now_ms() < c->deadline_ms) {
			poll(NULL, 0, RETRY_MS);
			continue;
		}
		rc = errno == EAGAIN ? late(c) : fail(c, -errno, "%s: %m", path);
		close(c->fd);
		return rc;
	}
	return 0;
}

/* A daemon that refuses a client closes the connection before it reads the request. Its answer is
 * still worth reading. */
static int send_all(struct connection *c, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = send(c->fd, text, length, MSG_NOSIGNAL);
		int rc;

		if (n > 0) {
			text += n;
			length -= (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return fail(c, -errno, "send: %m");
		rc = wait_for(c, POLLOUT);
		if (rc)
			return rc;
	}
	return 0;
}

static int send_request(struct connection *c, const char *method, json_t *params)
{
	json_t *request = json_pack("{s:s, s:s, s:O*, s:i}", "jsonrpc", "2.0", "method", method,
				    "params", params, "id", 1);
	char *text = json_dumps(request, JSON_COMPACT);
	int rc = text ? 0 : fail(c, -ENOMEM, "out of memory, or an argument isn't UTF-8");

	json_decref(request);
	if (!rc)
		rc = send_all(c, text, strlen(text));
	if (!rc)
		rc = send_all(c, "\n", 1);
	free(text);
	return rc;
}

/* Makes room for at least one more byte. */
static int grow(struct connection *c, char **text, size_t *size)
{
	size_t more = *size ? *size * 2 : 65536;
	char *bigger = more <= ANSWER_MAX ? realloc(*text, more) : NULL;

	if (!bigger)
		return fail(c, -EMSGSIZE, "the answer is larger than we can take");
	*text = bigger;
	*size = more;
	return 0;
}

/* The caller frees *text, whatever is returned. */
static int receive_line(struct connection *c, char **text, size_t *length)
{
	size_t size = 0, used = 0;
	int rc = 0;

	while (!rc) {
		ssize_t n;

		if (used == size)
			rc = grow(c, text, &size);
		if (rc)
			break;
		n = recv(c->fd, *text + used, size - used, 0);
		if (n == 0 || (n == -1 && errno == ECONNRESET))
			return fail(c, -ECONNRESET, "the control process hung up");
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return fail(c, -errno, "receive: %m");
		if (n == -1) {
			rc = wait_for(c, POLLIN);
			continue;
		}
		*length = used + (size_t)n;
		if (memchr(*text + used, '\n', (size_t)n))
			return 0;
		used = *length;
	}
	return rc;
}

static int receive_answer(struct connection *c, json_t **answer)
{
	char *text = NULL;
	size_t length = 0;
	json_t *json = NULL;
	int rc = receive_line(c, &text, &length);

	if (!rc) {
		json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
		if (!json_object_get(json, "result") &&
		    !json_is_object(json_object_get(json, "error"))) {
			json_decref(json);
			rc = fail(c, -EPROTO, "what answers there isn't sluice-control");
		}
	}
	free(text);
	if (!rc)
		*answer = json;
	return rc;
}

int sl_connection_ask(const char *path, const char *method, json_t *params, int timeout_ms,
		      json_t **answer, char error[SL_ERROR_MAX])
{
	struct connection c = {
		.deadline_ms = now_ms() + timeout_ms,
		.timeout_ms = timeout_ms,
		.error = error,
	};
	int rc = open_to(&c, path);

	if (rc)
		return rc;
	rc = send_request(&c, method, params);
	if (!rc)
		rc = receive_answer(&c, answer);
	close(c.fd);
	return rc;
}
