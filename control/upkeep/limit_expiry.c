/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_expiry.h"

#include <time.h>

#include "../desired/changes.h"
#include "../transaction/transaction.h"

enum { RETRY_MS = 1000 };

static bool ended(const struct sl_model_exception *e, uint64_t now)
{
	return e->until && e->until <= now;
}

static bool any_ended(const struct sl_model *m, uint64_t now)
{
	for (size_t i = 0; i < m->n; i++)
		for (uint32_t k = 0; k < m->service[i]->n_exceptions; k++)
			if (ended(&m->service[i]->exception[k], now))
				return true;
	return false;
}

static void note_ended(const struct sl_model_service *s, uint64_t now, json_t *changes)
{
	char text[SL_SUBJECT_TEXT];

	for (uint32_t i = 0; i < s->n_exceptions; i++) {
		const struct sl_model_exception *e = &s->exception[i];
		struct sl_live_limit l = { .addr = e->addr, .port = e->port };

		for (uint32_t k = 0; k < s->n_limits; k++)
			if (s->limit[k].id == e->limit)
				l.limit = s->limit[k].conf;
		if (ended(e, now))
			sl_note(changes, "service %s: the rate of %s has ended", s->conf.name,
				sl_live_limit_subject(&l, text));
	}
}

static void settle(struct sl_transaction *t)
{
	struct sl_control *c = t->c;

	if (t->err && !c->limits_failed)
		sl_log("rates that have ended: %s", t->error);
	c->limits_failed = t->err != 0;
	c->limits_failed_ms = sl_clock_ms();
}

static void quiet(struct sl_transaction *t)
{
	(void)t; /* settle() has logged the error, once */
}

/* Publishes without the rates that have ended. They have no effect in the layers any more, so it is
 * enough to compute the limits from the layers again. */
void sl_limit_expiry_tick(struct sl_control *c)
{
	uint64_t now = (uint64_t)time(NULL);
	struct sl_transaction *t;

	if (sl_publishing(c) ||
	    (c->limits_failed && sl_clock_ms() - c->limits_failed_ms < RETRY_MS) ||
	    !any_ended(c->model, now))
		return;
	t = sl_transaction_begin(c, "limit.expire", "time");
	if (!t)
		return;
	for (size_t i = 0; i < c->model->n; i++)
		note_ended(c->model->service[i], now, t->changes);
	t->settle = settle;
	t->ended = quiet;
	sl_transaction_run(t);
}
