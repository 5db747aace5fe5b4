/* SPDX-License-Identifier: BSD-2-Clause */
/* A datagram and its answer: for udp what the file says, for dns a query. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "dns.h"

static enum sl_probe_result judge(struct sl_probe *p, const uint8_t *answer, size_t n)
{
	const struct sl_health_bytes *expect = &p->conf->expect;

	if (p->conf->kind == SL_HEALTH_DNS)
		return sl_dns_judge(p, answer, n);
	if (expect->n && !memmem(answer, n, expect->b, expect->n))
		return sl_probe_says(p, SL_PROBE_FAILED,
				     "the answer doesn't contain what is expected");
	return SL_PROBE_PASSED;
}

static void arrived(evutil_socket_t fd, short what, void *context)
{
	enum sl_probe_result result;
	struct sl_probe *p = context;
	uint8_t answer[SL_PROBE_ANSWER];
	ssize_t n = recv(fd, answer, sizeof(answer), 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	result = n < 0 ? sl_probe_errno(p, errno) : judge(p, answer, (size_t)n);
	if (result != SL_PROBE_RUNS)
		p->done(p, result);
}

static enum sl_probe_result begin(struct sl_probe *p)
{
	enum sl_probe_result result = sl_probe_connect(p, SOCK_DGRAM, 0);
	const struct sl_health_conf *conf = p->conf;
	const uint8_t *message = conf->payload.b;
	uint8_t query[SL_DNS_QUERY];
	size_t n = conf->payload.n;

	if (result != SL_PROBE_RUNS)
		return result;
	if (conf->kind == SL_HEALTH_DNS) {
		if (getrandom(&p->id, sizeof(p->id), 0) != sizeof(p->id))
			p->id = (uint16_t)p->fd;
		n = sl_dns_query(conf, p->id, query);
		message = query;
	}
	if (send(p->fd, message, n, 0) < 0)
		return sl_probe_errno(p, errno);
	p->stage = "no answer";
	return sl_probe_wait(p, EV_READ | EV_PERSIST, arrived) ? SL_PROBE_RUNS : SL_PROBE_UNABLE;
}

static void end(struct sl_probe *p)
{
	(void)p;
}

const struct sl_probe_type sl_probe_datagram = { begin, end };
