/* SPDX-License-Identifier: BSD-2-Clause */
#include "state.h"

static void set_state(struct sl_health_verdict *v, enum sl_health_state state, uint64_t now_s)
{
	v->state = state;
	v->since = now_s;
}

bool sl_health_result(struct sl_health_verdict *v, struct sl_health_count *count,
		      const struct sl_health_conf *conf, bool passed, uint64_t now_s)
{
	enum sl_health_state before = v->state;
	bool at_once = before == SL_HEALTH_CHECKING && (passed || count->fresh);

	if (passed) {
		count->passed += count->passed < UINT8_MAX;
		count->failed = 0;
		if (before != SL_HEALTH_UP && (at_once || count->passed >= conf->rise)) {
			set_state(v, SL_HEALTH_UP, now_s);
			v->returned = before == SL_HEALTH_DOWN || count->fresh;
		}
	} else {
		count->failed += count->failed < UINT8_MAX;
		count->passed = 0;
		if (before != SL_HEALTH_DOWN && (at_once || count->failed >= conf->fall))
			set_state(v, SL_HEALTH_DOWN, now_s);
	}
	return v->state != before;
}

void sl_health_begin_state(struct sl_health_verdict *v, struct sl_health_count *count,
			   const struct sl_health_conf *conf, bool serves, uint64_t now_s)
{
	*count = (struct sl_health_count){ .fresh = !serves };
	v->returned = false;
	set_state(v,
		  conf->start == SL_HEALTH_START_UP		      ? SL_HEALTH_UP
		  : serves || conf->start == SL_HEALTH_START_CHECKING ? SL_HEALTH_CHECKING
								      : SL_HEALTH_DOWN,
		  now_s);
}

bool sl_health_holds(const struct sl_health_verdict *v, const struct sl_health_count *count,
		     bool panic)
{
	return v->state == SL_HEALTH_DOWN ? !panic : v->state == SL_HEALTH_CHECKING && count->fresh;
}

uint8_t sl_health_share(const struct sl_health_verdict *v, const struct sl_health_conf *conf,
			uint64_t now_s)
{
	uint64_t passed_ms = now_s > v->since ? (now_s - v->since) * 1000 : 0;

	if (v->state != SL_HEALTH_UP || !v->returned || passed_ms >= conf->slow_ms)
		return SL_SHARE_WHOLE;
	return (uint8_t)(1 + passed_ms * (SL_SHARE_WHOLE - 1) / conf->slow_ms);
}

bool sl_health_panic_update(struct sl_health_panic *panic, const struct sl_health_conf *conf,
			    uint32_t up, uint32_t known, uint64_t now_ns)
{
	uint64_t percent = known ? 100ull * up / known : 100;
	bool was = panic->on;

	if (!conf->panic)
		panic->on = false;
	else if (!was)
		panic->on = percent < conf->panic;
	else
		panic->on = percent < conf->panic_leave ||
			    now_ns - panic->since_ns < conf->panic_ms * 1000000ull;
	if (panic->on && !was)
		panic->since_ns = now_ns;
	return panic->on != was;
}

static uint64_t late_by(const struct sl_lateness *l, uint64_t now_ns)
{
	uint64_t gap = l->last_ns ? now_ns - l->last_ns : 0;

	return gap > l->every_ns + l->slack_ns ? gap - l->every_ns : 0;
}

void sl_lateness_tick(struct sl_lateness *l, uint64_t now_ns)
{
	l->total_ns += late_by(l, now_ns);
	l->last_ns = now_ns;
}

uint64_t sl_lateness_at(const struct sl_lateness *l, uint64_t now_ns)
{
	return l->total_ns + late_by(l, now_ns);
}

uint64_t sl_health_time_left(uint64_t timeout_ns, uint64_t elapsed_ns, uint64_t late_ns)
{
	uint64_t awake_ns = elapsed_ns > late_ns ? elapsed_ns - late_ns : 0;

	return timeout_ns > awake_ns ? timeout_ns - awake_ns : 0;
}

bool sl_health_is_void(uint64_t timeout_ns, uint64_t late_ns)
{
	return late_ns >= timeout_ns / 2;
}
