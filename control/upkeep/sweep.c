/* SPDX-License-Identifier: BSD-2-Clause */
#include "sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../dataplane/abi/hash.h"
#include "../tables/liveness.h"
#include "../tables/publish.h"
#include "../tables/records.h"

enum {
	BUCKETS_A_TICK = 131072, /* one to two milliseconds */
	REST_MS = 200,		 /* between passes */
	RETRY_MS = 1000,	 /* after a publish that failed */
	STUCK_MS = 2000,	 /* busy for as long: whoever filled it died */
	STUCK_MAX = 16,
};

/* What a pass finds about one service. */
struct found {
	uint64_t *named;    /* backends, by number */
	uint64_t *disagree; /* mixed rows; NULL where there are none */
	uint32_t other[2];  /* backends whose rows are marked, where rows aren't known */
	uint32_t others;
	bool busy; /* an entry that is being filled: it may name anybody */
};

struct watch { /* of inserts that failed, by service id */
	uint64_t untrackable;
	uint32_t since_ms;
	bool ever;
};

struct stuck { /* an entry that is busy, as of a pass */
	uint64_t *word;
	uint64_t key;
	uint32_t since_ms;
	uint32_t seen_ms;
};

struct sl_sweep {
	struct sl_control *c;
	struct watch *watch;
	struct stuck stuck[STUCK_MAX];
	char failure[SL_ERROR_MAX]; /* of the last publish, as logged */
	bool retries;
	uint32_t failed_ms;
	/* The pass under way. */
	bool running;
	uint32_t bucket; /* next */
	uint64_t generation;
	uint64_t moved;
	uint64_t now; /* ticks */
	bool cleans;  /* no worker does it */
	bool alone;   /* nor lives one that might wake */
	size_t n;
	struct found *found;
	uint32_t *index; /* by service id: index in the model + 1 */
	uint64_t *met;	 /* service ids that some entry names */
	uint32_t rested_ms;
};

struct sl_sweep *sl_sweep_new(struct sl_control *c)
{
	struct sl_sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->c = c;
	s->watch = calloc(c->store.count[SL_ARRAY_terms], sizeof(*s->watch));
	if (!s->watch) {
		free(s);
		return NULL;
	}
	return s;
}

static void drop_pass(struct sl_sweep *s)
{
	for (size_t i = 0; s->found && i < s->n; i++) {
		free(s->found[i].named);
		free(s->found[i].disagree);
	}
	free(s->found);
	free(s->index);
	free(s->met);
	s->found = NULL;
	s->index = NULL;
	s->met = NULL;
	s->running = false;
	s->rested_ms = sl_clock_ms();
}

void sl_sweep_free(struct sl_sweep *s)
{
	if (!s)
		return;
	drop_pass(s);
	free(s->watch);
	free(s);
}

static uint64_t sum(const struct sl_control *c, uint32_t service, size_t field)
{
	const struct sl_service_tally *tally = c->store.base[SL_ARRAY_service_tally];
	uint32_t writers = c->store.count[SL_ARRAY_tally];
	uint32_t services = c->store.count[SL_ARRAY_service_tally] / writers;
	uint64_t total = 0;

	for (uint32_t w = 0; w < writers; w++)
		total += *(
			const uint64_t *)(const void *)((const char *)&tally[(size_t)w * services +
									     service] +
							field);
	return total;
}

static uint64_t moved(const struct sl_control *c)
{
	uint32_t services = c->store.count[SL_ARRAY_terms];
	uint64_t total = 0;

	for (uint32_t id = 0; id < services; id++)
		total += sum(c, id, offsetof(struct sl_service_tally, moved));
	return total;
}

/* Windows */

/* Whether an insert failed within the last window. */
static bool must_hold(struct sl_sweep *s, const struct sl_model_service *service, uint32_t now)
{
	struct watch *w = &s->watch[service->id];
	uint64_t failed = sum(s->c, service->id, offsetof(struct sl_service_tally, untrackable));

	if (failed != w->untrackable) {
		w->untrackable = failed;
		w->since_ms = now;
		w->ever = true;
	}
	return w->ever && now - w->since_ms < sl_records_window_ms(&service->conf);
}

