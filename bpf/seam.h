/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* XDP's side of the seam (core/seam.h): the instance's arrays as BPF maps.
 *
 * Every look-up goes through its map, whose size the kernel checks. The seam adds the offset of the
 * bank or of the writer's records. A struct sl_tables lies on the stack while one packet is
 * decided. Only sl_tables_snapshot() reads the generation.
 *
 * The sizes below are constants for the verifier. Control sets them before it loads the program
 * (control/xdp/link.c); they don't change while the instance lives.
 */
#ifndef SL_BPF_SEAM_H
#define SL_BPF_SEAM_H

#include "maps.h"

#include "../dataplane/abi/hash.h"
#include "../dataplane/core/seam.h"

const volatile uint32_t sl_services; /* records of one bank, as the next two */
const volatile uint32_t sl_reply_entries;
const volatile uint32_t sl_routes;
const volatile uint32_t sl_buckets;
const volatile uint32_t sl_fragment_buckets;
const volatile uint32_t sl_n_learned;
const volatile uint32_t sl_n_backend_counters; /* records of one writer, as the next two */
const volatile uint32_t sl_n_service_counters;
const volatile uint32_t sl_n_limit_counters;
const volatile uint32_t sl_shared_buckets;
const volatile uint32_t sl_exceptions; /* records of one bank */
const volatile uint32_t sl_meter_lines;
const volatile uint32_t sl_workers; /* CPU c is writer sl_workers + c */
/* The next two are of the program that is attached, of which each port has an instance. */
const volatile bool sl_veth;	 /* whether the port is a veth */
const volatile uint32_t sl_port; /* its index in ports */

/* It has to be small: every function of a call chain has one, and all their stacks together are
 * limited to 512 bytes. */
struct sl_tables {
	const struct sl_root *root;
	const struct sl_bank *bank;
	uint64_t seq;
	uint32_t layout; /* the packet's IPv6 header layout: computed before all else */
	uint16_t writer;
	uint8_t live;	    /* number of the bank */
	bool inline_lookup; /* constant in each program, see sl_seam_inline_lookup() */
};

#define sl_barrier() asm volatile("" ::: "memory")

/* A record of an array, or NULL if the index is outside the array. BPF wants the key on the
 * stack. */
#define sl_map_at(map, index)                                                                      \
	({                                                                                         \
		uint32_t key_ = (index);                                                           \
		bpf_map_lookup_elem(&(map), &key_);                                                \
	})

/* The frame of a context, as it is at this moment. The functions of global.h don't know the port by
 * which it came in and don't need it: they pass 0. */
SL_INLINE struct sl_packet sl_packet_of(struct xdp_md *ctx, uint16_t ingress)
{
	uint8_t *data = (uint8_t *)(uintptr_t)ctx->data;
	uint8_t *end = (uint8_t *)(uintptr_t)ctx->data_end;
	uint64_t length = (uint64_t)(end - data);

	sl_opaque(length); /* the verifier refuses pointer differences of 32 bits */
	return (struct sl_packet){ .data = data,
				   .end = end,
				   .frame = ctx,
				   .length = (uint32_t)length,
				   .ingress = ingress };
}

/* Never matches a bank's sequence word, which doesn't get as far. */
#define SL_SEQ_NEVER (1ull << 59)

/* Takes a bank by its number. Arithmetic, since the verifier would walk all that follows a branch
 * once for each bank. */
SL_INLINE void sl_tables_take(struct sl_tables *t, uint64_t live)
{
	live &= 1;
	sl_opaque(live);
	t->live = (uint8_t)live;
	t->bank = &t->root->bank[live];
	t->seq = *(const volatile uint64_t *)&t->bank->seq;
}

/* Takes the live bank. False: nothing was published yet. */
SL_INLINE bool sl_tables_snapshot(struct sl_tables *t)
{
	const struct sl_root *head = sl_map_at(root, 0);
	uint64_t generation;

	if (!head)
		return false;
	/* The order matters: the generation, its bank's seq, the generation again, the records. x86
	 * doesn't reorder loads, so it is enough to keep the compiler from it. */
	generation = *(const volatile uint64_t *)&head->generation;
	t->root = head;
	sl_tables_take(t, generation);
	/* If the generation has changed, seq may belong to the next one. */
	if (sl_unlikely(*(const volatile uint64_t *)&head->generation != generation))
		t->seq |= SL_SEQ_NEVER;
	t->writer = (uint16_t)(sl_workers + bpf_get_smp_processor_id());
	sl_barrier();
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
	sl_barrier(); /* what was read before stays before */
	return *(const volatile uint64_t *)&t->bank->seq == t->seq;
}

SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t index)
{
	return index < sl_services ? sl_map_at(services, t->live * sl_services + index) : NULL;
}

SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t)
{
	(void)t;
	return sl_services;
}

