/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection, which is reset as soon as it stands: no TIME_WAIT stays, here or there. */
#include <errno.h>
#include <sys/socket.h>

#include "probe.h"

static void connected(evutil_socket_t fd, short what, void *context)
{
	struct sl_probe *p = context;
	socklen_t length = sizeof(int);
	int err = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0)
		err = errno;
	p->done(p, err ? sl_probe_errno(p, err) : SL_PROBE_PASSED);
}

static enum sl_probe_result begin(struct sl_probe *p)
{
	static const struct linger reset = { .l_onoff = 1 };
	enum sl_probe_result result = sl_probe_connect(p, SOCK_STREAM, 0);

	if (result != SL_PROBE_RUNS)
		return result;
	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	p->stage = "no connection";
	return sl_probe_wait(p, EV_WRITE, connected) ? SL_PROBE_RUNS : SL_PROBE_UNABLE;
}

static void end(struct sl_probe *p)
{
	(void)p;
}

const struct sl_probe_type sl_probe_tcp = { begin, end };
