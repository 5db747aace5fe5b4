/* SPDX-License-Identifier: BSD-2-Clause */
/* The states of health on disk: STATE_DIR/health.json, by service and endpoint. */
#ifndef SL_CONTROL_HEALTH_SAVED_H
#define SL_CONTROL_HEALTH_SAVED_H

#include "check.h"

/* All states that checks have decided. 0, or -errno with a message. */
int sl_health_save(const struct sl_health *health, char error[SL_ERROR_MAX]);

/* Calls take() for each; a file that isn't there has none, and one that is broken is said to be. */
void sl_health_load(const char *state_dir,
		    void (*take)(void *context, const struct sl_health_verdict *v), void *context);

/* Whether such a verdict holds the backend back, unless automation was frozen in another state. */
bool sl_health_saved_holds(const struct sl_health_verdict *v);

#endif
