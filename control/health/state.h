/* SPDX-License-Identifier: BSD-2-Clause */
/* What results make of a backend: pure, with time as a parameter.
 *
 *     checking ── first result ──> up or down
 *     up ── `fall` failures in a row ──> down ── `rise` passes in a row ──> up
 *
 * A backend that served already when its checks began is `checking` too, but isn't held back, and
 * goes down by `fall` failures only.
 *
 * Control may be late: stopped, starved of CPU time, or busy. It notices that by its own tick, and
 * that time doesn't count: a check has its whole timeout of time in which control was awake, and a
 * check that failed otherwise while control slept is repeated.
 */
#ifndef SL_CONTROL_HEALTH_STATE_H
#define SL_CONTROL_HEALTH_STATE_H

#include "../desired/layers.h"

struct sl_health_count {
	uint8_t passed, failed; /* checks in a row */
	bool fresh;		/* got no connections before its checks began */
};

/* Takes a result; true: the state is another now. `now_s`: seconds since 1970. */
bool sl_health_result(struct sl_health_verdict *v, struct sl_health_count *count,
		      const struct sl_health_conf *conf, bool passed, uint64_t now_s);

/* What a backend is when its checks begin. `serves`: it gets connections already. */
void sl_health_begin_state(struct sl_health_verdict *v, struct sl_health_count *count,
			   const struct sl_health_conf *conf, bool serves, uint64_t now_s);

/* Whether it is held back. */
bool sl_health_holds(const struct sl_health_verdict *v, const struct sl_health_count *count,
		     bool panic);

/* Slow start: the part of its weight that a backend has, from 1 to SL_SHARE_WHOLE. */
uint8_t sl_health_share(const struct sl_health_verdict *v, const struct sl_health_conf *conf,
			uint64_t now_s);

/* Panic: fewer than conf->panic percent are up, until conf->panic_leave percent are and
 * conf->panic_ms have passed. */
struct sl_health_panic {
	bool on;
	uint64_t since_ns;
};
/* True if it has begun or ended. `up` of `known` backends whose state is known. */
bool sl_health_panic_update(struct sl_health_panic *panic, const struct sl_health_conf *conf,
			    uint32_t up, uint32_t known, uint64_t now_ns);

/* Lateness: a tick is expected every `every_ns`; what it is late by more than `slack_ns` counts. */
struct sl_lateness {
	uint64_t every_ns, slack_ns;
	uint64_t last_ns;
	uint64_t total_ns;
};
void sl_lateness_tick(struct sl_lateness *l, uint64_t now_ns);
/* All lateness until now, the current one included. */
uint64_t sl_lateness_at(const struct sl_lateness *l, uint64_t now_ns);

/* What is left of a check's timeout, of the time in which control was awake: 0: it has passed. */
uint64_t sl_health_time_left(uint64_t timeout_ns, uint64_t elapsed_ns, uint64_t late_ns);

/* Whether a check that failed before its time was up says nothing, because control slept. */
bool sl_health_is_void(uint64_t timeout_ns, uint64_t late_ns);

#endif
