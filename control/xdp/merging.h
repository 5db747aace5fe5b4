/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments stay as they were on the wire.
 *
 * A kernel that merges TCP segments (GRO, in software or in the NIC, and LRO) on an interface below
 * a port gives a generic XDP program one frame of up to 64 kB in their place, which fits no way on.
 * The port's own interface is no concern: the kernel turns merging off where generic XDP is
 * attached, and in a driver XDP comes before it, except for what the NIC merges by itself.
 *
 * What is turned off is written to RUN_DIR/merging first, so that whoever detaches the instance,
 * also after a crash, puts it back; so does control once an interface isn't below a port any more.
 * When somebody turns merging on again meanwhile, it is turned off again.
 */
#ifndef SL_CONTROL_XDP_MERGING_H
#define SL_CONTROL_XDP_MERGING_H

#include "../daemon.h"

/* Turns off what merges now, by where and how ports are attached, and logs it. What can't be turned
 * off is in c->still_merging then, a sentence each. */
void sl_merging_follow(struct sl_control *c);

/* Puts back what an instance with this run_dir has turned off; for whom it was, nothing is attached
 * any more. */
void sl_merging_restore(const char *run_dir);

void sl_merging_free(struct sl_control *c);

#endif
