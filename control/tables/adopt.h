/* SPDX-License-Identifier: BSD-2-Clause */
/* From the records of the live bank to a model: the way back, for a control that was restarted.
 *
 * What the records don't say (names, weights) comes from the file right after, by sl_apply(). The
 * records are checked like anybody else's words: what contradicts itself isn't adopted.
 */
#ifndef SL_CONTROL_TABLES_ADOPT_H
#define SL_CONTROL_TABLES_ADOPT_H

#include "../daemon.h"

/* Makes c->model from the live generation, or an empty one where nothing was published. */
int sl_adopt(struct sl_control *c, char error[SL_ERROR_MAX]);

#endif
