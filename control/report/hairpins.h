/* SPDX-License-Identifier: BSD-2-Clause */
/* Watches for services whose hairpins are refused (dataplane/core/hairpin.h).
 *
 * Such a client gets no answer, so `status` has a problem line that names the remedy. The counters
 * only grow, and a single stray packet isn't a problem for ever, so the line goes away a minute
 * after the last one.
 */
#ifndef SL_CONTROL_REPORT_HAIRPINS_H
#define SL_CONTROL_REPORT_HAIRPINS_H

#include "../daemon.h"

enum { SL_HAIRPINS_LOOK_MS = 1000, SL_HAIRPINS_SHOWN_MS = 60000 };

/* To be called at each tick. Compares the counters with those of a second ago. Without memory,
 * nothing is noticed. */
void sl_hairpins_tick(struct sl_control *c, uint32_t now_ms);

/* Whether a hairpin of this service was refused within the last minute. */
bool sl_hairpins_refused(const struct sl_control *c, uint32_t service);

void sl_hairpins_free(struct sl_control *c);

#endif
