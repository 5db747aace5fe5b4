/* SPDX-License-Identifier: BSD-2-Clause */
/* What only time and the flow table can tell: windows that have passed, slots that nobody disagrees
 * with any more, backends and services that nothing names.
 *
 * Engines need no clock for windows: control closes them by publishing, and if control is dead they
 * just stay open. A pass over the flow table finds, for each service, which backends entries name
 * and which mixed slots they disagree with. It counts only if nothing was published and no entry
 * was moved meanwhile: an entry that moves from a bucket not yet read to one already read would
 * have been missed.
 *
 * Dead entries count too, as long as they stand: their time would come back with a longer idle
 * timeout, or with the next owner of the id. Workers clear them; where none does, a pass clears
 * what it finds long dead, and what an engine that died left busy, by the rules of flow.h.
 *
 * A window stays open while inserts fail: a connection that could not be tracked is only safe as
 * long as its slot still sends what is untracked to the old backend. That is looked at again right
 * before the commit (sl_records_may_close()).
 */
#ifndef SL_CONTROL_UPKEEP_SWEEP_H
#define SL_CONTROL_UPKEEP_SWEEP_H

#include "../daemon.h"

struct sl_sweep;

struct sl_sweep *sl_sweep_new(struct sl_control *c);
void sl_sweep_free(struct sl_sweep *sweep);

/* A slice of work, from the daemon's tick; publishes when there is something to say. */
void sl_sweep_tick(struct sl_sweep *sweep);

#endif
