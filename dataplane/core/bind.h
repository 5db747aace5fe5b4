/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Full NAT: which port of a pool's a flow is bound to, and which one it gets; what stands in memory
 * is abi/binding.h's.
 *
 * The search goes through 128 ports of an address: two runs of eight lines, which follow from the
 * flow's hash, a line of each in turn. A flow that isn't known takes the first of them that is
 * free, so that nearly all are found in one of the first two lines; where none is, those of the
 * pool's other addresses are asked too.
 */
#ifndef SL_CORE_BIND_H
#define SL_CORE_BIND_H

#include "route.h"

/* A binding as one number: 0..15 the port (host order), 16..23 the index of the pool's address,
 * 63 that it is one. */
#define SL_BOUND	   (1ull << 63)
#define SL_BOUND_UNKNOWN   0 /* no live entry knows the flow, or: the pool has no port for it */
#define SL_BOUND_ELSEWHERE 1 /* one does, but the search that is quick didn't find it */
#define SL_BOUND_NO_ENTRY  2 /* none does, though it was tracked: the flow table is full */
#define SL_BOUND_ENDING	   3 /* as elsewhere; but FIN or RST, for which no port is taken */

enum {
	SL_BIND_TRIES = 16, /* lines of an address */
	SL_BIND_PORTS = SL_BIND_TRIES * SL_BINDINGS,
};

/* A search: where, and what it came to. */
struct sl_bind {
	const struct sl_tables *t;
	uint64_t key;
	uint64_t hash; /* of the key */
	uint64_t found;
	uint32_t pool;	/* its first record */
	uint32_t n;	/* its addresses */
	uint32_t start; /* index of the one that is tried first */
	uint16_t first_port;
	uint16_t last_port;
};

/* One for a port to take. */
struct sl_bind_take {
	struct sl_bind in;
	uint64_t now;
	union sl_addr client; /* of IPv6 */
	sl_be16 port;	      /* the client's */
	bool six;
};

/* One for a port whose flow is dead. */
struct sl_bind_stale {
	struct sl_bind in;
	uint64_t now;
};

SL_INLINE uint16_t sl_bound_port(uint64_t bound)
{
	return (uint16_t)bound;
}

SL_INLINE uint32_t sl_bound_index(uint64_t bound)
{
	return bound >> 16 & (SL_POOL_ADDRESSES_MAX - 1);
}

/* An address of a pool by its index. */
SL_INLINE const struct sl_pool_address *sl_pool_address(const struct sl_tables *t, uint32_t pool,
							uint32_t index)
{
	uint64_t first = (uint64_t)pool + 1 + SL_POOL_ROWS / SL_ROWS_PER_RECORD;
	const struct sl_rows *r = sl_seam_extent(t, first + index / SL_POOL_ADDRESSES);

	return r ? &r->address[index % SL_POOL_ADDRESSES] : NULL;
}

/* The number of a line in a region, by the place in the search. */
SL_INLINE uint32_t sl_bind_line(const struct sl_bind *b, uint32_t try)
{
	uint32_t first = b->first_port / SL_BINDINGS;
	uint32_t lines = b->last_port / SL_BINDINGS - first + 1;
	uint32_t run = (uint32_t)(try & 1 ? b->hash >> 32 : b->hash);

	return first + (sl_hash_reduce(run, lines) + try / 2) % lines;
}

/* The word of a flow that is dead and takeable, or of an engine. */
SL_INLINE bool sl_binding_dead(const struct sl_tables *t, uint64_t word, uint64_t now)
{
	if (word & SL_BINDING_BUSY)
		return ((now - word) & SL_TIME_MASK) > SL_BINDING_PATIENCE;
	return !sl_track_value_with(t, word, now - SL_FLOW_GRACE);
}

/* Takes a port that is free; tcp: the word beside its own. */
SL_INLINE bool sl_bind_swap(const struct sl_bind_take *b, uint64_t *at, uint64_t *tcp,
			    uint32_t index)
{
	uint64_t busy = SL_BINDING_BUSY | (b->now & SL_TIME_MASK);
	struct sl_bound *bound;

	if (!b->six) {
		if (!sl_entry_swap(at, 0, b->in.key))
			return false;
		sl_entry_store(tcp, 0);
		return true;
	}
	bound = sl_seam_bound(b->in.t, index);
	if (!bound || !sl_entry_swap(at, 0, busy))
		return false;
	bound->addr = b->client;
	bound->port = b->port;
	sl_entry_store(tcp, 0);
	return sl_entry_swap(at, busy, b->in.key);
}

