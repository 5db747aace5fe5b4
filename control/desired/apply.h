/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the next model from the effective state (effective.h), by difference: what doesn't change
 * stays as it is, including its flows.
 *
 * A service is the same if VIP, protocol and port are; a backend is the same if address and port
 * are. A backend that isn't desired any more leaves: it keeps its connections until they end.
 */
#ifndef SL_CONTROL_DESIRED_APPLY_H
#define SL_CONTROL_DESIRED_APPLY_H

#include "../daemon.h"
#include "layers.h"

/* Edits `next` so that it reflects all layers together. Appends a sentence for each difference to
 * the JSON array `changes`, which may be NULL. sl_apply_service() does so for one service, which it
 * adds, changes or removes. Both return 0, or -errno with a message. */
int sl_apply(struct sl_control *c, const struct sl_layers *layers, struct sl_model *next,
	     json_t *changes, char error[SL_ERROR_MAX]);
int sl_apply_service(struct sl_control *c, const struct sl_layers *layers, const char *service,
		     struct sl_model *next, json_t *changes, char error[SL_ERROR_MAX]);

/* Takes over ports, routes and next hops as the network has them now. Returns true if anything in
 * `next` has changed. */
bool sl_apply_network(struct sl_control *c, struct sl_model *next);

#endif
