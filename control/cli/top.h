/* SPDX-License-Identifier: BSD-2-Clause */
/* `sluicectl top`: rates from two answers of `stats`. */
#ifndef SL_CLI_TOP_H
#define SL_CLI_TOP_H

#include <jansson.h>

/* Returns {"interval_s", "workers": [...], "xdp": {...}} as in docs/control-socket.md, as a new
 * reference. NULL if one isn't an answer of `stats`, or no time passed in between. A counter that
 * decreased (the instance was made anew) gives 0. */
json_t *sl_top_between(const json_t *before, const json_t *after);

#endif
