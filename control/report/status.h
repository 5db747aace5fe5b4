/* SPDX-License-Identifier: BSD-2-Clause */
/* The present state as JSON, in the form that docs/control-socket.md gives. */
#ifndef SL_CONTROL_REPORT_STATUS_H
#define SL_CONTROL_REPORT_STATUS_H

#include "../daemon.h"

json_t *sl_report_status(const struct sl_control *c);
json_t *sl_report_service(const struct sl_control *c, const struct sl_model_service *s);
void sl_report_backends(const struct sl_control *c, const struct sl_model_service *s, json_t *list);
json_t *sl_report_stats(const struct sl_control *c);
json_t *sl_report_generation(const struct sl_control *c);

/* Returns the answer to a change. */
struct sl_published;
json_t *sl_report_published(const struct sl_published *out);

/* Returns the backends that the file has and that were removed live: an array of { name, address,
 * port }. */
json_t *sl_report_removed(const struct sl_control *c, const char *service);

#endif
