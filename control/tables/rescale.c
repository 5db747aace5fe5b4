/* SPDX-License-Identifier: BSD-2-Clause */
#include "rescale.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../../dataplane/abi/cuckoo.h"
#include "../model/limits.h"
#include "../model/pace.h"
#include "buckets.h"

enum {
	LINES_A_SLICE = 131072, /* of flows or meters; takes one to two milliseconds */
	TRIES = 4,
};

struct job {
	STAILQ_ENTRY(job) next;
	uint16_t service; /* ids of the service and the limit */
	uint16_t limit;
	uint8_t scope;
	bool entry;	  /* its buckets are the times of flow entries */
	bool single;	  /* only this subject; else all without their own rate */
	uint64_t subject; /* 48 bits, see sl_meter_key() */
	uint32_t shared_bucket;
	struct sl_pace from;
	struct sl_pace to;
};

struct sl_rescale {
	STAILQ_HEAD(, job) jobs;
	uint32_t line; /* the next line in the table of the first job */
};

/* These rescale one word. `now` is in the unit of the word: ticks in scale_ticks(), 2^-8 ns in
 * scale(). */

static void scale_ticks(const struct job *job, uint64_t *word, uint64_t now)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED), to;
		uint64_t ahead = sl_bucket_ahead_ticks(value, now);

		if (!ahead)
			return;
		to = (value & ~SL_TIME_MASK) |
		     ((now + sl_pace_rescale(&job->from, &job->to, ahead)) & SL_TIME_MASK);
		/* Relaxed: no other data depends on the word. */
		if (__atomic_compare_exchange_n(word, &value, to, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return;
	}
}

static void scale(const struct job *job, uint64_t *word, uint64_t now)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED), ahead, fraction;

		ahead = sl_bucket_ahead(value, now);
		fraction = ahead & ((1u << SL_METER_SHIFT) - 1);
		ahead >>= SL_METER_SHIFT;
		if (!ahead && !fraction)
			return;
		ahead = sl_pace_rescale(&job->from, &job->to, ahead + (fraction != 0));
		if (__atomic_compare_exchange_n(word, &value, now + (ahead << SL_METER_SHIFT),
						false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
	}
}

/* Whether the subject has its own rate in the live generation. */
static bool is_exception(const struct sl_control *c, uint64_t meter_key)
{
	const struct sl_root *root = sl_store_root(&c->store);
	uint32_t size = c->store.count[SL_ARRAY_exceptions] / 2;
	const struct sl_exception *bank =
		(const struct sl_exception *)c->store.base[SL_ARRAY_exceptions] +
		(root->generation & 1) * (size_t)size;
	const union sl_addr key = { .q = { 0, meter_key } };
	uint64_t hash = sl_cuckoo_hash(&key, 0, root->bank[root->generation & 1].seed);

	return sl_addr_equal(&bank[sl_cuckoo_first(hash, size)].key, &key) ||
	       sl_addr_equal(&bank[sl_cuckoo_second(hash, size)].key, &key);
}

static bool concerns(const struct sl_control *c, const struct job *job, uint64_t subject)
{
	return job->single ? subject == job->subject
			   : !is_exception(c, sl_meter_key(job->limit, subject));
}

/* These rescale the buckets in up to LINES_A_SLICE lines of a table, from `line` on. They return
 * the number of lines in the table. */

static uint32_t rescale_flows(struct sl_control *c, const struct job *job, uint32_t line)
{
	struct sl_bucket *bucket = c->store.base[SL_ARRAY_flows];
	uint32_t n = c->store.count[SL_ARRAY_flows];
	uint64_t now = sl_bucket_now(c) >> SL_METER_SHIFT;

	for (uint32_t i = line; i < n && i - line < LINES_A_SLICE; i++) {
		for (int way = 0; way < SL_FLOW_WAYS; way++) {
			/* Acquire: reads the key before its value. */
			uint64_t key = __atomic_load_n(&bucket[i].key[way], __ATOMIC_ACQUIRE);

			if (!(key & SL_FLOW_BUSY) && sl_flow_key_service(key) == job->service &&
			    concerns(c, job, key & SL_TIME_MASK))
				scale_ticks(job, &bucket[i].value[way], now);
		}
	}
	return n;
}

static uint32_t rescale_meters(struct sl_control *c, const struct job *job, uint32_t line)
{
	struct sl_meters *meters = c->store.base[SL_ARRAY_meters];
	uint32_t n = c->store.count[SL_ARRAY_meters];
	uint64_t now = sl_bucket_now(c);

	for (uint32_t i = line; i < n && i - line < LINES_A_SLICE; i++) {
		for (int way = 0; way < SL_METER_WAYS; way++) {
			uint64_t key = __atomic_load_n(&meters[i].key[way], __ATOMIC_ACQUIRE);

			if (key >> 48 == job->limit && concerns(c, job, key & SL_TIME_MASK))
				scale(job, &meters[i].full_at[way], now);
		}
	}
	return n;
}

/* Rescales the bucket of one subject, wherever it lies. */
static void rescale_single(struct sl_control *c, const struct job *job)
{
	uint64_t *word;

	if (job->entry) {
		word = sl_bucket_of_flow(c, job->service, job->subject);
		if (word)
			scale_ticks(job, word, sl_bucket_now(c) >> SL_METER_SHIFT);
	} else {
		word = sl_bucket_of_subject(c, job->limit, job->subject);
		if (word)
			scale(job, word, sl_bucket_now(c));
	}
}

