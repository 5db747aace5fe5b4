/* SPDX-License-Identifier: BSD-2-Clause */
/* The instance that a daemon serves: its directories, its lock, and its shared arrays, which are
 * created or adopted. */
#ifndef SL_CONTROL_TABLES_INSTANCE_H
#define SL_CONTROL_TABLES_INSTANCE_H

#include "../daemon.h"

/* Creates the directories and takes the lock. Returns 0, or -errno with a message; -EBUSY: another
 * control process of this instance runs. */
int sl_instance_lock(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Attaches the shared arrays, or creates them if there are none. Returns 0 or -errno. -EPROTO: they
 * are of another version. -EINVAL: they were made for other capacities, other cores or another
 * group. */
int sl_instance_open(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Checks whether the existing arrays may be removed. Returns 0, or -EBUSY with a message if a
 * dataplane uses them. */
int sl_instance_check_unused(struct sl_control *c, char error[SL_ERROR_MAX]);

/* Allocates what control keeps for itself beside the arrays: who has which records, and the
 * baselines of the counters. Returns 0 or -ENOMEM. sl_instance_close_books() frees it, and so does
 * sl_instance_close(), which also detaches the arrays. */
int sl_instance_books(struct sl_control *c);
void sl_instance_close_books(struct sl_control *c);

void sl_instance_close(struct sl_control *c);

#endif
