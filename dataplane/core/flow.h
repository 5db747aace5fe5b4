/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Operations on the flow table. abi/flow.h has its records and the rules for concurrent writers.
 *
 * The table has two-choice buckets of four entries. A new entry goes to its first bucket while that
 * has room, then to its second. If both are full, an entry of either moves to its own other bucket,
 * if need be after another entry made room there. So at a load of 0.75 no insert of a million
 * random flows fails. (If entries went to the emptier bucket instead, a third of all look-ups would
 * touch a second line.)
 *
 * While an entry moves, it is in both buckets with the same value, so a reader always finds it. Two
 * writers that insert the same flow at once may make two entries. All readers use the first one in
 * order (first bucket, lowest way), and the writer of the other removes its own, so from the next
 * packet on all agree.
 */
#ifndef SL_CORE_FLOW_H
#define SL_CORE_FLOW_H

#include "../abi/hash.h"
#include "loop.h"
#include "seam.h"

#if defined(__SSE4_1__) && !defined(__bpf__)
#include <smmintrin.h>
#endif

/* After this many failed inserts in a row the table counts as full. (In a table with room, one
 * insert in 100,000 fails.) Then only one new flow in 2^SL_FLOW_RETRY_SHIFT tries to make room. */
#define SL_FLOW_FULL_AFTER  4
#define SL_FLOW_RETRY_SHIFT 10

struct sl_flow_at {
	struct sl_bucket *bucket; /* NULL: not found */
	uint32_t way;
	uint64_t value;
};

/* A mask of the ways that have this key, computed without a branch. */
SL_INLINE uint32_t sl_bucket_match(const struct sl_bucket *b, uint64_t key)
{
#if defined(__SSE4_1__) && !defined(__bpf__)
	__m128i k = _mm_set1_epi64x((long long)key);
	__m128i lo = _mm_cmpeq_epi64(_mm_load_si128((const __m128i *)&b->key[0]), k);
	__m128i hi = _mm_cmpeq_epi64(_mm_load_si128((const __m128i *)&b->key[2]), k);

	return (uint32_t)_mm_movemask_pd(_mm_castsi128_pd(lo)) |
	       (uint32_t)_mm_movemask_pd(_mm_castsi128_pd(hi)) << 2;
#else
	uint64_t mask = 0;

	for (int way = SL_FLOW_WAYS - 1; way >= 0; way--) {
		uint64_t differs = b->key[way] ^ key;

		sl_opaque(differs);
		mask = mask << 1 | (differs | -differs) >> 63;
	}
	return (uint32_t)mask ^ ((1u << SL_FLOW_WAYS) - 1);
#endif
}

/* The lowest way of a mask that isn't 0. BPF has no instruction for it. */
SL_INLINE uint32_t sl_way_first(uint32_t mask)
{
#ifdef __bpf__
	uint32_t lowest = mask & -mask; /* 1, 2, 4 or 8 */

	return (lowest >> 1) - (lowest >> 3);
#else
	return (uint32_t)__builtin_ctz(mask);
#endif
}

SL_INLINE uint64_t sl_entry_load(const uint64_t *word)
{
#ifdef __bpf__
	return *(const volatile uint64_t *)word;
#else
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);	 /* the key before its value */
#endif
}

SL_INLINE void sl_entry_store(uint64_t *word, uint64_t value)
{
#ifdef __bpf__
	*(volatile uint64_t *)word = value;
#else
	__atomic_store_n(word, value, __ATOMIC_RELEASE); /* a value before its key */
#endif
}

SL_INLINE bool sl_entry_swap(uint64_t *word, uint64_t from, uint64_t to)
{
	return __sync_val_compare_and_swap(word, from, to) == from;
}

/* Ticks since the entry was last seen. 0 if its time lies in the future, as that of a token bucket
 * does, or one stamped by a clock slightly ahead of ours. */
SL_INLINE uint64_t sl_flow_age(uint64_t value, uint64_t now)
{
	uint64_t age = (now - sl_flow_time(value)) & SL_TIME_MASK;

	return age > SL_TIME_MASK - SL_TIME_AHEAD ? 0 : age;
}

SL_INLINE bool sl_flow_alive(uint64_t value, const struct sl_flow_timeouts *timeouts, uint64_t now)
{
	return sl_flow_within(value, now, timeouts->lifetime[sl_flow_state(value)]);
}

/* Whether another flow may replace the entry: it has expired, and the grace is over. */
SL_INLINE bool sl_flow_replaceable(const struct sl_tables *t, uint64_t key, uint64_t value,
				   uint64_t now)
{
	const struct sl_flow_timeouts *timeouts = sl_seam_timeouts(t, sl_flow_key_service(key));

	if (key & SL_FLOW_BUSY)
		return false;
	if (!timeouts)
		return true;
	return !sl_flow_within(value, now,
			       timeouts->lifetime[sl_flow_state(value)] + SL_FLOW_GRACE);
}