static void rescale_shared_buckets(struct sl_control *c, const struct job *job)
{
	struct sl_shared_bucket *shared_bucket = c->store.base[SL_ARRAY_shared_buckets];

	if (job->scope == SL_SCOPE_SERVICE) {
		scale(job, &shared_bucket[job->shared_bucket].full_at, sl_bucket_now(c));
		return;
	}
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];

		for (uint32_t k = 0; s->id == job->service && k < s->n; k++)
			if (s->backend[k].state != SL_STATE_FREE)
				scale(job,
				      &shared_bucket[job->shared_bucket + s->backend[k].counter_id]
					       .full_at,
				      sl_bucket_now(c));
	}
}

bool sl_rescale_run(struct sl_control *c)
{
	struct job *job = c->rescale ? STAILQ_FIRST(&c->rescale->jobs) : NULL;
	uint32_t n = 0;

	if (!job)
		return false;
	if (job->scope >= SL_SCOPE_BACKEND)
		rescale_shared_buckets(c, job);
	else if (job->single)
		rescale_single(c, job);
	else if (job->entry)
		n = rescale_flows(c, job, c->rescale->line);
	else
		n = rescale_meters(c, job, c->rescale->line);
	if (n > LINES_A_SLICE && c->rescale->line < n - LINES_A_SLICE) {
		c->rescale->line += LINES_A_SLICE;
		return true;
	}
	c->rescale->line = 0;
	STAILQ_REMOVE_HEAD(&c->rescale->jobs, next);
	free(job);
	return !STAILQ_EMPTY(&c->rescale->jobs);
}

static void add(struct sl_control *c, const struct job *job)
{
	struct job *copy;

	if (!c->rescale) {
		c->rescale = calloc(1, sizeof(*c->rescale));
		if (!c->rescale)
			return; /* engines still clamp buckets to what the new rate allows */
		STAILQ_INIT(&c->rescale->jobs);
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return;
	*copy = *job;
	STAILQ_INSERT_TAIL(&c->rescale->jobs, copy, next);
}

void sl_rescale_free(struct sl_control *c)
{
	struct job *job;

	while (c->rescale && (job = STAILQ_FIRST(&c->rescale->jobs))) {
		STAILQ_REMOVE_HEAD(&c->rescale->jobs, next);
		free(job);
	}
	free(c->rescale);
	c->rescale = NULL;
}

/* Adds a job if the rates differ. If one of the paces has no rate, there is nothing to rescale. */

static void compare(struct sl_control *c, const struct job *job)
{
	uint64_t from = sl_pace_cost(&job->from), to = sl_pace_cost(&job->to);

	if (from && to && from != to)
		add(c, job);
}

/* The same as sl_limits_exception(), but looks near index `near` first. Exceptions mostly keep
 * their index, and there may be thousands. */
static const struct sl_model_exception *find(const struct sl_model_service *s,
					     const struct sl_model_exception *e, uint32_t near)
{
	for (uint32_t i = near ? near - 1 : 0; i <= near + 1 && i < s->n_exceptions; i++)
		if (s->exception[i].limit == e->limit && s->exception[i].subject == e->subject)
			return &s->exception[i];
	return sl_limits_exception(s, e->limit, e->subject);
}

/* Adds jobs for the subjects that had or have their own rate under this limit. */
static void note_exceptions(struct sl_control *c, const struct sl_model_service *was,
			    const struct sl_model_service *is, const struct job *limit)
{
	struct job job = *limit;

	job.single = true;
	for (uint32_t i = 0; i < is->n_exceptions; i++) {
		const struct sl_model_exception *e = &is->exception[i], *before;

		if (e->limit != limit->limit)
			continue;
		before = find(was, e, i);
		job.subject = e->subject;
		job.from = before ? before->pace : limit->from;
		job.to = e->pace;
		compare(c, &job);
	}
	for (uint32_t i = 0; i < was->n_exceptions; i++) {
		const struct sl_model_exception *e = &was->exception[i];

		if (e->limit != limit->limit || find(is, e, i))
			continue;
		job.subject = e->subject;
		job.from = e->pace;
		job.to = limit->to;
		compare(c, &job);
	}
}

static void note_service(struct sl_control *c, const struct sl_model_service *was,
			 const struct sl_model_service *is)
{
	const struct sl_limit *record = c->store.base[SL_ARRAY_limits];

	for (uint32_t i = 0; i < is->n_limits; i++) {
		const struct sl_limit *r = &record[is->limits->at + i];
		struct job job = { .service = is->id,
				   .limit = r->id,
				   .scope = r->scope,
				   .entry = r->flags & SL_LIMIT_ENTRY,
				   .shared_bucket = r->shared_bucket,
				   .to = is->limit[i].pace };
		uint32_t k = 0;

		while (k < was->n_limits && was->limit[k].id != r->id)
			k++;
		if (k == was->n_limits)
			continue;
		if (job.entry != (k == 0 && was->limit[0].conf.scope == SL_SCOPE_FLOW &&
				  was->limit[0].conf.rate != 0))
			continue; /* its buckets lay elsewhere; these words belong to others */
		job.from = was->limit[k].pace;
		note_exceptions(c, was, is, &job);
		compare(c, &job);
	}
}

void sl_rescale_note(struct sl_control *c, const struct sl_model *was, const struct sl_model *is)
{
	for (size_t i = 0; i < is->n; i++) {
		const struct sl_model_service *s = is->service[i];
		size_t k = i; /* mostly at the same index */

		if (!s->n_limits)
			continue;
		if (k >= was->n || was->service[k]->id != s->id)
			for (k = 0; k < was->n && was->service[k]->id != s->id; k++)
				;
		if (k < was->n && was->service[k] != s)
			note_service(c, was->service[k], s);
	}
}
