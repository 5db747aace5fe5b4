/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's side of the seam (core/seam.h): the instance's arrays as plain memory.
 *
 * A worker keeps one struct sl_tables on its stack and takes a snapshot of the root once per burst.
 * Only sl_tables_snapshot() reads the generation.
 */
#ifndef SL_ENGINE_SEAM_H
#define SL_ENGINE_SEAM_H

#include "../abi/hash.h"
#include "../abi/store.h"
#include "../core/seam.h"

struct sl_tables {
	const struct sl_root *root;
	const struct sl_bank *bank;
	const struct sl_service *service; /* of the live bank, as the next four */
	const struct sl_reply_entry *reply_entry;
	const struct sl_route *route;
	const struct sl_port *port;
	const struct sl_hop_group *hop_group;
	const struct sl_table_block *blocks;
	const struct sl_backend *backend;
	const struct sl_flow_timeouts *timeouts;
	const struct sl_schedule *schedule; /* as many as timeouts */
	const struct sl_limit *limit;
	const struct sl_exception *exception; /* of the live bank */
	struct sl_meters *meters;
	struct sl_shared_bucket *shared_bucket;
	struct sl_bucket *bucket;
	struct sl_backend_counters *backend_counters; /* this writer's, as the next four */
	struct sl_service_counters *service_counters;
	struct sl_limit_counters *limit_counters;
	struct sl_most_limited *most_limited;
	struct sl_lease *lease;
	struct sl_neighbour_requests *neighbour_requests;
	struct sl_fragments *fragments;
	struct sl_learned *learned;
	struct sl_snat_line *snat_lines;
	struct sl_snat_client *snat_clients;
	uint64_t generation;
	uint64_t seq;
	uint64_t now; /* ticks */
	uint64_t n_slots;
	uint32_t writer;
	uint32_t services;
	uint32_t reply_entries;
	uint32_t routes;
	uint32_t n_backends;
	uint32_t buckets;
	uint32_t n_backend_counters;
	uint32_t n_service_counters;
	uint32_t n_timeouts;
	uint32_t n_limits;
	uint32_t exceptions;
	uint32_t meter_lines;
	uint32_t shared_buckets;
	uint32_t n_limit_counters;
	uint32_t n_fragments;
	uint32_t n_learned;
	uint32_t n_snat_lines;
	uint32_t n_snat_clients;
};

/* Sets what doesn't change while the instance is attached. */
static inline void sl_tables_init(struct sl_tables *t, const struct sl_store *store,
				  uint32_t writer)
{
	const uint32_t *n = store->count;
	uint32_t writers = n[SL_ARRAY_reason_counters];

	*t = (struct sl_tables){
		.root = sl_store_root(store),
		.writer = writer,
		.blocks = store->base[SL_ARRAY_table_blocks],
		.n_slots = (uint64_t)n[SL_ARRAY_table_blocks] * SL_SLOTS_PER_BLOCK,
		.backend = store->base[SL_ARRAY_backends],
		.n_backends = n[SL_ARRAY_backends],
		.timeouts = store->base[SL_ARRAY_flow_timeouts],
		.n_timeouts = n[SL_ARRAY_flow_timeouts],
		.schedule = store->base[SL_ARRAY_schedules],
		.limit = store->base[SL_ARRAY_limits],
		.n_limits = n[SL_ARRAY_limits],
		.meters = store->base[SL_ARRAY_meters],
		.meter_lines = n[SL_ARRAY_meters],
		.shared_bucket = store->base[SL_ARRAY_shared_buckets],
		.shared_buckets = n[SL_ARRAY_shared_buckets],
		.exceptions = n[SL_ARRAY_exceptions] / 2,
		.bucket = store->base[SL_ARRAY_flows],
		.buckets = n[SL_ARRAY_flows],
		.services = n[SL_ARRAY_services] / 2,
		.reply_entries = n[SL_ARRAY_reply_entries] / 2,
		.routes = n[SL_ARRAY_routes] / 2,
		.n_backend_counters = n[SL_ARRAY_backend_counters] / writers,
		.n_service_counters = n[SL_ARRAY_service_counters] / writers,
		.n_limit_counters = n[SL_ARRAY_limit_counters] / writers,
		.fragments = store->base[SL_ARRAY_fragments],
		.n_fragments = n[SL_ARRAY_fragments],
		.learned = store->base[SL_ARRAY_learned],
		.n_learned = n[SL_ARRAY_learned],
		.snat_lines = store->base[SL_ARRAY_snat_ports],
		.n_snat_lines = n[SL_ARRAY_snat_ports],
		.snat_clients = store->base[SL_ARRAY_snat_clients],
		.n_snat_clients = n[SL_ARRAY_snat_clients],
		.neighbour_requests =
			(struct sl_neighbour_requests *)store->base[SL_ARRAY_neigh_requests] +
			writer,
	};
	t->backend_counters = (struct sl_backend_counters *)store->base[SL_ARRAY_backend_counters] +
			      (size_t)writer * t->n_backend_counters;
	t->service_counters = (struct sl_service_counters *)store->base[SL_ARRAY_service_counters] +
			      (size_t)writer * t->n_service_counters;
	t->limit_counters = (struct sl_limit_counters *)store->base[SL_ARRAY_limit_counters] +
			    (size_t)writer * t->n_limit_counters;
	t->most_limited = (struct sl_most_limited *)store->base[SL_ARRAY_most_limited] +
			  (size_t)writer * SL_MOST_LIMITED;
	t->lease = (struct sl_lease *)store->base[SL_ARRAY_leases] +
		   (size_t)writer * t->shared_buckets;
}

