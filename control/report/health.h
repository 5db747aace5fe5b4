/* SPDX-License-Identifier: BSD-2-Clause */
/* What health says, for lists and for `status`. It is read where it stands, in c->verdict. */
#ifndef SL_CONTROL_REPORT_HEALTH_H
#define SL_CONTROL_REPORT_HEALTH_H

#include "../daemon.h"
#include "../desired/layers.h"

/* NULL: the backend isn't checked. */
const struct sl_health_verdict *sl_report_verdict(const struct sl_control *c,
						  const struct sl_model_service *s,
						  const struct sl_model_backend *b);

/* Adds "health", its cause and its time to what is said of a backend that is checked. */
void sl_report_health(json_t *o, const struct sl_control *c, const struct sl_model_service *s,
		      const struct sl_model_backend *b);

/* Figures of all checks; NULL: there are none. */
json_t *sl_report_checks(const struct sl_control *c);

/* Sentences about a service whose health is overruled, or that has no healthy backend: true. */
bool sl_health_problems(const struct sl_control *c, const struct sl_model_service *s, json_t *list);

#endif
