/* SPDX-License-Identifier: BSD-2-Clause */
/* From the effective state (effective.h) to the next model, by difference: what isn't named stays
 * as it is, flows and all.
 *
 * A service is the same if VIP, protocol and port are; a backend is the same if address and port
 * are. A backend that is no longer wanted leaves: it keeps its connections until they end.
 */
#ifndef SL_CONTROL_DESIRED_APPLY_H
#define SL_CONTROL_DESIRED_APPLY_H

#include "../daemon.h"
#include "layers.h"

/* Edits `next` until it says what the layers make together; a sentence for each difference is
 * appended to the JSON array `changes`, which may be NULL. The second does so for one service: it
 * is made, changed or removed. */
int sl_apply(struct sl_control *c, const struct sl_layers *layers, struct sl_model *next,
	     json_t *changes, char error[SL_ERROR_MAX]);
int sl_apply_service(struct sl_control *c, const struct sl_layers *layers, const char *service,
		     struct sl_model *next, json_t *changes, char error[SL_ERROR_MAX]);

/* Ports, routes and next hops as the network has them now; true when something differs from what
 * `next` says. */
bool sl_apply_network(struct sl_control *c, struct sl_model *next);

#endif
