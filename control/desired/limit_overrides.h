/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators set of limits, as JSON: an object among the overrides (overrides.h).
 *
 *     "per" "unit" "direction" "prefix4" "prefix6"   which limit; prefixes of clients alone
 *     "rate" "burst" "action"   as numbers and a word; without "burst" it goes by the rate
 *     "file"      { "rate", "burst", "action" }, the file's at that time. None: it was added live
 *     "removed"   true, in the place of rate, burst, action and file: the file has it, but it was
 *                 cleared live
 *     "client" or "flow"   in the place of "per": one subject's own rate, "198.51.100.7/32" or
 *                 "198.51.100.7:12345"; "action" is for the limit that is made where none fits
 *     "until"     of a subject: seconds since 1970
 */
#ifndef SL_CONTROL_DESIRED_LIMIT_OVERRIDES_H
#define SL_CONTROL_DESIRED_LIMIT_OVERRIDES_H

#include "operators.h"

/* 0, or -EINVAL with why it can't be read. */
int sl_live_limit_read(const json_t *object, struct sl_live_limit *l, char why[SL_ERROR_MAX]);

/* A new reference; NULL: no memory. */
json_t *sl_live_limit_write(const struct sl_live_limit *l);

#endif