/* What fails will fail again for a while: it is tried once a second and said once. */
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

static bool has_learnt(const struct sl_model_service *service, uint32_t now)
{
	return service->learns &&
	       now - service->track_since_ms > sl_records_window_ms(&service->conf);
}

static void close_windows(struct sl_sweep *s)
{
	struct sl_control *c = s->c;
	uint32_t now = sl_clock_ms();
	struct sl_model *next = NULL;

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
	if (next)
		publish(s, next);
}

/* The pass */

static bool wants_pass(const struct sl_model *m)
{
	for (uint32_t id = 1; id < m->n_ids; id++)
		if (sl_bit(m->resting, id))
			return true;
	for (size_t i = 0; i < m->n; i++) {
		const struct sl_model_service *service = m->service[i];

		if (service->windows.mixed)
			return true;
		for (uint32_t k = 0; k < service->n; k++) {
			const struct sl_model_backend *b = &service->backend[k];

			if ((b->state == SL_STATE_DRAINING && b->named) ||
			    b->state == SL_STATE_LEAVING || b->state == SL_STATE_GONE)
				return true;
		}
	}
	return false;
}

static bool begin_pass(struct sl_sweep *s)
{
	struct sl_control *c = s->c;
	const struct sl_root *root = sl_store_root(&c->store);
	struct sl_published out;

	sl_acknowledged(c, &out);
	if (out.acknowledged < out.workers)
		return false;
	s->n = c->model->n;
	s->found = calloc(s->n + 1, sizeof(*s->found));
	s->index = calloc(c->model->n_ids, sizeof(*s->index));
	s->met = calloc(c->model->n_ids / 64 + 1, sizeof(*s->met));
	if (!s->found || !s->index || !s->met)
		goto fail;
	for (size_t i = 0; i < s->n; i++) {
		const struct sl_model_service *service = c->model->service[i];

		s->index[service->id] = (uint32_t)i + 1;
		s->found[i].named = calloc(service->n / 64 + 1, sizeof(uint64_t));
		if (!s->found[i].named)
			goto fail;
		if (!service->windows.mixed)
			continue;
		s->found[i].disagree = calloc(service->conf.table_size / 64 + 1, sizeof(uint64_t));
		if (!s->found[i].disagree)
			goto fail;
	}
	s->generation = out.generation;
	s->moved = moved(c);
	s->now = (sl_clock_ns() - root->origin_ns) >> SL_TICK_SHIFT;
	s->bucket = 0;
	s->running = true;
	return true;
fail:
	drop_pass(s);
	return false;
}

/* The row of an entry's flow, as core/classify.h has it, and record->row_endpoint. */
static uint32_t row_of(const struct sl_root *root, const struct sl_config_service *conf,
		       uint64_t source)
{
	uint32_t endpoint = sl_endpoint(sl_htons(conf->port), conf->protocol);

	if (conf->affinity) /* the port, and what of the address doesn't count */
		source &= ~((uint64_t)(uint32_t)sl_affinity_ignore4(conf->affinity) << 16 | 0xffff);
	return sl_hash_row_of(source, &conf->vip, endpoint, root->row_key) & (conf->table_size - 1);
}

/* An entry names this backend: which rows disagree? Its own, where cur is another. An IPv6 source
 * is a digest, which doesn't tell the client, so with affinity any row may be its own. Two backends
 * that are named are all that matters then: there is no row with which neither disagrees. */
