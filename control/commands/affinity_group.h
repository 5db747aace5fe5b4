/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps what operators set of hosts the same in all services of an affinity group.
 *
 * A client is sent to the same host by all services of a group only if they have the same backends
 * with the same weights and states (config/affinity_group.c). So an override of a backend is copied
 * to the same host in every other service of the group, in the same transaction. A service that was
 * removed has no overrides; it gets those of its group when it is added again.
 */
#ifndef SL_CONTROL_COMMANDS_AFFINITY_GROUP_H
#define SL_CONTROL_COMMANDS_AFFINITY_GROUP_H

#include "../transaction/transaction.h"

/* Copies this override, of a backend of `service`, and its drain to all other services of its
 * affinity group. overrides: the service's, of which it is part. Returns 0, -ENOMEM, or -EINVAL
 * with a message. Pointers into t->operators are invalid afterwards. */
int sl_affinity_group_share(struct sl_transaction *t, const struct sl_model_service *service,
			    const struct sl_operator_service *overrides,
			    const struct sl_operator_backend *override, char error[SL_ERROR_MAX]);

/* Copies to a service of the file, which is being added again, what is set of the hosts of its
 * affinity group. Returns and invalidates the same. */
int sl_affinity_group_join(struct sl_transaction *t, const struct sl_config_service *service,
			   char error[SL_ERROR_MAX]);

#endif
