/* SPDX-License-Identifier: BSD-2-Clause */
#include "records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/limits.h"
#include "../schedulers/scheduler.h"
#include "bank.h"
#include "counters.h"
#include "limit_records.h"
#include "modes.h"
#include "nat_pools.h"
#include "server_ids.h"

enum {
	OPENING_MS = 10000,
	CLOSING_MS = 30000,
	HALF_CLOSED_MS = 240000, /* RFC 5382, REQ-5 */
};

static uint64_t ticks(uint32_t ms)
{
	return (uint64_t)ms * 1000000u / SL_TICK_NS + 1;
}

struct sl_flow_timeouts sl_records_timeouts(const struct sl_config_service *conf)
{
	uint32_t idle = conf->idle_timeout_ms;
	uint32_t half = idle < HALF_CLOSED_MS ? idle : HALF_CLOSED_MS;

	return (struct sl_flow_timeouts){ .lifetime = {
						  [SL_FLOW_OPENING] = ticks(
							  idle < OPENING_MS ? idle : OPENING_MS),
						  [SL_FLOW_ESTABLISHED] =
							  ticks(idle + idle / 15) + 1,
						  [SL_FLOW_CLOSING] = ticks(
							  idle < CLOSING_MS ? idle : CLOSING_MS),
						  [SL_FLOW_HALF_CLOSED] =
							  ticks(half + half / 15) + 1,
					  } };
}

uint32_t sl_records_window_ms(const struct sl_config_service *conf)
{
	uint32_t idle = conf->idle_timeout_ms;

	return idle + (idle < CLOSING_MS ? idle : CLOSING_MS) / 16 + 3;
}

/* Lets the service's scheduler choose the backend of each slot. Returns 0 or -errno. */

static int fill(struct sl_model_service *s, uint32_t *cur)
{
	const struct sl_scheduler *scheduler = sl_scheduler_find(s->conf.scheduler);
	struct sl_candidate *candidate = calloc(s->n + 1, sizeof(*candidate));
	size_t n = 0;
	int err;

	if (!candidate)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct sl_model_backend *b = &s->backend[i];

		if (sl_backend_in_slots(b))
			candidate[n++] = (struct sl_candidate){
				.number = i + 1,
				.weight = b->weight * b->share,
				.identity = sl_candidate_identity(
					&b->addr, *s->conf.affinity_group ? 0 : b->port),
			};
	}
	err = scheduler ? scheduler->fill(cur, s->conf.table_size, candidate, n) : -EINVAL;
	if (!err && scheduler->cycle)
		s->cycle = scheduler->cycle(s->conf.table_size, candidate, n);
	free(candidate);
	return err;
}

/* Corrects open slots whose prev served nobody in the live generation, see sl_slots_disown().
 * Returns 0 or -ENOMEM. */
static int disown(struct sl_control *c, const struct sl_model_service *s, uint32_t *slot,
		  const uint32_t *cur)
{
	const struct sl_backend *live = c->store.base[SL_ARRAY_backends];
	uint32_t n = s->backends ? s->backends->n : 0;
	uint64_t *served, *serves;
	int err = -ENOMEM;

	served = calloc(SL_BACKENDS_PER_SERVICE / 64 + 1, sizeof(*served));
	serves = calloc(SL_BACKENDS_PER_SERVICE / 64 + 1, sizeof(*serves));
	if (!served || !serves)
		goto out;
	for (uint32_t i = 0; i < n && i < s->n; i++)
		if (live[s->backends->at + i].flags & SL_BACKEND_SERVES)
			sl_bit_set(served, i + 1);
	for (uint32_t i = 0; i < s->n; i++)
		if (sl_backend_serves(&s->backend[i]))
			sl_bit_set(serves, i + 1);
	sl_slots_disown(slot, s->conf.table_size, cur, served, serves);
	err = 0;
out:
	free(served);
	free(serves);
	return err;
}

/* Closes all slots. A flowless service tracks no flows, so its slots need no windows. */
static void close_all(uint32_t *slot, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		slot[i] = sl_slot(sl_slot_cur(slot[i]), 0, SL_SLOT_CLOSED);
}

/* Makes all pending changes of the service to a copy of its slots. Returns 0 or -errno. */
static int update_slots(struct sl_control *c, struct sl_model_service *s, uint32_t *slot,
			uint64_t generation)
{
	uint32_t now = sl_clock_ms();
	uint32_t n = s->conf.table_size;
	uint32_t *cur;
	int err = 0;

	if (s->rehash && s->slots) {
		sl_slots_mix(slot, n);
		s->mixed_in = generation;
	}
	if (s->unpick) {
		sl_slots_mix_closed(slot, n);
		s->mixed_in = generation;
	}
	if (s->disagree && !s->rehash && !s->unpick)
		sl_slots_reconcile(slot, n, s->disagree);
	if (s->close &&
	    sl_slots_close(slot, s->opened_ms, n, now, sl_records_window_ms(&s->conf), false))
		s->mixed_in = generation;
	if (s->refill) {
		cur = malloc(n * sizeof(*cur));
		if (!cur)
			return -ENOMEM;
		err = fill(s, cur);
		if (!err)
			err = disown(c, s, slot, cur);
		if (!err)
			sl_slots_move(slot, s->opened_ms, n, cur, now);
		free(cur);
	}
	if (s->conf.flowless)
		close_all(slot, n);
	return err;
}

