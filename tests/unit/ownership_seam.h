/* SPDX-License-Identifier: BSD-2-Clause */
/* The code under test for ownership.c, on the machine's memory: the tracking of the core with a
 * seam of its own, engine/hold.h and bpf/owner.h. Each of their atomic accesses is a step.
 *
 * Only ownership.c includes this, once.
 */
#ifndef SL_TEST_OWNERSHIP_SEAM_H
#define SL_TEST_OWNERSHIP_SEAM_H

#include <smmintrin.h>
#include <time.h>

#include "ownership.h"

#ifndef __SSE4_1__
#error "flow.h reads buckets in another way without SSE4.1: -march=corei7"
#endif

enum access { LOAD, STORE, SWAP, POP, PUSH, WIRE };

static uint64_t step(enum access what, uint64_t *at, uint64_t a, uint64_t b);

static bool step_exchange(uint64_t *at, uint64_t *from, uint64_t to)
{
	uint64_t old = step(SWAP, at, *from, to);
	bool done = old == *from;

	*from = old;
	return done;
}

static __m128i step_load_pair(const uint64_t *at)
{
	uint64_t first = step(LOAD, (uint64_t *)(uintptr_t)at, 0, 0);

	return _mm_set_epi64x((long long)step(LOAD, (uint64_t *)(uintptr_t)(at + 1), 0, 0),
			      (long long)first);
}

#define WORD(at)					   (uint64_t *)(uintptr_t)(at)
#define __atomic_load_n(at, order)			   step(LOAD, WORD(at), 0, 0)
#define __atomic_store_n(at, value, order)		   step(STORE, WORD(at), value, 0)
#define __sync_val_compare_and_swap(at, from, to)	   step(SWAP, WORD(at), from, to)
#define __atomic_compare_exchange_n(at, from, to, w, s, f) step_exchange(WORD(at), from, to)
#define _mm_load_si128(at)				   step_load_pair((const uint64_t *)(at))

#include "../../dataplane/core/seam.h"

struct sl_tables {
	uint64_t generation, seq, now;
};

static const struct sl_root the_root = { .flow_key = { 0x9e3779b97f4a7c15ull,
						       0xd6e8feb86659fd93ull } };
static const struct sl_flow_timeouts lifetimes = { .lifetime = { 100, 1000, 50 } };
static struct sl_service_counters ignored;
static struct sl_table_block blocks[PUBLISHES + 2];
static struct sl_backend backends[(PUBLISHES + 2) * BACKENDS];
static struct state *m;
static uint64_t flow_key[FLOWS];

#define TICKS 5000 /* on the worker's clock; the coarse clock of XDP is up to four behind */

SL_INLINE const struct sl_root *sl_seam_root(const struct sl_tables *t)
{
	(void)t;
	return &the_root;
}

SL_INLINE const struct sl_bank *sl_seam_bank(const struct sl_tables *t)
{
	return &the_root.bank[t->generation & 1];
}

SL_INLINE bool sl_seam_current(const struct sl_tables *t)
{
	return step(LOAD, &m->seq[t->generation & 1], 0, 0) == t->seq;
}

SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t index)
{
	(void)t, (void)index;
	return NULL;
}

SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t)
{
	(void)t;
	return 1;
}

SL_INLINE const struct sl_reply_entry *sl_seam_reply_entry(const struct sl_tables *t,
							   uint32_t index)
{
	(void)t, (void)index;
	return NULL;
}

SL_INLINE uint32_t sl_seam_reply_entries(const struct sl_tables *t)
{
	(void)t;
	return 1;
}

SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t index)
{
	(void)t, (void)index;
	return NULL;
}

SL_INLINE uint32_t sl_seam_routes(const struct sl_tables *t)
{
	(void)t;
	return 1;
}

SL_INLINE const struct sl_port *sl_seam_port(const struct sl_tables *t, uint32_t index)
{
	(void)t, (void)index;
	return NULL;
}

