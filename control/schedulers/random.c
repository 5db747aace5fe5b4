/* SPDX-License-Identifier: BSD-2-Clause */
/* Weighted random: any slot is as likely as another, and backends have slots in proportion to their
 * weights. Which slots they have doesn't matter to new flows. So they have those of maglev, which
 * move the fewest when a backend comes or goes.
 */
#include "scheduler.h"

static int fill(uint32_t *cur, uint32_t slots, const struct sl_candidate *candidate, size_t n)
{
	return sl_scheduler_maglev.fill(cur, slots, candidate, n);
}

const struct sl_scheduler sl_scheduler_random = {
	.name = "random",
	.fill = fill,
};