SL_INLINE struct sl_bucket *sl_flow_bucket(const struct sl_tables *t, uint64_t hash, bool second)
{
	const struct sl_root *root = sl_seam_root(t);
	uint32_t n = sl_seam_buckets(t);

	if (!root)
		return NULL;
	return sl_seam_bucket(t, second ? sl_hash_bucket2(hash, n, root->flow_key)
					: sl_hash_bucket(hash, n));
}

/* Finds a flow's entry, expired or not. The key is read again after the value, so that an entry
 * that another flow took in between isn't used. The first bucket is searched once more after the
 * second, since a moving entry may have come from there meanwhile. */
SL_INLINE struct sl_flow_at sl_flow_find(const struct sl_tables *t, uint64_t key, uint64_t hash)
{
	struct sl_flow_at at = { .bucket = NULL };

	for (int i = 0; i < 3; i++) {
		struct sl_bucket *b = sl_flow_bucket(t, hash, i == 1);
		uint32_t ways = b ? sl_bucket_match(b, key) : 0;

		if (ways) {
			at.way = sl_way_first(ways) & (SL_FLOW_WAYS - 1);
			at.value = sl_entry_load(&b->value[at.way]);
			if (sl_unlikely(sl_entry_load(&b->key[at.way]) != key))
				continue;
			at.bucket = b;
			return at;
		}
	}
	return at;
}

/* Inserts into the bucket, at an empty or replaceable entry. Returns the way, or -1: there is
 * none. */
SL_INLINE int sl_bucket_insert(const struct sl_tables *t, struct sl_bucket *b, uint64_t key,
			       uint64_t value, uint64_t now)
{
	for (uint32_t way = 0; way < SL_FLOW_WAYS; way++) {
		uint64_t old = sl_entry_load(&b->key[way]);

		if (old && !sl_flow_replaceable(t, old, sl_entry_load(&b->value[way]), now))
			continue;
		if (!sl_entry_swap(&b->key[way], old, key | SL_FLOW_BUSY))
			continue;
		sl_entry_store(&b->value[way], value);
		sl_entry_store(&b->key[way], key);
		return (int)way;
	}
	return -1;
}

/* Moves an entry to its other bucket. False: there is no room, or the entry is gone. The entry's
 * old position then is empty. */
SL_INLINE bool sl_flow_move(const struct sl_tables *t, struct sl_bucket *from, uint32_t way,
			    uint64_t now)
{
	const struct sl_root *root = sl_seam_root(t);
	uint64_t key = sl_entry_load(&from->key[way]);
	uint64_t value = sl_entry_load(&from->value[way]);
	struct sl_service_counters *counters =
		sl_seam_service_counters(t, sl_flow_key_service(key));
	struct sl_bucket *to;
	uint64_t hash, newer;
	int copy;

	if (!root || !key || key & SL_FLOW_BUSY || sl_entry_load(&from->key[way]) != key)
		return false;
	hash = sl_hash_flow(key, root->flow_key);
	to = sl_flow_bucket(t, hash, false);
	if (to == from)
		to = sl_flow_bucket(t, hash, true);
	if (!to || to == from)
		return false;
	copy = sl_bucket_insert(t, to, key, value, now);
	if (copy < 0)
		return false;
	if (counters)
		counters->moved++; /* control discards a scan during which an entry moved */
	/* From here on readers find either entry. The old one is made busy before it is removed,
	 * and a value that was stored there after the copy is carried over. */
	if (sl_likely(sl_entry_swap(&from->key[way], key, key | SL_FLOW_BUSY))) {
		newer = sl_entry_load(&from->value[way]);
		if (newer != value)
			sl_entry_swap(&to->value[copy & (SL_FLOW_WAYS - 1)], value, newer);
		sl_entry_store(&from->key[way], 0);
		return true;
	}
	/* Another writer moved the entry, or replaced it. */
	sl_entry_swap(&to->key[copy & (SL_FLOW_WAYS - 1)], key, 0);
	return false;
}

/* Makes room in one of a key's two buckets. Either an entry there moves to its own other bucket; or
 * first an entry moves out of that bucket, and then the one here moves in. */
struct sl_flow_room {
	const struct sl_tables *t;
	uint64_t hash; /* of the key */
	uint64_t now;
	bool beyond; /* the last round has made room in the other bucket */
	bool made;
};

/* Rounds: one for each entry of the two buckets; then for each of these and each entry of its other
 * bucket two rounds, one that makes room there and one that moves the entry. */
