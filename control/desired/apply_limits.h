/* SPDX-License-Identifier: BSD-2-Clause */
/* The limits of a service in the model: what the file says and what operators set live, by
 * difference to what stands.
 *
 * A limit is the same if scope, unit, direction and prefixes are: it keeps its id, and with it its
 * buckets and counters, whatever its rate. Limits stand in the order in which engines ask them: the
 * one that is kept in flow entries, then flow, client, backend, service; within a scope in the
 * order in which they came, so that which one is kept in flow entries changes only if it has to.
 *
 * A client or flow with a rate of its own belongs to the limit of that scope, unit, direction and
 * prefix length. Where there is none, one without a rate is made for it, and goes with its last.
 */
#ifndef SL_CONTROL_DESIRED_APPLY_LIMITS_H
#define SL_CONTROL_DESIRED_APPLY_LIMITS_H

#include "../daemon.h"
#include "../model/limits.h"
#include "effective.h"

/* Makes the limits of `s`, which is being edited, the effective ones. Sentences about what changes
 * are appended to `changes`. What was set live and can't be (no room beside the file's limits,
 * flows = "none") is logged. -ENOSPC with a message: no id is left. */
int sl_limits_apply(const struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
		    const struct sl_effective *e, json_t *changes, char error[SL_ERROR_MAX]);

/* The subject in the limit's buckets, see abi/limit.h. */
uint64_t sl_limits_subject(const struct sl_control *c, const struct sl_config_limit *l,
			   const union sl_addr *addr, uint16_t port);

/* The limit of this scope, unit, direction and prefix length, of the address's family; NULL. */
const struct sl_model_limit *sl_limits_base(const struct sl_model_service *s,
					    const struct sl_live_limit *l);
#endif
