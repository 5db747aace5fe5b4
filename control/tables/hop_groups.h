/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds the records of next hop groups (dataplane/abi/next_hop.h) in the bank of a generation.
 *
 * A scheduler shares the buckets of a group among its next hops as it shares the slots of a service
 * among its backends: by weight, and so that few flows move when a next hop comes or goes.
 */
#ifndef SL_CONTROL_TABLES_HOP_GROUPS_H
#define SL_CONTROL_TABLES_HOP_GROUPS_H

#include "../daemon.h"

/* Builds the records of all groups of the model. Returns 0 or -ENOMEM. */
int sl_hop_groups_build(struct sl_control *c, const struct sl_model *m, uint64_t generation);

#endif