/* Takes the live bank. False: nothing was published yet. */
static inline bool sl_tables_snapshot(struct sl_tables *t, const struct sl_store *store)
{
	uint64_t generation;
	uint32_t bank;

	/* Read the generation again after the bank's sequence word. If it is unchanged, nobody has
	 * begun to rewrite that bank for another generation. */
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
	t->reply_entry = (const struct sl_reply_entry *)store->base[SL_ARRAY_reply_entries] +
			 (size_t)bank * t->reply_entries;
	t->route = (const struct sl_route *)store->base[SL_ARRAY_routes] + (size_t)bank * t->routes;
	t->exception = (const struct sl_exception *)store->base[SL_ARRAY_exceptions] +
		       (size_t)bank * t->exceptions;
	t->port = (const struct sl_port *)store->base[SL_ARRAY_ports] + (size_t)bank * SL_PORTS_MAX;
	t->hop_group = (const struct sl_hop_group *)store->base[SL_ARRAY_hop_groups] +
		       (size_t)bank * SL_HOP_GROUPS;
	return generation != 0;
}

SL_INLINE const struct sl_root *sl_seam_root(const struct sl_tables *t)
{
	return t->root;
}

SL_INLINE uint32_t sl_seam_writer(const struct sl_tables *t)
{
	return t->writer;
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

SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < t->services) ? &t->service[index] : NULL;
}

SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t)
{
	return t->services;
}

SL_INLINE const struct sl_reply_entry *sl_seam_reply_entry(const struct sl_tables *t,
							   uint32_t index)
{
	return sl_likely(index < t->reply_entries) ? &t->reply_entry[index] : NULL;
}

SL_INLINE uint32_t sl_seam_reply_entries(const struct sl_tables *t)
{
	return t->reply_entries;
}

SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < t->routes) ? &t->route[index] : NULL;
}

SL_INLINE uint32_t sl_seam_routes(const struct sl_tables *t)
{
	return t->routes;
}

SL_INLINE const struct sl_port *sl_seam_port(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < SL_PORTS_MAX) ? &t->port[index] : NULL;
}

SL_INLINE const struct sl_hop_group *sl_seam_hop_group(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < SL_HOP_GROUPS) ? &t->hop_group[index] : NULL;
}

SL_INLINE const uint32_t *sl_seam_slot(const struct sl_tables *t, uint64_t slot)
{
	return sl_likely(slot < t->n_slots) ? (const uint32_t *)t->blocks + slot : NULL;
}

SL_INLINE const struct sl_table_block *sl_seam_block(const struct sl_tables *t, uint64_t record)
{
	return record < t->n_slots / SL_SLOTS_PER_BLOCK ? &t->blocks[record] : NULL;
}

SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index)
{
	return sl_likely(index < t->n_backends) ? &t->backend[index] : NULL;
}

