/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences about what changes, as `reload` answers them and the log keeps them. */
#ifndef SL_CONTROL_DESIRED_CHANGES_H
#define SL_CONTROL_DESIRED_CHANGES_H

#include <jansson.h>

/* Appends a sentence to a JSON array, or to nothing where that is NULL. */
__attribute__((format(printf, 2, 3))) void sl_note(json_t *changes, const char *format, ...);

#endif