/* Whether every flow that sent a packet within the window has an entry by now. */
static bool all_tracked(const struct sl_model_service *s, uint32_t now)
{
	return sl_service_tracks(s) && now - s->track_since_ms > sl_records_window_ms(&s->conf);
}

/* Copies the live slots to a new buffer of the configured size, which the caller frees. Returns 0
 * or -errno; -EBUSY: the table can't shrink now. */
static int copy_slots(struct sl_control *c, struct sl_model_service *s, uint32_t **slot,
		      uint64_t generation)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint32_t n = s->conf.table_size, now = sl_clock_ms();
	uint32_t *opened;
	int err;

	*slot = calloc(n, sizeof(**slot));
	if (!s->opened_ms)
		s->opened_ms = calloc(s->n_slots, sizeof(*s->opened_ms));
	if (!*slot || !s->opened_ms)
		return -ENOMEM;
	if (!s->slots)
		return 0;
	if (n == s->n_slots) {
		memcpy(*slot, sl_block_slots(blocks, s->slots->at), n * sizeof(**slot));
		return 0;
	}
	opened = calloc(n, sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	err = sl_slots_resize(sl_block_slots(blocks, s->slots->at), s->opened_ms, s->n_slots, *slot,
			      opened, n, all_tracked(s, now), now);
	free(s->opened_ms);
	s->opened_ms = opened;
	s->n_slots = n;
	s->mixed_in = generation;
	return err;
}

/* Notes which backends the slots name. For the others it notes `generation` as the first one in
 * which no slot does. */
static void note_slots(struct sl_model_service *s, const uint32_t *slot, uint64_t generation)
{
	uint64_t named[SL_BACKENDS_PER_SERVICE / 64 + 1] = { 0 };

	for (uint32_t i = 0; i < s->conf.table_size; i++) {
		sl_bit_set(named, sl_slot_cur(slot[i]));
		if (sl_slot_state(slot[i]) == SL_SLOT_OPEN)
			sl_bit_set(named, sl_slot_prev(slot[i]));
	}
	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (sl_bit(named, i + 1))
			b->no_row_since = 0;
		else if (!b->no_row_since)
			b->no_row_since = generation;
	}
}

static int no_room(const char *what, uint32_t needed, const struct sl_extents *pool, uint32_t unit,
		   char error[SL_ERROR_MAX])
{
	snprintf(error, SL_ERROR_MAX,
		 "no room for %u more %s in one piece (%u free at most; old ones rest until every "
		 "worker has moved on): raise capacity.%s",
		 needed * unit, what, sl_extents_room(pool) * unit, what);
	return -ENOSPC;
}

static int build_slots(struct sl_control *c, struct sl_model_service *s, uint64_t generation,
		       char error[SL_ERROR_MAX])
{
	struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];
	uint32_t records = s->conf.table_size / SL_SLOTS_PER_BLOCK;
	struct sl_extent *extent;
	uint32_t *slot = NULL;
	int err;

	if (s->rehash && s->slots && !all_tracked(s, sl_clock_ms())) {
		snprintf(error, SL_ERROR_MAX,
			 "service %s: affinity can't change now: every flow gets another row, and "
			 "flows without an entry break; set track = \"all\", and change it one "
			 "idle_timeout later",
			 s->conf.name);
		return -EBUSY;
	}
	err = copy_slots(c, s, &slot, generation);
	if (!err)
		err = update_slots(c, s, slot, generation);
	if (err) {
		snprintf(error, SL_ERROR_MAX,
			 err == -EBUSY
				 ? "service %s: table_size can't shrink now: rows of different "
				   "backends would become one and flows without an entry "
				   "break; set track = \"all\" and shrink it one idle_timeout "
				   "later"
				 : "service %s: its rows can't be made: %s",
			 s->conf.name, strerror(-err));
		goto out;
	}
	if (!s->slots || s->slots->n != records ||
	    memcmp(&blocks[s->slots->at], slot, records * sizeof(*blocks)) != 0) {
		extent = sl_extents_alloc(c->slots, records);
		if (!extent) {
			err = no_room("rows", records, c->slots, SL_SLOTS_PER_BLOCK, error);
			goto out;
		}
		memcpy(&blocks[extent->at], slot, records * sizeof(*blocks));
		sl_extent_unref(s->slots, sl_store_root(&c->store)->generation + 1);
		s->slots = extent;
	}
	note_slots(s, slot, generation);
	s->windows = sl_slots_count(slot, s->opened_ms, s->conf.table_size);
	if (!s->windows.open && !s->windows.mixed) {
		free(s->opened_ms);
		s->opened_ms = NULL;
	}