SL_INLINE const struct sl_reply_entry *sl_seam_reply_entry(const struct sl_tables *t,
							   uint32_t index)
{
	return index < sl_reply_entries
		       ? sl_map_at(reply_entries, t->live * sl_reply_entries + index)
		       : NULL;
}

SL_INLINE uint32_t sl_seam_reply_entries(const struct sl_tables *t)
{
	(void)t;
	return sl_reply_entries;
}

SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t index)
{
	return index < sl_routes ? sl_map_at(routes, t->live * sl_routes + index) : NULL;
}

SL_INLINE uint32_t sl_seam_routes(const struct sl_tables *t)
{
	(void)t;
	return sl_routes;
}

SL_INLINE const struct sl_port *sl_seam_port(const struct sl_tables *t, uint32_t index)
{
	return index < SL_PORTS_MAX ? sl_map_at(ports, t->live * SL_PORTS_MAX + index) : NULL;
}

SL_INLINE const struct sl_hop_group *sl_seam_hop_group(const struct sl_tables *t, uint32_t index)
{
	return index < SL_HOP_GROUPS ? sl_map_at(hop_groups, t->live * SL_HOP_GROUPS + index)
				     : NULL;
}

SL_INLINE const struct sl_table_block *sl_seam_block(const struct sl_tables *t, uint64_t record)
{
	(void)t;
	return record <= UINT32_MAX ? sl_map_at(table_blocks, (uint32_t)record) : NULL;
}

SL_INLINE const uint32_t *sl_seam_slot(const struct sl_tables *t, uint64_t slot)
{
	uint64_t record = slot / SL_SLOTS_PER_BLOCK;
	uint32_t at = slot % SL_SLOTS_PER_BLOCK;
	const struct sl_table_block *block = sl_seam_block(t, record);

	if (!block)
		return NULL;
	sl_opaque(at);
	return &block->slot[at & (SL_SLOTS_PER_BLOCK - 1)];
}

SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index)
{
	(void)t;
	return index <= UINT32_MAX ? sl_map_at(backends, (uint32_t)index) : NULL;
}

SL_INLINE const struct sl_flow_timeouts *sl_seam_timeouts(const struct sl_tables *t,
							  uint32_t service)
{
	(void)t;
	return sl_map_at(flow_timeouts, service);
}

SL_INLINE const struct sl_schedule *sl_seam_schedule(const struct sl_tables *t, uint32_t service)
{
	(void)t;
	return sl_map_at(schedules, service);
}

SL_INLINE struct sl_bucket *sl_seam_bucket(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return sl_map_at(flows, index);
}

SL_INLINE uint32_t sl_seam_buckets(const struct sl_tables *t)
{
	(void)t;
	return sl_buckets;
}

SL_INLINE struct sl_fragments *sl_seam_fragments(const struct sl_tables *t, uint32_t hash)
{
	(void)t;
	return sl_map_at(fragments, sl_hash_reduce(hash, sl_fragment_buckets));
}

SL_INLINE struct sl_learned *sl_seam_learned(const struct sl_tables *t, uint32_t hash)
{
	(void)t;
	return sl_map_at(learned, sl_hash_reduce(hash, sl_n_learned));
}

SL_INLINE struct sl_snat_line *sl_seam_snat_line(const struct sl_tables *t, uint32_t line)
{
	(void)t;
	return sl_map_at(snat_ports, line);
}

SL_INLINE struct sl_snat_client *sl_seam_snat_client(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return sl_map_at(snat_clients, index);
}

/* sluice-replay sets the time of each packet; otherwise the clock is read. */
const volatile bool sl_time_is_set;
uint64_t sl_time; /* ticks */

/* The coarse clock is at most one timer tick behind, and costs a tenth. */
SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t)
{
	if (sl_time_is_set)
		return *(volatile uint64_t *)&sl_time;
	return (bpf_ktime_get_coarse_ns() - t->root->origin_ns) >> SL_TICK_SHIFT;
}

SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t)
{
	if (sl_time_is_set)
		return *(volatile uint64_t *)&sl_time;
	return (bpf_ktime_get_ns() - t->root->origin_ns) >> SL_TICK_SHIFT;
}

/* False in programs that have no room for it, such as the extended path. */
SL_INLINE bool sl_seam_inline_lookup(const struct sl_tables *t)
{
	return t->inline_lookup;
}

SL_INLINE const struct sl_limit *sl_seam_limit(const struct sl_tables *t, uint64_t index)
{
	(void)t;
	return index <= UINT32_MAX ? sl_map_at(limits, (uint32_t)index) : NULL;
}

SL_INLINE const struct sl_exception *sl_seam_exception(const struct sl_tables *t, uint32_t index)
{
	return index < sl_exceptions ? sl_map_at(exceptions, t->live * sl_exceptions + index)
				     : NULL;
}

