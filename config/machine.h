/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration needs of the machine that it is read on: devices, their queues, cores.
 *
 * sl_config_read() knows nothing of a machine, so that a file can be checked anywhere. Each process
 * asks here for what it needs before it starts; `sluice-control -t` asks for all of it where the
 * file is meant for this machine, and status while a dataplane doesn't run. Messages name the
 * field, what the machine has, and the command that helps. What can't be found out is taken to be
 * right. */
#ifndef SL_CONFIG_MACHINE_H
#define SL_CONFIG_MACHINE_H

#include "config.h"

/* Whether there is anything to compare: a device of the file is on this machine and in this network
 * namespace, or all of its devices are virtual ones. */
bool sl_machine_is_meant(const struct sl_config *config);

/* Everything that the engines of the file need. 0, or -errno with one line in error: -ENODEV for a
 * device that isn't there, -ENOSPC for too few queues, -ERANGE for a core. */
int sl_machine_check(const struct sl_config *config, char error[SL_ERROR_MAX]);

/* Of that only the cores. */
int sl_machine_check_cores(const struct sl_config *config, char error[SL_ERROR_MAX]);

/* What only the process that is about to start can know besides: whether its cgroup or container
 * lets it run on the cores (-EPERM), and whether its memory is free now (-ENOMEM). For a moment it
 * moves the calling thread. */
int sl_machine_check_start(const struct sl_config *config, char error[SL_ERROR_MAX]);

#endif
