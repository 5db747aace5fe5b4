/* SPDX-License-Identifier: BSD-2-Clause */
#include "detach.h"

#include "../tables/instance.h"
#include "../xdp/link.h"
#include "../xdp/merging.h"
#include "../xdp/ports.h"

int sl_detach(struct sl_control *c, char error[SL_ERROR_MAX])
{
	int err = sl_instance_check_unused(c, error);

	if (!err)
		sl_ports_release(c); /* a link lives as long as any descriptor of it */
	if (!err && !c->where.huge)
		err = sl_xdp_detach_all(&c->where, error);
	if (err)
		return err;
	c->detached = true; /* so that nothing is attached again */
	sl_merging_restore(c->config.run_dir);
	err = sl_store_remove(&c->where, error);
	c->detached = !err;
	return err;
}
