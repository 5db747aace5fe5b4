/* SPDX-License-Identifier: BSD-2-Clause */
#include "drain_end.h"

#include <string.h>
#include <time.h>

#include "../desired/changes.h"
#include "../transaction/cut.h"

enum { RETRY_MS = 1000, COUNTED_MS = 3000 };

static const struct sl_model_backend *draining(const struct sl_model_service *s,
					       const struct sl_drain *d)
{
	const struct sl_model_backend *b = sl_service_endpoint(s, &d->addr, d->port);

	return b && b->state == SL_STATE_DRAINING ? b : NULL;
}

/* Whether the host is drained in all services of the affinity group. */
static bool group_drained(const struct sl_model *m, const struct sl_model_service *s,
			  const struct sl_drain *d)
{
	for (size_t i = 0; *s->conf.affinity_group && i < m->n; i++) {
		const struct sl_model_service *other = m->service[i];

		if (strcmp(other->conf.affinity_group, s->conf.affinity_group) != 0)
			continue;
		for (uint32_t k = 0; k < other->n; k++)
			if (sl_addr_equal(&other->backend[k].addr, &d->addr) &&
			    other->backend[k].state == SL_STATE_DRAINING &&
			    !sl_backend_drained(&other->backend[k]))
				return false;
	}
	return true;
}

/* Returns how the drain ends now; SL_DRAIN_RUNS: it doesn't yet. */
static enum sl_drain_end end_of(const struct sl_model *m, const char *service,
				const struct sl_drain *d, uint64_t now)
{
	int at = d->end == SL_DRAIN_RUNS ? sl_model_find(m, service) : -1;
	const struct sl_model_backend *b = at < 0 ? NULL : draining(m->service[at], d);

	if (!b)
		return SL_DRAIN_RUNS;
	if (sl_backend_drained(b) && group_drained(m, m->service[at], d))
		return d->then_remove ? SL_DRAIN_REMOVED : SL_DRAIN_DRAINED;
	if (d->deadline && now > d->deadline) /* a whole second, so that it is never early */
		return d->then_remove ? SL_DRAIN_CUT : SL_DRAIN_EXPIRED;
	return SL_DRAIN_RUNS;
}

/* Whether one ends now. Asks for their connections to be counted as long as one runs. */
static bool any_ends(struct sl_control *c, uint64_t now)
{
	bool ends = false;

	for (size_t i = 0; i < c->operators->n; i++) {
		const struct sl_operator_service *s = &c->operators->service[i];

		for (size_t k = 0; k < s->n_drains; k++) {
			if (s->drain[k].end == SL_DRAIN_RUNS)
				c->count_until_ns = sl_clock_ns() + COUNTED_MS * 1000000ull;
			ends |= end_of(c->model, s->name, &s->drain[k], now) != SL_DRAIN_RUNS;
		}
	}
	return ends;
}

static void note_end(const struct sl_operator_service *s, const struct sl_drain *d, json_t *changes)
{
	unsigned long long took = sl_drain_took(d);
	const char *name = d->name;

	switch (d->end) {
	case SL_DRAIN_DRAINED:
	case SL_DRAIN_REMOVED:
		sl_note(changes, "service %s: backend %s: drained after %llu s%s", s->name, name,
			took, d->then_remove ? ", and removed" : "");
		break;
	case SL_DRAIN_EXPIRED:
		sl_note(changes,
			"service %s: backend %s: not drained within %llu s, goes on draining: %u "
			"connections are left",
			s->name, name, took, d->left);
		break;
	default:
		sl_note(changes,
			"service %s: backend %s: not drained within %llu s, removed: %u "
			"connections were cut",
			s->name, name, took, d->left);
	}
}

static void end_one(struct sl_transaction *t, struct sl_operator_service *s, struct sl_drain *d,
		    enum sl_drain_end end, uint64_t now)
{
	const struct sl_model *m = t->c->model;
	const struct sl_model_backend *b = draining(m->service[sl_model_find(m, s->name)], d);
	struct sl_operator_backend *w;

	d->end = end;
	d->ended = now;
	d->left = end == SL_DRAIN_EXPIRED || end == SL_DRAIN_CUT ? b->connections : 0;
	note_end(s, d, t->changes);
	w = d->then_remove ? sl_operator_backend_get(s, &d->addr, d->port) : NULL;
	if (w)
		sl_operator_backend_remove(w, end == SL_DRAIN_CUT);
}

static void settle(struct sl_transaction *t)
{
	struct sl_control *c = t->c;

	if (t->err && !c->drains_failed)
		sl_log("drains that have ended: %s", t->error);
	c->drains_failed = t->err != 0;
	c->drains_failed_ms = sl_clock_ms();
}

static void quiet(struct sl_transaction *t)
{
	(void)t; /* settle() has logged the error, once */
}

void sl_drain_end_tick(struct sl_control *c)
{
	uint64_t now = (uint64_t)time(NULL);
	struct sl_transaction *t;

	if (sl_publishing(c) ||
	    (c->drains_failed && sl_clock_ms() - c->drains_failed_ms < RETRY_MS) ||
	    !any_ends(c, now))
		return;
	t = sl_transaction_begin(c, "drain.end", "time");
	if (!t)
		return;
	for (size_t i = 0; i < t->operators->n; i++) {
		struct sl_operator_service *s = &t->operators->service[i];

		for (size_t k = 0; k < s->n_drains; k++) {
			enum sl_drain_end end = end_of(c->model, s->name, &s->drain[k], now);

			if (end != SL_DRAIN_RUNS)
				end_one(t, s, &s->drain[k], end, now);
		}
	}
	t->adjust = sl_cut_removed;
	t->settle = settle;
	t->ended = quiet;
	sl_transaction_run(t);
}
