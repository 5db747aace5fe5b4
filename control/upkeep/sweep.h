/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends what only time and the flow table can end: windows that have passed, mixed slots with which
 * no entry disagrees any more, and backends and services that nothing names.
 *
 * Engines need no clock for windows. Control closes windows by publishing, and if control is dead
 * they just stay open. A window also stays open while inserts fail. A connection that could not be
 * tracked is safe only as long as its slot sends untracked packets to the old backend. That is
 * checked again right before the commit (sl_records_may_close()).
 *
 * The other things are found by reading the flow table (pass.h), while engines and publishes go on.
 * Expired entries count too, as long as they are in the table, because they would come back to life
 * with a longer idle timeout, or with the next owner of the id. The result of a pass is used only
 * where it can't have changed since it was read, whatever was published meanwhile:
 *
 * - A backend's number is released if no slot and no server id has named it since a generation that
 *   every engine had reached when the pass began. Engines enter flows only under numbers that a
 *   slot or a server id names, so from then on its entries became fewer, never more. It doesn't
 *   matter what else changes in the service, or how often.
 *
 * - A service's id is released in the same way, because no service record has it any more.
 *
 * - A mixed slot is closed if it was mixed in a generation that every engine had reached when the
 *   pass began, and has been mixed ever since, because new entries agree with it. Windows don't
 *   close during a pass, so this can be decided for a service as a whole: none of its slots has
 *   become mixed since.
 *
 * An engine has reached a generation when it will not look at an older one again. A worker reports
 * it. The XDP program looks at the root for each packet, and is given the grace that flow.h gives
 * every engine to finish what it has begun.
 */
#ifndef SL_CONTROL_UPKEEP_SWEEP_H
#define SL_CONTROL_UPKEEP_SWEEP_H

#include "../daemon.h"

struct sl_sweep;

struct sl_sweep *sl_sweep_new(struct sl_control *c);
void sl_sweep_free(struct sl_sweep *sweep);

/* A pass also counts the connections of backends that drain or leave, which c->count_until_ns asks
 * for once a second. That is for people to read, and nothing is decided by it.
 *
 * Does a slice of work, at each tick of the daemon. Publishes if anything is to be ended. */
void sl_sweep_tick(struct sl_sweep *sweep);

#endif
