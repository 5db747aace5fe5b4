/* SPDX-License-Identifier: BSD-2-Clause */
/* The instance behind a daemon: its directories, its lock, its shared arrays, made or adopted. */
#ifndef SL_CONTROL_TABLES_INSTANCE_H
#define SL_CONTROL_TABLES_INSTANCE_H

#include "../daemon.h"

/* Directories and the lock file; -EBUSY: another control of this name runs. */
int sl_instance_lock(struct sl_control *c, char error[SL_ERROR_MAX]);

/* The arrays: attached to where they stand, else made. -EPROTO: of another version. -EINVAL: of
 * other capacities, cores or another group. */
int sl_instance_open(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Whether what stands of the instance may be removed: -EBUSY with a message: its dataplane runs. */
int sl_instance_check_unused(struct sl_control *c, char error[SL_ERROR_MAX]);

/* What control itself keeps beside arrays that stand: who has which records, and where counters
 * began. sl_instance_close() frees it, or the second. -ENOMEM. */
int sl_instance_books(struct sl_control *c);
void sl_instance_close_books(struct sl_control *c);

void sl_instance_close(struct sl_control *c);

#endif
