/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends the rates of clients and flows that were set for a limited time, by a publish when that time
 * is over. */
#ifndef SL_CONTROL_UPKEEP_LIMIT_EXPIRY_H
#define SL_CONTROL_UPKEEP_LIMIT_EXPIRY_H

#include "../daemon.h"

/* To be called at each tick. A publish that fails is tried again each second, and is logged
 * once. */
void sl_limit_expiry_tick(struct sl_control *c);

#endif
