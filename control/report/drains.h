/* SPDX-License-Identifier: BSD-2-Clause */
/* How far drains are: connections that are left, until when some may be unknown, and how drains
 * with an end (desired/drains.h) have ended. */
#ifndef SL_CONTROL_REPORT_DRAINS_H
#define SL_CONTROL_REPORT_DRAINS_H

#include "../daemon.h"

/* Returns an array of all backends that drain or leave, and of the drains that have ended with a
 * removal. Asks for connections to be counted for the next seconds. */
json_t *sl_report_drains(struct sl_control *c);

#endif