enum {
	SL_FLOW_NEAR = 2 * SL_FLOW_WAYS,
	SL_FLOW_FAR = 2 * SL_FLOW_WAYS,
	SL_FLOW_ROUNDS = SL_FLOW_NEAR + SL_FLOW_NEAR * SL_FLOW_FAR
};

static long sl_flow_make_room(uint32_t i, void *state)
{
	struct sl_flow_room *room = state;
	const struct sl_root *root = sl_seam_root(room->t);
	bool far = i >= SL_FLOW_NEAR, first = far && !(i & 1);
	uint32_t at = far ? (i - SL_FLOW_NEAR) / SL_FLOW_FAR : i, way = at % SL_FLOW_WAYS;
	struct sl_bucket *from = sl_flow_bucket(room->t, room->hash, at >= SL_FLOW_WAYS), *to;
	uint64_t hash;
	bool moved;

	if (!root || !from || (far && !first && !room->beyond))
		return 0;
	if (first) {
		hash = sl_hash_flow(sl_entry_load(&from->key[way]) & ~SL_FLOW_BUSY, root->flow_key);
		to = sl_flow_bucket(room->t, hash, false);
		from = to == from ? sl_flow_bucket(room->t, hash, true) : to;
		way = i / 2 % SL_FLOW_WAYS;
	}
	moved = from && sl_flow_move(room->t, from, way, room->now);
	room->beyond = first && moved;
	room->made = !first && moved;
	return room->made;
}

/* Makes room, unless the table counts as full: finding that out again costs thousands of cycles,
 * which a SYN flood would make us pay for each packet. After some failures in a row only one flow
 * in many tries; the first success resets this. */
SL_INLINE bool sl_flow_relocate_impl(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_service_counters *counters =
		sl_seam_service_counters(t, sl_flow_key_service(key));
	/* Always false at first (times have 48 bits). Written so that the verifier can't prove it:
	 * it walks the loop's body only once, and would remove the second kind of round as dead
	 * code. */
	struct sl_flow_room room = { .t = t, .now = now, .beyond = now >> 63 };

	if (!root || !counters)
		return false;
	room.hash = sl_hash_flow(key, root->flow_key);
	if (counters->insert_failures >= SL_FLOW_FULL_AFTER &&
	    room.hash >> (64 - SL_FLOW_RETRY_SHIFT))
		return false;
	sl_loop(SL_FLOW_ROUNDS, sl_flow_make_room, &room);
	counters->insert_failures = room.made ? 0 : counters->insert_failures + 1;
	return room.made;
}

/* Inserts into either bucket of the flow. Returns the bucket, and the way in *way; NULL: both are
 * full. */
SL_INLINE struct sl_bucket *sl_flow_insert_either(const struct sl_tables *t, uint64_t key,
						  uint64_t hash, uint64_t value, uint64_t now,
						  int *way)
{
	for (int second = 0; second < 2; second++) {
		struct sl_bucket *b = sl_flow_bucket(t, hash, second);

		*way = b ? sl_bucket_insert(t, b, key, value, now) : -1;
		if (*way >= 0)
			return b;
	}
	return NULL;
}

/* Inserts a flow that was not found. Returns the entry's value, which is another writer's if that
 * one came first; 0: both buckets are full, and sl_flow_relocate() may make room. */
SL_INLINE uint64_t sl_flow_insert(const struct sl_tables *t, uint64_t key, uint64_t hash,
				  uint64_t value, uint64_t now)
{
	int way;
	struct sl_bucket *b = sl_flow_insert_either(t, key, hash, value, now, &way);
	struct sl_flow_at first;

	if (!b)
		return 0;
	first = sl_flow_find(t, key, hash);
	if (sl_likely(!first.bucket || (first.bucket == b && first.way == (uint32_t)way)))
		return value;
	sl_entry_swap(&b->key[way & (SL_FLOW_WAYS - 1)], key, 0);
	return first.value;
}

/* Updates the value of an entry that was found, unless another writer did meanwhile. False: the
 * entry belongs to another flow by now, or is being removed. */
SL_INLINE bool sl_flow_update(struct sl_flow_at *at, uint64_t key, uint64_t value)
{
	sl_entry_swap(&at->bucket->value[at->way], at->value, value);
	at->value = value;
	return sl_entry_load(&at->bucket->key[at->way]) == key;
}

/* Clears the bucket's entries that expired and are past the grace. Engines sweep a few buckets at a
 * time. */
SL_INLINE void sl_flow_sweep(const struct sl_tables *t, struct sl_bucket *b, uint64_t now)
{
	for (uint32_t way = 0; way < SL_FLOW_WAYS; way++) {
		uint64_t key = sl_entry_load(&b->key[way]);

		if (key && sl_flow_replaceable(t, key, sl_entry_load(&b->value[way]), now))
			sl_entry_swap(&b->key[way], key, 0);
	}
}

#endif
