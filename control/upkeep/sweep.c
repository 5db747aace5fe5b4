/* SPDX-License-Identifier: BSD-2-Clause */
#include "sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tables/counters.h"
#include "../tables/liveness.h"
#include "../tables/publish.h"
#include "../tables/records.h"
#include "pass.h"

enum {
	GRACE_MS = SL_FLOW_GRACE / (1000000 >> SL_TICK_SHIFT),
	REST_MS = 200,	 /* between passes; twice the grace, so that each pass finds more */
	CLOSE_MS = 1000, /* between publishes that close windows */
	RETRY_MS = 1000, /* after a publish that failed */
	COUNT_MS = 1000, /* between passes that only count */
};

struct watch { /* failed inserts of a service */
	uint64_t untrackable;
	uint32_t since_ms;
	bool ever;
};

struct sl_sweep {
	struct sl_control *c;
	struct sl_pass *pass;
	struct watch *watch;
	char failure[SL_ERROR_MAX]; /* message of the last publish that failed, as logged */
	bool retries;
	uint32_t failed_ms;
	uint32_t closed_ms; /* when windows were last closed */
	bool closed;
	uint32_t rested_ms; /* when the last pass ended */
	/* Every engine works with `reached` or a later generation. At noted_ms all workers had
	 * reached `noted`. When the grace has passed since then, every engine has reached it. */
	uint64_t reached;
	uint64_t noted;
	uint32_t noted_ms;
	uint64_t began; /* the value of `reached` when the pass began */
};

void sl_sweep_free(struct sl_sweep *s)
{
	if (!s)
		return;
	sl_pass_free(s->pass);
	free(s->watch);
	free(s);
}

struct sl_sweep *sl_sweep_new(struct sl_control *c)
{
	struct sl_sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->c = c;
	s->pass = sl_pass_new(c);
	s->watch = calloc(c->store.count[SL_ARRAY_flow_timeouts], sizeof(*s->watch));
	if (!s->pass || !s->watch) {
		sl_sweep_free(s);
		return NULL;
	}
	return s;
}

/* A publish that has failed will fail again for a while. So it is tried once a second, and the same
 * message is logged once. */
static void published(void *context, int err, const struct sl_published *out, const char *error)
{
	struct sl_sweep *s = context;

	(void)out;
	s->retries = err && err != -EAGAIN;
	if (!err)
		s->failure[0] = '\0';
	if (!s->retries)
		return;
	s->failed_ms = sl_clock_ms();
	if (strcmp(error, s->failure) == 0)
		return;
	sl_log("%s", error);
	snprintf(s->failure, sizeof(s->failure), "%s", error);
}

static void publish(struct sl_sweep *s, struct sl_model *next)
{
	sl_publish_begin(s->c, next, published, s);
}

/* Notes which generation every engine has reached, once the grace has passed. */

static void note_reached(struct sl_sweep *s)
{
	uint32_t now = sl_clock_ms();

	if (now - s->noted_ms < GRACE_MS)
		return;
	if (s->noted > s->reached)
		s->reached = s->noted;
	s->noted = sl_workers_reached(s->c);
	s->noted_ms = now;
}

/* Whether an insert failed within the last window, so that windows must stay open. */
static bool must_hold(struct sl_sweep *s, const struct sl_model_service *service, uint32_t now)
{
	struct watch *w = &s->watch[service->id];
	uint64_t failed = sl_stats_service(s->c, service->id).untrackable;

	if (failed != w->untrackable) {
		w->untrackable = failed;
		w->since_ms = now;
		w->ever = true;
	}
	return w->ever && now - w->since_ms < sl_records_window_ms(&service->conf);
}

static bool has_learnt(const struct sl_model_service *service, uint32_t now)
{
	return service->learns &&
	       now - service->track_since_ms > sl_records_window_ms(&service->conf);
}

