/* SPDX-License-Identifier: BSD-2-Clause */
#include "records.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../dataplane/abi/csum.h"
#include "place.h"
#include "schedulers/scheduler.h"

enum {
	OPENING_MS = 10000,
	CLOSING_MS = 30000,
	SEEDS_TRIED = 32,
};

static uint32_t ticks(uint32_t ms)
{
	return (uint32_t)((uint64_t)ms * 1000000u / SL_TICK_NS) + 1;
}

struct sl_terms sl_records_terms(const struct sl_config_service *conf)
{
	uint32_t idle = conf->idle_timeout_ms;

	return (struct sl_terms){ .lifetime = {
					  [SL_FLOW_OPENING] =
						  ticks(idle < OPENING_MS ? idle : OPENING_MS),
					  [SL_FLOW_ESTABLISHED] = ticks(idle + idle / 15) + 1,
					  [SL_FLOW_CLOSING] =
						  ticks(idle < CLOSING_MS ? idle : CLOSING_MS),
				  } };
}

uint32_t sl_records_window_ms(const struct sl_config_service *conf)
{
	uint32_t idle = conf->idle_timeout_ms;

	return idle + (idle < CLOSING_MS ? idle : CLOSING_MS) / 16 + 3;
}

/* Rows */

static int fill(const struct sl_model_service *s, uint32_t *cur)
{
	const struct sl_scheduler *scheduler = sl_scheduler_find(s->conf.scheduler);
	struct sl_candidate *candidate = calloc(s->n + 1, sizeof(*candidate));
	size_t n = 0;
	int err;

	if (!candidate)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct sl_model_backend *b = &s->backend[i];

		if (sl_backend_in_rows(b))
			candidate[n++] = (struct sl_candidate){
				.number = i + 1,
				.weight = b->weight,
				.identity = sl_candidate_identity(&b->addr, b->port),
			};
	}
	err = scheduler ? scheduler->fill(cur, s->conf.table_size, candidate, n) : -EINVAL;
	free(candidate);
	return err;
}

/* Open rows whose prev served nobody in the live generation, see rows.h. */
static int disown(struct sl_control *c, const struct sl_model_service *s, uint32_t *row,
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
	sl_rows_disown(row, s->conf.table_size, cur, served, serves);
	err = 0;
out:
	free(served);
	free(serves);
	return err;
}

/* A flowless service follows nobody: its rows are always closed. */
static void forget_windows(uint32_t *row, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		row[i] = sl_row(sl_row_cur(row[i]), 0, SL_ROW_CLOSED);
}

/* What has to happen to the rows, on a copy of them. */
static int work_rows(struct sl_control *c, struct sl_model_service *s, uint32_t *row, uint32_t now)
{
	uint32_t n = s->conf.table_size;
	uint32_t *cur;
	int err = 0;

	if (s->disagree)
		sl_rows_settle(row, n, s->disagree);
	if (s->close)
		sl_rows_close(row, s->opened_ms, n, now, sl_records_window_ms(&s->conf), false);
	if (s->refill) {
		cur = malloc(n * sizeof(*cur));
		if (!cur)
			return -ENOMEM;
		err = fill(s, cur);
		if (!err)
			err = disown(c, s, row, cur);
		if (!err)
			sl_rows_move(row, s->opened_ms, n, cur, now);
		free(cur);
	}
	if (s->conf.flowless)
		forget_windows(row, n);
	return err;
}

/* Whether every flow that counts has an entry by now. */
static bool all_tracked(const struct sl_model_service *s, uint32_t now)
{
	return s->conf.track_all && now - s->track_since_ms > sl_records_window_ms(&s->conf);
}

