/* SPDX-License-Identifier: BSD-2-Clause */
/* The subjects that are being limited now: the few that each engine records (abi/limit.h, struct
 * sl_most_limited), summed by limit and subject.
 *
 * Engines only count. For rates, control copies their records each second and keeps the copy
 * before, so that one of the two is always between one and two seconds old.
 */
#ifndef SL_CONTROL_REPORT_LIMIT_TOP_H
#define SL_CONTROL_REPORT_LIMIT_TOP_H

#include "../daemon.h"

struct sl_top;

/* Copies the records if it is time. The daemon's tick calls it. */
void sl_limit_top_tick(struct sl_control *c);
void sl_limit_top_free(struct sl_control *c);

/* Returns an array of the most limited subjects, sorted by rate: of the service at this index of
 * the model, or of all (-1). NULL: no memory. */
json_t *sl_limit_top_report(const struct sl_control *c, int service);

#endif
