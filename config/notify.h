/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager is told, as sd_notify(3) describes it: units are of Type=notify. */
#ifndef SL_CONFIG_NOTIFY_H
#define SL_CONFIG_NOTIFY_H

/* Sends lines like "READY=1\nSTATUS=serving". Nothing where no service manager asked for it. */
void sl_notify(const char *state);

#endif