/* The rows as they are live, in a buffer that has the configured size. */
static int copy_rows(struct sl_control *c, struct sl_model_service *s, uint32_t **row)
{
	const struct sl_rows *slots = c->store.base[SL_ARRAY_slots];
	uint32_t n = s->conf.table_size, now = sl_clock_ms();
	uint32_t *opened;
	int err;

	*row = calloc(n, sizeof(**row));
	if (!s->opened_ms)
		s->opened_ms = calloc(s->n_rows, sizeof(*s->opened_ms));
	if (!*row || !s->opened_ms)
		return -ENOMEM;
	if (!s->rows)
		return 0;
	if (n == s->n_rows) {
		memcpy(*row, sl_rows_of(slots, s->rows->at), n * sizeof(**row));
		return 0;
	}
	opened = calloc(n, sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	err = sl_rows_resize(sl_rows_of(slots, s->rows->at), s->opened_ms, s->n_rows, *row, opened,
			     n, all_tracked(s, now), now);
	free(s->opened_ms);
	s->opened_ms = opened;
	s->n_rows = n;
	return err;
}

static int no_room(const char *what, uint32_t needed, const struct sl_pool *pool, uint32_t unit,
		   char error[SL_ERROR_MAX])
{
	snprintf(error, SL_ERROR_MAX,
		 "no room for %u more %s in one piece (%u free at most; old ones rest until every "
		 "worker has moved on): raise capacity.%s",
		 needed * unit, what, sl_pool_room(pool) * unit, what);
	return -ENOSPC;
}

static int build_rows(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX])
{
	struct sl_rows *slots = c->store.base[SL_ARRAY_slots];
	uint32_t records = s->conf.table_size / SL_ROWS_PER_RECORD;
	struct sl_extent *extent;
	uint32_t *row = NULL;
	int err;

	err = copy_rows(c, s, &row);
	if (!err)
		err = work_rows(c, s, row, sl_clock_ms());
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
	extent = sl_pool_alloc(c->rows, records);
	if (!extent) {
		err = no_room("rows", records, c->rows, SL_ROWS_PER_RECORD, error);
		goto out;
	}
	memcpy(&slots[extent->at], row, s->conf.table_size * sizeof(*row));
	if (s->rows)
		sl_extent_unref(s->rows, sl_store_root(&c->store)->generation + 1);
	s->rows = extent;
	s->windows = sl_rows_count(row, s->opened_ms, s->conf.table_size);
	if (!s->windows.open && !s->windows.mixed) {
		free(s->opened_ms);
		s->opened_ms = NULL;
	}
out:
	free(row);
	return err;
}

/* Backends */

static struct sl_backend backend_record(const struct sl_model_service *s,
					const struct sl_model_backend *b)
{
	sl_be16 vip_port = sl_htons(s->conf.port), port = sl_htons(b->port);
	struct sl_backend r = { .addr = b->addr,
				.port = port,
				.egress = b->hop.port,
				.traffic = b->traffic,
				.mtu = (uint16_t)b->hop.mtu,
				.ip_delta = sl_csum_delta_addr(&s->conf.vip, &b->addr),
				.l4_delta = sl_csum_delta_endpoint(&s->conf.vip, vip_port, &b->addr,
								   port) };

	memcpy(r.dst_mac, b->hop.dst_mac, 6);
	memcpy(r.src_mac, b->hop.src_mac, 6);
	if (sl_backend_serves(b))
		r.flags |= SL_BACKEND_SERVES;
	if (b->state == SL_STATE_READY)
		r.flags |= SL_BACKEND_TAKES_NEW;
	if (b->hop.kind == SL_ROUTE_VIA)
		r.flags |= SL_BACKEND_RESOLVED;
	return r;
}

static int build_backends(struct sl_control *c, struct sl_model_service *s,
			  char error[SL_ERROR_MAX])
{
	struct sl_backend *pool = c->store.base[SL_ARRAY_backends];
	struct sl_extent *extent = sl_pool_alloc(c->backends, s->n ? s->n : 1);

	if (!extent)
		return no_room("backends", s->n, c->backends, 1, error);
	for (uint32_t i = 0; i < s->n; i++)
		pool[extent->at + i] = s->backend[i].state == SL_STATE_FREE
					       ? (struct sl_backend){ 0 }
					       : backend_record(s, &s->backend[i]);
	if (s->backends)
		sl_extent_unref(s->backends, sl_store_root(&c->store)->generation + 1);
	s->backends = extent;
	return 0;
}

static int build_service(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX])
{
	struct sl_terms *terms = c->store.base[SL_ARRAY_terms];
	int err = 0;

	if (!s->rows || s->refill || s->close || s->disagree || s->n_rows != s->conf.table_size)
		err = build_rows(c, s, error);
	if (!err && (!s->backends || s->rewrite))
		err = build_backends(c, s, error);
	terms[s->id] = sl_records_terms(&s->conf);
	free(s->disagree);
	s->disagree = NULL;
	s->refill = s->rewrite = s->close = false;
	return err;
}

/* Small records: gathered in arrays beside their keys, placed, copied to their places. */

struct gathered {
	struct sl_place_key *key;
	char *record;
	uint32_t *place;
	size_t size; /* of a record */
	size_t n, max;
};

