/* SPDX-License-Identifier: BSD-2-Clause */
/* Rebuilds the model from the records of the live bank, when control was restarted.
 *
 * The records don't hold everything. Names and weights come from the configuration file right
 * afterwards, by sl_apply(). The records are checked like any untrusted input, and records that
 * contradict each other aren't adopted.
 */
#ifndef SL_CONTROL_TABLES_ADOPT_H
#define SL_CONTROL_TABLES_ADOPT_H

#include "../daemon.h"

/* Sets c->model to the live generation, or to an empty model if nothing was published. Returns 0 or
 * -errno. `error` has a message if a service can't be adopted; -EPROTO: the records contradict each
 * other. */
int sl_adopt(struct sl_control *c, char error[SL_ERROR_MAX]);

#endif
