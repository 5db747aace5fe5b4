/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/pace.h"
#include "buckets.h"
#include "counters.h"

_Static_assert(SL_LIMITS_MAX == SL_LIMITS_A_SERVICE, "engines ask no more than these");

uint32_t sl_limit_ids(const struct sl_control *c)
{
	return c->store.count[SL_ARRAY_limit_counters] / c->store.count[SL_ARRAY_reason_counters];
}

static bool is_entry(const struct sl_model_service *s, uint32_t i)
{
	return i == 0 && s->limit[0].conf.scope == SL_SCOPE_FLOW && s->limit[0].conf.rate;
}

static uint8_t flags_of(const struct sl_model_service *s, uint32_t i)
{
	uint8_t flags = s->limit[i].conf.rate ? SL_LIMIT_OTHERS : 0;

	if (is_entry(s, i))
		flags |= SL_LIMIT_ENTRY;
	for (uint32_t k = 0; k < s->n_exceptions; k++)
		if (s->exception[k].limit == s->limit[i].id)
			flags |= SL_LIMIT_EXCEPTIONS;
	return flags;
}

static uint32_t counter_ids(const struct sl_control *c)
{
	return c->store.count[SL_ARRAY_backend_counters] / c->store.count[SL_ARRAY_reason_counters];
}

/* Returns the index of a limit's first shared bucket. A limit per service has the bucket of its id.
 * A limit per backend has a plane of buckets, one for each counter id. */
static uint32_t shared_bucket_of(const struct sl_control *c, const struct sl_model_limit *l)
{
	switch (l->conf.scope) {
	case SL_SCOPE_SERVICE:
		return l->id;
	case SL_SCOPE_BACKEND:
		return sl_limit_ids(c) + l->plane * counter_ids(c);
	default:
		return 0;
	}
}

static struct sl_limit record_of(const struct sl_control *c, const struct sl_model_service *s,
				 uint32_t i)
{
	const struct sl_config_limit *conf = &s->limit[i].conf;

	return (struct sl_limit){ .pace = s->limit[i].pace,
				  .id = s->limit[i].id,
				  .scope = conf->scope,
				  .unit = conf->unit,
				  .direction = conf->direction,
				  .action = conf->action,
				  .flags = flags_of(s, i),
				  .prefix4 = conf->prefix4,
				  .prefix6 = conf->prefix6,
				  .shared_bucket = shared_bucket_of(c, &s->limit[i]),
				  .lease = sl_pace_lease(&s->limit[i].pace) };
}

int sl_limit_records_build(struct sl_control *c, struct sl_model_service *s,
			   char error[SL_ERROR_MAX])
{
	struct sl_limit *pool = c->store.base[SL_ARRAY_limits];
	struct sl_limit record[SL_LIMITS_MAX];
	struct sl_extent *extent = NULL;
	uint32_t n = s->n_limits;

	for (uint32_t i = 0; i < n; i++)
		record[i] = record_of(c, s, i);
	if ((!s->limits && !n) || (s->limits && s->limits->n == n &&
				   memcmp(&pool[s->limits->at], record, n * sizeof(*record)) == 0))
		return 0;
	if (n) {
		extent = sl_extents_alloc(c->limits, n);
		if (!extent) {
			snprintf(error, SL_ERROR_MAX,
				 "no room for %u limits in one piece (%u free at most; old ones "
				 "rest until every worker has moved on): raise capacity.limits",
				 n, sl_extents_room(c->limits));
			return -ENOSPC;
		}
		memcpy(&pool[extent->at], record, n * sizeof(*record));
	}
	sl_extent_unref(s->limits, sl_store_root(&c->store)->generation + 1);
	s->limits = extent;
	return 0;
}

uint16_t sl_limit_records_flags(const struct sl_model_service *s)
{
	uint16_t flags = 0;

	for (uint32_t i = 0; i < s->n_limits; i++) {
		const struct sl_config_limit *conf = &s->limit[i].conf;
		bool entry = is_entry(s, i);

		if (conf->unit == SL_UNIT_CONNECTIONS) {
			if (!s->learns)
				flags |= SL_SERVICE_LIMIT_NEW;
			continue;
		}
		if (conf->direction & SL_TO_BACKEND)
			flags |= entry ? SL_SERVICE_ENTRY_TO : SL_SERVICE_LIMIT_TO;
		if (conf->direction & SL_FROM_BACKEND)
			flags |= entry ? SL_SERVICE_ENTRY_FROM : SL_SERVICE_LIMIT_FROM;
	}
	return flags;
}