static int gather_init(struct gathered *g, size_t size, size_t max)
{
	*g = (struct gathered){ .size = size, .max = max };
	g->key = calloc(max + 1, sizeof(*g->key));
	g->record = calloc(max + 1, size);
	g->place = calloc(max + 1, sizeof(*g->place));
	return g->key && g->record && g->place ? 0 : -ENOMEM;
}

static void gather_free(struct gathered *g)
{
	free(g->key);
	free(g->record);
	free(g->place);
}

/* Every record begins with its address, so the key can point there. */
static void gather(struct gathered *g, const void *record, uint32_t what)
{
	char *at = g->record + g->n * g->size;

	memcpy(at, record, g->size);
	g->key[g->n].addr = (const union sl_addr *)(const void *)at;
	g->key[g->n++].what = what;
}

static int by_key(const void *a, const void *b)
{
	const struct sl_place_key *x = a, *y = b;
	int order = memcmp(x->addr, y->addr, sizeof(*x->addr));

	return order ? order : (x->what > y->what) - (x->what < y->what);
}

/* Two services may share a backend's endpoint: what comes from it can't be told apart, and belongs
 * to the first. Their flows to it work; a warning says so (docs/configuration.md). */
static bool has_key(const struct gathered *g, const union sl_addr *addr, uint32_t what)
{
	const struct sl_place_key key = { .addr = addr, .what = what };

	for (size_t i = 0; i < g->n; i++)
		if (by_key(&g->key[i], &key) == 0)
			return true;
	return false;
}

static void gather_service(struct gathered *g, const struct sl_model_service *s)
{
	struct sl_service r = { .vip = s->conf.vip,
				.endpoint = sl_endpoint(sl_htons(s->conf.port), s->conf.protocol),
				.id = s->id,
				.n_backends = (uint16_t)s->n,
				.rows = s->rows->at,
				.row_mask = s->conf.table_size - 1,
				.backends = s->backends->at,
				.mode = SL_MODE_NAT,
				.pick = SL_PICK_HASH };

	if (s->conf.track_all)
		r.flags |= SL_SERVICE_TRACK | SL_SERVICE_LOOKUP;
	if (s->conf.flowless)
		r.flags |= SL_SERVICE_FLOWLESS;
	if (s->windows.open || s->windows.mixed)
		r.flags |= SL_SERVICE_LOOKUP;
	gather(g, &r, r.endpoint);
}

static void gather_services(struct gathered *g, const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_config_service *conf = &m->service[i]->conf;
		struct sl_service vip = { .vip = conf->vip, .flags = SL_SERVICE_VIP };
		size_t j = 0;

		gather_service(g, m->service[i]);
		while (j < i && !sl_addr_equal(&m->service[j]->conf.vip, &conf->vip))
			j++;
		if (j == i)
			gather(g, &vip, 0);
	}
}

static void gather_reverse(struct gathered *g, const struct sl_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_model_service *s = m->service[i];
		sl_be16 vip_port = sl_htons(s->conf.port);

		for (uint32_t k = 0; k < s->n; k++) {
			const struct sl_model_backend *b = &s->backend[k];
			sl_be16 port = sl_htons(b->port);
			struct sl_reverse r = {
				.backend = b->addr,
				.endpoint = sl_endpoint(port, s->conf.protocol),
				.service = s->id,
				.ip_delta = sl_csum_delta_addr(&b->addr, &s->conf.vip),
				.l4_delta = sl_csum_delta_endpoint(&b->addr, port, &s->conf.vip,
								   vip_port),
				.port = vip_port,
				.traffic = b->traffic,
				.vip = s->conf.vip,
				.flags = s->windows.open || s->windows.mixed || s->conf.track_all
						 ? SL_SERVICE_LOOKUP
						 : 0,
			};

			if (b->state != SL_STATE_FREE &&
			    (m->n == 1 || !has_key(g, &b->addr, r.endpoint)))
				gather(g, &r, r.endpoint);
		}
	}
}

static void gather_routes(struct gathered *g, struct sl_bank *bank, const struct sl_model *m)
{
	size_t n = 0;

	memset(bank->lengths4, 0xff, sizeof(bank->lengths4));
	memset(bank->lengths6, 0xff, sizeof(bank->lengths6));
	for (size_t i = 0; i < m->n_routes; i++) {
		const struct sl_route *r = &m->route[i];

		/* Longest first, as sl_net_routes() sorted them. */
		if (!n || bank->lengths4[n - 1] != r->length) {
			if (n == SL_PREFIX_LENGTHS) {
				sl_log("routes: more than %d prefix lengths; those of length %u "
				       "and "
				       "shorter are left out",
				       SL_PREFIX_LENGTHS, r->length - 96);
				return;
			}
			bank->lengths4[n++] = (uint8_t)r->length;
		}
		gather(g, r, r->length);
	}
}

