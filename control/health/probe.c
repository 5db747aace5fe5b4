/* SPDX-License-Identifier: BSD-2-Clause */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct sl_probe_type *const types[] = {
	[SL_HEALTH_TCP] = &sl_probe_tcp,      [SL_HEALTH_HTTP] = &sl_probe_http,
	[SL_HEALTH_HTTPS] = &sl_probe_http,   [SL_HEALTH_UDP] = &sl_probe_datagram,
	[SL_HEALTH_DNS] = &sl_probe_datagram, [SL_HEALTH_ICMP] = &sl_probe_icmp,
	[SL_HEALTH_EXEC] = &sl_probe_exec,
};

enum sl_probe_result sl_probe_begin(struct sl_probe *p)
{
	p->type = types[p->conf->kind];
	p->fd = p->out = -1;
	p->cause[0] = '\0';
	p->stage = "";
	return p->type->begin(p);
}

void sl_probe_end(struct sl_probe *p)
{
	p->type->end(p);
	if (p->event)
		event_free(p->event);
	if (p->fd >= 0)
		close(p->fd);
	free(p->answer);
	p->event = NULL;
	p->fd = -1;
	p->answer = NULL;
	p->n_answer = 0;
}

enum sl_probe_result sl_probe_says(struct sl_probe *p, enum sl_probe_result result,
				   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->cause, sizeof(p->cause), format, args);
	va_end(args);
	/* It may quote what a backend sent. */
	for (char *c = p->cause; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	return result;
}

enum sl_probe_result sl_probe_errno(struct sl_probe *p, int err)
{
	switch (err) {
	case ECONNREFUSED:
		return sl_probe_says(p, SL_PROBE_FAILED,
				     p->conf->kind == SL_HEALTH_UDP ||
						     p->conf->kind == SL_HEALTH_DNS
					     ? "port unreachable"
					     : "connect refused");
	case ECONNRESET:
	case EPIPE:
		return sl_probe_says(p, SL_PROBE_FAILED, "connection reset");
	case EHOSTUNREACH:
		return sl_probe_says(p, SL_PROBE_FAILED, "no route to host");
	case ENETUNREACH:
		return sl_probe_says(p, SL_PROBE_FAILED, "network unreachable");
	case EHOSTDOWN:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EPROTO:
	case ETIMEDOUT:
	case ECONNABORTED:
	case EACCES: /* administratively prohibited */
		return sl_probe_says(p, SL_PROBE_FAILED, "%s", strerror(err));
	default:
		return sl_probe_says(p, SL_PROBE_UNABLE, "not checked: %s", strerror(err));
	}
}

static socklen_t socket_address(const union sl_addr *addr, uint16_t port,
				struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (sl_addr_is4(addr)) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		memcpy(&in4->sin_addr, &addr->b[12], 4);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, addr->b, 16);
	return sizeof(*in6);
}

enum sl_probe_result sl_probe_connect(struct sl_probe *p, int type, int protocol)
{
	const struct sl_health_conf *conf = p->conf;
	struct sockaddr_storage to, from;
	socklen_t length = socket_address(&p->addr, p->port, &to), source;

	p->fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (p->fd < 0)
		return sl_probe_says(p, SL_PROBE_UNABLE, "not checked: %s", strerror(errno));
	if (conf->fwmark &&
	    setsockopt(p->fd, SOL_SOCKET, SO_MARK, &conf->fwmark, sizeof(conf->fwmark)) != 0)
		return sl_probe_says(p, SL_PROBE_UNABLE, "not checked: fwmark: %s",
				     strerror(errno));
	if (conf->source.q[0] || conf->source.q[1]) {
		/* The port is chosen by connect(), for each destination anew. */
		if (type == SOCK_STREAM)
			setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 },
				   sizeof(int));
		source = socket_address(&conf->source, 0, &from);
		if (bind(p->fd, (struct sockaddr *)&from, source) != 0)
			return sl_probe_says(p, SL_PROBE_UNABLE, "not checked: source: %s",
					     strerror(errno));
	}
	if (connect(p->fd, (struct sockaddr *)&to, length) != 0 && errno != EINPROGRESS)
		return sl_probe_errno(p, errno);
	return SL_PROBE_RUNS;
}

bool sl_probe_wait(struct sl_probe *p, short what, event_callback_fn call)
{
	p->event = event_new(p->base, p->fd, what, call, p);
	if (p->event && event_add(p->event, NULL) == 0)
		return true;
	sl_probe_says(p, SL_PROBE_UNABLE, "not checked: out of memory");
	return false;
}
