/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds records from a model: slots and backends, limits by limit_records.h, and the small records
 * by bank.h.
 *
 * Only publish.c calls these functions. A service that didn't change keeps its extents, and so does
 * one whose new records are the same as the old ones.
 */
#ifndef SL_CONTROL_TABLES_RECORDS_H
#define SL_CONTROL_TABLES_RECORDS_H

#include "../daemon.h"

/* Fills the bank of `generation`, while its sequence word is odd. Returns 0, or -errno with a
 * message. On failure the new extents belong to the model and are freed with it. */
int sl_records_build(struct sl_control *c, struct sl_model *m, uint64_t generation,
		     char error[SL_ERROR_MAX]);

/* To be called right before the commit. Returns false if an insert has failed, since it was decided
 * to close windows, in a service whose windows are to close. */
bool sl_records_may_close(const struct sl_control *c, const struct sl_model *m);

/* To be called next, when nothing can refuse the generation any more. Sets what must be right for
 * its first packet. The counters of new backends and limits begin. Timeouts of entries apply at
 * once, to the live generation too, so they are only raised here. */
void sl_records_begin(struct sl_control *c, struct sl_model *m);

/* To be called after the commit. Sets the final timeouts, which are 0 for services that are
 * gone. */
void sl_records_set_final_timeouts(struct sl_control *c, struct sl_model *m);

/* The timeouts of a service's entries by state, in ticks. The time in a live entry may be out of
 * date by a sixteenth of its lifetime (core/route.h), so the timeout of established flows is that
 * much longer than the idle timeout. Half-closed flows, in mode fullnat, live as long as
 * established ones, but not much longer than the least that RFC 5382 demands. */
struct sl_flow_timeouts sl_records_timeouts(const struct sl_config_service *conf);

/* How long a slot stays open after it moved, in ms: the idle timeout, and the time that data may
 * take to bring an entry back from closing. */
uint32_t sl_records_window_ms(const struct sl_config_service *conf);

#endif
