/* SPDX-License-Identifier: BSD-2-Clause */
/* From what is wanted (the file, and what operators set live on top of it) to the next model, by
 * difference: what isn't named stays as it is, flows and all.
 *
 * A service is the same if VIP, protocol and port are; a backend is the same if address and port
 * are. A backend that is no longer wanted leaves: it keeps its connections until they end.
 */
#ifndef SL_CONTROL_DESIRED_APPLY_H
#define SL_CONTROL_DESIRED_APPLY_H

#include "../daemon.h"

/* Edits `next` until it says what config and c->overrides say; a line of text for each difference
 * is appended to the JSON array `changes`. */
int sl_apply(struct sl_control *c, const struct sl_config *config, struct sl_model *next,
	     json_t *changes, char error[SL_ERROR_MAX]);

/* Ports, routes and next hops as the network has them now; true when something differs from what
 * `next` says. */
bool sl_apply_network(struct sl_control *c, struct sl_model *next);

#endif
