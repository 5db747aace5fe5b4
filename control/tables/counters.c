/* SPDX-License-Identifier: BSD-2-Clause */
#include "counters.h"

/* Adds one record of counters to another. They consist of 64-bit words only. */
static void add_words(void *to, const void *from, size_t size)
{
	uint64_t *sum = to;
	const uint64_t *word = from;

	for (size_t i = 0; i < size / sizeof(*sum); i++)
		sum[i] += __atomic_load_n(&word[i], __ATOMIC_RELAXED);
}

static struct sl_backend_counters total(const struct sl_control *c, uint32_t counter_id)
{
	const struct sl_backend_counters *record = c->store.base[SL_ARRAY_backend_counters];
	uint32_t writers = c->store.count[SL_ARRAY_reason_counters];
	uint32_t ids = c->store.count[SL_ARRAY_backend_counters] / writers;
	struct sl_backend_counters sum = { 0 };

	for (uint32_t w = 0; w < writers && counter_id < ids; w++)
		add_words(&sum, &record[(size_t)w * ids + counter_id], sizeof(sum));
	return sum;
}

void sl_stats_begin(struct sl_control *c, uint32_t counter_id)
{
	c->baseline[counter_id] = total(c, counter_id);
}

struct sl_backend_counters sl_stats_backend(const struct sl_control *c, uint32_t counter_id)
{
	struct sl_backend_counters sum = total(c, counter_id);
	const struct sl_backend_counters *base = &c->baseline[counter_id];

	sum.packets_in -= base->packets_in;
	sum.bytes_in -= base->bytes_in;
	sum.connections -= base->connections;
	sum.packets_out -= base->packets_out;
	sum.bytes_out -= base->bytes_out;
	return sum;
}

static struct sl_limit_counters limit_total(const struct sl_control *c, uint16_t limit)
{
	const struct sl_limit_counters *record = c->store.base[SL_ARRAY_limit_counters];
	uint32_t writers = c->store.count[SL_ARRAY_reason_counters];
	uint32_t ids = c->store.count[SL_ARRAY_limit_counters] / writers;
	struct sl_limit_counters sum = { 0 };

	for (uint32_t w = 0; w < writers && limit < ids; w++)
		add_words(&sum, &record[(size_t)w * ids + limit], sizeof(sum));
	return sum;
}

void sl_stats_begin_limit(struct sl_control *c, uint16_t limit)
{
	c->limit_baseline[limit] = limit_total(c, limit);
}

struct sl_limit_counters sl_stats_limit(const struct sl_control *c, uint16_t limit)
{
	struct sl_limit_counters sum = limit_total(c, limit);
	const struct sl_limit_counters *base = &c->limit_baseline[limit];

	sum.passed -= base->passed;
	sum.dropped -= base->dropped;
	sum.dropped_bytes -= base->dropped_bytes;
	sum.marked -= base->marked;
	sum.observed -= base->observed;
	sum.observed_bytes -= base->observed_bytes;
	sum.evicted -= base->evicted;
	return sum;
}

struct sl_service_counters sl_stats_service(const struct sl_control *c, uint32_t service)
{
	const struct sl_service_counters *record = c->store.base[SL_ARRAY_service_counters];
	uint32_t writers = c->store.count[SL_ARRAY_reason_counters];
	uint32_t ids = c->store.count[SL_ARRAY_service_counters] / writers;
	struct sl_service_counters sum = { 0 };

	for (uint32_t w = 0; w < writers && service < ids; w++)
		add_words(&sum, &record[(size_t)w * ids + service], sizeof(sum));
	return sum;
}

/* Counts the packets that never reached a worker, as the drivers of the ports report them. */
static uint64_t missed(const struct sl_control *c)
{
	const struct sl_queue *queue = c->store.base[SL_ARRAY_queues];
	uint64_t sum = 0;

	for (uint32_t q = 0; q < c->store.count[SL_ARRAY_queues]; q++)
		sum += __atomic_load_n(&queue[q].missed, __ATOMIC_RELAXED);
	return sum;
}

uint64_t sl_stats_reason(const struct sl_control *c, enum sl_reason reason)
{
	const struct sl_reason_counters *record = c->store.base[SL_ARRAY_reason_counters];
	uint64_t sum = reason == SL_REASON_missed ? missed(c) : 0;

	for (uint32_t w = 0; w < c->store.count[SL_ARRAY_reason_counters]; w++)
		sum += __atomic_load_n(&record[w].packets[reason], __ATOMIC_RELAXED);
	return sum;
}

static uint64_t backend_bytes(const struct sl_control *c, uint32_t counter_id, uint32_t writer,
			      uint32_t n)
{
	const struct sl_backend_counters *record = c->store.base[SL_ARRAY_backend_counters];
	uint32_t ids = c->store.count[SL_ARRAY_backend_counters] /
		       c->store.count[SL_ARRAY_reason_counters];
	struct sl_backend_counters sum = { 0 };

	for (uint32_t w = writer; w < writer + n && counter_id < ids; w++)
		add_words(&sum, &record[(size_t)w * ids + counter_id], sizeof(sum));
	return sum.bytes_in + sum.bytes_out;
}

uint64_t sl_stats_bytes(const struct sl_control *c, uint32_t writer, uint32_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];

		for (uint32_t b = 0; b < s->n; b++)
			if (s->backend[b].state != SL_STATE_FREE)
				sum += backend_bytes(c, s->backend[b].counter_id, writer, n);
	}
	return sum;
}

uint64_t sl_stats_decided(const struct sl_control *c, uint32_t writer, uint32_t n)
{
	static const bool ours[] = {
#define OURS(name, verdict, help) (verdict) != SL_PUNT,
		SL_REASONS(OURS)
#undef OURS
	};
	const struct sl_reason_counters *record = c->store.base[SL_ARRAY_reason_counters];
	uint64_t sum = 0;

	for (uint32_t w = writer; w < writer + n; w++)
		for (size_t i = 0; i < sizeof(ours); i++)
			if (ours[i])
				sum += __atomic_load_n(&record[w].packets[i], __ATOMIC_RELAXED);
	return sum;
}
