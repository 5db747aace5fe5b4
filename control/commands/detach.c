/* SPDX-License-Identifier: BSD-2-Clause */
#include "detach.h"

#include "../tables/instance.h"
#include "../xdp/link.h"

int sl_detach(struct sl_control *c, char error[SL_ERROR_MAX])
{
	int err = sl_instance_check_unused(c, error);

	if (!err && !c->where.huge)
		err = sl_xdp_detach_all(&c->where, error);
	return err ? err : sl_store_remove(&c->where, error);
}