SL_INLINE uint32_t sl_seam_exceptions(const struct sl_tables *t)
{
	(void)t;
	return sl_exceptions;
}

SL_INLINE struct sl_meters *sl_seam_meters(const struct sl_tables *t, uint32_t line)
{
	(void)t;
	return sl_map_at(meters, line);
}

SL_INLINE uint32_t sl_seam_meter_lines(const struct sl_tables *t)
{
	(void)t;
	return sl_meter_lines;
}

SL_INLINE struct sl_shared_bucket *sl_seam_shared_bucket(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return sl_map_at(shared_buckets, index);
}

SL_INLINE struct sl_lease *sl_seam_lease(const struct sl_tables *t, uint32_t shared_bucket)
{
	return shared_bucket < sl_shared_buckets
		       ? sl_map_at(leases, t->writer * sl_shared_buckets + shared_bucket)
		       : NULL;
}

SL_INLINE struct sl_limit_counters *sl_seam_limit_counters(const struct sl_tables *t,
							   uint32_t limit)
{
	return limit < sl_n_limit_counters
		       ? sl_map_at(limit_counters, t->writer * sl_n_limit_counters + limit)
		       : NULL;
}

SL_INLINE struct sl_most_limited *sl_seam_most_limited(const struct sl_tables *t, uint32_t index)
{
	return index < SL_MOST_LIMITED
		       ? sl_map_at(most_limited, t->writer * SL_MOST_LIMITED + index)
		       : NULL;
}

SL_INLINE struct sl_backend_counters *sl_seam_backend_counters(const struct sl_tables *t,
							       uint32_t backend)
{
	return backend < sl_n_backend_counters
		       ? sl_map_at(backend_counters, t->writer * sl_n_backend_counters + backend)
		       : NULL;
}

SL_INLINE struct sl_service_counters *sl_seam_service_counters(const struct sl_tables *t,
							       uint32_t service)
{
	return service < sl_n_service_counters
		       ? sl_map_at(service_counters, t->writer * sl_n_service_counters + service)
		       : NULL;
}

/* sluice-replay compares with a worker, whose number is 0. */
SL_INLINE uint32_t sl_seam_writer(const struct sl_tables *t)
{
	return sl_time_is_set ? 0 : t->writer - sl_workers;
}

SL_INLINE uint64_t *sl_seam_next_answer(const struct sl_tables *t)
{
	struct sl_neighbour_requests *w = sl_map_at(neigh_requests, t->writer);

	return w ? &w->next_answer : NULL;
}

SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n)
{
	struct xdp_md *ctx = p->frame;

	if (bpf_xdp_adjust_head(ctx, -(int)n))
		return false;
	*p = sl_packet_of(ctx, p->ingress);
	return true;
}

SL_INLINE bool sl_seam_shrink(struct sl_packet *p, uint32_t n)
{
	struct xdp_md *ctx = p->frame;

	if (bpf_xdp_adjust_head(ctx, (int)n))
		return false;
	*p = sl_packet_of(ctx, p->ingress);
	return true;
}

SL_INLINE bool sl_seam_cut(struct sl_packet *p, uint32_t length)
{
	struct xdp_md *ctx = p->frame;

	if (bpf_xdp_adjust_tail(ctx, (int)length - (int)p->length))
		return false;
	*p = sl_packet_of(ctx, p->ingress);
	return true;
}

SL_INLINE void sl_seam_request_neighbour(const struct sl_tables *t, const union sl_addr *addr)
{
	struct sl_neighbour_requests *w = sl_map_at(neigh_requests, t->writer);
	uint64_t head, last, next;

	if (!w)
		return;
	head = w->head;
	last = (head - 1) % SL_NEIGHBOUR_REQUESTS;
	next = head % SL_NEIGHBOUR_REQUESTS;
	sl_opaque(last);
	sl_opaque(next);
	if (last >= SL_NEIGHBOUR_REQUESTS || next >= SL_NEIGHBOUR_REQUESTS)
		return;
	if (head && sl_addr_equal(&w->addr[last], addr))
		return;
	w->addr[next] = *addr;
	sl_barrier(); /* the address before its count; x86 doesn't reorder stores */
	*(volatile uint64_t *)&w->head = head + 1;
}

/* XDP decides one packet at a time, so there is nothing to do while a cache line is fetched, and
 * finding its address isn't free: the argument isn't evaluated. */
#define sl_seam_prefetch(at) ((void)sizeof(at))

/* Counts a packet by its reason. */
SL_INLINE void sl_tables_count(const struct sl_tables *t, uint32_t reason)
{
	struct sl_reason_counters *counters = sl_map_at(reason_counters, t->writer);

	if (!counters)
		return;
	sl_opaque(reason);
	counters->packets[reason & (SL_REASON_MAX - 1)]++;
}

#include "global.h"

#endif
