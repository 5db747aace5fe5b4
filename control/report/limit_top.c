/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../desired/apply_limits.h"
#include "../tables/buckets.h"
#include "limits.h"

enum {
	COPY_MS = 1000,
	RECENT_MS = 5000, /* a subject that was limited within this time is being limited */
	ROWS_MAX = 100,
};

struct sl_top {
	struct sl_most_limited *copy[2]; /* the newer one first */
	uint64_t copied_ns[2];		 /* 0: not copied yet */
};

/* One subject of one limit, summed over all engines. */
struct sum {
	uint16_t limit;
	sl_be16 port;
	uint32_t counter_id;
	union sl_addr client; /* the client's prefix */
	uint64_t last;	      /* ticks */
	uint64_t packets;
	uint64_t bytes;
	uint64_t packets_since; /* since the older copy */
	uint64_t bytes_since;
	const struct sl_model_service *service;
	const struct sl_model_limit *of;
};

static const struct sl_most_limited *records(const struct sl_control *c)
{
	return c->store.base[SL_ARRAY_most_limited];
}

void sl_limit_top_tick(struct sl_control *c)
{
	size_t n = c->store.count[SL_ARRAY_most_limited];
	struct sl_most_limited *older;
	uint64_t now = sl_clock_ns();

	if (!c->top)
		c->top = calloc(1, sizeof(*c->top));
	if (!c->top || now - c->top->copied_ns[0] < COPY_MS * 1000000ull)
		return;
	older = c->top->copy[1];
	if (!older)
		older = malloc(n * sizeof(*older));
	if (!older)
		return;
	memcpy(older, records(c), n * sizeof(*older));
	c->top->copy[1] = c->top->copy[0];
	c->top->copied_ns[1] = c->top->copied_ns[0];
	c->top->copy[0] = older;
	c->top->copied_ns[0] = now;
}

void sl_limit_top_free(struct sl_control *c)
{
	if (!c->top)
		return;
	free(c->top->copy[0]);
	free(c->top->copy[1]);
	free(c->top);
	c->top = NULL;
}

/* Sums */

static bool find_limit(const struct sl_control *c, uint16_t id, struct sum *sum)
{
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];

		for (uint32_t k = 0; k < s->n_limits; k++) {
			if (s->limit[k].id != id)
				continue;
			sum->service = s;
			sum->of = &s->limit[k];
			return true;
		}
	}
	return false;
}

static bool same_record(const struct sl_most_limited *a, const struct sl_most_limited *b)
{
	return a->limit == b->limit && a->port == b->port && a->counter_id == b->counter_id &&
	       sl_addr_equal(&a->client, &b->client);
}

static int by_subject(const void *left, const void *right)
{
	const struct sum *a = left, *b = right;

	if (a->limit != b->limit)
		return a->limit < b->limit ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->counter_id != b->counter_id)
		return a->counter_id < b->counter_id ? -1 : 1;
	return memcmp(&a->client, &b->client, sizeof(a->client));
}

/* Makes a sum of one record. Returns false if the record is empty or older than RECENT_MS. before:
 * the same element of the copy, or NULL. */
static bool sum_of(const struct sl_control *c, const struct sl_most_limited *b,
		   const struct sl_most_limited *before, struct sum *sum)
{
	uint64_t now = sl_bucket_now(c) >> SL_METER_SHIFT;
	const struct sl_config_limit *conf;
	uint64_t ago = (now - b->last) & SL_TIME_MASK;

	if (!b->limit ||
	    (ago > RECENT_MS * (1000000ull >> SL_TICK_SHIFT) && ago < SL_TIME_MASK - SL_TIME_AHEAD))
		return false;
	*sum = (struct sum){ .limit = b->limit,
			     .port = b->port,
			     .counter_id = b->counter_id,
			     .client = b->client,
			     .last = b->last,
			     .packets = b->packets,
			     .bytes = b->bytes,
			     .packets_since = b->packets,
			     .bytes_since = b->bytes };
	if (!find_limit(c, b->limit, sum))
		return false;
	conf = &sum->of->conf;
	if (conf->scope == SL_SCOPE_CLIENT)
		sum->client = sl_prefix_of(&b->client,
					   sl_addr_is4(&b->client) ? conf->prefix4 : conf->prefix6);
	if (before && same_record(b, before) && before->packets <= b->packets) {
		sum->packets_since -= before->packets;
		sum->bytes_since -= before->bytes;
	}
	return true;
}

/* Merges sums of the same subject. Returns how many are left. */
static size_t merge(struct sum *list, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(list, n, sizeof(*list), by_subject);
	for (size_t i = 0; i < n; i++) {
		struct sum *to = kept ? &list[kept - 1] : NULL;

		if (!to || by_subject(to, &list[i]) != 0) {
			list[kept++] = list[i];
			continue;
		}
		to->packets += list[i].packets;
		to->bytes += list[i].bytes;
		to->packets_since += list[i].packets_since;
		to->bytes_since += list[i].bytes_since;
		if (list[i].last > to->last)
			to->last = list[i].last;
	}
	return kept;
}

