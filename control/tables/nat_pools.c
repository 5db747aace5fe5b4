/* SPDX-License-Identifier: BSD-2-Clause */
#include "nat_pools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../schedulers/scheduler.h"
#include "buckets.h"

enum {
	IDLE_MS = 2000,	   /* how long a region is unused before it is given to another address */
	WORDS_ONCE = 16384 /* words that one tick goes through */
};

static const union sl_addr nobody;

static uint32_t regions(const struct sl_control *c)
{
	return c->store.count[SL_ARRAY_snat_ports] / SL_SNAT_LINES;
}

/* Returns the word of a port. */
static uint64_t *word_at(const struct sl_control *c, uint32_t region, uint32_t port)
{
	struct sl_snat_line *line = c->store.base[SL_ARRAY_snat_ports];

	line += (size_t)region * SL_SNAT_LINES + port / SL_SNAT_PORTS_PER_LINE;
	return &line->key[port % SL_SNAT_PORTS_PER_LINE];
}

uint32_t sl_nat_pools_region(const struct sl_control *c, const union sl_addr *addr)
{
	uint32_t i = 0;

	while (i < regions(c) && !sl_addr_equal(&c->region[i].addr, addr))
		i++;
	return i;
}

/* Finds the region of an address, or gives it a free one. Returns 0, or -ENOSPC if none is free. */
static int take_region(struct sl_control *c, const union sl_addr *addr, uint32_t *region)
{
	*region = sl_nat_pools_region(c, addr);
	if (*region == regions(c))
		*region = sl_nat_pools_region(c, &nobody);
	if (*region == regions(c))
		return -ENOSPC;
	c->region[*region].addr = *addr;
	c->region[*region].idle_ms = 0;
	return 0;
}

/* Fills the table that spreads flows over the addresses of a pool. A slot holds the index of an
 * address, and a change of addresses moves few slots. */
static int fill_slots(const struct sl_config_snat_pool *pool, uint32_t *slot)
{
	struct sl_candidate candidate[SL_SNAT_ADDRESSES_MAX];
	int err;

	for (uint32_t i = 0; i < pool->n; i++)
		candidate[i] = (struct sl_candidate){
			.number = i + 1,
			.weight = 1,
			.identity = sl_candidate_identity(&pool->addr[i], 0),
		};
	err = sl_scheduler_maglev.fill(slot, SL_SNAT_START_SLOTS, candidate, pool->n);
	for (uint32_t i = 0; i < SL_SNAT_START_SLOTS && !err; i++)
		slot[i]--;
	return err;
}

static int fill(struct sl_control *c, const struct sl_config_snat_pool *pool,
		struct sl_table_block *record)
{
	struct sl_table_block *address = record + 1 + SL_SNAT_START_SLOTS / SL_SLOTS_PER_BLOCK;
	uint32_t region;
	int err;

	memset(record, 0, sl_snat_pool_blocks(pool->n) * sizeof(*record));
	record->pool = (struct sl_snat_pool){ .n = pool->n,
					      .first_port = pool->first_port,
					      .last_port = pool->last_port };
	for (uint32_t i = 0; i < pool->n; i++) {
		struct sl_snat_address *a = &address[i / SL_SNAT_ADDRESSES_PER_BLOCK]
						     .address[i % SL_SNAT_ADDRESSES_PER_BLOCK];

		err = take_region(c, &pool->addr[i], &region);
		if (err)
			return err;
		*a = (struct sl_snat_address){ .addr = pool->addr[i], .region = region };
	}
	return fill_slots(pool, &record[1].slot[0]);
}

