/* SPDX-License-Identifier: BSD-2-Clause */
#include "server_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_id(const struct sl_model_backend *b)
{
	return sl_backend_serves(b) && b->server_id.bytes;
}

/* Whether engines know it by its id. */
static bool is_named(const struct sl_model_service *s, uint32_t i)
{
	return s->conf.quic && has_id(&s->backend[i]) && !s->backend[i].waiting;
}

uint32_t sl_servers_record(const struct sl_model_service *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (is_named(s, i))
			return sl_servers_word(s->servers->at, s->servers->n,
					       s->backend[i].server_id.bytes);
	return 0;
}

static uint32_t room_in(const struct sl_servers *bucket)
{
	uint32_t room = 0;

	for (uint32_t i = 0; i < SL_SERVERS; i++)
		room += !bucket->backend[i];
	return room;
}

/* Into the emptier of its two buckets; false: both are full. */
static bool place(struct sl_rows *table, uint32_t mask, uint64_t id, uint32_t backend)
{
	uint64_t hash = sl_server_hash(id);
	struct sl_servers *first = &table[sl_server_first(hash, mask)].servers;
	struct sl_servers *second = &table[sl_server_second(hash, mask)].servers;
	struct sl_servers *to = room_in(first) >= room_in(second) ? first : second;

	for (uint32_t i = 0; i < SL_SERVERS; i++) {
		if (to->backend[i])
			continue;
		to->id[i] = id;
		to->backend[i] = backend;
		return true;
	}
	return false;
}

static bool place_all(const struct sl_model_service *s, struct sl_rows *table, uint32_t buckets)
{
	memset(table, 0, buckets * sizeof(*table));
	for (uint32_t i = 0; i < s->n; i++)
		if (is_named(s, i) &&
		    !place(table, buckets - 1, s->backend[i].server_id.value, i + 1))
			return false;
	return true;
}

/* The table of so many ids, in the fewest buckets; NULL: no memory. */
static struct sl_rows *make(const struct sl_model_service *s, uint32_t n, uint32_t *buckets)
{
	for (*buckets = sl_servers_for(n); *buckets <= SL_SERVERS_MOST; *buckets *= 4) {
		struct sl_rows *table = aligned_alloc(64, *buckets * sizeof(*table));

		if (!table || place_all(s, table, *buckets))
			return table;
		free(table);
	}
	return NULL;
}

int sl_servers_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX])
{
	uint64_t next = sl_store_root(&c->store)->generation + 1;
	struct sl_rows *slots = c->store.base[SL_ARRAY_slots], *table;
	struct sl_extent *extent = NULL;
	uint32_t n = 0, buckets;
	int err = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += is_named(s, i);
	if (!n) {
		sl_extent_unref(s->servers, next);
		s->servers = NULL;
		return 0;
	}
	table = make(s, n, &buckets);
	if (!table)
		return -ENOMEM;
	if (s->servers && s->servers->n == buckets &&
	    memcmp(&slots[s->servers->at], table, buckets * sizeof(*table)) == 0)
		goto out;
	extent = sl_pool_alloc(c->rows, buckets);
	if (!extent) {
		snprintf(error, SL_ERROR_MAX,
			 "no room for %u server ids of service %s, which take %u rows in one piece "
			 "(%u free at most; old ones rest until every worker has moved on): raise "
			 "capacity.rows",
			 n, s->conf.name, buckets * SL_ROWS_PER_RECORD,
			 sl_pool_room(c->rows) * SL_ROWS_PER_RECORD);
		err = -ENOSPC;
		goto out;
	}
	memcpy(&slots[extent->at], table, buckets * sizeof(*table));
	sl_extent_unref(s->servers, next);
	s->servers = extent;
out:
	free(table);
	return err;
}

int sl_servers_adopt(struct sl_control *c, struct sl_model_service *s,
		     const struct sl_service *record)
{
	const struct sl_rows *slots = c->store.base[SL_ARRAY_slots];

	if (!(record->flags & SL_SERVICE_QUIC))
		return 0;
	s->servers = sl_pool_adopt(c->rows, sl_servers_at(record->servers),
				   sl_servers_mask(record->servers) + 1);
	if (!s->servers)
		return -EPROTO;
	for (uint32_t i = 0; i < s->servers->n * SL_SERVERS; i++) {
		const struct sl_servers *bucket = &slots[s->servers->at + i / SL_SERVERS].servers;
		uint32_t backend = bucket->backend[i % SL_SERVERS];

		if (backend > s->n)
			return -EPROTO;
		if (backend)
			s->backend[backend - 1].server_id = (struct sl_server_id){
				.value = bucket->id[i % SL_SERVERS],
				.bytes = (uint8_t)sl_servers_bytes(record->servers)
			};
	}
	return 0;
}