/* Closes the windows that have passed, those of all services in one publish. */
static void close_windows(struct sl_sweep *s)
{
	struct sl_control *c = s->c;
	uint32_t now = sl_clock_ms();
	struct sl_model *next = NULL;

	if (s->closed && now - s->closed_ms < CLOSE_MS)
		return;
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *service = c->model->service[i];
		bool close =
			service->windows.open && !must_hold(s, service, now) &&
			now - service->windows.earliest_ms >= sl_records_window_ms(&service->conf);
		struct sl_model_service *edited;

		if (!close && !has_learnt(service, now))
			continue;
		if (!next)
			next = sl_model_clone(c->model);
		edited = next ? sl_model_edit(next, i) : NULL;
		if (!edited)
			continue;
		if (has_learnt(service, now))
			edited->learns = false;
		edited->close = close;
		edited->failed = s->watch[service->id].untrackable;
	}
	if (!next)
		return;
	s->closed = true;
	s->closed_ms = now;
	publish(s, next);
}

/* Whether every engine has reached this generation; 0 means none. */

static bool is_reached(uint64_t generation, uint64_t reached)
{
	return generation && generation <= reached;
}

/* Whether no engine enters flows under the backend's number any more. A server id that leads to a
 * backend that is leaving is no obstacle, because it does so until the backend is gone. */
static bool is_past(const struct sl_model_backend *b, uint64_t reached)
{
	return is_reached(b->no_row_since, reached) &&
	       (is_reached(b->no_id_since, reached) ||
		(!b->no_id_since && b->state != SL_STATE_GONE));
}

static bool may_go(const struct sl_model_backend *b, uint64_t reached)
{
	return ((b->state == SL_STATE_DRAINING && b->named) || b->state == SL_STATE_LEAVING ||
		b->state == SL_STATE_GONE) &&
	       is_past(b, reached);
}

static bool needs_pass(const struct sl_sweep *s)
{
	const struct sl_model *m = s->c->model;

	for (uint32_t id = 1; id < m->n_ids; id++)
		if (sl_bit(m->quarantined, id) && is_reached(m->resting_since[id], s->reached))
			return true;
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_model_service *service = m->service[i];

		if (service->windows.mixed && service->mixed_in <= s->reached)
			return true;
		for (uint32_t k = 0; k < service->n; k++)
			if (may_go(&service->backend[k], s->reached))
				return true;
	}
	return false;
}

static bool drains(const struct sl_model_backend *b)
{
	return b->state == SL_STATE_DRAINING || b->state == SL_STATE_LEAVING;
}

/* Whether somebody wants to know how many connections are left. */
static bool wants_count(const struct sl_sweep *s)
{
	const struct sl_model *m = s->c->model;
	if (sl_clock_ns() > s->c->count_until_ns || sl_clock_ms() - s->rested_ms < COUNT_MS)
		return false;
	for (size_t i = 0; i < m->n; i++)
		for (uint32_t k = 0; k < m->service[i]->n; k++)
			if (drains(&m->service[i]->backend[k]))
				return true;
	return false;
}

/* Notes the counts in the live model. They are never published. */
static void take_counts(const struct sl_sweep *s, struct sl_model_service *live)
{
	for (uint32_t k = 0; k < live->n; k++) {
		struct sl_model_backend *b = &live->backend[k];

		if (!drains(b))
			continue;
		b->connections = sl_pass_count(s->pass, live->id, k + 1);
		b->counted = true;
	}
}

/* Whether some mixed slot can be closed. */

static bool can_reconcile(const struct sl_control *c, const struct sl_model_service *service,
			  const uint64_t *disagree)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	const uint32_t *slot = sl_block_slots(blocks, service->slots->at);

	for (uint32_t i = 0; disagree && i < service->conf.table_size; i++)
		if (sl_slot_state(slot[i]) == SL_SLOT_MIXED && !sl_bit(disagree, i))
			return true;
	return false;
}

/* Closes the mixed slots of a service with which no entry disagrees. Returns true if `next` must be
 * published for it. */
static bool reconcile_slots(struct sl_sweep *s, struct sl_model *next, size_t index)
{
	const struct sl_model_service *live = s->c->model->service[index];
	uint64_t *disagree = sl_pass_take_disagree(s->pass, live);
	struct sl_model_service *edited =
		can_reconcile(s->c, live, disagree) ? sl_model_edit(next, index) : NULL;

	if (!edited) {
		free(disagree);
		return false;
	}
	edited->disagree = disagree;
	return true;
}

