/* SPDX-License-Identifier: BSD-2-Clause */
/* What operators set live of limits, among the overrides (overrides.h):
 *
 *     "limits": { SERVICE: [ { … }, … ] }
 *
 *     "per" "unit" "direction" "prefix4" "prefix6"   which limit; prefixes of clients alone
 *     "rate" "burst" "action"   as numbers and a word; without "burst" it goes by the rate
 *     "file"      { "rate", "burst", "action" }, the file's at that time: where the file says
 *                 something else by now, the file wins. None: the limit was added live
 *     "removed"   true, in the place of rate, burst, action and file: the file has it, but it was
 *                 cleared live
 *     "client" or "flow"   in the place of "per": one subject's own rate, "198.51.100.7/32" or
 *                 "198.51.100.7:12345"; "action" is for the limit that is made where none fits
 *     "until"     of a subject: seconds since 1970
 */
#ifndef SL_CONTROL_DESIRED_LIMIT_OVERRIDES_H
#define SL_CONTROL_DESIRED_LIMIT_OVERRIDES_H

#include "../../config/endpoint.h"
#include "../daemon.h"

struct sl_live_limit {
	struct sl_config_limit limit;
	bool removed;
	bool of_file; /* `file` holds rate, burst and action */
	struct sl_config_limit file;
	bool exception;
	union sl_addr addr; /* whose: a client of limit.prefix4 or prefix6, */
	uint16_t port;	    /* or a flow */
	uint64_t until;	    /* 0: no end */
};

/* "client 198.51.100.7/32", "flow 198.51.100.7:12345". */
#define SL_SUBJECT_TEXT (SL_PREFIX_TEXT + 16)
const char *sl_live_limit_subject(const struct sl_live_limit *l, char text[SL_SUBJECT_TEXT]);

/* Whether they are of the same limit, and of the same subject. */
bool sl_live_limit_same(const struct sl_live_limit *a, const struct sl_live_limit *b);

/* 0, or -EINVAL with why it can't be read. */
int sl_live_limit_read(const json_t *object, struct sl_live_limit *l, char why[SL_ERROR_MAX]);
json_t *sl_live_limit_write(const struct sl_live_limit *l);

/* The array of one service; NULL where there is none. */
json_t *sl_live_limits(const json_t *overrides, const char *service);

/* Puts one in the place of its like, or at the end; takes one away. */
int sl_live_limits_set(json_t *overrides, const char *service, const struct sl_live_limit *l);
void sl_live_limits_drop(json_t *overrides, const char *service, const struct sl_live_limit *l);

/* Checks the member "limits" of what was loaded, which may be missing. On failure the place in
 * `field`. */
int sl_live_limits_check(const json_t *overrides, char field[SL_PATH_MAX], char why[SL_ERROR_MAX]);

/* Drops what these limits, which the file has, have overtaken, and what has ended. */
void sl_live_limits_prune(json_t *overrides, const struct sl_config_service *conf);

#endif
