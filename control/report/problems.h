/* SPDX-License-Identifier: BSD-2-Clause */
/* Problems that an operator should know of, each a sentence: `status` shows them, and the log has
 * each once.
 *
 * They are found anew each time, from the model, the network and the dataplane's answers. Only what
 * was logged is stored, so that a problem is logged again only if it had been gone.
 */
#ifndef SL_CONTROL_REPORT_PROBLEMS_H
#define SL_CONTROL_REPORT_PROBLEMS_H

#include "../daemon.h"

/* Returns all problems, as an array of strings. */
json_t *sl_problems(const struct sl_control *c);

/* Logs problems of backends and of generations that are new since the last call. */
void sl_problems_watch(struct sl_control *c);

#endif
