/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of next hop groups (dataplane/abi/next_hop.h), in the bank of a generation.
 *
 * A scheduler shares a group's buckets among its next hops as it shares a service's slots among
 * backends: by weight, and so that few flows move when a next hop comes or goes.
 */
#ifndef SL_CONTROL_TABLES_HOP_GROUPS_H
#define SL_CONTROL_TABLES_HOP_GROUPS_H

#include "../daemon.h"

/* 0 or -ENOMEM. */
int sl_hop_groups_build(struct sl_control *c, const struct sl_model *m, uint64_t generation);

#endif
