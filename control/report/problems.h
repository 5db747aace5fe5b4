/* SPDX-License-Identifier: BSD-2-Clause */
/* What an operator should know of, one sentence each: for `status`, and for the log once.
 *
 * They are found anew each time from the model, the network and the dataplane's words; nothing is
 * kept but what the log has been told, so that it is told again only after the problem was gone.
 */
#ifndef SL_CONTROL_REPORT_PROBLEMS_H
#define SL_CONTROL_REPORT_PROBLEMS_H

#include "../daemon.h"

/* All there are, as an array of strings. */
json_t *sl_problems(const struct sl_control *c);

/* Logs those of the file's backends and of generations that are new since the last look. */
void sl_problems_watch(struct sl_control *c);

#endif
