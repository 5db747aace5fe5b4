/* SPDX-License-Identifier: BSD-2-Clause */
#include "announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAMES_A_RUN = 64 };

struct sl_announcer {
	int socket;
	struct sl_announce *schedule;
	uint32_t ifindex[SL_PORTS_CONFIG_MAX];
};

int sl_announcer_open(struct sl_announcer **out, uint32_t n_ports, char error[SL_ERROR_MAX])
{
	struct sl_announcer *a = calloc(1, sizeof(*a));
	int err = 0;

	*out = NULL;
	if (!a)
		return -ENOMEM;
	/* With protocol 0 the socket receives nothing. */
	a->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->socket == -1) {
		err = -errno;
		snprintf(error, SL_ERROR_MAX, "a socket to announce VIPs by: %s", strerror(errno));
	}
	a->schedule = sl_announce_new(n_ports);
	if (!err && !a->schedule)
		err = -ENOMEM;
	if (err) {
		sl_announcer_close(a);
		return err;
	}
	*out = a;
	return 0;
}

void sl_announcer_close(struct sl_announcer *a)
{
	if (!a)
		return;
	sl_announce_free(a->schedule);
	if (a->socket != -1)
		close(a->socket);
	free(a);
}

void sl_announcer_port(struct sl_announcer *a, uint32_t port, const struct sl_announce_port *now)
{
	a->ifindex[port] = now->ifindex;
	sl_announce_port(a->schedule, port, now);
}

static bool send_frame(void *context, uint32_t port, const uint8_t *frame, size_t size)
{
	const struct sl_announcer *a = context;
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)a->ifindex[port],
				  .sll_halen = ETH_ALEN };

	memcpy(to.sll_addr, frame, ETH_ALEN);
	memcpy(&to.sll_protocol, frame + 2 * ETH_ALEN, sizeof(to.sll_protocol));
	return sendto(a->socket, frame, size, 0, (struct sockaddr *)&to, sizeof(to)) != -1;
}

void sl_announcer_run(struct sl_announcer *a, const struct sl_store *store, uint64_t now_ns)
{
	sl_announce_follow(a->schedule, store);
	sl_announce_run(a->schedule, now_ns, FRAMES_A_RUN, send_frame, a);
}