out:
	free(slot);
	return err;
}

/* Returns the record of a backend, all zeros if the number is free. */

static struct sl_backend backend_record(const struct sl_model_service *s,
					const struct sl_model_backend *b)
{
	struct sl_backend r = { 0 };

	if (b->state == SL_STATE_FREE)
		return r;
	r.addr = b->addr;
	r.egress = b->hop.port;
	r.link_bits = s->conf.forwards_hairpins ? 0 : (uint8_t)b->hop.link_bits;
	r.counter_id = b->counter_id;
	sl_mode_fill(&r, &s->conf, b);
	memcpy(r.dst_mac, b->hop.dst_mac, 6);
	memcpy(r.src_mac, b->hop.src_mac, 6);
	if (sl_backend_serves(b))
		r.flags |= SL_BACKEND_SERVES;
	if (b->state == SL_STATE_READY)
		r.flags |= SL_BACKEND_TAKES_NEW;
	if (b->hop.kind == SL_ROUTE_VIA && sl_mode_reaches(&s->conf, b))
		r.flags |= SL_BACKEND_RESOLVED;
	else if (b->hop.kind != SL_ROUTE_ASK)
		r.flags |= SL_BACKEND_NO_ROUTE;
	return r;
}

static bool same_backends(const struct sl_model_service *s, const struct sl_backend *pool)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_backend r = backend_record(s, &s->backend[i]);

		if (memcmp(&pool[s->backends->at + i], &r, sizeof(r)) != 0)
			return false;
	}
	return true;
}

static int build_backends(struct sl_control *c, struct sl_model_service *s,
			  char error[SL_ERROR_MAX])
{
	struct sl_backend *pool = c->store.base[SL_ARRAY_backends];
	struct sl_extent *extent;
	uint32_t n;

	while (s->n && s->backend[s->n - 1].state == SL_STATE_FREE)
		s->n--; /* free numbers at the end need no record */
	n = s->n ? s->n : 1;
	if (s->backends && s->backends->n == n && same_backends(s, pool))
		return 0;
	extent = sl_extents_alloc(c->backends, n);
	if (!extent)
		return no_room("backends", n, c->backends, 1, error);
	for (uint32_t i = 0; i < s->n; i++)
		pool[extent->at + i] = backend_record(s, &s->backend[i]);
	sl_extent_unref(s->backends, sl_store_root(&c->store)->generation + 1);
	s->backends = extent;
	return 0;
}

/* Notes which backends a server id leads to, and for the others since when none does. */
static void note_ids(struct sl_model_service *s, uint64_t generation)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (sl_servers_name(s, i + 1))
			b->no_id_since = 0;
		else if (!b->no_id_since)
			b->no_id_since = generation;
	}
}

static int build_service(struct sl_control *c, struct sl_model_service *s, uint64_t generation,
			 char error[SL_ERROR_MAX])
{
	int err = 0;

	if (!s->slots || s->refill || s->rehash || s->unpick || s->close || s->disagree ||
	    s->n_slots != s->conf.table_size)
		err = build_slots(c, s, generation, error);
	if (!err && (!s->backends || s->rewrite))
		err = build_backends(c, s, error);
	if (!err)
		err = sl_limit_records_build(c, s, error);
	if (!err)
		err = sl_server_ids_build(c, s, error);
	if (!err)
		err = sl_nat_pools_build(c, s, error);
	note_ids(s, generation);
	free(s->disagree);
	s->disagree = NULL;
	s->refill = s->rewrite = s->rehash = s->unpick = false;
	return err;
}

static int by_size(const void *a, const void *b)
{
	const struct sl_model_service *const *x = a, *const *y = b;

	return ((*x)->conf.table_size < (*y)->conf.table_size) -
	       ((*x)->conf.table_size > (*y)->conf.table_size);
}

/* Builds the services that were edited, those with the largest tables first, while free space is
 * still in one piece. */
static int build_services(struct sl_control *c, const struct sl_model *m, uint64_t generation,
			  char error[SL_ERROR_MAX])
{
	struct sl_model_service **edited = calloc(m->n + 1, sizeof(struct sl_model_service *));
	size_t n = 0;
	int err = edited ? 0 : -ENOMEM;

	for (size_t i = 0; edited && i < m->n; i++)
		if (m->service[i]->refs == 1)
			edited[n++] = m->service[i];
	if (n)
		qsort(edited, n, sizeof(struct sl_model_service *), by_size);
	for (size_t i = 0; i < n && !err; i++)
		err = build_service(c, edited[i], generation, error);
	free(edited);
	return err;
}

