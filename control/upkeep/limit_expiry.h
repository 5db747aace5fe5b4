/* SPDX-License-Identifier: BSD-2-Clause */
/* Rates of clients and flows that were set for a time: they end when their time has come, by a
 * publish. */
#ifndef SL_CONTROL_UPKEEP_LIMIT_EXPIRY_H
#define SL_CONTROL_UPKEEP_LIMIT_EXPIRY_H

#include "../daemon.h"

/* From the daemon's tick. What fails is tried again each second, and logged once. */
void sl_limit_expiry_tick(struct sl_control *c);

#endif