static int place_all(struct gathered g[3], const uint32_t size[3], uint64_t *seed)
{
	int err = -EAGAIN;

	for (int i = 0; i < SEEDS_TRIED && err == -EAGAIN; i++) {
		err = 0;
		for (int k = 0; k < 3 && !err; k++)
			err = sl_place(g[k].key, g[k].n, size[k], *seed, g[k].place);
		if (err == -EAGAIN && getrandom(seed, sizeof(*seed), 0) != sizeof(*seed))
			*seed += 0x9e3779b97f4a7c15ull;
	}
	return err;
}

static void scatter(const struct gathered *g, void *array, uint32_t size, uint64_t generation)
{
	char *bank = (char *)array + (generation & 1) * size * g->size;

	memset(bank, 0, size * g->size);
	for (size_t i = 0; i < g->n; i++)
		memcpy(bank + g->place[i] * g->size, g->record + i * g->size, g->size);
}

static uint32_t engine_choice(const struct sl_config_dataplane *dataplane)
{
	switch (dataplane->engine) {
	case SL_WISH_DPDK:
		return SL_ENGINE_DPDK;
	case SL_WISH_XDP:
		return SL_ENGINE_XDP;
	default:
		return SL_ENGINE_AUTO;
	}
}

static int build_small(struct sl_control *c, struct sl_model *m, uint64_t generation,
		       char error[SL_ERROR_MAX])
{
	static const enum sl_array array[3] = { SL_ARRAY_services, SL_ARRAY_reverse,
						SL_ARRAY_routes };
	struct sl_root *root = sl_store_root(&c->store);
	struct sl_bank *bank = &root->bank[generation & 1];
	struct gathered g[3] = { 0 };
	uint32_t size[3];
	uint64_t seed = root->bank[~generation & 1].seed; /* what placed all last time */
	size_t backends = 0;
	int err;

	for (size_t i = 0; i < m->n; i++)
		backends += m->service[i]->n;
	for (int k = 0; k < 3; k++)
		size[k] = c->store.count[array[k]] / 2;
	err = gather_init(&g[0], sizeof(struct sl_service), m->n * 2);
	if (!err)
		err = gather_init(&g[1], sizeof(struct sl_reverse), backends);
	if (!err)
		err = gather_init(&g[2], sizeof(struct sl_route), m->n_routes);
	if (!err) {
		gather_services(&g[0], m);
		gather_reverse(&g[1], m);
		gather_routes(&g[2], bank, m);
		err = place_all(g, size, &seed);
	}
	if (err) {
		snprintf(error, SL_ERROR_MAX,
			 "the tables have no place for %zu services, %zu backends and %zu routes: "
			 "raise capacity (%s)",
			 m->n, backends, m->n_routes, strerror(-err));
	} else {
		bank->generation = generation;
		bank->seed = seed;
		bank->services = (uint32_t)g[0].n;
		bank->reverse = (uint32_t)g[1].n;
		bank->routes = (uint32_t)g[2].n;
		bank->ports = m->n_ports;
		bank->engine = engine_choice(&c->config.dataplane);
		for (int k = 0; k < 3; k++)
			scatter(&g[k], c->store.base[array[k]], size[k], generation);
		memcpy((struct sl_port *)c->store.base[SL_ARRAY_ports] +
			       (generation & 1) * SL_PORTS_MAX,
		       m->port, sizeof(m->port));
	}
	for (int k = 0; k < 3; k++)
		gather_free(&g[k]);
	return err == -EAGAIN || err == -EEXIST ? -ENOSPC : err;
}

int sl_records_build(struct sl_control *c, struct sl_model *m, uint64_t generation,
		     char error[SL_ERROR_MAX])
{
	for (size_t i = 0; i < m->n; i++) {
		int err = m->service[i]->refs == 1 ? build_service(c, m->service[i], error) : 0;

		if (err)
			return err;
	}
	return build_small(c, m, generation, error);
}

void sl_records_settle(struct sl_control *c, const struct sl_model *m)
{
	struct sl_terms *terms = c->store.base[SL_ARRAY_terms];

	for (uint32_t id = 1; id < m->n_ids; id++)
		if (sl_bit(m->resting, id))
			terms[id] = (struct sl_terms){ 0 };
}