/* Compares the model with the capacities of the configuration. The arrays themselves hold more,
 * because replaced records stay in quarantine. Returns 0, or -ENOSPC with a message. */
static int check_capacity(const struct sl_control *c, const struct sl_model *m,
			  char error[SL_ERROR_MAX])
{
	const struct sl_config_capacity *capacity = &c->config.capacity;
	uint32_t backends = sl_model_serving_backends(m), limits = sl_limits_count(m);
	uint32_t exceptions = sl_limits_count_exceptions(m);

	if (m->n > capacity->services)
		snprintf(error, SL_ERROR_MAX,
			 "no room for %zu services: raise capacity.services (%u)", m->n,
			 capacity->services);
	else if (backends > capacity->backends)
		snprintf(error, SL_ERROR_MAX,
			 "no room for %u backends of all services together: raise "
			 "capacity.backends (%u)",
			 backends, capacity->backends);
	else if (limits > capacity->limits)
		snprintf(error, SL_ERROR_MAX,
			 "no room for %u limits of all services together: raise capacity.limits "
			 "(%u)",
			 limits, capacity->limits);
	else if (exceptions > capacity->exceptions)
		snprintf(error, SL_ERROR_MAX,
			 "no room for %u clients and flows with a rate of their own: raise "
			 "capacity.exceptions (%u)",
			 exceptions, capacity->exceptions);
	else
		return 0;
	return -ENOSPC;
}

/* Notes since which generation each id in quarantine belongs to no service. */
static void note_resting(struct sl_model *m, uint64_t generation)
{
	for (uint32_t id = 1; id < m->n_ids; id++) {
		if (!sl_bit(m->quarantined, id))
			m->resting_since[id] = 0;
		else if (!m->resting_since[id])
			m->resting_since[id] = generation;
	}
}

int sl_records_build(struct sl_control *c, struct sl_model *m, uint64_t generation,
		     char error[SL_ERROR_MAX])
{
	int err = check_capacity(c, m, error);

	note_resting(m, generation);
	if (!err)
		err = build_services(c, m, generation, error);
	return err ? err : sl_bank_build(c, m, generation, error);
}

bool sl_records_may_close(const struct sl_control *c, const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_model_service *s = m->service[i];

		if (s->close && sl_stats_service(c, s->id).untrackable != s->failed)
			return false;
	}
	return true;
}

/* Sets timeouts one word at a time, because engines read them at any time. lower: sets also those
 * that are lower than now. */
static void set_timeouts(struct sl_flow_timeouts *to, const struct sl_flow_timeouts *from,
			 bool lower)
{
	for (int i = 0; i < SL_FLOW_STATES; i++)
		if (lower || from->lifetime[i] > to->lifetime[i])
			__atomic_store_n(&to->lifetime[i], from->lifetime[i], __ATOMIC_RELAXED);
}

void sl_records_begin(struct sl_control *c, struct sl_model *m)
{
	struct sl_flow_timeouts *timeouts = c->store.base[SL_ARRAY_flow_timeouts];
	struct sl_schedule *schedule = c->store.base[SL_ARRAY_schedules];

	for (size_t i = 0; i < m->n; i++) {
		struct sl_model_service *s = m->service[i];
		struct sl_flow_timeouts desired = sl_records_timeouts(&s->conf);

		set_timeouts(&timeouts[s->id], &desired, false);
		__atomic_store_n(&schedule[s->id].cycle, s->cycle, __ATOMIC_RELAXED);
		for (uint32_t k = 0; s->refs == 1 && k < s->n; k++) {
			if (s->backend[k].fresh)
				sl_stats_begin(c, s->backend[k].counter_id);
			s->backend[k].fresh = false;
		}
		for (uint32_t k = 0; s->refs == 1 && k < s->n_limits; k++) {
			if (s->limit[k].fresh)
				sl_limit_records_begin(c, s, &s->limit[k]);
			s->limit[k].fresh = false;
		}
	}
}

void sl_records_set_final_timeouts(struct sl_control *c, struct sl_model *m)
{
	static const struct sl_flow_timeouts none;
	struct sl_flow_timeouts *timeouts = c->store.base[SL_ARRAY_flow_timeouts];

	for (size_t i = 0; i < m->n; i++) {
		struct sl_flow_timeouts desired = sl_records_timeouts(&m->service[i]->conf);

		set_timeouts(&timeouts[m->service[i]->id], &desired, true);
		m->service[i]->close = false;
	}
	for (uint32_t id = 1; id < m->n_ids; id++)
		if (sl_bit(m->quarantined, id))
			set_timeouts(&timeouts[id], &none, true);
}
