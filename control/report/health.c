/* SPDX-License-Identifier: BSD-2-Clause */
#include "health.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../desired/operators.h"

enum { NAMED = 3 /* the most backends that one sentence names */ };

const struct sl_health_verdict *sl_report_verdict(const struct sl_control *c,
						  const struct sl_model_service *s,
						  const struct sl_model_backend *b)
{
	if (s->conf.health.kind == SL_HEALTH_NONE)
		return NULL;
	return sl_health_find(c->verdict, c->n_verdicts, s->conf.name, &b->addr, b->port);
}

bool sl_report_is_frozen(const struct sl_control *c, const struct sl_health_verdict *v)
{
	bool holds = v->state == SL_HEALTH_DOWN && !v->panic;

	return c->operators->frozen && v->state != SL_HEALTH_CHECKING && holds != v->held;
}

void sl_report_health(json_t *o, const struct sl_control *c, const struct sl_model_service *s,
		      const struct sl_model_backend *b)
{
	const struct sl_health_verdict *v = sl_report_verdict(c, s, b);
	uint64_t now = (uint64_t)time(NULL);

	/* A backend that was just added is unknown to health until the next tick. */
	if (!v && s->conf.health.kind != SL_HEALTH_NONE && !b->maintenance)
		json_object_set_new(o, "health",
				    json_string(sl_health_state_text(SL_HEALTH_CHECKING)));
	if (!v)
		return;
	json_object_set_new(o, "health", json_string(sl_health_state_text(v->state)));
	json_object_set_new(o, "health_since_s",
			    json_integer(now > v->since ? (json_int_t)(now - v->since) : 0));
	json_object_set_new(o, "health_took_ms", json_integer(v->took_ms));
	if (v->cause[0])
		json_object_set_new(o, "health_cause", json_string(v->cause));
	if (b->share < SL_SHARE_WHOLE)
		json_object_set_new(o, "slow_start",
				    json_sprintf("%u/%u", b->share, SL_SHARE_WHOLE));
	if (b->forced)
		json_object_set_new(o, "health_overruled_by", json_string("live"));
	else if (v->panic)
		json_object_set_new(o, "health_overruled_by", json_string("panic"));
	else if (sl_report_is_frozen(c, v))
		json_object_set_new(o, "health_overruled_by", json_string("freeze"));
}

json_t *sl_report_checks(const struct sl_control *c)
{
	if (!c->health_figures.checks)
		return NULL;
	return json_pack("{s:i, s:I, s:I, s:I, s:f}", "checks", (int)c->health_figures.checks,
			 "ended", (json_int_t)c->health_figures.ended, "discarded",
			 (json_int_t)c->health_figures.discarded, "extended",
			 (json_int_t)c->health_figures.extended, "worst_late_ms",
			 c->health_figures.worst_late_ms);
}

/* The part of a sentence that names backends. */
struct sentence {
	char text[SL_ERROR_MAX];
	size_t length;
	uint32_t n;
};

static void add(struct sentence *to, const struct sl_model_backend *b,
		const struct sl_health_verdict *v)
{
	if (to->n++ < NAMED && to->length < sizeof(to->text))
		to->length +=
			(size_t)snprintf(to->text + to->length, sizeof(to->text) - to->length,
					 "%s%s: %s", to->n > 1 ? "; " : "", b->name,
					 v->cause[0] ? v->cause : sl_health_state_text(v->state));
}

static void say(json_t *list, const char *service, const char *what, const struct sentence *s)
{
	if (s->n > NAMED)
		json_array_append_new(list, json_sprintf("service %s: %s (%.400s; and %u more)",
							 service, what, s->text, s->n - NAMED));
	else
		json_array_append_new(
			list, json_sprintf("service %s: %s (%.400s)", service, what, s->text));
}

bool sl_health_problems(const struct sl_control *c, const struct sl_model_service *s, json_t *list)
{
	struct sentence held = { 0 }, forced = { 0 }, panic = { 0 }, frozen = { 0 };
	uint32_t healthy = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct sl_model_backend *b = &s->backend[i];
		const struct sl_health_verdict *v = sl_report_verdict(c, s, b);

		if (!v || (b->state != SL_STATE_READY && b->state != SL_STATE_DRAINING))
			continue;
		if (v->state == SL_HEALTH_UP ? !sl_report_is_frozen(c, v)
					     : v->state == SL_HEALTH_CHECKING && !v->held)
			healthy++;
		else if (b->forced)
			add(&forced, b, v);
		else if (v->panic)
			add(&panic, b, v);
		else if (v->state == SL_HEALTH_DOWN && sl_report_is_frozen(c, v))
			add(&frozen, b, v);
		else
			add(&held, b, v);
	}
	if (panic.n)
		say(list, s->conf.name, "panic: too few backends are up, so that all are used",
		    &panic);
	if (forced.n)
		say(list, s->conf.name, "forced to be ready though health says otherwise", &forced);
	if (frozen.n)
		say(list, s->conf.name, "down, but used since automation is frozen", &frozen);
	if (held.n && !healthy)
		say(list, s->conf.name, "no backend is healthy", &held);
	return held.n && !healthy;
}
