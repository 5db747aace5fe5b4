/* SPDX-License-Identifier: BSD-2-Clause */
/* From a model to the records of the contract: rows, backends, and the small records of a bank.
 *
 * Called by publish.c alone, between the two turns of the bank's sequence word. A service that
 * didn't change keeps its extents; the small records are all written anew, which costs less than
 * finding out which are the same.
 */
#ifndef SL_CONTROL_RECORDS_H
#define SL_CONTROL_RECORDS_H

#include "control.h"

/* Fills the bank of `generation`. On failure the model's new extents are its own to free. */
int sl_records_build(struct sl_control *c, struct sl_model *m, uint64_t generation,
		     char error[SL_ERROR_MAX]);

/* After the commit: what holds for entries of services that are gone. */
void sl_records_settle(struct sl_control *c, const struct sl_model *m);

/* Timeouts of entries by state, in ticks. A live entry's time may be a sixteenth of its lifetime
 * old (core/route.h), so that of established ones is that much longer than the idle timeout. */
struct sl_terms sl_records_terms(const struct sl_config_service *conf);

/* How long a row stays open after it moved: the idle timeout, and what data may take to bring an
 * entry back from closing. */
uint32_t sl_records_window_ms(const struct sl_config_service *conf);

#endif
