/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole effective configuration as a file that serves the same: what the file said, with what
 * operators set in it. What no file can say, such as the own rate of one client, stands at its end
 * as comments with the command that sets it. */
#ifndef SL_CONTROL_REPORT_EXPORT_H
#define SL_CONTROL_REPORT_EXPORT_H

#include "../daemon.h"

/* The text, to be freed; NULL with a message. */
char *sl_report_export(const struct sl_control *c, char error[SL_ERROR_MAX]);

#endif
