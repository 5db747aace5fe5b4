/* SPDX-License-Identifier: BSD-2-Clause */
#include "drains.h"

#include <string.h>
#include <time.h>

#include "../desired/layers.h"
#include "../desired/operators.h"
#include "../tables/records.h"

enum { COUNTED_MS = 3000 };

/* Returns for how long, in ms, flows without an entry may belong to the backend: until the last
 * slot that it had closes. -1: there are none. */
static int64_t unknown_for_ms(const struct sl_control *c, const struct sl_model_service *s,
			      uint32_t number)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint32_t window = sl_records_window_ms(&s->conf), now = sl_clock_ms();
	const uint32_t *slot = s->slots ? sl_block_slots(blocks, s->slots->at) : NULL;
	int64_t most = -1;

	if (sl_service_tracks(s) && now - s->track_since_ms > window)
		return -1;
	for (uint32_t i = 0; slot && s->opened_ms && i < s->n_slots; i++) {
		int64_t left = (int64_t)window - (int64_t)(uint32_t)(now - s->opened_ms[i]);

		if (sl_slot_state(slot[i]) != SL_SLOT_OPEN || sl_slot_prev(slot[i]) != number)
			continue;
		if (left < 0) /* it is about to close, or inserts fail */
			left = 0;
		if (left > most)
			most = left;
	}
	return most;
}

static void report_end(json_t *o, const struct sl_drain *d)
{
	uint64_t now = (uint64_t)time(NULL);

	if (!d || sl_drain_is_forgotten(d, now))
		return;
	json_object_set_new(o, "end", json_string(sl_drain_end_text(d->end)));
	json_object_set_new(o, "then_remove", json_boolean(d->then_remove));
	if (d->end != SL_DRAIN_RUNS) {
		json_object_set_new(o, "ended_s", json_integer((json_int_t)(now - d->ended)));
		json_object_set_new(o, "took_s", json_integer((json_int_t)sl_drain_took(d)));
		json_object_set_new(o, "left", json_integer(d->left));
	} else if (d->deadline) {
		json_object_set_new(
			o, "deadline_s",
			json_integer(d->deadline > now ? (json_int_t)(d->deadline - now) : 0));
	}
}

static json_t *row(const char *service, const char *name, const union sl_addr *addr, uint16_t port)
{
	char text[SL_ADDR_TEXT];

	return json_pack("{s:s, s:s, s:s, s:i}", "service", service, "name", name, "address",
			 sl_addr_format(addr, text), "port", (int)port);
}

static void report_backend(const struct sl_control *c, const struct sl_model_service *s,
			   uint32_t number, json_t *list)
{
	const struct sl_model_backend *b = &s->backend[number - 1];
	int64_t unknown = b->cut ? -1 : unknown_for_ms(c, s, number);
	json_t *o = row(s->conf.name, b->name, &b->addr, b->port);

	json_object_set_new(o, "state",
			    json_string(b->state == SL_STATE_LEAVING ? "leaving"
					: b->maintenance	     ? "maintenance"
					: sl_backend_drained(b)	     ? "drained"
								     : "draining"));
	json_object_set_new(o, "connections_left",
			    b->counted ? json_integer(b->connections) : json_null());
	if (unknown >= 0)
		json_object_set_new(o, "unknown_for_ms", json_integer(unknown));
	report_end(o,
		   sl_drain_find(sl_operators_find(c->operators, s->conf.name), &b->addr, b->port));
	json_array_append_new(list, o);
}

/* Whether operators or the file let it drain, not health alone. */
static bool drains(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_LEAVING ||
	       (b->state == SL_STATE_DRAINING && b->held & ~(1u << SL_LAYER_HEALTH));
}

/* Whether the backend of an ended drain is in no row yet. */
static bool is_removed(const struct sl_control *c, const char *service, const struct sl_drain *d)
{
	int at = sl_model_find(c->model, service);

	return (d->end == SL_DRAIN_REMOVED || d->end == SL_DRAIN_CUT) &&
	       !sl_drain_is_forgotten(d, (uint64_t)time(NULL)) &&
	       (at < 0 || !sl_service_endpoint(c->model->service[at], &d->addr, d->port));
}

json_t *sl_report_drains(struct sl_control *c)
{
	json_t *list = json_array(), *o;

	c->count_until_ns = sl_clock_ns() + COUNTED_MS * 1000000ull;
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];

		for (uint32_t k = 0; k < s->n; k++)
			if (drains(&s->backend[k]))
				report_backend(c, s, k + 1, list);
	}
	for (size_t i = 0; i < c->operators->n; i++) {
		const struct sl_operator_service *s = &c->operators->service[i];

		for (size_t k = 0; k < s->n_drains; k++) {
			const struct sl_drain *d = &s->drain[k];

			if (!is_removed(c, s->name, d))
				continue;
			o = row(s->name, d->name, &d->addr, d->port);
			json_object_set_new(o, "state", json_string("removed"));
			report_end(o, d);
			json_array_append_new(list, o);
		}
	}
	return list;
}
