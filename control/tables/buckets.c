/* SPDX-License-Identifier: BSD-2-Clause */
#include "buckets.h"

#include "../../dataplane/abi/hash.h"

uint64_t sl_bucket_now(const struct sl_control *c)
{
	return (sl_clock_ns() - sl_store_root(&c->store)->origin_ns) << 8;
}

/* The flow table and the meters are searched in the same way: an entry is in one of two lines that
 * follow from the hash of its key. n is the number of lines. */
static uint32_t line_of(const struct sl_control *c, uint64_t key, uint32_t n, bool second)
{
	const uint64_t *secret = sl_store_root(&c->store)->flow_key;
	uint64_t hash = sl_hash_flow(key, secret);

	return second ? sl_hash_bucket2(hash, n, secret) : sl_hash_bucket(hash, n);
}

uint64_t *sl_bucket_of_flow(const struct sl_control *c, uint16_t service, uint64_t source)
{
	struct sl_bucket *bucket = c->store.base[SL_ARRAY_flows];
	uint64_t key = sl_flow_key(service, source);

	for (int second = 0; second < 2; second++) {
		struct sl_bucket *b =
			&bucket[line_of(c, key, c->store.count[SL_ARRAY_flows], second)];

		for (int way = 0; way < SL_FLOW_WAYS; way++)
			if (__atomic_load_n(&b->key[way], __ATOMIC_ACQUIRE) == key)
				return &b->value[way];
	}
	return NULL;
}

uint64_t *sl_bucket_of_subject(const struct sl_control *c, uint16_t limit, uint64_t subject)
{
	struct sl_meters *meters = c->store.base[SL_ARRAY_meters];
	uint64_t key = sl_meter_key(limit, subject);

	for (int second = 0; second < 2; second++) {
		struct sl_meters *m =
			&meters[line_of(c, key, c->store.count[SL_ARRAY_meters], second)];

		for (int way = 0; way < SL_METER_WAYS; way++)
			if (__atomic_load_n(&m->key[way], __ATOMIC_ACQUIRE) == key)
				return &m->full_at[way];
	}
	return NULL;
}
