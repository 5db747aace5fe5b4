/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* SNAT ports: finds the port that is mapped to a flow, or maps one. abi/snat.h has the records.
 *
 * A search covers 128 ports of an address: two runs of eight lines, which follow from the flow's
 * hash, in turns. A new flow takes the first free port in that order, so nearly all mappings are
 * found in the first two lines. If none of the 128 is free, the pool's other addresses are searched
 * too.
 */
#ifndef SL_CORE_SNAT_H
#define SL_CORE_SNAT_H

#include "route.h"

/* A mapping as one number: 0..15 the port (host order), 16..23 the index of the pool's address, 63
 * set. */
#define SL_SNAT_FOUND	   (1ull << 63)
#define SL_SNAT_UNKNOWN	   0 /* no live entry of the flow; or no free port */
#define SL_SNAT_SEARCH_ALL 1 /* the flow is live, but not found among the first 128 ports */
#define SL_SNAT_NO_ENTRY   2 /* tracked, but without entry: the flow table is full */
#define SL_SNAT_ENDING	   3 /* as SEARCH_ALL, for a FIN or RST: no port is taken for it */

enum {
	SL_SNAT_LINES_TRIED = 16, /* lines per address */
	SL_SNAT_PORTS_TRIED = SL_SNAT_LINES_TRIED * SL_SNAT_PORTS_PER_LINE,
};

/* A search: its parameters and its result. */
struct sl_snat_search {
	const struct sl_tables *t;
	uint64_t key;
	uint64_t hash; /* of the key */
	uint64_t found;
	uint32_t pool;	/* its first block */
	uint32_t n;	/* number of addresses */
	uint32_t start; /* index of the address that is searched first */
	uint16_t first_port;
	uint16_t last_port;
};

/* A search for a free port. */
struct sl_snat_take {
	struct sl_snat_search in;
	uint64_t now;
	union sl_addr client; /* for IPv6 */
	sl_be16 port;	      /* the client's */
	bool is_ipv6;
};

/* A search for a port whose flow has expired. */
struct sl_snat_reclaim {
	struct sl_snat_search in;
	uint64_t now;
};

SL_INLINE uint16_t sl_snat_port(uint64_t mapping)
{
	return (uint16_t)mapping;
}

SL_INLINE uint32_t sl_snat_address_index(uint64_t mapping)
{
	return mapping >> 16 & (SL_SNAT_ADDRESSES_MAX - 1);
}

/* A pool's address, by its index. */
SL_INLINE const struct sl_snat_address *sl_snat_address(const struct sl_tables *t, uint32_t pool,
							uint32_t index)
{
	uint64_t first = (uint64_t)pool + 1 + SL_SNAT_START_SLOTS / SL_SLOTS_PER_BLOCK;
	const struct sl_table_block *r =
		sl_seam_block(t, first + index / SL_SNAT_ADDRESSES_PER_BLOCK);

	return r ? &r->address[index % SL_SNAT_ADDRESSES_PER_BLOCK] : NULL;
}

/* The number of the n-th line of a search, within the region. */
SL_INLINE uint32_t sl_snat_line_number(const struct sl_snat_search *b, uint32_t try)
{
	uint32_t first = b->first_port / SL_SNAT_PORTS_PER_LINE;
	uint32_t lines = b->last_port / SL_SNAT_PORTS_PER_LINE - first + 1;
	uint32_t run = (uint32_t)(try & 1 ? b->hash >> 32 : b->hash);

	return first + (sl_hash_reduce(run, lines) + try / 2) % lines;
}

/* Whether the word belongs to a flow that is gone or replaceable, or to a writer that died. */
SL_INLINE bool sl_snat_is_dead(const struct sl_tables *t, uint64_t word, uint64_t now)
{
	if (word & SL_SNAT_BUSY)
		return ((now - word) & SL_TIME_MASK) > SL_SNAT_BUSY_MAX;
	return !sl_track_value_impl(t, word, now - SL_FLOW_GRACE);
}

/* Maps a free port to the flow. tcp: the word about its TCP connection. */
SL_INLINE bool sl_snat_take_port(const struct sl_snat_take *b, uint64_t *at, uint64_t *tcp,
				 uint32_t index)
{
	uint64_t busy = SL_SNAT_BUSY | (b->now & SL_TIME_MASK);
	struct sl_snat_client *client;

	if (!b->is_ipv6) {
		if (!sl_entry_swap(at, 0, b->in.key))
			return false;
		sl_entry_store(tcp, 0);
		return true;
	}
	client = sl_seam_snat_client(b->in.t, index);
	if (!client || !sl_entry_swap(at, 0, busy))
		return false;
	client->addr = b->client;
	client->port = b->port;
	sl_entry_store(tcp, 0);
	return sl_entry_swap(at, busy, b->in.key);
}

