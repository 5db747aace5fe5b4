/* SPDX-License-Identifier: BSD-2-Clause */
/* An echo request, by a raw socket that gets echo replies from that address alone. */
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "probe.h"

struct echo {
	uint8_t type, code;
	uint16_t checksum;
	uint16_t id, sequence; /* at random: also the data, for all we care */
	uint8_t data[32];
};

static uint16_t checksum(const struct echo *e)
{
	const uint8_t *b = (const uint8_t *)e;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*e); i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)htons((uint16_t)~sum);
}

static void filter(int fd, bool is_ipv6)
{
	struct icmp_filter only4 = { .data = ~(1u << ICMP_ECHOREPLY) };
	struct icmp6_filter only6;

	ICMP6_FILTER_SETBLOCKALL(&only6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only6);
	if (is_ipv6)
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof(only6));
	else
		setsockopt(fd, SOL_RAW, ICMP_FILTER, &only4, sizeof(only4));
}

static void arrived(evutil_socket_t fd, short what, void *context)
{
	struct sl_probe *p = context;
	uint8_t packet[512];
	struct echo e;
	ssize_t n = recv(fd, packet, sizeof(packet), 0);
	/* With IPv4 the IP header comes with it. */
	size_t at = sl_addr_is4(&p->addr) ? (size_t)(packet[0] & 0x0f) * 4 : 0;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		p->done(p, sl_probe_errno(p, errno));
		return;
	}
	if ((size_t)n < at + sizeof(e))
		return;
	memcpy(&e, packet + at, sizeof(e));
	if (e.id == p->id)
		p->done(p, SL_PROBE_PASSED);
}

static enum sl_probe_result begin(struct sl_probe *p)
{
	bool is_ipv6 = !sl_addr_is4(&p->addr);
	struct echo e = { .type = is_ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO };
	enum sl_probe_result result;

	p->port = 0;
	result = sl_probe_connect(p, SOCK_RAW, is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (result != SL_PROBE_RUNS)
		return result;
	filter(p->fd, is_ipv6);
	if (getrandom(&p->id, sizeof(p->id), 0) != sizeof(p->id))
		p->id = (uint16_t)p->fd;
	e.id = p->id;
	if (!is_ipv6) /* for IPv6 the kernel does */
		e.checksum = checksum(&e);
	if (send(p->fd, &e, sizeof(e), 0) < 0)
		return sl_probe_errno(p, errno);
	p->stage = "no answer";
	return sl_probe_wait(p, EV_READ | EV_PERSIST, arrived) ? SL_PROBE_RUNS : SL_PROBE_UNABLE;
}

static void end(struct sl_probe *p)
{
	(void)p;
}

const struct sl_probe_type sl_probe_icmp = { begin, end };
