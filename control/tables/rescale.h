/* SPDX-License-Identifier: BSD-2-Clause */
/* Buckets under a changed rate: what was used of them stays used.
 *
 * A bucket is kept as the time that it takes to fill, which depends on the rate. Engines cut that
 * to what the new rate allows (abi/limit.h), so that nobody ever waits longer than a burst takes.
 * Right after the commit the words themselves are brought to the new rate here, in slices: a job
 * for each limit, client or flow whose rate changed, one after the other, each once through the
 * table that holds its buckets. A word changes by compare-and-swap; an engine that changes it
 * meanwhile wins, and it is tried again.
 *
 * What an engine draws between the commit and its word's turn is scaled too, a few milliseconds'
 * worth. A control that dies in the midst leaves words as they were, which the cut then bounds.
 */
#ifndef SL_CONTROL_TABLES_RESCALE_H
#define SL_CONTROL_TABLES_RESCALE_H

#include "../daemon.h"

struct sl_rescale;

/* `is` is live since a moment, in the place of `was`: notes a job for each pace that differs. */
void sl_rescale_note(struct sl_control *c, const struct sl_model *was, const struct sl_model *is);

/* A slice of work; false: there is none left. */
bool sl_rescale_run(struct sl_control *c);

void sl_rescale_free(struct sl_control *c);

#endif