/* The address of a round, and its index. */
SL_INLINE const struct sl_snat_address *sl_snat_search_address(const struct sl_snat_search *b,
							       uint32_t nth, uint32_t *index)
{
	*index = b->start + nth;
	if (*index >= b->n)
		*index -= b->n;
	return sl_snat_address(b->t, b->pool, *index);
}

/* The line of a round, with its first port and its address's region and index. */
SL_INLINE struct sl_snat_line *sl_snat_search_line(const struct sl_snat_search *b, uint32_t i,
						   uint32_t *port, uint32_t *region,
						   uint32_t *index)
{
	const struct sl_snat_address *a = sl_snat_search_address(b, i / SL_SNAT_LINES_TRIED, index);
	uint32_t line = sl_snat_line_number(b, i % SL_SNAT_LINES_TRIED);

	if (!a)
		return NULL;
	*port = line * SL_SNAT_PORTS_PER_LINE;
	*region = a->region;
	return sl_seam_snat_line(b->t, a->region * SL_SNAT_LINES + line);
}

/* Searches one line for the flow. */
static long sl_snat_search_round(uint32_t i, void *state)
{
	struct sl_snat_search *b = state;
	uint32_t port, region, index;
	struct sl_snat_line *l = sl_snat_search_line(b, i, &port, &region, &index);

	if (!l)
		return 1;
	for (uint32_t way = 0; way < SL_SNAT_PORTS_PER_LINE; way++) {
		if (sl_entry_load(&l->key[way]) != b->key)
			continue;
		b->found = SL_SNAT_FOUND | index << 16 | (port + way);
		return 1;
	}
	return 0;
}

/* Takes a port, one per round: otherwise the verifier would walk all ways through a line. */
static long sl_snat_take_round(uint32_t i, void *state)
{
	struct sl_snat_take *b = state;
	uint32_t port, region, index;
	struct sl_snat_line *l =
		sl_snat_search_line(&b->in, i / SL_SNAT_PORTS_PER_LINE, &port, &region, &index);
	uint64_t *at;

	if (!l)
		return 1;
	at = &l->key[i % SL_SNAT_PORTS_PER_LINE];
	port += i % SL_SNAT_PORTS_PER_LINE;
	if (port < b->in.first_port || port > b->in.last_port || sl_entry_load(at) ||
	    !sl_snat_take_port(b, at, &l->tcp[i % SL_SNAT_PORTS_PER_LINE],
			       sl_snat_port_index(region, (uint16_t)port)))
		return 0;
	b->in.found = SL_SNAT_FOUND | index << 16 | port;
	return 1;
}

/* Frees a port of the first address if its flow has expired. */
static long sl_snat_reclaim_round(uint32_t i, void *state)
{
	struct sl_snat_reclaim *b = state;
	uint32_t port, region, index;
	struct sl_snat_line *l =
		sl_snat_search_line(&b->in, i / SL_SNAT_PORTS_PER_LINE, &port, &region, &index);
	uint64_t *at, word;

	if (!l)
		return 1;
	at = &l->key[i % SL_SNAT_PORTS_PER_LINE];
	word = sl_entry_load(at);
	b->in.found =
		!word || (sl_snat_is_dead(b->in.t, word, b->now) && sl_entry_swap(at, word, 0));
	return (long)b->in.found;
}

/* Searches this many addresses for the flow. Returns its mapping, or 0. */
SL_INLINE uint64_t sl_snat_search_addresses(struct sl_snat_search *b, uint32_t addresses)
{
	b->found = 0;
	sl_loop(addresses * SL_SNAT_LINES_TRIED, sl_snat_search_round, b);
	return b->found;
}

/* Prepares a search. hash: of the key. False: there is no such pool. */
SL_INLINE bool sl_snat_search_begin(struct sl_snat_search *b, const struct sl_tables *t,
				    uint64_t key, uint64_t hash, uint32_t pool)
{
	const struct sl_table_block *head = sl_seam_block(t, pool);
	const uint32_t *slot;

	if (!head)
		return false;
	b->t = t;
	b->key = key;
	b->hash = hash;
	b->pool = pool;
	b->n = head->pool.n;
	b->first_port = head->pool.first_port;
	b->last_port = head->pool.last_port;
	/* By bits that the lines don't depend on. */
	slot = sl_seam_slot(t,
			    ((uint64_t)pool + 1) * SL_SLOTS_PER_BLOCK +
				    (b->hash * 0x9e3779b97f4a7c15ull >> 56) % SL_SNAT_START_SLOTS);
	if (!slot || b->n > SL_SNAT_ADDRESSES_MAX || b->last_port < b->first_port)
		return false;
	b->start = *slot;
	return b->start < b->n;
}