/* The address of a round, and its index. */
SL_INLINE const struct sl_pool_address *sl_bind_address(const struct sl_bind *b, uint32_t nth,
							uint32_t *index)
{
	*index = b->start + nth;
	if (*index >= b->n)
		*index -= b->n;
	return sl_pool_address(b->t, b->pool, *index);
}

/* What a round of a search is about: the line's first port, the address's region and index. */
SL_INLINE struct sl_bindings *sl_bind_at(const struct sl_bind *b, uint32_t i, uint32_t *port,
					 uint32_t *region, uint32_t *index)
{
	const struct sl_pool_address *a = sl_bind_address(b, i / SL_BIND_TRIES, index);
	uint32_t line = sl_bind_line(b, i % SL_BIND_TRIES);

	if (!a)
		return NULL;
	*port = line * SL_BINDINGS;
	*region = a->region;
	return sl_seam_bindings(b->t, a->region * SL_BINDING_LINES + line);
}

/* Looks for the flow in a line. */
static long sl_bind_find_round(uint32_t i, void *state)
{
	struct sl_bind *b = state;
	uint32_t port, region, index;
	struct sl_bindings *l = sl_bind_at(b, i, &port, &region, &index);

	if (!l)
		return 1;
	for (uint32_t way = 0; way < SL_BINDINGS; way++) {
		if (sl_entry_load(&l->key[way]) != b->key)
			continue;
		b->found = SL_BOUND | index << 16 | (port + way);
		return 1;
	}
	return 0;
}

/* Takes a port. One a round: the verifier would walk all ways through a line. */
static long sl_bind_take_round(uint32_t i, void *state)
{
	struct sl_bind_take *b = state;
	uint32_t port, region, index;
	struct sl_bindings *l = sl_bind_at(&b->in, i / SL_BINDINGS, &port, &region, &index);
	uint64_t *at;

	if (!l)
		return 1;
	at = &l->key[i % SL_BINDINGS];
	port += i % SL_BINDINGS;
	if (port < b->in.first_port || port > b->in.last_port || sl_entry_load(at) ||
	    !sl_bind_swap(b, at, &l->tcp[i % SL_BINDINGS], sl_binding_at(region, (uint16_t)port)))
		return 0;
	b->in.found = SL_BOUND | index << 16 | port;
	return 1;
}

/* Frees a port of the first address, if its flow is dead. */
static long sl_bind_stale_round(uint32_t i, void *state)
{
	struct sl_bind_stale *b = state;
	uint32_t port, region, index;
	struct sl_bindings *l = sl_bind_at(&b->in, i / SL_BINDINGS, &port, &region, &index);
	uint64_t *at, word;

	if (!l)
		return 1;
	at = &l->key[i % SL_BINDINGS];
	word = sl_entry_load(at);
	b->in.found =
		!word || (sl_binding_dead(b->in.t, word, b->now) && sl_entry_swap(at, word, 0));
	return (long)b->in.found;
}

/* Looks for the flow in so many addresses: its binding, or 0. */
SL_INLINE uint64_t sl_bind_find(struct sl_bind *b, uint32_t addresses)
{
	b->found = 0;
	sl_loop(addresses * SL_BIND_TRIES, sl_bind_find_round, b);
	return b->found;
}

/* False: there is no such pool. hash: of the key. */
SL_INLINE bool sl_bind_begin(struct sl_bind *b, const struct sl_tables *t, uint64_t key,
			     uint64_t hash, uint32_t pool)
{
	const struct sl_rows *head = sl_seam_extent(t, pool);
	const uint32_t *row;

	if (!head)
		return false;
	b->t = t;
	b->key = key;
	b->hash = hash;
	b->pool = pool;
	b->n = head->pool.n;
	b->first_port = head->pool.first_port;
	b->last_port = head->pool.last_port;
	/* By bits that no line follows from. */
	row = sl_seam_row(t, ((uint64_t)pool + 1) * SL_ROWS_PER_RECORD +
				     (b->hash * 0x9e3779b97f4a7c15ull >> 56) % SL_POOL_ROWS);
	if (!row || b->n > SL_POOL_ADDRESSES_MAX || b->last_port < b->first_port)
		return false;
	b->start = *row;
	return b->start < b->n;
}

