/* SPDX-License-Identifier: BSD-2-Clause */
#include "limits.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../desired/apply_limits.h"
#include "../model/pace.h"
#include "../tables/buckets.h"
#include "../tables/counters.h"

bool sl_limit_is_of_file(const struct sl_model_service *s, const struct sl_config_limit *l)
{
	for (size_t i = 0; i < s->conf.n_limits; i++) {
		const struct sl_config_limit *file = &s->conf.limit[i];

		if (sl_limit_same(file, l))
			return file->rate == l->rate && file->burst == l->burst &&
			       file->action == l->action;
	}
	return false;
}

static void set(json_t *row, const char *key, json_t *value)
{
	json_object_set_new(row, key, value);
}

json_t *sl_limit_report_name(const struct sl_model_service *s, const struct sl_config_limit *l)
{
	json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "service", s->conf.name, "per",
				sl_word_text(sl_limit_scopes, l->scope), "direction",
				sl_word_text(sl_limit_directions, l->direction), "unit",
				sl_word_text(sl_limit_units, l->unit));

	if (l->scope == SL_SCOPE_CLIENT) {
		set(row, "prefix4", json_integer(l->prefix4));
		set(row, "prefix6", json_integer(l->prefix6));
	}
	return row;
}

static void set_rate(json_t *row, const struct sl_config_limit *l)
{
	char text[SL_LIMIT_TEXT];

	set(row, "rate", l->rate ? json_integer((json_int_t)l->rate) : json_null());
	set(row, "rate_text", json_string(sl_limit_rate_text(l->unit, l->rate, text)));
	set(row, "burst", l->rate ? json_integer((json_int_t)sl_limit_burst(l)) : json_null());
	set(row, "burst_text", json_string(sl_limit_burst_text(l, text)));
	set(row, "action", json_string(sl_word_text(sl_limit_actions, l->action)));
}

/* The row of a limit. Its counters include its exceptions. */
static json_t *limit_row(const struct sl_control *c, const struct sl_model_service *s,
			 const struct sl_model_limit *l)
{
	struct sl_limit_counters t = sl_stats_limit(c, l->id);
	json_t *row = sl_limit_report_name(s, &l->conf);

	set_rate(row, &l->conf);
	set(row, "source", json_string(sl_limit_is_of_file(s, &l->conf) ? "file" : "live"));
	set(row, "passed", json_integer((json_int_t)t.passed));
	set(row, "dropped", json_integer((json_int_t)t.dropped));
	set(row, "dropped_bytes", json_integer((json_int_t)t.dropped_bytes));
	set(row, "marked", json_integer((json_int_t)t.marked));
	set(row, "observed", json_integer((json_int_t)t.observed));
	set(row, "observed_bytes", json_integer((json_int_t)t.observed_bytes));
	set(row, "evicted", json_integer((json_int_t)t.evicted));
	return row;
}

static void set_subject(json_t *row, const struct sl_config_limit *l, const union sl_addr *addr,
			uint16_t port)
{
	char text[SL_ENDPOINT_TEXT > SL_PREFIX_TEXT ? SL_ENDPOINT_TEXT : SL_PREFIX_TEXT];
	uint8_t length = sl_addr_is4(addr) ? l->prefix4 : l->prefix6;
	union sl_addr prefix = sl_prefix_of(addr, length);

	if (l->scope == SL_SCOPE_FLOW)
		set(row, "flow", json_string(sl_endpoint_format(addr, port, text)));
	else
		set(row, "client", json_string(sl_prefix_format(&prefix, length, text)));
}

/* The limit with the exception's own rate and burst, if there is an exception. */
static struct sl_config_limit effective(const struct sl_model_limit *l,
					const struct sl_model_exception *e)
{
	struct sl_config_limit conf = l->conf;

	if (e) {
		conf.rate = e->rate;
		conf.burst = e->burst;
	}
	return conf;
}

static void set_end(json_t *row, const struct sl_model_exception *e)
{
	int64_t left = (int64_t)e->until - (int64_t)time(NULL);

	set(row, "expires_s", e->until ? json_integer(left > 0 ? left : 0) : json_null());
}

static json_t *exception_row(const struct sl_model_service *s, const struct sl_model_limit *l,
			     const struct sl_model_exception *e)
{
	struct sl_config_limit conf = effective(l, e);
	json_t *row = sl_limit_report_name(s, &conf);

	set_subject(row, &conf, &e->addr, e->port);
	set_rate(row, &conf);
	set(row, "source", json_string("live"));
	set_end(row, e);
	return row;
}

static void rows_of(const struct sl_control *c, const struct sl_model_service *s,
		    const struct sl_model_limit *l, json_t *list)
{
	json_array_append_new(list, limit_row(c, s, l));
	for (uint32_t k = 0; k < s->n_exceptions; k++)
		if (s->exception[k].limit == l->id)
			json_array_append_new(list, exception_row(s, l, &s->exception[k]));
}

void sl_limit_report(const struct sl_control *c, const struct sl_model_service *s, json_t *list)
{
	for (uint32_t i = 0; i < s->n_limits; i++)
		rows_of(c, s, &s->limit[i], list);
}

/* What is left of bursts */