static void disagree(struct sl_sweep *s, struct found *found,
		     const struct sl_model_service *service, uint64_t source, uint32_t backend)
{
	const struct sl_rows *slots = s->c->store.base[SL_ARRAY_slots];
	const uint32_t *rows = sl_rows_of(slots, service->rows->at);
	uint32_t row, n = service->conf.table_size;

	if (!service->conf.affinity || sl_addr_is4(&service->conf.vip)) {
		row = row_of(sl_store_root(&s->c->store), &service->conf, source);
		if (sl_row_cur(rows[row]) != backend)
			sl_bit_set(found->disagree, row);
		return;
	}
	if (found->others == 2 || found->other[0] == backend)
		return;
	found->other[found->others++] = backend;
	for (row = 0; row < n; row++)
		if (sl_row_cur(rows[row]) != backend)
			sl_bit_set(found->disagree, row);
}

/* An entry, alive or dead: a longer idle timeout would bring a dead one back to life. */
static void meet(struct sl_sweep *s, uint64_t key, uint64_t value)
{
	struct sl_control *c = s->c;
	uint16_t id = sl_flow_key_service(key);
	uint32_t backend = sl_flow_backend(value), index;
	const struct sl_model_service *service;
	struct found *found;

	if (id >= c->model->n_ids)
		return;
	sl_bit_set(s->met, id);
	index = s->index[id];
	if (!index)
		return;
	service = c->model->service[index - 1];
	found = &s->found[index - 1];
	found->busy |= (key & SL_FLOW_BUSY) != 0;
	if (!backend || backend > service->n || found->busy)
		return;
	sl_bit_set(found->named, backend - 1);
	if (found->disagree)
		disagree(s, found, service, sl_flow_key_source(key), backend);
}

