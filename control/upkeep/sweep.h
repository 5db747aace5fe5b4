/* SPDX-License-Identifier: BSD-2-Clause */
/* What only time and the flow table can tell: windows that have passed, slots that nobody disagrees
 * with any more, backends and services that nothing names.
 *
 * Engines need no clock for windows: control closes them by publishing, and if control is dead they
 * just stay open. A window stays open while inserts fail: a connection that could not be tracked is
 * only safe as long as its slot still sends what is untracked to the old backend. That is looked at
 * again right before the commit (sl_records_may_close()).
 *
 * The rest is read from the flow table (pass.h), while engines and publishes go on. Dead entries
 * count too, as long as they stand: their time would come back with a longer idle timeout, or with
 * the next owner of the id. What a pass has found counts where it can't have changed since it was
 * read, whatever was published meanwhile:
 *
 * - A backend's number goes if no slot and no server id has named it since a generation that every
 *   engine had reached when the pass began. Engines enter flows only under numbers that a slot or a
 *   server id names, so from then on its entries became fewer, never more. What else changes in the
 *   service, and how often, doesn't matter.
 *
 * - A service's id goes likewise, since no record of a service has it.
 *
 * - A mixed slot closes if it was mixed in a generation that every engine had reached when the pass
 *   began, and ever since: new entries there agree with it. Windows don't close during a pass, so
 *   that this can be told of a service as a whole: no slot of it has become mixed since.
 *
 * An engine has reached a generation when it will not look at an older one again: a worker says so;
 * the XDP program looks at the root for each packet, and is given the grace that flow.h gives every
 * engine to finish what it has begun.
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
