/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is being limited right now: the few that each engine keeps (abi/limit.h, struct
 * sl_most_limited), added up by limit and subject.
 *
 * Engines only count. For rates a copy of their records is taken each second, and the one before
 * is kept, so that there is always one that is between one and two seconds old.
 */
#ifndef SL_CONTROL_REPORT_LIMIT_TOP_H
#define SL_CONTROL_REPORT_LIMIT_TOP_H

#include "../daemon.h"

struct sl_top;

/* From the daemon's tick. */
void sl_limit_top_tick(struct sl_control *c);
void sl_limit_top_free(struct sl_control *c);

/* An array of the most limited, by rate: of the service at this index of the model, or of all (-1).
 * NULL: no memory. */
json_t *sl_limit_top_report(const struct sl_control *c, int service);

#endif
