/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends that several services have.
 *
 * What comes from a backend names its service by the backend's address, port and protocol alone. So
 * of services that share an endpoint only one, the first in the model, gets its replies right; the
 * others' clients get them with the first one's VIP. That is allowed and warned about. In modes
 * where replies bypass us (all but NAT) nothing is shared by this.
 *
 * A backend that moved is another matter: while its old service still has connections there, the
 * replies are the old one's. In the new service it waits: it is in no slot and has no reverse
 * record, until the old number is free. Only who is new waits; one that two services had before
 * goes on as it was when one of them lets go.
 */
#ifndef SL_CONTROL_MODEL_SHARED_ENDPOINTS_H
#define SL_CONTROL_MODEL_SHARED_ENDPOINTS_H

#include <jansson.h>

#include "model.h"

/* Decides who waits, in the model that is to be published. */
void sl_share_claim(struct sl_model *next);

/* Appends a sentence for each backend that is shared, or waits. */
void sl_share_list(const struct sl_model *m, json_t *list);

#endif