struct sl_exception sl_limit_records_exception(const struct sl_model_exception *e)
{
	return (struct sl_exception){
		.key = { .q = { 0, sl_meter_key(e->limit, e->subject) } },
		.pace = e->pace,
	};
}

/* Begins with full buckets, whatever a predecessor left in them. */
void sl_limit_records_begin(struct sl_control *c, const struct sl_model_service *s,
			    const struct sl_model_limit *l)
{
	struct sl_shared_bucket *shared_bucket =
		(struct sl_shared_bucket *)c->store.base[SL_ARRAY_shared_buckets] +
		shared_bucket_of(c, l);
	uint64_t now = sl_bucket_now(c);

	sl_stats_begin_limit(c, l->id);
	if (l->conf.scope == SL_SCOPE_SERVICE)
		__atomic_store_n(&shared_bucket->full_at, now, __ATOMIC_RELAXED);
	for (uint32_t i = 0; l->conf.scope == SL_SCOPE_BACKEND && i < s->n; i++)
		if (s->backend[i].state != SL_STATE_FREE)
			__atomic_store_n(&shared_bucket[s->backend[i].counter_id].full_at, now,
					 __ATOMIC_RELAXED);
}

/* Rebuilds a limit of the model from its record. Returns 0, or -EPROTO if the record is invalid. */

static int adopt_limit(const struct sl_control *c, struct sl_model *m, struct sl_model_limit *to,
		       const struct sl_limit *from)
{
	uint32_t plane = 0;

	if (from->scope == SL_SCOPE_BACKEND)
		plane = (from->shared_bucket - sl_limit_ids(c)) / counter_ids(c);
	if (from->scope >= SL_SCOPES || from->unit >= SL_UNITS || from->action >= SL_ACTIONS ||
	    from->prefix4 > 32 || from->prefix6 > 128 || !from->direction ||
	    from->direction > (SL_TO_BACKEND | SL_FROM_BACKEND) || !from->id ||
	    from->id >= m->n_limits || sl_bit(m->limits, from->id) ||
	    plane >= SL_SHARED_BUCKET_PLANES)
		return -EPROTO;
	sl_bit_set(m->limits, from->id);
	*to = (struct sl_model_limit){
		.conf = { .scope = from->scope,
			  .unit = from->unit,
			  .direction = from->direction,
			  .action = from->action,
			  .prefix4 = from->prefix4,
			  .prefix6 = from->prefix6,
			  .rate = sl_pace_rate(&from->pace, from->unit) },
		.pace = from->pace,
		.id = from->id,
		.plane = (uint8_t)plane,
	};
	return 0;
}

/* Rebuilds the exceptions of a limit. A record has only the subject and the pace; the operators'
 * settings say to whom it belongs (desired/apply_limits.h). Returns 0 or -ENOMEM. */
static int adopt_exceptions(const struct sl_control *c, struct sl_model_service *s, uint16_t limit)
{
	uint32_t size = c->store.count[SL_ARRAY_exceptions] / 2;
	const struct sl_exception *record =
		(const struct sl_exception *)c->store.base[SL_ARRAY_exceptions] +
		(sl_store_root(&c->store)->generation & 1) * (size_t)size;

	for (uint32_t i = 0; i < size; i++) {
		struct sl_model_exception *grown;

		if (!record[i].key.q[1] || record[i].key.q[1] >> 48 != limit)
			continue;
		grown = realloc(s->exception, (s->n_exceptions + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->exception = grown;
		grown[s->n_exceptions++] =
			(struct sl_model_exception){ .limit = limit,
						     .subject = record[i].key.q[1] & SL_TIME_MASK,
						     .pace = record[i].pace };
	}
	return 0;
}

int sl_limit_records_adopt(struct sl_control *c, struct sl_model *m, struct sl_model_service *s,
			   const struct sl_service *record)
{
	const struct sl_limit *pool = c->store.base[SL_ARRAY_limits];
	int err = 0;

	if (!record->n_limits)
		return 0;
	if (record->n_limits > SL_LIMITS_MAX)
		return -EPROTO;
	s->limits = sl_extents_adopt(c->limits, record->limits, record->n_limits);
	if (!s->limits)
		return -EPROTO;
	for (uint32_t i = 0; i < record->n_limits && !err; i++) {
		err = adopt_limit(c, m, &s->limit[i], &pool[s->limits->at + i]);
		s->n_limits = i + !err;
		if (!err && pool[s->limits->at + i].flags & SL_LIMIT_EXCEPTIONS)
			err = adopt_exceptions(c, s, s->limit[i].id);
	}
	return err;
}