/* The flow's binding, by the search that is quick; or SL_BOUND_UNKNOWN, or SL_BOUND_ELSEWHERE. */
SL_INLINE uint64_t sl_bound_with(const struct sl_tables *t, uint64_t key, uint64_t now,
				 uint32_t pool)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_bind b = { 0 };

	if (!root || !sl_bind_begin(&b, t, key, sl_hash_flow(key, root->flow_key), pool))
		return SL_BOUND_UNKNOWN;
	if (sl_likely(sl_bind_find(&b, 1)))
		return b.found;
	return sl_track_value_with(t, key, now) ? SL_BOUND_ELSEWHERE : SL_BOUND_UNKNOWN;
}

/* The same, in all of the pool; 0: none. For what isn't a packet of the flow itself. */
SL_INLINE uint64_t sl_bound_anywhere_with(const struct sl_tables *t, uint64_t key, uint64_t hash,
					  uint32_t pool)
{
	struct sl_bind b = { 0 };

	return sl_bind_begin(&b, t, key, hash, pool) ? sl_bind_find(&b, b.n) : 0;
}

/* A port that is free in any of the pool's addresses becomes the flow's: its binding, or 0. client:
 * of an IPv6 flow. */
SL_INLINE uint64_t sl_bind_with(const struct sl_tables *t, uint64_t key, uint64_t now,
				uint32_t pool, const union sl_addr *client, sl_be16 port)
{
	struct sl_bind_take b = {
		.now = now, .client = *client, .port = port, .six = !sl_addr_is4(client)
	};
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_pool_address *a;
	struct sl_bindings *l;
	uint64_t mine;
	uint32_t place;

	if (!root || !sl_bind_begin(&b.in, t, key, sl_hash_flow(key, root->flow_key), pool))
		return 0;
	sl_loop(b.in.n * SL_BIND_PORTS, sl_bind_take_round, &b);
	mine = b.in.found;
	/* Another writer may have been at it: the first in order counts. */
	if (!mine || !sl_bind_find(&b.in, b.in.n) || sl_likely(b.in.found == mine))
		return mine;
	a = sl_pool_address(t, pool, sl_bound_index(mine));
	if (!a)
		return mine;
	place = sl_binding_at(a->region, sl_bound_port(mine));
	l = sl_seam_bindings(t, place / SL_BINDINGS);
	if (l)
		sl_entry_swap(&l->key[place % SL_BINDINGS], key, 0);
	return b.in.found;
}

/* Whether one of the ports that the flow may have first is free now, since its flow was dead. */
SL_INLINE bool sl_bind_stale_with(const struct sl_tables *t, uint64_t key, uint64_t now,
				  uint32_t pool)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_bind_stale b = { .now = now };

	if (!root || !sl_bind_begin(&b.in, t, key, sl_hash_flow(key, root->flow_key), pool))
		return false;
	sl_loop(SL_BIND_PORTS, sl_bind_stale_round, &b);
	return b.in.found;
}

/* The binding of a flow that has just been tracked, and for which sl_bound() said `before`, or
 * SL_BOUND_ENDING. Makes one, if there is none; else SL_BOUND_UNKNOWN, SL_BOUND_NO_ENTRY or
 * SL_BOUND_ENDING. */
SL_INLINE uint64_t sl_bind_new(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool,
			       uint64_t before, const union sl_addr *client, sl_be16 port)
{
	uint64_t bound = 0;

	if (before != SL_BOUND_UNKNOWN)
		bound = sl_bound_anywhere(t, key, pool);
	if (bound || before == SL_BOUND_ENDING)
		return bound ? bound : before;
	if (!sl_track_value(t, key, now))
		return SL_BOUND_NO_ENTRY;
	bound = sl_bind(t, key, now, pool, client, port);
	if (sl_unlikely(!bound) && sl_bind_stale(t, key, now, pool))
		bound = sl_bind(t, key, now, pool, client, port);
	return bound;
}

#endif
