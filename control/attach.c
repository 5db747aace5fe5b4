/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xdp.h"

/* Why a port has no program; said once. */
static void note_unattached(struct sl_control *c, uint32_t port, const char *why)
{
	if (why && (!c->unattached[port] || strcmp(c->unattached[port], why) != 0))
		sl_log("%s", why);
	free(c->unattached[port]);
	c->unattached[port] = why ? strdup(why) : NULL;
}

int sl_attach_ports(struct sl_control *c, char error[SL_ERROR_MAX])
{
	int err = 0;

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_config_port *port = &c->config.dataplane.port[i];
		const struct sl_net_port *p = sl_net_port(c->net, i);
		char why[SL_ERROR_MAX] = "";
		int how;

		if (!p->present)
			c->attached[i] = 0;
		if (port->kind != SL_PORT_KERNEL || !p->present || p->ifindex == c->attached[i])
			continue;
		how = sl_xdp_attach(&c->store, &c->where, &c->config, i, p->ifindex, why);
		if (how == SL_XDP_GENERIC)
			sl_log("%s", why);
		note_unattached(c, i, how < 0 ? why : NULL);
		c->attached[i] = how < 0 ? 0 : p->ifindex;
		if (how < 0 && !err) {
			/* Busy is said of instances; a port that isn't free is the machine's. */
			err = how == -EBUSY ? -EEXIST : how;
			memcpy(error, why, SL_ERROR_MAX);
		}
	}
	return err;
}
