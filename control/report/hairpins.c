/* SPDX-License-Identifier: BSD-2-Clause */
#include "hairpins.h"

#include <stdlib.h>

#include "../tables/counters.h"

struct seen {
	uint64_t count;
	uint32_t grown_ms;
	bool recent; /* it grew within SL_HAIRPINS_SHOWN_MS */
};

struct sl_hairpins {
	uint64_t total;
	uint32_t looked_ms;
	uint32_t n;
	struct seen *service; /* by id */
};

/* Makes room for all services of the model. The first call finds what was counted before this
 * process started: that isn't news. */
static bool make_room(struct sl_control *c, uint32_t now_ms)
{
	struct sl_hairpins *h = c->hairpins;
	uint32_t n = h ? h->n : 0;
	struct seen *grown;

	for (size_t i = 0; i < c->model->n; i++)
		if (c->model->service[i]->id >= n)
			n = c->model->service[i]->id + 1u;
	if (!h)
		h = c->hairpins = calloc(1, sizeof(*h));
	if (!h || n == h->n)
		return h;
	grown = realloc(h->service, n * sizeof(*grown));
	if (!grown)
		return false;
	for (uint32_t id = h->n; id < n; id++)
		grown[id] = (struct seen){ sl_stats_service(c, id).hairpin, now_ms, false };
	h->service = grown;
	h->n = n;
	return true;
}

static void look(struct sl_control *c, uint32_t now_ms)
{
	struct sl_hairpins *h = c->hairpins;
	uint64_t total = sl_stats_reason(c, SL_REASON_hairpin);

	for (uint32_t id = 0; id < h->n; id++)
		if (now_ms - h->service[id].grown_ms >= SL_HAIRPINS_SHOWN_MS)
			h->service[id].recent = false;
	for (size_t i = 0; total != h->total && i < c->model->n; i++) {
		struct seen *s = &h->service[c->model->service[i]->id];
		uint64_t count = sl_stats_service(c, c->model->service[i]->id).hairpin;

		if (count > s->count)
			*s = (struct seen){ count, now_ms, true };
	}
	h->total = total;
}

void sl_hairpins_tick(struct sl_control *c, uint32_t now_ms)
{
	if (c->hairpins && now_ms - c->hairpins->looked_ms < SL_HAIRPINS_LOOK_MS)
		return;
	if (!make_room(c, now_ms))
		return;
	c->hairpins->looked_ms = now_ms;
	look(c, now_ms);
}

bool sl_hairpins_refused(const struct sl_control *c, uint32_t service)
{
	return c->hairpins && service < c->hairpins->n && c->hairpins->service[service].recent;
}

void sl_hairpins_free(struct sl_control *c)
{
	if (c->hairpins)
		free(c->hairpins->service);
	free(c->hairpins);
	c->hairpins = NULL;
}
