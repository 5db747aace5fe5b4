/* SPDX-License-Identifier: BSD-2-Clause */
/* Active health checks: who is checked when, and what becomes of the results.
 *
 * The checks follow the live model: each backend of a service with `health` that is ready or
 * drains has one. A check runs once in each interval, from the event loop; results go through the
 * state machine (state.h). What a state means for connections is the layer of health
 * (desired/layers.h), which stands in c->verdict and is changed in place; a transaction applies it.
 * Changes within SETTLE_MS become one generation. Reports read c->verdict and c->health_figures, so
 * nobody includes this room but main.c.
 *
 * States are kept in the state directory (saved.h), and a start takes them up before the first
 * generation, so that nothing is down because control began anew.
 */
#ifndef SL_CONTROL_HEALTH_HEALTH_H
#define SL_CONTROL_HEALTH_HEALTH_H

#include "../daemon.h"

/* Takes up what was kept, before the first generation. 0 or -ENOMEM. */
int sl_health_open(struct sl_control *c);

/* From the daemon's tick, every `every_ms` of which it is told: follows the model, applies what has
 * changed. */
void sl_health_tick(struct sl_control *c, uint32_t every_ms);

/* Ends all checks. */
void sl_health_close(struct sl_control *c);

#endif
