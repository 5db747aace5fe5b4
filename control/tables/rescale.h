/* SPDX-License-Identifier: BSD-2-Clause */
/* Adapts token buckets to a changed rate, so that the used part of the burst stays used.
 *
 * A bucket is stored as the time until it is full, which depends on the rate. Engines clamp that
 * time to what the new rate allows (abi/limit.h), so nobody ever waits longer than a burst takes.
 * Right after the commit control converts the words themselves to the new rate, in slices. There is
 * one job for each limit, client or flow whose rate changed. Jobs are done one after the other, and
 * each goes once through the table that holds its buckets. A word is changed by compare-and-swap.
 * If an engine changes it at the same time, the engine wins, and control tries again.
 *
 * What engines charge between the commit and the conversion of a word is scaled too; that is a few
 * milliseconds' worth. If control dies before it is done, the other words stay as they were, and
 * the clamp bounds them.
 */
#ifndef SL_CONTROL_TABLES_RESCALE_H
#define SL_CONTROL_TABLES_RESCALE_H

#include "../daemon.h"

struct sl_rescale;

/* Adds a job for each pace that differs. `is` has just gone live, in the place of `was`. */
void sl_rescale_note(struct sl_control *c, const struct sl_model *was, const struct sl_model *is);

/* Does one slice. Returns false if none is left. */
bool sl_rescale_run(struct sl_control *c);

void sl_rescale_free(struct sl_control *c);

#endif
