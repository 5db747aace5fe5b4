/* SPDX-License-Identifier: BSD-2-Clause */
/* Drains that are to end: by a deadline, or by the removal of the backend. They belong to the layer
 * of operators, so that a restart of control changes neither the deadline nor the end.
 *
 *     runs ── nothing refers to the backend ──> drained, or removed if `then_remove`
 *       └──── the deadline has passed ────────> expired, or cut if `then_remove`
 *
 * Who expired goes on draining; who was cut is removed, and its last connections have ended. An end
 * is remembered for an hour, so that the same command, given again, reports it.
 * upkeep/drain_end.h ends drains.
 */
#ifndef SL_CONTROL_DESIRED_DRAINS_H
#define SL_CONTROL_DESIRED_DRAINS_H

#include <jansson.h>
#include <stdbool.h>

#include "../../config/config.h"

struct sl_operator_service;

enum sl_drain_end {
	SL_DRAIN_RUNS,
	SL_DRAIN_DRAINED,
	SL_DRAIN_REMOVED,
	SL_DRAIN_EXPIRED,
	SL_DRAIN_CUT,
};

/* Times are in seconds since 1970. */
struct sl_drain {
	union sl_addr addr;
	uint16_t port;		/* host order */
	char name[SL_NAME_MAX]; /* the backend's: it may be gone by the end */
	uint64_t began;
	uint64_t deadline; /* 0: none */
	bool then_remove;
	enum sl_drain_end end;
	uint64_t ended;
	uint32_t left; /* connections at that time */
};

/* Returns "running", "drained", "removed", "expired" or "cut". */
const char *sl_drain_end_text(enum sl_drain_end end);

/* Returns how long it took, in seconds: for one that expired or was cut, the time that it had. */
uint64_t sl_drain_took(const struct sl_drain *d);

/* Whether it ended so long ago that it doesn't count any more. */
bool sl_drain_is_forgotten(const struct sl_drain *d, uint64_t now);

/* Returns the drain of this backend; NULL: there is none. `s` may be NULL. */
struct sl_drain *sl_drain_find(const struct sl_operator_service *s, const union sl_addr *addr,
			       uint16_t port);

/* Replaces the drain of the same backend, or adds it. Returns 0 or -ENOMEM. */
int sl_drain_set(struct sl_operator_service *s, const struct sl_drain *d);

void sl_drain_drop(struct sl_operator_service *s, const union sl_addr *addr, uint16_t port);

/* Drops drains that are forgotten, and those that run although the backend doesn't drain any more.
 * conf: the file's service; NULL: it has none. */
void sl_drains_prune(struct sl_operator_service *s, const struct sl_config_service *conf,
		     uint64_t now);

/* An object by endpoint; reading returns 0, -ENOMEM, or -EINVAL with a message. */
json_t *sl_drains_write(const struct sl_operator_service *s);
int sl_drains_read(struct sl_operator_service *s, const json_t *json, char why[SL_ERROR_MAX]);

#endif
