/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators set of limits, as JSON: an object among the overrides (overrides.h).
 *
 *     "per" "unit" "direction" "prefix4" "prefix6"   which limit; prefixes only per client
 *     "rate" "burst" "action"   as numbers and a word; without "burst" the rate decides it
 *     "file"      { "rate", "burst", "action" }, the file's at that time; missing if the limit was
 *                 added live
 *     "removed"   true, in place of rate, burst, action and file: the file has the limit, but it
 * was cleared live "client" or "flow"   in place of "per": one subject's own rate,
 * "198.51.100.7/32" or "198.51.100.7:12345"; "action" is for the limit that is made if none fits
 *     "until"     when a subject's rate ends, in seconds since 1970
 */
#ifndef SL_CONTROL_DESIRED_LIMIT_OVERRIDES_H
#define SL_CONTROL_DESIRED_LIMIT_OVERRIDES_H

#include "operators.h"

/* Reads an override. Returns 0, or -EINVAL with the reason in `why`. */
int sl_live_limit_read(const json_t *object, struct sl_live_limit *l, char why[SL_ERROR_MAX]);

/* Writes an override. Returns a new reference, or NULL if there is no memory. */
json_t *sl_live_limit_write(const struct sl_live_limit *l);

#endif