int sl_nat_pools_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX])
{
	uint64_t next = sl_store_root(&c->store)->generation + 1;
	struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks], *desired;
	const struct sl_config_snat_pool *pool = &s->conf.pool;
	uint32_t records = sl_snat_pool_blocks(pool->n);
	struct sl_extent *extent;
	int err;

	if (!pool->n) {
		sl_extent_unref(s->pool, next);
		s->pool = NULL;
		return 0;
	}
	desired = aligned_alloc(64, records * sizeof(*desired));
	if (!desired)
		return -ENOMEM;
	err = fill(c, pool, desired);
	if (err)
		snprintf(error, SL_ERROR_MAX,
			 "pool %s: no room for its addresses: those that were let go of rest for "
			 "seconds; try again later or raise capacity.addresses (%u)",
			 pool->name, regions(c));
	if (err || (s->pool && s->pool->n == records &&
		    memcmp(&blocks[s->pool->at], desired, records * sizeof(*desired)) == 0))
		goto out;
	extent = sl_extents_alloc(c->slots, records);
	if (!extent) {
		snprintf(error, SL_ERROR_MAX,
			 "no room for pool %s of service %s, which takes %u rows in one piece (%u "
			 "free at most; old ones rest until every worker has moved on): raise "
			 "capacity.rows",
			 pool->name, s->conf.name, records * SL_SLOTS_PER_BLOCK,
			 sl_extents_room(c->slots) * SL_SLOTS_PER_BLOCK);
		err = -ENOSPC;
		goto out;
	}
	memcpy(&blocks[extent->at], desired, records * sizeof(*desired));
	sl_extent_unref(s->pool, next);
	s->pool = extent;
out:
	free(desired);
	return err;
}

int sl_nat_pools_adopt(struct sl_control *c, struct sl_model_service *s,
		       const struct sl_service *record)
{
	const struct sl_table_block *head, *address, *blocks = c->store.base[SL_ARRAY_table_blocks];
	struct sl_config_snat_pool *pool = &s->conf.pool;

	if (!(record->flags & SL_SERVICE_FULLNAT))
		return 0;
	if (record->pool >= c->store.count[SL_ARRAY_table_blocks])
		return -EPROTO;
	head = &blocks[record->pool];
	if (head->pool.n > SL_SNAT_ADDRESSES_MAX)
		return -EPROTO;
	s->pool = sl_extents_adopt(c->slots, record->pool, sl_snat_pool_blocks(head->pool.n));
	if (!s->pool)
		return -EPROTO;
	pool->n = head->pool.n;
	pool->first_port = head->pool.first_port;
	pool->last_port = head->pool.last_port;
	address = head + 1 + SL_SNAT_START_SLOTS / SL_SLOTS_PER_BLOCK;
	for (uint32_t i = 0; i < pool->n; i++) {
		const struct sl_snat_address *a =
			&address[i / SL_SNAT_ADDRESSES_PER_BLOCK]
				 .address[i % SL_SNAT_ADDRESSES_PER_BLOCK];

		if (a->region >= regions(c))
			return -EPROTO;
		c->region[a->region].addr = pool->addr[i] = a->addr;
	}
	return 0;
}

/* ---- freeing ports ---- */

/* Whether the word belongs to no live flow, by the same rules as in the engines (core/snat.h). A
 * flow's entry may move during the look-up, so a look-up that fails is done twice. */
static bool is_dead(const struct sl_control *c, uint64_t word)
{
	const struct sl_flow_timeouts *timeouts = c->store.base[SL_ARRAY_flow_timeouts];
	uint64_t now = sl_bucket_now(c) >> SL_METER_SHIFT, value;
	uint16_t service = sl_flow_key_service(word);
	uint64_t *at;

	if (word & SL_SNAT_BUSY)
		return ((now - word) & SL_TIME_MASK) > SL_SNAT_BUSY_MAX;
	if (service >= c->store.count[SL_ARRAY_flow_timeouts])
		return true;
	at = sl_bucket_of_flow(c, service, sl_flow_key_source(word));
	if (!at)
		at = sl_bucket_of_flow(c, service, sl_flow_key_source(word));
	if (!at)
		return true;
	value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	return !sl_flow_within(value, now,
			       timeouts[service].lifetime[sl_flow_state(value)] + SL_FLOW_GRACE);
}

static bool is_in_use(const struct sl_control *c, const union sl_addr *addr)
{
	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_config_snat_pool *pool = &c->model->service[i]->conf.pool;

		for (uint32_t k = 0; k < pool->n; k++)
			if (sl_addr_equal(&pool->addr[k], addr))
				return true;
	}
	return false;
}