SL_INLINE const struct sl_hop_group *sl_seam_hop_group(const struct sl_tables *t, uint32_t index)
{
	(void)t, (void)index;
	return NULL;
}

/* Extents don't change while a bank names them, so reading them is no step. */
SL_INLINE const uint32_t *sl_seam_slot(const struct sl_tables *t, uint64_t slot)
{
	(void)t;
	return slot < (PUBLISHES + 2) * SL_SLOTS_PER_BLOCK ? &blocks[0].slot[0] + slot : NULL;
}

SL_INLINE const struct sl_table_block *sl_seam_block(const struct sl_tables *t, uint64_t record)
{
	(void)t, (void)record;
	return NULL;
}

SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index)
{
	(void)t;
	return index < (PUBLISHES + 2) * BACKENDS ? &backends[index] : NULL;
}

SL_INLINE const struct sl_flow_timeouts *sl_seam_timeouts(const struct sl_tables *t,
							  uint32_t service)
{
	(void)t;
	(void)service;
	return &lifetimes;
}

SL_INLINE struct sl_bucket *sl_seam_bucket(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return index < BUCKETS ? &m->bucket[index] : NULL;
}

SL_INLINE uint32_t sl_seam_buckets(const struct sl_tables *t)
{
	(void)t;
	return BUCKETS;
}

SL_INLINE struct sl_fragments *sl_seam_fragments(const struct sl_tables *t, uint32_t hash)
{
	(void)t, (void)hash;
	return NULL;
}

SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t)
{
	return t->now;
}

SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t)
{
	return t->now;
}

/* Nothing is limited here, and nothing has a SNAT port. */
#define SEAM_NONE(type, name, index)                                                               \
	SL_INLINE type *sl_seam_##name(const struct sl_tables *t, index at)                        \
	{                                                                                          \
		(void)t, (void)at;                                                                 \
		return NULL;                                                                       \
	}
SEAM_NONE(const struct sl_schedule, schedule, uint32_t)
SEAM_NONE(const struct sl_limit, limit, uint64_t)
SEAM_NONE(const struct sl_exception, exception, uint32_t)
SEAM_NONE(struct sl_meters, meters, uint32_t)
SEAM_NONE(struct sl_shared_bucket, shared_bucket, uint32_t)
SEAM_NONE(struct sl_lease, lease, uint32_t)
SEAM_NONE(struct sl_limit_counters, limit_counters, uint32_t)
SEAM_NONE(struct sl_most_limited, most_limited, uint32_t)
SEAM_NONE(struct sl_snat_line, snat_line, uint32_t)
SEAM_NONE(struct sl_snat_client, snat_client, uint32_t)
#undef SEAM_NONE

SL_INLINE bool sl_seam_inline_lookup(const struct sl_tables *t)
{
	(void)t;
	return true;
}

SL_INLINE uint32_t sl_seam_exceptions(const struct sl_tables *t)
{
	(void)t;
	return 1;
}

SL_INLINE uint32_t sl_seam_meter_lines(const struct sl_tables *t)
{
	(void)t;
	return 1;
}

SL_INLINE struct sl_backend_counters *sl_seam_backend_counters(const struct sl_tables *t,
							       uint32_t backend)
{
	(void)t, (void)backend;
	return NULL;
}

SL_INLINE struct sl_service_counters *sl_seam_service_counters(const struct sl_tables *t,
							       uint32_t service)
{
	(void)t, (void)service;
	return &ignored;
}

SL_INLINE uint64_t *sl_seam_next_answer(const struct sl_tables *t)
{
	(void)t;
	return NULL;
}

SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n)
{
	(void)p, (void)n;
	return false;
}

SL_INLINE bool sl_seam_shrink(struct sl_packet *p, uint32_t n)
{
	(void)p, (void)n;
	return false;
}

