/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences about changes, as `reload` returns and the log shows them. */
#ifndef SL_CONTROL_DESIRED_CHANGES_H
#define SL_CONTROL_DESIRED_CHANGES_H

#include <jansson.h>

/* Appends a sentence to a JSON array. If `changes` is NULL, does nothing. */
__attribute__((format(printf, 2, 3))) void sl_note(json_t *changes, const char *format, ...);

#endif
