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

static bool is_named(const struct sl_model_service *s, uint32_t i)
{
	return s->conf.quic && has_id(&s->backend[i]) && !s->backend[i].waiting;
}

bool sl_servers_name(const struct sl_model_service *s, uint32_t number)
{
	return number && number <= s->n && is_named(s, number - 1);
}

uint32_t sl_server_ids_record(const struct sl_model_service *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (is_named(s, i))
			return sl_server_ids_pack(s->server_ids->at, s->server_ids->n,
						  s->backend[i].server_id.bytes);
	return 0;
}

static uint32_t room_in(const struct sl_server_id_bucket *bucket)
{
	uint32_t room = 0;

	for (uint32_t i = 0; i < SL_SERVER_IDS_PER_BUCKET; i++)
		room += !bucket->backend[i];
	return room;
}

/* Enters an id in the emptier of its two buckets. Returns false if both are full. */
static bool place(struct sl_table_block *table, uint32_t mask, uint64_t id, uint32_t backend)
{
	uint64_t hash = sl_server_id_hash(id);
	struct sl_server_id_bucket *first = &table[sl_server_id_first(hash, mask)].server_ids;
	struct sl_server_id_bucket *second = &table[sl_server_id_second(hash, mask)].server_ids;
	struct sl_server_id_bucket *to = room_in(first) >= room_in(second) ? first : second;

	for (uint32_t i = 0; i < SL_SERVER_IDS_PER_BUCKET; i++) {
		if (to->backend[i])
			continue;
		to->id[i] = id;
		to->backend[i] = backend;
		return true;
	}
	return false;
}

static bool place_all(const struct sl_model_service *s, struct sl_table_block *table,
		      uint32_t buckets)
{
	memset(table, 0, buckets * sizeof(*table));
	for (uint32_t i = 0; i < s->n; i++)
		if (is_named(s, i) &&
		    !place(table, buckets - 1, s->backend[i].server_id.value, i + 1))
			return false;
	return true;
}

/* Builds the table of n ids, with as few buckets as possible, and sets *buckets. Returns NULL if
 * there is no memory; the caller frees the table. */
static struct sl_table_block *make(const struct sl_model_service *s, uint32_t n, uint32_t *buckets)
{
	for (*buckets = sl_server_id_buckets(n); *buckets <= SL_SERVER_ID_BUCKETS_MAX;
	     *buckets *= 4) {
		struct sl_table_block *table = aligned_alloc(64, *buckets * sizeof(*table));

		if (!table || place_all(s, table, *buckets))
			return table;
		free(table);
	}
	return NULL;
}

int sl_server_ids_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX])
{
	uint64_t next = sl_store_root(&c->store)->generation + 1;
	struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks], *table;
	struct sl_extent *extent = NULL;
	uint32_t n = 0, buckets;
	int err = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += is_named(s, i);
	if (!n) {
		sl_extent_unref(s->server_ids, next);
		s->server_ids = NULL;
		return 0;
	}
	table = make(s, n, &buckets);
	if (!table)
		return -ENOMEM;
	if (s->server_ids && s->server_ids->n == buckets &&
	    memcmp(&blocks[s->server_ids->at], table, buckets * sizeof(*table)) == 0)
		goto out;
	extent = sl_extents_alloc(c->slots, buckets);
	if (!extent) {
		snprintf(error, SL_ERROR_MAX,
			 "no room for %u server ids of service %s, which take %u rows in one piece "
			 "(%u free at most; old ones rest until every worker has moved on): raise "
			 "capacity.rows",
			 n, s->conf.name, buckets * SL_SLOTS_PER_BLOCK,
			 sl_extents_room(c->slots) * SL_SLOTS_PER_BLOCK);
		err = -ENOSPC;
		goto out;
	}
	memcpy(&blocks[extent->at], table, buckets * sizeof(*table));
	sl_extent_unref(s->server_ids, next);
	s->server_ids = extent;
out:
	free(table);
	return err;
}

int sl_server_ids_adopt(struct sl_control *c, struct sl_model_service *s,
			const struct sl_service *record)
{
	const struct sl_table_block *blocks = c->store.base[SL_ARRAY_table_blocks];

	if (!(record->flags & SL_SERVICE_QUIC))
		return 0;
	s->server_ids = sl_extents_adopt(c->slots, sl_server_ids_first(record->server_ids),
					 sl_server_ids_mask(record->server_ids) + 1);
	if (!s->server_ids)
		return -EPROTO;
	for (uint32_t i = 0; i < s->server_ids->n * SL_SERVER_IDS_PER_BUCKET; i++) {
		const struct sl_server_id_bucket *bucket =
			&blocks[s->server_ids->at + i / SL_SERVER_IDS_PER_BUCKET].server_ids;
		uint32_t backend = bucket->backend[i % SL_SERVER_IDS_PER_BUCKET];

		if (backend > s->n)
			return -EPROTO;
		if (backend)
			s->backend[backend - 1].server_id = (struct sl_server_id){
				.value = bucket->id[i % SL_SERVER_IDS_PER_BUCKET],
				.bytes = (uint8_t)sl_server_ids_bytes(record->server_ids)
			};
	}
	return 0;
}
