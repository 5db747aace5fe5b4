/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends drains (desired/drains.h): when nothing refers to the backend any more, or when the deadline
 * has passed. All that end at a moment are one generation. In an affinity group a host is drained
 * when it is so in all services, since all must have the same backends. */
#ifndef SL_CONTROL_UPKEEP_DRAIN_END_H
#define SL_CONTROL_UPKEEP_DRAIN_END_H

#include "../daemon.h"

/* To be called at each tick. A publish that fails is tried again each second, and is logged
 * once. */
void sl_drain_end_tick(struct sl_control *c);

#endif
