/* SPDX-License-Identifier: BSD-2-Clause */
/* From a model to the records of the contract: slots, backends, by limit_records.h limits, and by
 * bank.h the small records.
 *
 * Called by publish.c alone, between the two turns of the bank's sequence word. A service that
 * didn't change keeps its extents, and so does one whose records come out the same.
 */
#ifndef SL_CONTROL_TABLES_RECORDS_H
#define SL_CONTROL_TABLES_RECORDS_H

#include "../daemon.h"

/* Fills the bank of `generation`. On failure the model's new extents are its own to free. */
int sl_records_build(struct sl_control *c, struct sl_model *m, uint64_t generation,
		     char error[SL_ERROR_MAX]);

/* Right before the commit: whether no insert has failed in the services whose windows close, since
 * that was decided. */
bool sl_records_may_close(const struct sl_control *c, const struct sl_model *m);

/* Then, when nothing can refuse the generation any more: what has to stand with its first packet.
 * Timeouts of entries apply at once, to the live generation too, so they only grow here. The
 * counters of new backends begin. */
void sl_records_begin(struct sl_control *c, struct sl_model *m);

/* After the commit: timeouts as they shall be; none for services that are gone. */
void sl_records_set_final_timeouts(struct sl_control *c, struct sl_model *m);

/* Timeouts of entries by state, in ticks. A live entry's time may be a sixteenth of its lifetime
 * old (core/route.h), so that of established ones is that much longer than the idle timeout.
 * Half-closed ones, of full NAT, live as long as established ones, but not much longer than RFC
 * 5382 wants at least. */
struct sl_flow_timeouts sl_records_timeouts(const struct sl_config_service *conf);

/* How long a slot stays open after it moved: the idle timeout, and what data may take to bring an
 * entry back from closing. */
uint32_t sl_records_window_ms(const struct sl_config_service *conf);

#endif