/* Returns the flow's mapping, if it is among the first 128 ports; else SL_SNAT_UNKNOWN or
 * SL_SNAT_SEARCH_ALL. */
SL_INLINE uint64_t sl_snat_find_impl(const struct sl_tables *t, uint64_t key, uint64_t now,
				     uint32_t pool)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_snat_search b = { 0 };

	if (!root || !sl_snat_search_begin(&b, t, key, sl_hash_flow(key, root->flow_key), pool))
		return SL_SNAT_UNKNOWN;
	if (sl_likely(sl_snat_search_addresses(&b, 1)))
		return b.found;
	return sl_track_value_impl(t, key, now) ? SL_SNAT_SEARCH_ALL : SL_SNAT_UNKNOWN;
}

/* Searches the whole pool; 0: none. For packets that aren't part of the flow, too. */
SL_INLINE uint64_t sl_snat_find_anywhere_impl(const struct sl_tables *t, uint64_t key,
					      uint64_t hash, uint32_t pool)
{
	struct sl_snat_search b = { 0 };

	return sl_snat_search_begin(&b, t, key, hash, pool) ? sl_snat_search_addresses(&b, b.n) : 0;
}

/* Maps any free port of the pool to the flow. Returns the mapping, or 0. client: for an IPv6
 * flow. */
SL_INLINE uint64_t sl_snat_alloc_impl(const struct sl_tables *t, uint64_t key, uint64_t now,
				      uint32_t pool, const union sl_addr *client, sl_be16 port)
{
	struct sl_snat_take b = {
		.now = now, .client = *client, .port = port, .is_ipv6 = !sl_addr_is4(client)
	};
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_snat_address *a;
	struct sl_snat_line *l;
	uint64_t mine;
	uint32_t index;

	if (!root || !sl_snat_search_begin(&b.in, t, key, sl_hash_flow(key, root->flow_key), pool))
		return 0;
	sl_loop(b.in.n * SL_SNAT_PORTS_TRIED, sl_snat_take_round, &b);
	mine = b.in.found;
	/* Another writer may have done the same at once: the first mapping in order counts. */
	if (!mine || !sl_snat_search_addresses(&b.in, b.in.n) || sl_likely(b.in.found == mine))
		return mine;
	a = sl_snat_address(t, pool, sl_snat_address_index(mine));
	if (!a)
		return mine;
	index = sl_snat_port_index(a->region, sl_snat_port(mine));
	l = sl_seam_snat_line(t, index / SL_SNAT_PORTS_PER_LINE);
	if (l)
		sl_entry_swap(&l->key[index % SL_SNAT_PORTS_PER_LINE], key, 0);
	return b.in.found;
}

/* Whether one of the flow's first 128 ports is free now, after reclaiming ports of expired
 * flows. */
SL_INLINE bool sl_snat_reclaim_impl(const struct sl_tables *t, uint64_t key, uint64_t now,
				    uint32_t pool)
{
	const struct sl_root *root = sl_seam_root(t);
	struct sl_snat_reclaim b = { .now = now };

	if (!root || !sl_snat_search_begin(&b.in, t, key, sl_hash_flow(key, root->flow_key), pool))
		return false;
	sl_loop(SL_SNAT_PORTS_TRIED, sl_snat_reclaim_round, &b);
	return b.in.found;
}

/* Returns the mapping of a flow that was just tracked; makes one if there is none. before: the
 * result of sl_snat_find(), or SL_SNAT_ENDING. Without a mapping returns SL_SNAT_UNKNOWN,
 * SL_SNAT_NO_ENTRY or SL_SNAT_ENDING. */
SL_INLINE uint64_t sl_snat_assign(const struct sl_tables *t, uint64_t key, uint64_t now,
				  uint32_t pool, uint64_t before, const union sl_addr *client,
				  sl_be16 port)
{
	uint64_t mapping = 0;

	if (before != SL_SNAT_UNKNOWN)
		mapping = sl_snat_find_anywhere(t, key, pool);
	if (mapping || before == SL_SNAT_ENDING)
		return mapping ? mapping : before;
	if (!sl_track_value(t, key, now))
		return SL_SNAT_NO_ENTRY;
	mapping = sl_snat_alloc(t, key, now, pool, client, port);
	if (sl_unlikely(!mapping) && sl_snat_reclaim(t, key, now, pool))
		mapping = sl_snat_alloc(t, key, now, pool, client, port);
	return mapping;
}

#endif
