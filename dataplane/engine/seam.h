/* SPDX-License-Identifier: BSD-2-Clause */
/* The DPDK side of the seam (core/seam.h): the arrays of the instance as plain memory.
 *
 * A worker keeps one struct sl_tables on its stack and fills it once a burst. sl_tables_look() is
 * the only place that reads the generation.
 */
#ifndef SL_ENGINE_SEAM_H
#define SL_ENGINE_SEAM_H

#include "../abi/hash.h"
#include "../abi/store.h"
#include "../core/seam.h"

struct sl_tables {
	const struct sl_root *root;
	const struct sl_bank *bank;
	const struct sl_service *service; /* of the live bank, as the next two */
	const struct sl_reverse *reverse;
	const struct sl_route *route;
	const struct sl_port *port;
	const struct sl_rows *rows;
	const struct sl_backend *backend;
	const struct sl_terms *terms;
	const struct sl_limit *limit;
	const struct sl_exception *exception; /* of the live bank */
	struct sl_meters *meters;
	struct sl_balance *balance;
	struct sl_bucket *bucket;
	struct sl_traffic *traffic; /* this writer's, as the next */
	struct sl_service_tally *tally;
	struct sl_limit_tally *limit_tally;
	struct sl_bitten *bitten;
	struct sl_lease *lease;
	struct sl_wanted *wanted;
	struct sl_fragments *fragments;
	struct sl_bindings *bindings;
	struct sl_bound *bound;
	uint64_t generation;
	uint64_t seq;
	uint64_t now; /* ticks */
	uint64_t n_rows;
	uint32_t services;
	uint32_t reverses;
	uint32_t routes;
	uint32_t n_backends;
	uint32_t buckets;
	uint32_t traffics;
	uint32_t tallies;
	uint32_t n_terms;
	uint32_t n_limits;
	uint32_t exceptions;
	uint32_t meter_lines;
	uint32_t balances;
	uint32_t limit_tallies;
	uint32_t n_fragments;
	uint32_t binding_lines;
	uint32_t n_bound;
};

/* What doesn't change while the instance is attached. */
static inline void sl_tables_init(struct sl_tables *t, const struct sl_store *store,
				  uint32_t writer)
{
	const uint32_t *n = store->count;
	uint32_t writers = n[SL_ARRAY_tally];

	*t = (struct sl_tables){
		.root = sl_store_root(store),
		.rows = store->base[SL_ARRAY_slots],
		.n_rows = (uint64_t)n[SL_ARRAY_slots] * SL_ROWS_PER_RECORD,
		.backend = store->base[SL_ARRAY_backends],
		.n_backends = n[SL_ARRAY_backends],
		.terms = store->base[SL_ARRAY_terms],
		.n_terms = n[SL_ARRAY_terms],
		.limit = store->base[SL_ARRAY_limits],
		.n_limits = n[SL_ARRAY_limits],
		.meters = store->base[SL_ARRAY_meters],
		.meter_lines = n[SL_ARRAY_meters],
		.balance = store->base[SL_ARRAY_balances],
		.balances = n[SL_ARRAY_balances],
		.exceptions = n[SL_ARRAY_exceptions] / 2,
		.bucket = store->base[SL_ARRAY_flows],
		.buckets = n[SL_ARRAY_flows],
		.services = n[SL_ARRAY_services] / 2,
		.reverses = n[SL_ARRAY_reverse] / 2,
		.routes = n[SL_ARRAY_routes] / 2,
		.traffics = n[SL_ARRAY_traffic] / writers,
		.tallies = n[SL_ARRAY_service_tally] / writers,
		.limit_tallies = n[SL_ARRAY_limit_tally] / writers,
		.fragments = store->base[SL_ARRAY_fragments],
		.n_fragments = n[SL_ARRAY_fragments],
		.bindings = store->base[SL_ARRAY_bindings],
		.binding_lines = n[SL_ARRAY_bindings],
		.bound = store->base[SL_ARRAY_bound],
		.n_bound = n[SL_ARRAY_bound],
		.wanted = (struct sl_wanted *)store->base[SL_ARRAY_wanted] + writer,
	};
	t->traffic =
		(struct sl_traffic *)store->base[SL_ARRAY_traffic] + (size_t)writer * t->traffics;
	t->tally = (struct sl_service_tally *)store->base[SL_ARRAY_service_tally] +
		   (size_t)writer * t->tallies;
	t->limit_tally = (struct sl_limit_tally *)store->base[SL_ARRAY_limit_tally] +
			 (size_t)writer * t->limit_tallies;
	t->bitten = (struct sl_bitten *)store->base[SL_ARRAY_bitten] + (size_t)writer * SL_BITTEN;
	t->lease = (struct sl_lease *)store->base[SL_ARRAY_leases] + (size_t)writer * t->balances;
}