static void set_left(json_t *row, const struct sl_config_limit *conf, const struct sl_pace *pace,
		     uint64_t ahead)
{
	uint64_t burst = sl_limit_burst(conf), left;

	if (!conf->rate)
		return;
	left = sl_pace_left(pace, burst, ahead);
	set(row, "left", json_integer((json_int_t)left));
	set(row, "left_percent", json_real(100.0 * (double)left / (double)burst));
}

static uint64_t ahead_of(const struct sl_control *c, const uint64_t *word)
{
	uint64_t value = word ? __atomic_load_n(word, __ATOMIC_RELAXED) : 0;

	return word ? sl_bucket_ahead(value, sl_bucket_now(c)) >> SL_METER_SHIFT : 0;
}

static uint64_t shared_bucket_ahead(const struct sl_control *c, const struct sl_model_service *s,
				    uint32_t i, uint32_t counter_id)
{
	const struct sl_limit *record = c->store.base[SL_ARRAY_limits];
	const struct sl_shared_bucket *shared_bucket = c->store.base[SL_ARRAY_shared_buckets];

	return ahead_of(
		c, &shared_bucket[record[s->limits->at + i].shared_bucket + counter_id].full_at);
}

/* Returns the backend that the flow's entry names; 0 if there is none. */
static uint32_t backend_of_flow(const struct sl_control *c, const struct sl_model_service *s,
				const struct sl_live_limit *of)
{
	const uint64_t *value = NULL;

	if (of->limit.scope == SL_SCOPE_FLOW)
		value = sl_bucket_of_flow(c, s->id,
					  sl_hash_source(&of->addr, sl_htons(of->port),
							 sl_store_root(&c->store)->slot_key));
	return value ? sl_flow_backend(__atomic_load_n(value, __ATOMIC_RELAXED)) : 0;
}

static void backend_rows(const struct sl_control *c, const struct sl_model_service *s, uint32_t i,
			 const struct sl_live_limit *of, json_t *list)
{
	uint32_t only = of ? backend_of_flow(c, s, of) : 0;

	for (uint32_t k = 0; k < s->n; k++) {
		const struct sl_model_backend *b = &s->backend[k];
		json_t *row;

		if (b->state == SL_STATE_FREE || b->state == SL_STATE_GONE || (of && k + 1 != only))
			continue;
		row = limit_row(c, s, &s->limit[i]);
		set(row, "backend", json_string(b->name));
		set_left(row, &s->limit[i].conf, &s->limit[i].pace,
			 shared_bucket_ahead(c, s, i, b->counter_id));
		json_array_append_new(list, row);
	}
}

/* Returns the row of a subject's limit, with its own rate if it has one. NULL: it has no rate. */
static json_t *subject_row(const struct sl_control *c, const struct sl_model_service *s, uint32_t i,
			   const struct sl_live_limit *of)
{
	const struct sl_limit *record = c->store.base[SL_ARRAY_limits];
	const struct sl_model_limit *l = &s->limit[i];
	uint64_t subject = sl_limits_subject(c, &l->conf, &of->addr, of->port), ahead;
	const struct sl_model_exception *e = sl_limits_exception(s, l->id, subject);
	struct sl_config_limit conf = effective(l, e);
	const uint64_t *word;
	json_t *row;

	if (!conf.rate)
		return NULL; /* the limit exists only for exceptions of others */
	row = limit_row(c, s, l);
	set_subject(row, &conf, &of->addr, of->port);
	set_rate(row, &conf);
	if (e) {
		set(row, "source", json_string("live"));
		set_end(row, e);
	}
	if (record[s->limits->at + i].flags & SL_LIMIT_ENTRY) {
		word = sl_bucket_of_flow(c, s->id, subject);
		ahead = word ? sl_bucket_ahead_ticks(__atomic_load_n(word, __ATOMIC_RELAXED),
						     sl_bucket_now(c) >> SL_METER_SHIFT)
			     : 0;
	} else {
		ahead = ahead_of(c, sl_bucket_of_subject(c, l->id, subject));
	}
	set_left(row, &conf, e ? &e->pace : &l->pace, ahead);
	return row;
}

/* Whether the limit applies to the subject. A flow limit doesn't apply to a client, nor a client
 * limit to a shorter prefix. */
static bool applies_to(const struct sl_config_limit *l, const struct sl_live_limit *of)
{
	if (of->limit.scope == SL_SCOPE_FLOW)
		return true;
	if (l->scope == SL_SCOPE_FLOW)
		return false;
	return sl_addr_is4(&of->addr) ? l->prefix4 <= of->limit.prefix4
				      : l->prefix6 <= of->limit.prefix6;
}

void sl_limit_report_left(const struct sl_control *c, const struct sl_model_service *s,
			  const struct sl_live_limit *of, json_t *list)
{
	for (uint32_t i = 0; i < s->n_limits; i++) {
		const struct sl_model_limit *l = &s->limit[i];
		json_t *row;

		if (l->conf.scope == SL_SCOPE_BACKEND) {
			backend_rows(c, s, i, of, list);
		} else if (l->conf.scope == SL_SCOPE_SERVICE) {
			row = limit_row(c, s, l);
			set_left(row, &l->conf, &l->pace, shared_bucket_ahead(c, s, i, 0));
			json_array_append_new(list, row);
		} else if (!of) {
			rows_of(c, s, l, list);
		} else if (applies_to(&l->conf, of)) {
			row = subject_row(c, s, i, of);
			if (row)
				json_array_append_new(list, row);
		}
	}
}
