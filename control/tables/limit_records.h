/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits as records: from the model to what engines read, and back for a control that was
 * restarted.
 *
 * A service's limits are an extent of the array `limits`, in the order of the model
 * (desired/apply_limits.h). Subjects with a rate of their own stand in the bank, under the limit's
 * id and the subject.
 */
#ifndef SL_CONTROL_TABLES_LIMIT_RECORDS_H
#define SL_CONTROL_TABLES_LIMIT_RECORDS_H

#include "../daemon.h"

/* How many ids limits may have: as many as each writer has counters. */
uint32_t sl_limit_ids(const struct sl_control *c);

/* The extent of a service that is being published, made anew if it differs. -ENOSPC with a message:
 * no room. */
int sl_limit_records_build(struct sl_control *c, struct sl_model_service *s,
			   char error[SL_ERROR_MAX]);

/* What the service's record says of its limits: enum sl_service_flags. */
uint16_t sl_limit_records_flags(const struct sl_model_service *s);

/* A new limit goes live: its counters and its shared buckets begin. */
void sl_limit_records_begin(struct sl_control *c, const struct sl_model_service *s,
			    const struct sl_model_limit *l);

struct sl_exception sl_limit_records_exception(const struct sl_model_exception *e);

/* The limits of a service record, and the exceptions of the live bank, as far as records tell: no
 * burst, no end. -EPROTO: they contradict each other. */
int sl_limit_records_adopt(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			   const struct sl_service *record);

#endif
