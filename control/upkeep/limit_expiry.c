/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_expiry.h"

#include <time.h>

#include "../desired/apply_limits.h"
#include "../desired/overrides.h"
#include "../tables/publish.h"

enum { RETRY_MS = 1000 };

static bool any_ended(const struct sl_model_service *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->n_exceptions; i++)
		if (s->exception[i].until && s->exception[i].until <= now)
			return true;
	return false;
}

static void log_ended(const struct sl_model_service *s, uint64_t now)
{
	char text[SL_SUBJECT_TEXT];

	for (uint32_t i = 0; i < s->n_exceptions; i++) {
		const struct sl_model_exception *e = &s->exception[i];
		struct sl_live_limit l = { .addr = e->addr, .port = e->port };

		for (uint32_t k = 0; k < s->n_limits; k++)
			if (s->limit[k].id == e->limit)
				l.limit = s->limit[k].conf;
		if (e->until && e->until <= now)
			sl_log("service %s: the rate of %s has ended", s->conf.name,
			       sl_live_limit_subject(&l, text));
	}
}

/* The overrides themselves are pruned once that is live. */
static int end_all(struct sl_control *c, uint64_t now, char error[SL_ERROR_MAX])
{
	struct sl_model *next = sl_model_clone(c->model);
	struct sl_published out;
	int err = next ? 0 : -ENOMEM;

	for (size_t i = 0; next && i < next->n && !err; i++) {
		struct sl_model_service *s = next->service[i];
		bool tracked;

		if (!any_ended(s, now))
			continue;
		log_ended(s, now);
		s = sl_model_edit(next, i);
		tracked = s && sl_service_tracks(s);
		err = s ? sl_limits_apply(c, next, s, &s->conf,
					  sl_live_limits(c->overrides, s->conf.name), NULL, error)
			: -ENOMEM;
		if (!err && !tracked)
			sl_service_begin_tracking(s, sl_clock_ms());
	}
	if (err) {
		sl_model_free(next, 0);
		return err;
	}
	err = sl_publish(c, next, &out, error);
	if (err)
		return err;
	sl_overrides_prune(c);
	return sl_overrides_save(c, error);
}

void sl_limit_expiry_tick(struct sl_control *c)
{
	uint64_t now = (uint64_t)time(NULL);
	char error[SL_ERROR_MAX] = "";
	bool any = false;

	if (c->limits_failed && sl_clock_ms() - c->limits_failed_ms < RETRY_MS)
		return;
	for (size_t i = 0; i < c->model->n && !any; i++)
		any = any_ended(c->model->service[i], now);
	if (!any || end_all(c, now, error) == 0) {
		c->limits_failed = false;
		return;
	}
	if (!c->limits_failed)
		sl_log("%s", error);
	c->limits_failed = true;
	c->limits_failed_ms = sl_clock_ms();
}
