/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits as JSON, in the form that docs/control-socket.md gives: a row for each limit, and for each
 * client or flow with a rate of its own. */
#ifndef SL_CONTROL_REPORT_LIMITS_H
#define SL_CONTROL_REPORT_LIMITS_H

#include "../daemon.h"
#include "../desired/operators.h"

/* Returns the members that identify a limit. */
json_t *sl_limit_report_name(const struct sl_model_service *s, const struct sl_config_limit *l);

/* Appends the rows of a service. The exceptions follow their limit. */
void sl_limit_report(const struct sl_control *c, const struct sl_model_service *s, json_t *list);

/* Appends the rows of a service with what is left of each burst, where there is one bucket: for a
 * service and for each backend. If `of` isn't NULL, only rows that apply to this client or flow are
 * appended, with what is left of its own burst. */
void sl_limit_report_left(const struct sl_control *c, const struct sl_model_service *s,
			  const struct sl_live_limit *of, json_t *list);

/* Whether the limit is the same in the file. */
bool sl_limit_is_of_file(const struct sl_model_service *s, const struct sl_config_limit *l);

#endif
