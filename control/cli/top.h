/* SPDX-License-Identifier: BSD-2-Clause */
/* `sluicectl top`: rates, from two answers of `stats`. */
#ifndef SL_CLI_TOP_H
#define SL_CLI_TOP_H

#include <jansson.h>

/* {"interval_s", "workers": [...], "xdp": {...}} as docs/control-socket.md has it; a new reference,
 * NULL where an answer isn't one of `stats` or no time passed between them. Counters that went down
 * (the instance was made anew) count as 0. */
json_t *sl_top_between(const json_t *before, const json_t *after);

#endif
