/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"

#include <stdio.h>
#include <string.h>

#include "link.h"
#include "merging.h"
#include "ports.h"

enum { WATCH_MS = 100, TRY_AGAIN_MS = 1000, FOLLOW_LINKS_MS = 200 };

static int repin(const struct sl_control *c, char error[SL_ERROR_MAX])
{
	int missing = sl_store_repin(&c->store, &c->where, error);
	int more = missing < 0 ? missing : sl_programs_repin(c->programs);

	for (uint32_t i = 0; i < c->config.dataplane.n_ports && missing >= 0 && more >= 0; i++) {
		missing += more;
		more = c->attachment[i] ? sl_xdp_repin(c->attachment[i]) : 0;
	}
	if (missing >= 0 && more < 0)
		snprintf(error, SL_ERROR_MAX, "%s: pins can't be put back: %s", c->where.bpf_dir,
			 strerror(-more));
	return missing < 0 || more < 0 ? -1 : missing + more;
}

static void keep_pins(struct sl_control *c)
{
	char error[SL_ERROR_MAX] = "";
	int missing = repin(c, error);

	if (missing > 0)
		sl_log("%s: %d pins were removed, and are put back", c->where.bpf_dir, missing);
	if (error[0] && strcmp(c->unpinned, error) != 0)
		sl_log("%s", error);
	memcpy(c->unpinned, error, sizeof(c->unpinned));
}

/* Whether a port lacks its program. Logged when that begins. */
static bool lacks_program(struct sl_control *c, uint32_t port)
{
	const struct sl_net_port *p = sl_net_port(c->net, port);

	if (c->config.dataplane.port[port].kind != SL_PORT_KERNEL || !p->present)
		return false;
	if (c->attached[port] && !sl_xdp_stands(c->attachment[port])) {
		sl_log("%s: its XDP program was taken off; it is attached again",
		       c->config.dataplane.port[port].device);
		c->attached[port] = 0;
		c->ports_tried_ms = sl_clock_ms() - TRY_AGAIN_MS;
	}
	return !c->attached[port];
}

static void keep_attached(struct sl_control *c)
{
	char error[SL_ERROR_MAX];
	bool lacks = false;

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++)
		lacks |= lacks_program(c, i);
	if (!lacks || sl_clock_ms() - c->ports_tried_ms < TRY_AGAIN_MS)
		return;
	c->ports_tried_ms = sl_clock_ms();
	sl_attach_ports(c, error);
}

static void follow_links(struct sl_control *c)
{
	if (c->link_events == sl_net_link_events(c->net) ||
	    sl_clock_ms() - c->links_followed_ms < FOLLOW_LINKS_MS)
		return;
	c->link_events = sl_net_link_events(c->net);
	c->links_followed_ms = sl_clock_ms();
	sl_merging_follow(c);
}

void sl_xdp_watch(struct sl_control *c)
{
	if (c->detached)
		return;
	follow_links(c);
	if (!c->programs || sl_clock_ms() - c->ports_watched_ms < WATCH_MS)
		return;
	c->ports_watched_ms = sl_clock_ms();
	keep_attached(c);
	keep_pins(c);
}