/* Clears an entry that is still what was looked at: true when it did. */
static bool clear(uint64_t *word, uint64_t key)
{
	return __atomic_compare_exchange_n(word, &key, 0, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* Whether the entry's time and the grace are over, as flow.h has it. */
static bool long_dead(const struct sl_sweep *s, uint64_t key, uint64_t value)
{
	const struct sl_terms *terms = s->c->store.base[SL_ARRAY_terms];
	uint16_t id = sl_flow_key_service(key);

	if (id >= s->c->store.count[SL_ARRAY_terms])
		return true;
	return !sl_flow_within(value, s->now,
			       terms[id].lifetime[sl_flow_state(value)] + SL_FLOW_GRACE);
}

/* Left busy by an engine that died in the midst of an insert: no live one takes as long. */
static bool clear_stuck(struct sl_sweep *s, uint64_t *word, uint64_t key)
{
	uint32_t now = sl_clock_ms();
	struct stuck *free_one = NULL;

	for (int i = 0; i < STUCK_MAX; i++) {
		struct stuck *stuck = &s->stuck[i];

		if (stuck->word == word && stuck->key == key) {
			stuck->seen_ms = now;
			if (now - stuck->since_ms < STUCK_MS)
				return false;
			stuck->word = NULL;
			return clear(word, key);
		}
		if (!stuck->word || now - stuck->seen_ms > STUCK_MS)
			free_one = stuck;
	}
	if (free_one)
		*free_one =
			(struct stuck){ .word = word, .key = key, .since_ms = now, .seen_ms = now };
	return false;
}

static void look(struct sl_sweep *s, struct sl_bucket *bucket, int way)
{
	uint64_t *word = &bucket->key[way];
	/* Acquire: the key before its value. */
	uint64_t key = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	uint64_t value = __atomic_load_n(&bucket->value[way], __ATOMIC_RELAXED);

	if (!key)
		return;
	if (key & SL_FLOW_BUSY) {
		if (s->alone && clear_stuck(s, word, key))
			return;
	} else if (s->cleans && long_dead(s, key, value) && clear(word, key)) {
		return;
	}
	meet(s, key, value);
}

static void slice(struct sl_sweep *s)
{
	struct sl_bucket *bucket = s->c->store.base[SL_ARRAY_flows];
	uint32_t n = s->c->store.count[SL_ARRAY_flows];
	uint32_t end = n - s->bucket < BUCKETS_A_TICK ? n : s->bucket + BUCKETS_A_TICK;
	struct sl_published out;

	sl_acknowledged(s->c, &out);
	s->alone = out.workers == 0;
	s->cleans = s->alone || sl_workers_hang(s->c);
	for (; s->bucket < end; s->bucket++)
		for (int way = 0; way < SL_FLOW_WAYS; way++)
			look(s, &bucket[s->bucket], way);
}

/* Results */

static bool settles(const struct sl_control *c, const struct sl_model_service *service,
		    const uint64_t *disagree)
{
	const struct sl_rows *slots = c->store.base[SL_ARRAY_slots];
	const uint32_t *row = sl_rows_of(slots, service->rows->at);

	for (uint32_t i = 0; disagree && i < service->conf.table_size; i++)
		if (sl_row_state(row[i]) == SL_ROW_MIXED && !sl_bit(disagree, i))
			return true;
	return false;
}

/* Frees what nothing names: true when `service` has to be published for it. */
static bool release_backends(struct sl_sweep *s, struct sl_model *next, size_t index)
{
	struct sl_control *c = s->c;
	const struct sl_rows *slots = c->store.base[SL_ARRAY_slots];
	const uint64_t *named = s->found[index].named;
	struct sl_model_service *live = c->model->service[index], *edited;
	bool any = false;

	for (uint32_t k = 0; k < live->n; k++) {
		struct sl_model_backend *b = &live->backend[k];

		if (b->state < SL_STATE_DRAINING || sl_bit(named, k) ||
		    sl_rows_name(sl_rows_of(slots, live->rows->at), live->conf.table_size, k + 1))
			continue;
		b->named = false; /* only told, never published */
		if (b->state == SL_STATE_DRAINING)
			continue;
		edited = sl_model_edit(next, index);
		if (!edited)
			continue;
		sl_log("service %s: backend %s is gone", live->conf.name, b->name);
		edited->backend[k] = (struct sl_model_backend){
			.state = SL_STATE_FREE,
			.freed = s->generation + 1,
		};
		sl_bit_clear(next->traffics, b->traffic);
		edited->rewrite = any = true;
	}
	return any;
}

static void finish_pass(struct sl_sweep *s)
{
	struct sl_control *c = s->c;
	struct sl_model *next = sl_model_clone(c->model);
	bool any = false;

	for (size_t i = 0; next && i < s->n; i++) {
		struct sl_model_service *edited;

		if (s->found[i].busy)
			continue;
		any |= release_backends(s, next, i);
		if (!settles(c, c->model->service[i], s->found[i].disagree))
			continue;
		edited = sl_model_edit(next, i);
		if (!edited)
			continue;
		edited->disagree = s->found[i].disagree;
		s->found[i].disagree = NULL;
		any = true;
	}
	for (uint32_t id = 1; next && id < next->n_ids; id++) {
		if (sl_bit(next->resting, id) && !sl_bit(s->met, id)) {
			sl_bit_clear(next->resting, id);
			sl_bit_clear(next->ids, id);
			any = true;
		}
	}
	drop_pass(s);
	if (any)
		publish(s, next);
	else
		sl_model_free(next, 0);
}

void sl_sweep_tick(struct sl_sweep *s)
{
	struct sl_control *c = s->c;

	if (sl_publishing(c) || (s->retries && sl_clock_ms() - s->failed_ms < RETRY_MS))
		return;
	close_windows(s);
	if (sl_publishing(c))
		return;
	/* What a pass under way has found is about the model as it was. */
	if (s->running && s->generation != sl_store_root(&c->store)->generation)
		drop_pass(s);
	if (!s->running &&
	    (sl_clock_ms() - s->rested_ms < REST_MS || !wants_pass(c->model) || !begin_pass(s)))
		return;
	slice(s);
	if (s->bucket == c->store.count[SL_ARRAY_flows])
		moved(c) == s->moved ? finish_pass(s) : drop_pass(s);
}