SL_INLINE const struct sl_flow_timeouts *sl_seam_timeouts(const struct sl_tables *t,
							  uint32_t service)
{
	return sl_likely(service < t->n_timeouts) ? &t->timeouts[service] : NULL;
}

SL_INLINE const struct sl_schedule *sl_seam_schedule(const struct sl_tables *t, uint32_t service)
{
	return sl_likely(service < t->n_timeouts) ? &t->schedule[service] : NULL;
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

SL_INLINE struct sl_learned *sl_seam_learned(const struct sl_tables *t, uint32_t hash)
{
	return &t->learned[sl_hash_reduce(hash, t->n_learned)];
}

SL_INLINE struct sl_snat_line *sl_seam_snat_line(const struct sl_tables *t, uint32_t line)
{
	return line < t->n_snat_lines ? &t->snat_lines[line] : NULL;
}

SL_INLINE struct sl_snat_client *sl_seam_snat_client(const struct sl_tables *t, uint32_t index)
{
	return index < t->n_snat_clients ? &t->snat_clients[index] : NULL;
}

SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t)
{
	return t->now;
}

/* The time is read once per burst, so the exact clock is the same as the cheap one. */
SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t)
{
	return t->now;
}

SL_INLINE bool sl_seam_inline_lookup(const struct sl_tables *t)
{
	(void)t;
	return true;
}

SL_INLINE const struct sl_limit *sl_seam_limit(const struct sl_tables *t, uint64_t index)
{
	return sl_likely(index < t->n_limits) ? &t->limit[index] : NULL;
}

SL_INLINE const struct sl_exception *sl_seam_exception(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < t->exceptions) ? &t->exception[index] : NULL;
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

SL_INLINE struct sl_shared_bucket *sl_seam_shared_bucket(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < t->shared_buckets) ? &t->shared_bucket[index] : NULL;
}

SL_INLINE struct sl_lease *sl_seam_lease(const struct sl_tables *t, uint32_t shared_bucket)
{
	return sl_likely(shared_bucket < t->shared_buckets) ? &t->lease[shared_bucket] : NULL;
}

SL_INLINE struct sl_limit_counters *sl_seam_limit_counters(const struct sl_tables *t,
							   uint32_t limit)
{
	return sl_likely(limit < t->n_limit_counters) ? &t->limit_counters[limit] : NULL;
}

SL_INLINE struct sl_most_limited *sl_seam_most_limited(const struct sl_tables *t, uint32_t index)
{
	return sl_likely(index < SL_MOST_LIMITED) ? &t->most_limited[index] : NULL;
}

SL_INLINE struct sl_backend_counters *sl_seam_backend_counters(const struct sl_tables *t,
							       uint32_t backend)
{
	return sl_likely(backend < t->n_backend_counters) ? &t->backend_counters[backend] : NULL;
}

SL_INLINE struct sl_service_counters *sl_seam_service_counters(const struct sl_tables *t,
							       uint32_t service)
{
	return sl_likely(service < t->n_service_counters) ? &t->service_counters[service] : NULL;
}

SL_INLINE uint64_t *sl_seam_next_answer(const struct sl_tables *t)
{
	return &t->neighbour_requests->next_answer;
}

/* `frame` is the first byte of the buffer, up to which the packet may grow. */
SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n)
{
	if (!p->frame || p->data - (uint8_t *)p->frame < (ptrdiff_t)n)
		return false;
	p->data -= n;
	p->length += n;
	return true;
}

SL_INLINE bool sl_seam_shrink(struct sl_packet *p, uint32_t n)
{
	if (p->end - p->data < (ptrdiff_t)n)
		return false;
	p->data += n;
	p->length -= n;
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

SL_INLINE void sl_seam_request_neighbour(const struct sl_tables *t, const union sl_addr *addr)
{
	struct sl_neighbour_requests *w = t->neighbour_requests;
	uint64_t head = w->head;

	if (head && sl_addr_equal(&w->addr[(head - 1) % SL_NEIGHBOUR_REQUESTS], addr))
		return;
	w->addr[head % SL_NEIGHBOUR_REQUESTS] = *addr;
	__atomic_store_n(&w->head, head + 1, __ATOMIC_RELEASE); /* the address before its count */
}

SL_INLINE void sl_seam_prefetch(const void *at)
{
	__builtin_prefetch(at);
}

#include "noinline.h"

#endif