/* Takes the live bank. False while nothing was ever published. */
static inline bool sl_tables_look(struct sl_tables *t, const struct sl_store *store)
{
	uint64_t generation;
	uint32_t bank;

	/* The generation is read again after its bank's sequence word: while it is the same nobody
	 * has begun to write that bank for another. */
	do {
		/* Acquire: the bank's records were stored before the generation that names them,
		 * and are read after the sequence word. */
		generation = __atomic_load_n(&t->root->generation, __ATOMIC_ACQUIRE);
		bank = generation & 1;
		t->bank = &t->root->bank[bank];
		t->seq = __atomic_load_n(&t->bank->seq, __ATOMIC_ACQUIRE);
	} while (
		sl_unlikely(__atomic_load_n(&t->root->generation, __ATOMIC_ACQUIRE) != generation));
	t->generation = generation;
	t->service = (const struct sl_service *)store->base[SL_ARRAY_services] +
		     (size_t)bank * t->services;
	t->reverse = (const struct sl_reverse *)store->base[SL_ARRAY_reverse] +
		     (size_t)bank * t->reverses;
	t->route = (const struct sl_route *)store->base[SL_ARRAY_routes] + (size_t)bank * t->routes;
	t->exception = (const struct sl_exception *)store->base[SL_ARRAY_exceptions] +
		       (size_t)bank * t->exceptions;
	t->port = (const struct sl_port *)store->base[SL_ARRAY_ports] + (size_t)bank * SL_PORTS_MAX;
	return generation != 0;
}

SL_INLINE const struct sl_root *sl_seam_root(const struct sl_tables *t)
{
	return t->root;
}

SL_INLINE const struct sl_bank *sl_seam_bank(const struct sl_tables *t)
{
	return t->bank;
}

SL_INLINE bool sl_seam_current(const struct sl_tables *t)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* what was read before stays before */
	return __atomic_load_n(&t->bank->seq, __ATOMIC_RELAXED) == t->seq;
}

SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t place)
{
	return sl_likely(place < t->services) ? &t->service[place] : NULL;
}

SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t)
{
	return t->services;
}

SL_INLINE const struct sl_reverse *sl_seam_reverse(const struct sl_tables *t, uint32_t place)
{
	return sl_likely(place < t->reverses) ? &t->reverse[place] : NULL;
}

SL_INLINE uint32_t sl_seam_reverses(const struct sl_tables *t)
{
	return t->reverses;
}

SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t place)
{
	return sl_likely(place < t->routes) ? &t->route[place] : NULL;
}

SL_INLINE uint32_t sl_seam_routes(const struct sl_tables *t)
{
	return t->routes;
}

SL_INLINE const struct sl_port *sl_seam_port(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < SL_PORTS_MAX) ? &t->port[index] : NULL;
}

SL_INLINE const uint32_t *sl_seam_row(const struct sl_tables *t, uint64_t row)
{
	return sl_likely(row < t->n_rows) ? (const uint32_t *)t->rows + row : NULL;
}

SL_INLINE const struct sl_rows *sl_seam_extent(const struct sl_tables *t, uint64_t record)
{
	return record < t->n_rows / SL_ROWS_PER_RECORD ? &t->rows[record] : NULL;
}

SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index)
{
	return sl_likely(index < t->n_backends) ? &t->backend[index] : NULL;
}

SL_INLINE const struct sl_terms *sl_seam_terms(const struct sl_tables *t, uint32_t service)
{
	return sl_likely(service < t->n_terms) ? &t->terms[service] : NULL;
}

SL_INLINE struct sl_bucket *sl_seam_bucket(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < t->buckets) ? &t->bucket[index] : NULL;
}

