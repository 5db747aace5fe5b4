/* SPDX-License-Identifier: BSD-2-Clause */
/* The socket file, and the listener.
 *
 * The file is created under another name, gets its mode before anybody can connect (which is
 * impossible before listen), and is renamed into place. So PATH never refuses a client that it
 * would accept a moment later, and never accepts one that its mode forbids. To find out whether an
 * existing file is dead, a connection to it is tried.
 *
 * connection.c has the connections.
 */
#include "server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "connection.h"

#define BACKLOG 32

struct sl_rpc {
	char path[SL_PATH_MAX];
	dev_t dev; /* of the file that was created; so is ino */
	ino_t ino;
	struct evconnlistener *listener;
	struct event *accept; /* accepts again, after a failure */
	struct sl_rpc_clients clients;
};

static int fail(int rc, char error[SL_ERROR_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(int rc, char error[SL_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return rc;
}

static int set_address(struct sockaddr_un *addr, const char *path, char error[SL_ERROR_MAX])
{
	if (strlen(path) >= sizeof(addr->sun_path))
		return fail(-ENAMETOOLONG, error, "%s: too long for a socket's path", path);
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(addr->sun_path, path, strlen(path));
	return 0;
}

/* Returns 0 if the path is free or holds a dead socket, or -errno with a message. */
static int check_dead(const char *path, char error[SL_ERROR_MAX])
{
	struct sockaddr_un addr;
	struct stat st;
	int fd, rc;

	rc = set_address(&addr, path, error);
	if (rc)
		return rc;
	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : fail(-errno, error, "%s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return fail(-EEXIST, error, "%s: is there and isn't a socket: remove it", path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(-errno, error, "%s: %m", path);
	rc = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1 ? errno : 0;
	close(fd);
	if (rc == ECONNREFUSED || rc == ENOENT)
		return 0;
	if (rc == 0 || rc == EAGAIN)
		return fail(-EADDRINUSE, error,
			    "%s: another process serves it: stop that one first", path);
	return fail(-rc, error, "%s: %s", path, strerror(rc));
}

/* Returns a listening descriptor, or -errno with a message. */
static int make_socket(struct sl_rpc *rpc, mode_t mode, char error[SL_ERROR_MAX])
{
	char new[SL_PATH_MAX + 12];
	struct sockaddr_un addr;
	struct stat st;
	int fd, rc;

	snprintf(new, sizeof(new), "%s.%d", rpc->path, getpid());
	rc = set_address(&addr, new, error);
	if (!rc)
		rc = check_dead(rpc->path, error);
	if (rc)
		return rc;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(-errno, error, "%s: %m", rpc->path);
	unlink(new); /* left by a process that died between bind and rename */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1) {
		rc = fail(-errno, error, "%s: can't make the socket: %m", new);
		goto close;
	}
	if (chmod(new, mode) == -1 || stat(new, &st) == -1 || listen(fd, BACKLOG) == -1 ||
	    rename(new, rpc->path) == -1) {
		rc = fail(-errno, error, "%s: %m", rpc->path);
		goto unlink;
	}
	rpc->dev = st.st_dev;
	rpc->ino = st.st_ino;
	return fd;

unlink:
	unlink(new);
close:
	close(fd);
	return rc;
}

static void remove_socket(const struct sl_rpc *rpc)
{
	struct stat st;

	if (lstat(rpc->path, &st) == 0 && st.st_dev == rpc->dev && st.st_ino == rpc->ino)
		unlink(rpc->path);
}

static void on_client(struct evconnlistener *listener, int fd, struct sockaddr *addr, int length,
		      void *data)
{
	struct sl_rpc *rpc = data;

	(void)listener;
	(void)addr;
	(void)length;
	sl_rpc_clients_add(&rpc->clients, fd);
}

/* Most likely there are no descriptors left. Stop listening for a second: the pending client would
 * wake the loop again and again. */
static void on_refused(struct evconnlistener *listener, void *data)
{
	struct sl_rpc *rpc = data;

	evconnlistener_disable(listener);
	event_add(rpc->accept, &(struct timeval){ .tv_sec = 1 });
}

static void on_accept(int fd, short what, void *data)
{
	struct sl_rpc *rpc = data;

	(void)fd;
	(void)what;
	evconnlistener_enable(rpc->listener);
}

int sl_rpc_open(struct sl_rpc **out, struct event_base *base, const char *path, mode_t mode,
		bool may_change, const struct sl_rpc_method *methods, size_t n_methods,
		void *context, char error[SL_ERROR_MAX])
{
	const struct sl_rpc_scope scope = { .methods = methods,
					    .n_methods = n_methods,
					    .context = context,
					    .may_change = may_change,
					    .limits = SL_RPC_LIMITS };
	struct sl_rpc *rpc = calloc(1, sizeof(*rpc));
	int fd, rc;

	if (!rpc)
		return fail(-ENOMEM, error, "%s: out of memory", path);
	if (snprintf(rpc->path, sizeof(rpc->path), "%s", path) >= (int)sizeof(rpc->path)) {
		rc = fail(-ENAMETOOLONG, error, "%s: too long for a socket's path", path);
		goto free;
	}

	fd = make_socket(rpc, mode, error);
	if (fd < 0) {
		rc = fd;
		goto free;
	}
	rc = -ENOMEM;
	rpc->accept = evtimer_new(base, on_accept, rpc);
	if (!rpc->accept)
		goto remove;
	if (sl_rpc_clients_open(&rpc->clients, base, &scope))
		goto accept;
	rpc->listener = evconnlistener_new(base, on_client, rpc,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!rpc->listener)
		goto clients;
	evconnlistener_set_error_cb(rpc->listener, on_refused);
	*out = rpc;
	return 0;

clients:
	sl_rpc_clients_close(&rpc->clients);
accept:
	event_free(rpc->accept);
remove:
	fail(rc, error, "%s: out of memory", path);
	remove_socket(rpc);
	close(fd);
free:
	free(rpc);
	return rc;
}

void sl_rpc_close(struct sl_rpc *rpc)
{
	if (!rpc)
		return;
	remove_socket(rpc);
	evconnlistener_free(rpc->listener);
	event_free(rpc->accept);
	sl_rpc_clients_close(&rpc->clients);
	free(rpc);
}

void sl_rpc_limit(struct sl_rpc *rpc, const struct sl_rpc_limits *limits)
{
	rpc->clients.scope.limits = *limits;
}

void sl_rpc_set_busy(struct sl_rpc *rpc, bool (*busy)(void *context))
{
	rpc->clients.busy = busy;
}

void sl_rpc_set_batch(struct sl_rpc *rpc, const char *method)
{
	struct sl_rpc_scope *scope = &rpc->clients.scope;

	for (size_t i = 0; i < scope->n_methods; i++)
		if (strcmp(scope->methods[i].name, method) == 0)
			scope->batch = &scope->methods[i];
}

void sl_rpc_resume(struct sl_rpc *rpc)
{
	sl_rpc_clients_resume(&rpc->clients);
}