static int by_rate(const void *left, const void *right)
{
	const struct sum *a = left, *b = right;

	if (a->packets_since != b->packets_since)
		return a->packets_since < b->packets_since ? 1 : -1;
	return (a->packets < b->packets) - (a->packets > b->packets);
}

/* Rows */

static const char *backend_name(const struct sum *sum)
{
	for (uint32_t i = 0; i < sum->service->n; i++)
		if (sum->service->backend[i].state != SL_STATE_FREE &&
		    sum->service->backend[i].counter_id == sum->counter_id)
			return sum->service->backend[i].name;
	return "";
}

static void set_whose(json_t *row, const struct sum *sum)
{
	char text[SL_ENDPOINT_TEXT > SL_PREFIX_TEXT ? SL_ENDPOINT_TEXT : SL_PREFIX_TEXT];
	const struct sl_config_limit *conf = &sum->of->conf;

	if (conf->scope == SL_SCOPE_FLOW)
		json_object_set_new(
			row, "flow",
			json_string(sl_endpoint_format(&sum->client, sl_ntohs(sum->port), text)));
	else if (conf->scope == SL_SCOPE_CLIENT)
		json_object_set_new(
			row, "client",
			json_string(sl_prefix_format(
				&sum->client,
				sl_addr_is4(&sum->client) ? conf->prefix4 : conf->prefix6, text)));
	else if (conf->scope == SL_SCOPE_BACKEND)
		json_object_set_new(row, "backend", json_string(backend_name(sum)));
}

/* Returns the subject's own rate, or its limit's if it has none. */
static uint64_t rate_of(const struct sl_control *c, const struct sum *sum)
{
	const struct sl_config_limit *conf = &sum->of->conf;
	const struct sl_model_exception *e = NULL;

	if (conf->scope <= SL_SCOPE_CLIENT)
		e = sl_limits_exception(
			sum->service, sum->limit,
			sl_limits_subject(c, conf, &sum->client, sl_ntohs(sum->port)));
	return e ? e->rate : conf->rate;
}

static json_t *row_of(const struct sl_control *c, const struct sum *sum, double seconds)
{
	json_t *row = sl_limit_report_name(sum->service, &sum->of->conf);
	int64_t ago = (int64_t)((sl_bucket_now(c) >> SL_METER_SHIFT) - sum->last);
	uint64_t rate = rate_of(c, sum);
	char text[SL_LIMIT_TEXT];

	set_whose(row, sum);
	json_object_set_new(row, "rate", json_integer((json_int_t)rate));
	json_object_set_new(row, "rate_text",
			    json_string(sl_limit_rate_text(sum->of->conf.unit, rate, text)));
	json_object_set_new(row, "action",
			    json_string(sl_word_text(sl_limit_actions, sum->of->conf.action)));
	json_object_set_new(row, "packets", json_integer((json_int_t)sum->packets));
	json_object_set_new(row, "bytes", json_integer((json_int_t)sum->bytes));
	json_object_set_new(
		row, "packets_per_s",
		seconds > 0 ? json_integer((json_int_t)((double)sum->packets_since / seconds + 0.5))
			    : json_null());
	json_object_set_new(
		row, "bits_per_s",
		seconds > 0 ? json_integer((json_int_t)(8 * (double)sum->bytes_since / seconds))
			    : json_null());
	json_object_set_new(row, "last_ms",
			    json_integer(ago > 0 ? ago / (1000000 >> SL_TICK_SHIFT) : 0));
	return row;
}

/* Collects the sums of one service, or of all (-1), sorted by rate. Returns how many there are.
 * *seconds is the age of the copy, or 0 if there is none. */
static size_t gather(const struct sl_control *c, int service, struct sum *list, double *seconds)
{
	const struct sl_top *top = c->top;
	int copy = top && top->copy[1] ? 1 : 0;
	const struct sl_most_limited *before = top ? top->copy[copy] : NULL;
	size_t n = 0;

	*seconds = before ? (double)(sl_clock_ns() - top->copied_ns[copy]) / 1e9 : 0;
	for (size_t i = 0; i < c->store.count[SL_ARRAY_most_limited]; i++) {
		/* Another thread may be writing the record, so this report may be wrong.
		 * The next one is right again. */
		struct sl_most_limited b = records(c)[i];

		n += sum_of(c, &b, before ? &before[i] : NULL, &list[n]) &&
		     (service < 0 || list[n].service == c->model->service[service]);
	}
	n = merge(list, n);
	if (n)
		qsort(list, n, sizeof(*list), by_rate);
	return n;
}

json_t *sl_limit_top_report(const struct sl_control *c, int service)
{
	struct sum *list = calloc(c->store.count[SL_ARRAY_most_limited], sizeof(*list));
	json_t *rows = json_array();
	double seconds;
	size_t n;

	if (!list || !rows) {
		free(list);
		json_decref(rows);
		return NULL;
	}
	n = gather(c, service, list, &seconds);
	for (size_t i = 0; i < n && i < ROWS_MAX; i++)
		json_array_append_new(rows, row_of(c, &list[i], seconds));
	free(list);
	return rows;
}