SL_INLINE uint32_t sl_seam_buckets(const struct sl_tables *t)
{
	return t->buckets;
}

SL_INLINE struct sl_fragments *sl_seam_fragments(const struct sl_tables *t, uint32_t hash)
{
	return &t->fragments[sl_hash_reduce(hash, t->n_fragments)];
}

SL_INLINE struct sl_bindings *sl_seam_bindings(const struct sl_tables *t, uint32_t line)
{
	return line < t->binding_lines ? &t->bindings[line] : NULL;
}

SL_INLINE struct sl_bound *sl_seam_bound(const struct sl_tables *t, uint32_t place)
{
	return place < t->n_bound ? &t->bound[place] : NULL;
}

SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t)
{
	return t->now;
}

/* Read once a burst: as good as any clock here. */
SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t)
{
	return t->now;
}

SL_INLINE bool sl_seam_peeks(const struct sl_tables *t)
{
	(void)t;
	return true;
}

SL_INLINE const struct sl_limit *sl_seam_limit(const struct sl_tables *t, uint64_t index)
{
	return sl_likely(index < t->n_limits) ? &t->limit[index] : NULL;
}

SL_INLINE const struct sl_exception *sl_seam_exception(const struct sl_tables *t, uint32_t place)
{
	return sl_likely(place < t->exceptions) ? &t->exception[place] : NULL;
}

SL_INLINE uint32_t sl_seam_exceptions(const struct sl_tables *t)
{
	return t->exceptions;
}

SL_INLINE struct sl_meters *sl_seam_meters(const struct sl_tables *t, uint32_t line)
{
	return sl_likely(line < t->meter_lines) ? &t->meters[line] : NULL;
}

SL_INLINE uint32_t sl_seam_meter_lines(const struct sl_tables *t)
{
	return t->meter_lines;
}

SL_INLINE struct sl_balance *sl_seam_balance(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < t->balances) ? &t->balance[index] : NULL;
}

SL_INLINE struct sl_lease *sl_seam_lease(const struct sl_tables *t, uint32_t balance)
{
	return sl_likely(balance < t->balances) ? &t->lease[balance] : NULL;
}

SL_INLINE struct sl_limit_tally *sl_seam_limit_tally(const struct sl_tables *t, uint32_t limit)
{
	return sl_likely(limit < t->limit_tallies) ? &t->limit_tally[limit] : NULL;
}

SL_INLINE struct sl_bitten *sl_seam_bitten(const struct sl_tables *t, uint32_t place)
{
	return sl_likely(place < SL_BITTEN) ? &t->bitten[place] : NULL;
}

SL_INLINE struct sl_traffic *sl_seam_traffic(const struct sl_tables *t, uint32_t backend)
{
	return sl_likely(backend < t->traffics) ? &t->traffic[backend] : NULL;
}

SL_INLINE struct sl_service_tally *sl_seam_tally(const struct sl_tables *t, uint32_t service)
{
	return sl_likely(service < t->tallies) ? &t->tally[service] : NULL;
}

SL_INLINE uint64_t *sl_seam_errors(const struct sl_tables *t)
{
	return &t->wanted->errors;
}

/* `frame` is the first byte that is the packet's to grow into. */
SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n)
{
	if (!p->frame || p->data - (uint8_t *)p->frame < (ptrdiff_t)n)
		return false;
	p->data -= n;
	p->length += n;
	return true;
}

SL_INLINE bool sl_seam_cut(struct sl_packet *p, uint32_t length)
{
	if (p->end - p->data < (ptrdiff_t)length)
		return false;
	p->end = p->data + length;
	p->length = length;
	return true;
}

SL_INLINE void sl_seam_want(const struct sl_tables *t, const union sl_addr *addr)
{
	struct sl_wanted *w = t->wanted;
	uint64_t head = w->head;

	if (head && sl_addr_equal(&w->addr[(head - 1) % SL_WANTED], addr))
		return;
	w->addr[head % SL_WANTED] = *addr;
	__atomic_store_n(&w->head, head + 1, __ATOMIC_RELEASE); /* the address before its count */
}

SL_INLINE void sl_seam_prefetch(const void *at)
{
	__builtin_prefetch(at);
}

#include "apart.h"

#endif