/* Frees a region with all its ports, some time after the last service has let go of its address. */
static void release_unused(struct sl_control *c, uint32_t region)
{
	struct sl_region *r = &c->region[region];
	uint32_t now = sl_clock_ms() | 1;

	if (is_in_use(c, &r->addr)) {
		r->idle_ms = 0;
	} else if (!r->idle_ms) {
		r->idle_ms = now;
	} else if (now - r->idle_ms > IDLE_MS) {
		for (uint32_t i = 0; i < 65536; i++)
			__atomic_store_n(word_at(c, region, i), 0, __ATOMIC_RELAXED);
		*r = (struct sl_region){ 0 };
	}
}

uint32_t sl_nat_pools_turns(const struct sl_control *c)
{
	return regions(c) * (65536 / WORDS_ONCE);
}

/* Goes through the next WORDS_ONCE words. */
void sl_nat_pools_tick(struct sl_control *c)
{
	uint32_t n = regions(c), region, from;
	struct sl_region *r;

	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (!sl_addr_equal(&c->region[i].addr, &nobody))
			release_unused(c, i);
	region = c->snat_cursor / 65536 % n;
	from = c->snat_cursor % 65536;
	r = &c->region[region];
	if (sl_addr_equal(&r->addr, &nobody)) {
		c->snat_cursor = (region + 1) % n * 65536;
		return;
	}
	for (uint32_t i = 0; i < WORDS_ONCE; i++) {
		uint64_t *word = word_at(c, region, from + i);
		uint64_t old = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (old && is_dead(c, old))
			__atomic_compare_exchange_n(word, &old, 0, false, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED);
		else
			r->seen += old != 0;
	}
	c->snat_cursor =
		(uint32_t)(((uint64_t)c->snat_cursor + WORDS_ONCE) % ((uint64_t)n * 65536));
	if (c->snat_cursor % 65536)
		return;
	r->used = r->seen;
	r->seen = 0;
}

/* ---- reports ---- */

static uint32_t ports_of(const struct sl_config_snat_pool *pool)
{
	return pool->last_port - pool->first_port + 1u;
}

struct sl_nat_pools_use sl_nat_pools_use(const struct sl_control *c,
					 const struct sl_config_snat_pool *pool)
{
	struct sl_nat_pools_use use = { .ports = (uint64_t)pool->n * ports_of(pool) };

	for (uint32_t i = 0; i < pool->n; i++) {
		uint32_t region = sl_nat_pools_region(c, &pool->addr[i]);

		if (region < regions(c))
			use.used += c->region[region].used;
	}
	return use;
}

json_t *sl_nat_pools_report(const struct sl_control *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->config.n_pools; i++) {
		const struct sl_config_snat_pool *pool = &c->config.pool[i];
		struct sl_nat_pools_use use = sl_nat_pools_use(c, pool);
		json_t *addresses = json_array(), *services = json_array();

		for (uint32_t k = 0; k < pool->n; k++) {
			uint32_t region = sl_nat_pools_region(c, &pool->addr[k]);
			char text[SL_ADDR_TEXT];

			json_array_append_new(
				addresses,
				json_pack("{s:s, s:I}", "address",
					  sl_addr_format(&pool->addr[k], text), "used",
					  (json_int_t)(region < regions(c) ? c->region[region].used
									   : 0)));
		}
		for (size_t k = 0; k < c->model->n; k++)
			if (strcmp(c->model->service[k]->conf.pool.name, pool->name) == 0)
				json_array_append_new(services,
						      json_string(c->model->service[k]->conf.name));
		json_array_append_new(list,
				      json_pack("{s:s, s:i, s:i, s:I, s:I, s:o, s:o}", "name",
						pool->name, "first_port", (int)pool->first_port,
						"last_port", (int)pool->last_port, "ports",
						(json_int_t)use.ports, "used", (json_int_t)use.used,
						"addresses", addresses, "services", services));
	}
	return list;
}