/* Marks the backends that nothing names any more as drained, in the live model. That is never
 * published. */
static void mark_drained(struct sl_sweep *s, struct sl_model_service *live)
{
	for (uint32_t k = 0; k < live->n; k++)
		if (may_go(&live->backend[k], s->began) && !sl_pass_names(s->pass, live->id, k + 1))
			live->backend[k].named = false;
}

/* Releases a backend that no slot and no flow names. While a server id leads to it, new entries may
 * come at any moment. So it becomes gone first, and free when every engine has reached that. */
static void release(struct sl_sweep *s, struct sl_model *next, struct sl_model_service *edited,
		    struct sl_model_backend *b)
{
	uint64_t generation = sl_store_root(&s->c->store)->generation;

	if (!b->no_id_since) {
		sl_backend_set_state(edited, b, SL_STATE_GONE);
		return;
	}
	sl_log("service %s: backend %s is gone", edited->conf.name, b->name);
	sl_bit_clear(next->counter_ids, b->counter_id);
	*b = (struct sl_model_backend){ .state = SL_STATE_FREE, .freed = generation + 1 };
	edited->rewrite = true;
}

/* Releases the backends of a service that nothing names. Returns true if `next` must be published
 * for it. */
static bool release_backends(struct sl_sweep *s, struct sl_model *next, size_t index)
{
	struct sl_model_service *live = s->c->model->service[index], *edited;
	bool any = false;

	mark_drained(s, live);
	for (uint32_t k = 0; k < live->n; k++) {
		const struct sl_model_backend *b = &live->backend[k];

		if (b->state == SL_STATE_DRAINING || !may_go(b, s->began) ||
		    sl_pass_names(s->pass, live->id, k + 1))
			continue;
		edited = sl_model_edit(next, index);
		if (!edited)
			break;
		release(s, next, edited, &edited->backend[k]);
		any = true;
	}
	return any;
}

/* Releases the service ids that no entry names. Returns true if `next` must be published for it. */
static bool release_ids(struct sl_sweep *s, struct sl_model *next)
{
	bool any = false;

	for (uint32_t id = 1; id < next->n_ids; id++) {
		if (!sl_bit(next->quarantined, id) ||
		    !is_reached(next->resting_since[id], s->began) ||
		    sl_pass_meets(s->pass, (uint16_t)id))
			continue;
		sl_bit_clear(next->quarantined, id);
		sl_bit_clear(next->ids, id);
		any = true;
	}
	return any;
}

static void finish_pass(struct sl_sweep *s)
{
	struct sl_control *c = s->c;
	struct sl_model *next = sl_model_clone(c->model);
	bool any = false;

	for (size_t i = 0; next && i < c->model->n; i++) {
		if (sl_pass_knows(s->pass, c->model->service[i]->id))
			take_counts(s, c->model->service[i]);
		if (!sl_pass_tells(s->pass, c->model->service[i]->id))
			continue;
		any |= release_backends(s, next, i);
		any |= reconcile_slots(s, next, i);
	}
	if (next)
		any |= release_ids(s, next);
	sl_pass_end(s->pass);
	s->rested_ms = sl_clock_ms();
	if (any)
		publish(s, next);
	else
		sl_model_free(next, 0);
}

static void begin_pass(struct sl_sweep *s)
{
	if (sl_clock_ms() - s->rested_ms < REST_MS || (!needs_pass(s) && !wants_count(s)))
		return;
	s->began = s->reached;
	sl_pass_begin(s->pass, s->began);
}

void sl_sweep_tick(struct sl_sweep *s)
{
	struct sl_control *c = s->c;

	note_reached(s);
	if (sl_publishing(c) || (s->retries && sl_clock_ms() - s->failed_ms < RETRY_MS))
		return;
	if (!sl_pass_is_under_way(s->pass)) {
		close_windows(s);
		if (sl_publishing(c))
			return;
		begin_pass(s);
	}
	if (sl_pass_is_under_way(s->pass) && sl_pass_read(s->pass))
		finish_pass(s);
}