SL_INLINE bool sl_seam_cut(struct sl_packet *p, uint32_t length)
{
	(void)p, (void)length;
	return false;
}

SL_INLINE struct sl_learned *sl_seam_learned(const struct sl_tables *t, uint32_t hash)
{
	(void)t, (void)hash;
	return NULL;
}

SL_INLINE void sl_seam_request_neighbour(const struct sl_tables *t, const union sl_addr *addr)
{
	(void)t, (void)addr;
}

SL_INLINE void sl_seam_prefetch(const void *at)
{
	(void)at;
}

#include "../../dataplane/core/rare.h"

#include "../../dataplane/engine/hold.h"

/* Takes the live bank, as sl_tables_snapshot() of both engines does. */
static void look(struct sl_tables *t)
{
	t->generation = step(LOAD, &m->generation, 0, 0);
	t->seq = step(LOAD, &m->seq[t->generation & 1], 0, 0) & ~1ull;
}

SL_INLINE uint32_t sl_seam_writer(const struct sl_tables *t)
{
	(void)t;
	return 0;
}

/* All flows go by their hash here. */
static uint32_t sl_pick(const struct sl_tables *t, const struct sl_service *s, uint64_t hash)
{
	(void)t, (void)s, (void)hash;
	return 0;
}

static bool sl_flow_relocate(const struct sl_tables *t, uint64_t key, uint64_t at)
{
	return sl_flow_relocate_impl(t, key, at);
}

static __attribute__((unused)) enum sl_policer_verdict
sl_track_charge(const struct sl_tables *t, uint64_t key, uint8_t event, bool limited,
		const struct sl_policer_query *packet)
{
	return sl_track_charge_impl(t, key, event, limited, packet);
}

static __attribute__((unused)) uint32_t sl_window(const struct sl_tables *t, uint32_t index,
						  uint64_t seq_ack, uint32_t what)
{
	return sl_window_impl(t, index, seq_ack, what);
}

static __attribute__((unused)) void sl_segment(const struct sl_tables *t, uint32_t index,
					       uint64_t seq_ack, uint32_t what, uint64_t key,
					       uint64_t now)
{
	sl_segment_impl(t, index, seq_ack, what, key, now);
}

static __attribute__((unused)) uint64_t sl_track_value(const struct sl_tables *t, uint64_t key,
						       uint64_t now)
{
	return sl_track_value_impl(t, key, now);
}

static __attribute__((unused)) uint32_t
sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where, uint32_t server_ids)
{
	return sl_quic_impl(t, p, where, server_ids);
}

static __attribute__((unused)) enum sl_reason sl_extended(const struct sl_tables *t,
							  struct sl_packet *p,
							  const struct sl_lookup *w,
							  uint16_t *egress)
{
	return w->packet_class >= SL_CLASS_SERVICE6 ? sl_extended_impl(t, p, w, egress, true)
						    : sl_extended_impl(t, p, w, egress, false);
}

static __attribute__((unused)) enum sl_reason sl_fullnat(const struct sl_tables *t,
							 struct sl_packet *p,
							 const struct sl_lookup *w,
							 uint16_t *egress)
{
	(void)t, (void)p, (void)w, (void)egress;
	return SL_REASON_pool_full;
}

static __attribute__((unused)) enum sl_reason sl_fullnat_reply(const struct sl_tables *t,
							       struct sl_packet *p,
							       const struct sl_lookup *w,
							       uint16_t *egress)
{
	(void)t, (void)p, (void)w, (void)egress;
	return SL_REASON_not_bound;
}

static __attribute__((unused)) enum sl_reason sl_fullnat_error(const struct sl_tables *t,
							       struct sl_packet *p,
							       const struct sl_lookup *w,
							       uint16_t *egress, bool is_ipv6)
{
	(void)t, (void)p, (void)w, (void)egress, (void)is_ipv6;
	return SL_REASON_not_bound;
}

