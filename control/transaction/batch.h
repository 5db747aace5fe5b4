/* SPDX-License-Identifier: BSD-2-Clause */
/* Several changes that become one generation, or nothing.
 *
 * While a batch is open, a change is staged instead of run: its layers are applied to a clone of
 * the model, which takes the place of the published one. So the next change sees what those before
 * it would make, and is refused as if they had been made. Nothing is published meanwhile, and
 * nobody but the changes of the batch may look at the model: a batch is opened and closed within
 * one turn of the event loop. Then one transaction takes over the operators' layer as the last
 * change left it.
 */
#ifndef SL_CONTROL_TRANSACTION_BATCH_H
#define SL_CONTROL_TRANSACTION_BATCH_H

#include "transaction.h"

/* Returns 0 or -ENOMEM. */
int sl_batch_open(struct sl_control *c);

/* Stages a transaction of the open batch, and frees it. Returns 0, or -errno with a message; then
 * nothing was staged. */
int sl_batch_stage(struct sl_transaction *t, char error[SL_ERROR_MAX]);

/* Closes the batch: model and layers are the published ones again. *operators is the layer that
 * follows from the changes, and *notes what they noted; both are the caller's. NULL and NULL: the
 * changes are dropped. */
void sl_batch_close(struct sl_control *c, struct sl_operators **operators, json_t **notes);

#endif
