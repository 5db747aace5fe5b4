/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps the kernel from merging TCP segments below ports.
 *
 * A kernel that merges TCP segments (GRO, in software or in the NIC, and LRO) on an interface below
 * a port gives a generic XDP program one frame of up to 64 kB in their place, which is too large
 * to be forwarded. The port's own interface needs no care: the kernel turns merging off where
 * generic XDP is attached, and in a driver XDP comes before it, except for what the NIC merges by
 * itself.
 *
 * What is turned off is written to RUN_DIR/merging first, so that whoever detaches the instance,
 * also after a crash, puts it back; so does control once an interface isn't below a port any more.
 * When somebody turns merging on again meanwhile, it is turned off again.
 */
#ifndef SL_CONTROL_XDP_MERGING_H
#define SL_CONTROL_XDP_MERGING_H

#include "../daemon.h"

/* Turns merging off on all interfaces below ports, by how the ports are attached, and logs it.
 * Where it can't be turned off, c->still_merging says so in a sentence. */
void sl_merging_follow(struct sl_control *c);

/* Turns on again what an instance with this run_dir has turned off. Its ports must be detached. */
void sl_merging_restore(const char *run_dir);

void sl_merging_free(struct sl_control *c);

#endif