static __attribute__((unused)) uint64_t sl_snat_find(const struct sl_tables *t, uint64_t key,
						     uint64_t now, uint32_t pool)
{
	return sl_snat_find_impl(t, key, now, pool);
}

static __attribute__((unused)) uint64_t sl_snat_find_anywhere(const struct sl_tables *t,
							      uint64_t key, uint32_t pool)
{
	return sl_snat_find_anywhere_impl(t, key, sl_hash_flow(key, sl_seam_root(t)->flow_key),
					  pool);
}

static __attribute__((unused)) uint64_t sl_snat_alloc(const struct sl_tables *t, uint64_t key,
						      uint64_t now, uint32_t pool,
						      const union sl_addr *client, sl_be16 port)
{
	return sl_snat_alloc_impl(t, key, now, pool, client, port);
}

static __attribute__((unused)) bool sl_snat_reclaim(const struct sl_tables *t, uint64_t key,
						    uint64_t now, uint32_t pool)
{
	return sl_snat_reclaim_impl(t, key, now, pool);
}

static __attribute__((unused)) uint32_t
sl_limit_check_one(const struct sl_tables *t, const struct sl_policer_query *query, uint32_t index)
{
	(void)t, (void)query, (void)index;
	return SL_POLICER_PASS;
}

/* There are no such packets here. */
static __attribute__((unused)) uint64_t
sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p, uint32_t where, bool guess)
{
	return sl_fragment_find_impl(t, p, where, guess);
}

static __attribute__((unused)) void
sl_fragment_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t where, uint64_t to)
{
	sl_fragment_rename_impl(t, p, where, to);
}

static __attribute__((unused)) void sl_neighbour_heard(const struct sl_tables *t,
						       const union sl_addr *addr, uint64_t link)
{
	sl_neighbour_heard_impl(t, addr, link);
}

static __attribute__((unused)) uint64_t
sl_neighbour_resolve(const struct sl_tables *t, const union sl_addr *hop, uint16_t port)
{
	return sl_neighbour_resolve_impl(t, hop, port);
}

static __attribute__((unused)) void sl_quote_rename(const struct sl_tables *t, struct sl_packet *p,
						    uint32_t l4, bool is_ipv6)
{
	sl_quote_rename_impl(t, p, l4, is_ipv6);
}

static __attribute__((unused)) void sl_fragment_enter(const struct sl_tables *t,
						      const struct sl_packet *p, uint32_t where,
						      uint64_t what, bool last)
{
	sl_fragment_enter_impl(t, p, where, what, last);
}

static __attribute__((unused)) enum sl_reason
sl_rare(const struct sl_tables *t, struct sl_packet *p, uint8_t packet_class, uint16_t *egress)
{
	return sl_rare_impl(t, p, packet_class, egress);
}

static inline uint32_t sl_layout6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	(void)t;
	return sl_layout6_impl(p, l3);
}

static __attribute__((unused)) uint32_t
sl_quote6_layout(const struct sl_tables *t, const struct sl_packet *p, uint32_t at, uint32_t end)
{
	(void)t;
	return sl_quote6_layout_impl(p, at, end);
}

SL_INLINE sl_be32 sl_snat_vip4(const struct sl_tables *t, uint32_t index)
{
	return sl_snat_vip4_impl(t, index);
}

SL_INLINE uint16_t sl_called_delta(const union sl_addr *called, const union sl_addr *vip)
{
	return sl_csum_delta_addr(called, vip);
}

SL_INLINE uint64_t sl_snat_source(const struct sl_tables *t, uint32_t index, uint64_t key)
{
	return sl_snat_source_impl(t, index, key);
}

SL_INLINE uint64_t sl_vip_source(const struct sl_tables *t, uint64_t source,
				 const union sl_addr *vip)
{
	return sl_vip_source_impl(t, source, vip);
}

static __attribute__((unused)) uint32_t
sl_service_search(const struct sl_tables *t, const union sl_addr *vip, uint32_t endpoint)
{
	return sl_service_search_impl(t, vip, endpoint);
}

