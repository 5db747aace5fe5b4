/* SPDX-License-Identifier: BSD-2-Clause */
/* The verdicts of health, for lists and for `status`. They are read in place, from c->verdict. */
#ifndef SL_CONTROL_REPORT_HEALTH_H
#define SL_CONTROL_REPORT_HEALTH_H

#include "../daemon.h"
#include "../desired/layers.h"

/* Returns NULL if the backend isn't checked. */
const struct sl_health_verdict *sl_report_verdict(const struct sl_control *c,
						  const struct sl_model_service *s,
						  const struct sl_model_backend *b);

/* Adds "health", its cause and its times to the report of a backend that is checked. */
void sl_report_health(json_t *o, const struct sl_control *c, const struct sl_model_service *s,
		      const struct sl_model_backend *b);

/* Returns figures about all checks; NULL if there are no checks. */
json_t *sl_report_checks(const struct sl_control *c);

/* Appends sentences about a service whose health is overruled, or that has no healthy backend.
 * Returns true in the latter case. */
bool sl_health_problems(const struct sl_control *c, const struct sl_model_service *s, json_t *list);

/* Whether the verdict would be another if automation weren't frozen. */
bool sl_report_is_frozen(const struct sl_control *c, const struct sl_health_verdict *v);

#endif
