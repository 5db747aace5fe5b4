/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends that several services have.
 *
 * A packet from a backend names its service only by the backend's address, port and protocol. If
 * services share an endpoint, only one of them, the first in the model, gets its replies right.
 * Clients of the others get replies with the first one's VIP. That is allowed, with a warning. It
 * concerns mode nat only: in most other modes replies bypass us.
 *
 * A backend that moved to another service is a different matter. While its old service still has
 * connections there, its replies are the old service's. So it waits in the new service: it is in no
 * slot and has no reply entry until the old number is free. Only a new backend waits. If two
 * services had a backend before, it goes on as it was when one of them releases it.
 */
#ifndef SL_CONTROL_MODEL_SHARED_ENDPOINTS_H
#define SL_CONTROL_MODEL_SHARED_ENDPOINTS_H

#include <jansson.h>

#include "model.h"

/* Decides which backends wait, in the model that is to be published. */
void sl_share_claim(struct sl_model *next);

/* Appends a sentence to `list` for each backend that is shared or waits. */
void sl_share_list(const struct sl_model *m, json_t *list);

#endif
