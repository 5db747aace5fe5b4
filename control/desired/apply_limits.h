/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets the limits of a service in the model, from the file and what operators set live, by
 * difference to the existing ones.
 *
 * A limit is the same if scope, unit, direction and prefixes are. It then keeps its id, and with it
 * its buckets and counters, whatever its rate. Limits are in the order in which engines apply them:
 * the one that is kept in flow entries, then flow, client, backend, service. Within a scope they
 * are in the order in which they were added, so that another limit is kept in flow entries only if
 * necessary.
 *
 * A client or flow with a rate of its own belongs to the limit of that scope, unit, direction and
 * prefix length. If there is none, a limit without a rate is made for it, and removed with the last
 * such client or flow.
 */
#ifndef SL_CONTROL_DESIRED_APPLY_LIMITS_H
#define SL_CONTROL_DESIRED_APPLY_LIMITS_H

#include "../daemon.h"
#include "../model/limits.h"
#include "effective.h"

/* Sets the limits of `s`, which is being edited, to the effective ones. Appends sentences about the
 * differences to `changes`. Live settings that can't take effect (no room beside the file's limits,
 * flows = "none") are logged. Returns 0, or -errno; -ENOSPC, with a message: no id is left. */
int sl_limits_apply(const struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
		    const struct sl_effective *e, json_t *changes, char error[SL_ERROR_MAX]);

/* Returns the subject's key in the limit's buckets, see abi/limit.h. */
uint64_t sl_limits_subject(const struct sl_control *c, const struct sl_config_limit *l,
			   const union sl_addr *addr, uint16_t port);

/* Returns the limit with the scope, unit, direction and prefix length of `l`, for the family of its
 * address; NULL if there is none. */
const struct sl_model_limit *sl_limits_base(const struct sl_model_service *s,
					    const struct sl_live_limit *l);
#endif
