/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts limits from the model to the records that engines read, and back when control was
 * restarted.
 *
 * The limits of a service are an extent of the array `limits`, in the order of the model
 * (desired/apply_limits.h). Exceptions, which are subjects with their own rate, are records of the
 * bank, under the limit's id and the subject.
 */
#ifndef SL_CONTROL_TABLES_LIMIT_RECORDS_H
#define SL_CONTROL_TABLES_LIMIT_RECORDS_H

#include "../daemon.h"

/* The number of ids that limits can have: each writer has as many counters. */
uint32_t sl_limit_ids(const struct sl_control *c);

/* Writes the limits of a service that is being published to a new extent, or keeps the present one
 * if nothing changed. Returns 0, or -ENOSPC with a message. */
int sl_limit_records_build(struct sl_control *c, struct sl_model_service *s,
			   char error[SL_ERROR_MAX]);

/* The flags of the service's record that depend on its limits (enum sl_service_flags). */
uint16_t sl_limit_records_flags(const struct sl_model_service *s);

/* Must be called right before a new limit goes live. Its counters begin at 0, and its shared
 * buckets are full. */
void sl_limit_records_begin(struct sl_control *c, const struct sl_model_service *s,
			    const struct sl_model_limit *l);

struct sl_exception sl_limit_records_exception(const struct sl_model_exception *e);

/* Rebuilds the limits of a service from its record, and their exceptions from the live bank.
 * Records have no burst and no expiry, so these stay unset. Returns 0, -ENOMEM, or -EPROTO if the
 * records contradict each other. */
int sl_limit_records_adopt(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			   const struct sl_service *record);

#endif
