/* SPDX-License-Identifier: BSD-2-Clause */
#include "ports.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "merging.h"

enum { FOLLOW_LINKS_MS = 200 };

/* Why a port has no program; said once. */
static void note_unattached(struct sl_control *c, uint32_t port, const char *why)
{
	if (why && (!c->unattached[port] || strcmp(c->unattached[port], why) != 0))
		sl_log("%s", why);
	free(c->unattached[port]);
	c->unattached[port] = why ? strdup(why) : NULL;
}

/* A port that has no program yet. */
struct attaching {
	struct sl_control *c;
	uint32_t port;
	unsigned ifindex;
	bool apart; /* in a thread */
	pthread_t thread;
	int how;
	char why[SL_ERROR_MAX];
};

static void *attach(void *argument)
{
	struct attaching *a = argument;

	a->how = sl_xdp_attach(&a->c->store, &a->c->where, &a->c->config, a->port, a->ifindex,
			       a->why);
	return NULL;
}

/* All at once: the kernel takes a second or two to verify what it is given, on one core. */
static void attach_all(struct attaching *all, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		all[i].apart = pthread_create(&all[i].thread, NULL, attach, &all[i]) == 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!all[i].apart)
			attach(&all[i]);
	}
	for (uint32_t i = 1; i < n; i++) {
		if (all[i].apart)
			pthread_join(all[i].thread, NULL);
	}
}

int sl_attach_ports(struct sl_control *c, char error[SL_ERROR_MAX])
{
	struct attaching all[SL_PORTS_CONFIG_MAX];
	uint32_t n = 0;
	int err = 0;

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_config_port *port = &c->config.dataplane.port[i];
		const struct sl_net_port *p = sl_net_port(c->net, i);

		if (!p->present)
			c->attached[i] = 0;
		if (port->kind == SL_PORT_KERNEL && p->present && p->ifindex != c->attached[i] &&
		    !c->detached)
			all[n++] = (struct attaching){ .c = c, .port = i, .ifindex = p->ifindex };
	}
	attach_all(all, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct attaching *a = &all[i];

		c->generic &= ~(1ull << a->port);
		if (a->how == SL_XDP_GENERIC) {
			c->generic |= 1ull << a->port;
			sl_log("%s", a->why);
		}
		note_unattached(c, a->port, a->how < 0 ? a->why : NULL);
		c->attached[a->port] = a->how < 0 ? 0 : a->ifindex;
		if (a->how < 0 && !err) {
			/* Busy is said of instances; a port that isn't free is the machine's. */
			err = a->how == -EBUSY ? -EEXIST : a->how;
			memcpy(error, a->why, SL_ERROR_MAX);
		}
	}
	if (n)
		sl_merging_follow(c);
	return err;
}

void sl_ports_tick(struct sl_control *c)
{
	uint32_t now = sl_clock_ms();

	if (c->detached || c->link_events == sl_net_link_events(c->net) ||
	    now - c->links_followed_ms < FOLLOW_LINKS_MS)
		return;
	c->link_events = sl_net_link_events(c->net);
	c->links_followed_ms = now;
	sl_merging_follow(c);
}
