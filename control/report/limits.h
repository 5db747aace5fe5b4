/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits as JSON, in the shapes that docs/control-socket.md gives: a row for each limit and for
 * each client or flow with a rate of its own. */
#ifndef SL_CONTROL_REPORT_LIMITS_H
#define SL_CONTROL_REPORT_LIMITS_H

#include "../daemon.h"
#include "../desired/operators.h"

/* Which limit: the members that name it. */
json_t *sl_limit_report_name(const struct sl_model_service *s, const struct sl_config_limit *l);

/* Appends the rows of a service, each exception behind its limit. */
void sl_limit_report(const struct sl_control *c, const struct sl_model_service *s, json_t *list);

/* The same with what is left of each burst, where that is one bucket: of a service, of each
 * backend. `of`: those that concern this client or flow alone, with what is left of its own; NULL:
 * all. */
void sl_limit_report_left(const struct sl_control *c, const struct sl_model_service *s,
			  const struct sl_live_limit *of, json_t *list);

/* Whether it is as the file has it. */
bool sl_limit_is_of_file(const struct sl_model_service *s, const struct sl_config_limit *l);

#endif
