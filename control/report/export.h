/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole effective configuration as a file that serves the same: the file's content with what
 * operators set. Settings that no file can hold, such as the own rate of one client, are at its end
 * as comments, each with the command that sets it. */
#ifndef SL_CONTROL_REPORT_EXPORT_H
#define SL_CONTROL_REPORT_EXPORT_H

#include "../daemon.h"

/* Returns the text, which the caller frees; NULL with a message on failure. */
char *sl_report_export(const struct sl_control *c, char error[SL_ERROR_MAX]);

#endif