static __attribute__((unused)) uint32_t
sl_reply_range(const struct sl_tables *t, const union sl_addr *backend, uint32_t endpoint)
{
	return sl_reply_range_impl(t, backend, endpoint);
}

static __attribute__((unused)) uint32_t sl_route_find6(const struct sl_tables *t,
						       const union sl_addr *dst)
{
	return sl_route_find6_impl(t, dst);
}

static __attribute__((unused)) bool sl_source_routed(const struct sl_packet *p, uint32_t l3,
						     uint32_t header)
{
	return sl_source_routed_impl(p, l3, header);
}

static __attribute__((unused)) void sl_classify6(const struct sl_tables *t,
						 const struct sl_packet *p, struct sl_lookup *w)
{
	sl_classify6_impl(t, p, w);
}

static __attribute__((unused)) enum sl_reason sl_route6(const struct sl_tables *t,
							struct sl_packet *p,
							const struct sl_lookup *w, uint16_t *egress)
{
	return sl_route6_impl(t, p, w, egress);
}

/* No packet of the model is answered. */
static __attribute__((unused)) uint16_t sl_sum_to_end(const struct sl_packet *p, uint32_t from)
{
	return sl_sum_to_end_impl(p, from);
}

static __attribute__((unused)) uint32_t sl_answer(const struct sl_tables *t, struct sl_packet *p,
						  uint32_t reason, uint32_t mtu)
{
	return sl_answer_impl(t, p, reason, mtu);
}

static __attribute__((unused)) uint32_t sl_egress(const struct sl_tables *t, struct sl_packet *p,
						  uint32_t reason, uint16_t *egress)
{
	return sl_egress_impl(t, p, reason, egress);
}

static __attribute__((unused)) int sl_mode(const struct sl_tables *t, struct sl_packet *p,
					   uint64_t index, uint32_t l3, uint32_t l4, uint8_t mode)
{
	return sl_mode_impl(t, p, index, l3, l4, mode);
}

static __attribute__((unused)) void sl_mss_clamp(struct sl_packet p, uint32_t l3, uint32_t l4,
						 uint16_t most)
{
	sl_mss_clamp_impl(&p, l3, l4, most);
}

static int self; /* whose step it is */

/* XDP takes another snapshot there, see bpf/global.h. */
static uint32_t sl_track_miss(const struct sl_tables *t, const struct sl_flow_query *query)
{
	struct sl_tables again = *t;

	if (self == WORKER)
		return sl_track_miss_impl(t, query);
	look(&again);
	return again.seq == t->seq ? sl_track_miss_impl(&again, query) : 0;
}

/* bpf/owner.h on copies of the two records that it looks up. */
#define SL_BPF_SEAM_H
#define NOW_NS	    1000000000ull
#define PATIENCE_NS 100000000ull
#define FRESH	    (NOW_NS + 3000000) /* the coarse clock is behind the worker's */
#define OLD	    (NOW_NS - PATIENCE_NS - 1)

static struct sl_queue seen_queue;
static struct sl_worker seen_worker;

static uint64_t bpf_ktime_get_coarse_ns(void)
{
	return NOW_NS;
}

static struct sl_queue *at_queues(uint32_t index)
{
	(void)index;
	seen_queue.owner = step(LOAD, &m->queue.owner, 0, 0);
	return &seen_queue;
}

static struct sl_worker *at_workers(uint32_t index)
{
	(void)index;
	seen_worker.alive.futex = (uint32_t)step(LOAD, &m->futex, 0, 0);
	seen_worker.heartbeat_ns = step(LOAD, &m->heartbeat, 0, 0);
	seen_worker.hang_timeout_ns = PATIENCE_NS;
	return &seen_worker;
}

#define sl_map_at(map, index) at_##map(index)
#include "../../bpf/owner.h"

#endif
