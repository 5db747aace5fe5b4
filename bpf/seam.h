/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The XDP side of the seam (core/seam.h): the arrays of the instance as BPF maps.
 *
 * Every look-up goes through its map, whose size the kernel checks; what the seam adds is the place
 * within the bank or within the writer's share. struct sl_tables lives on the stack of one packet
 * and is filled by sl_tables_look(), the only place that reads the generation.
 *
 * The sizes are constants to the verifier: control sets them before it loads the program
 * (control/xdp/link.c), and they hold as long as the instance does.
 */
#ifndef SL_BPF_SEAM_H
#define SL_BPF_SEAM_H

#include "maps.h"

#include "../dataplane/abi/hash.h"
#include "../dataplane/core/seam.h"

const volatile uint32_t sl_services; /* places of one bank, as the next two */
const volatile uint32_t sl_reverses;
const volatile uint32_t sl_routes;
const volatile uint32_t sl_buckets;
const volatile uint32_t sl_fragment_buckets;
const volatile uint32_t sl_traffics; /* records of one writer, as the next */
const volatile uint32_t sl_tallies;
const volatile uint32_t sl_limit_tallies;
const volatile uint32_t sl_balances;
const volatile uint32_t sl_exceptions; /* places of one bank */
const volatile uint32_t sl_meter_lines;
const volatile uint32_t sl_workers; /* CPU c is writer sl_workers + c */
/* Of the entry program alone, of which each port has an instance. */
const volatile bool sl_veth;	 /* the port is one */
const volatile uint32_t sl_port; /* its index in ports */

/* Small: every function of a chain has one, and all stacks together are 512 bytes. */
struct sl_tables {
	const struct sl_root *root;
	const struct sl_bank *bank;
	uint64_t seq;
	uint32_t shape; /* of the packet at hand, of IPv6: found before all else */
	uint16_t writer;
	uint8_t live; /* number of the bank */
	bool peeks;   /* a constant of each program, see sl_seam_peeks() */
};

#define sl_barrier() asm volatile("" ::: "memory")

/* The record of an array, or NULL where the array ends before; the key has to be on the stack. */
#define sl_map_at(map, index)                                                                      \
	({                                                                                         \
		uint32_t key_ = (index);                                                           \
		bpf_map_lookup_elem(&(map), &key_);                                                \
	})

/* The frame of a context, as the kernel has it now. Functions of apart.h don't know by which port
 * it came in, nor ask: for them 0. */
SL_INLINE struct sl_packet sl_packet_of(struct xdp_md *ctx, uint16_t ingress)
{
	uint8_t *data = (uint8_t *)(uintptr_t)ctx->data;
	uint8_t *end = (uint8_t *)(uintptr_t)ctx->data_end;
	uint64_t length = (uint64_t)(end - data);

	sl_opaque(length); /* pointers are not subtracted in 32 bits */
	return (struct sl_packet){ .data = data,
				   .end = end,
				   .frame = ctx,
				   .length = (uint32_t)length,
				   .ingress = ingress };
}

/* Takes the live bank. False while nothing was ever published. */
SL_INLINE bool sl_tables_look(struct sl_tables *t)
{
	const struct sl_root *head = sl_map_at(root, 0);
	uint64_t generation;

	if (!head)
		return false;
	/* In this order: the generation, its bank's seq, the generation again, the records. x86
	 * keeps loads in order, so keeping the compiler from moving them is enough. */
	generation = *(const volatile uint64_t *)&head->generation;
	t->live = generation & 1;
	t->root = head;
	t->bank = t->live ? &head->bank[1] : &head->bank[0];
	t->seq = *(const volatile uint64_t *)&t->bank->seq;
	/* Another by now: the word may be that of the next. An odd one is never found again. */
	if (sl_unlikely(*(const volatile uint64_t *)&head->generation != generation))
		t->seq = ~0ull;
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

SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t place)
{
	return place < sl_services ? sl_map_at(services, t->live * sl_services + place) : NULL;
}

SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t)
{
	(void)t;
	return sl_services;
}

SL_INLINE const struct sl_reverse *sl_seam_reverse(const struct sl_tables *t, uint32_t place)
{
	return place < sl_reverses ? sl_map_at(reverse, t->live * sl_reverses + place) : NULL;
}

SL_INLINE uint32_t sl_seam_reverses(const struct sl_tables *t)
{
	(void)t;
	return sl_reverses;
}

SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t place)
{
	return place < sl_routes ? sl_map_at(routes, t->live * sl_routes + place) : NULL;
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

SL_INLINE const struct sl_rows *sl_seam_extent(const struct sl_tables *t, uint64_t record)
{
	(void)t;
	return record <= UINT32_MAX ? sl_map_at(slots, (uint32_t)record) : NULL;
}

SL_INLINE const uint32_t *sl_seam_row(const struct sl_tables *t, uint64_t row)
{
	uint64_t record = row / SL_ROWS_PER_RECORD;
	uint32_t at = row % SL_ROWS_PER_RECORD;
	const struct sl_rows *rows = sl_seam_extent(t, record);

	if (!rows)
		return NULL;
	sl_opaque(at);
	return &rows->row[at & (SL_ROWS_PER_RECORD - 1)];
}

SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index)
{
	(void)t;
	return index <= UINT32_MAX ? sl_map_at(backends, (uint32_t)index) : NULL;
}

SL_INLINE const struct sl_terms *sl_seam_terms(const struct sl_tables *t, uint32_t service)
{
	(void)t;
	return sl_map_at(terms, service);
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

SL_INLINE struct sl_bindings *sl_seam_bindings(const struct sl_tables *t, uint32_t line)
{
	(void)t;
	return sl_map_at(bindings, line);
}

SL_INLINE struct sl_bound *sl_seam_bound(const struct sl_tables *t, uint32_t place)
{
	(void)t;
	return sl_map_at(bound, place);
}

/* Where packets don't come as they are decided (sluice-replay), their time is told. */
const volatile bool sl_time_told;
uint64_t sl_time; /* ticks */

/* The coarse clock is a tick of the kernel's timer behind at most, and a tenth of the price. */
SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t)
{
	if (sl_time_told)
		return *(volatile uint64_t *)&sl_time;
	return (bpf_ktime_get_coarse_ns() - t->root->origin_ns) >> SL_TICK_SHIFT;
}

SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t)
{
	if (sl_time_told)
		return *(volatile uint64_t *)&sl_time;
	return (bpf_ktime_get_ns() - t->root->origin_ns) >> SL_TICK_SHIFT;
}

/* The program for limited packets has no room for it. */
SL_INLINE bool sl_seam_peeks(const struct sl_tables *t)
{
	return t->peeks;
}

SL_INLINE const struct sl_limit *sl_seam_limit(const struct sl_tables *t, uint64_t index)
{
	(void)t;
	return index <= UINT32_MAX ? sl_map_at(limits, (uint32_t)index) : NULL;
}

SL_INLINE const struct sl_exception *sl_seam_exception(const struct sl_tables *t, uint32_t place)
{
	return place < sl_exceptions ? sl_map_at(exceptions, t->live * sl_exceptions + place)
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

SL_INLINE struct sl_balance *sl_seam_balance(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return sl_map_at(balances, index);
}

SL_INLINE struct sl_lease *sl_seam_lease(const struct sl_tables *t, uint32_t balance)
{
	return balance < sl_balances ? sl_map_at(leases, t->writer * sl_balances + balance) : NULL;
}

SL_INLINE struct sl_limit_tally *sl_seam_limit_tally(const struct sl_tables *t, uint32_t limit)
{
	return limit < sl_limit_tallies
		       ? sl_map_at(limit_tally, t->writer * sl_limit_tallies + limit)
		       : NULL;
}

SL_INLINE struct sl_bitten *sl_seam_bitten(const struct sl_tables *t, uint32_t place)
{
	return place < SL_BITTEN ? sl_map_at(bitten, t->writer * SL_BITTEN + place) : NULL;
}

SL_INLINE struct sl_traffic *sl_seam_traffic(const struct sl_tables *t, uint32_t backend)
{
	return backend < sl_traffics ? sl_map_at(traffic, t->writer * sl_traffics + backend) : NULL;
}

SL_INLINE struct sl_service_tally *sl_seam_tally(const struct sl_tables *t, uint32_t service)
{
	return service < sl_tallies ? sl_map_at(service_tally, t->writer * sl_tallies + service)
				    : NULL;
}

SL_INLINE uint64_t *sl_seam_errors(const struct sl_tables *t)
{
	struct sl_wanted *w = sl_map_at(wanted, t->writer);

	return w ? &w->errors : NULL;
}

SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n)
{
	struct xdp_md *ctx = p->frame;

	if (bpf_xdp_adjust_head(ctx, -(int)n))
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

SL_INLINE void sl_seam_want(const struct sl_tables *t, const union sl_addr *addr)
{
	struct sl_wanted *w = sl_map_at(wanted, t->writer);
	uint64_t head, last, next;

	if (!w)
		return;
	head = w->head;
	last = (head - 1) % SL_WANTED;
	next = head % SL_WANTED;
	sl_opaque(last);
	sl_opaque(next);
	if (last >= SL_WANTED || next >= SL_WANTED)
		return;
	if (head && sl_addr_equal(&w->addr[last], addr))
		return;
	w->addr[next] = *addr;
	sl_barrier(); /* the address before its count; x86 keeps stores in order */
	*(volatile uint64_t *)&w->head = head + 1;
}

/* A packet is alone here, so there is nothing to do while a line comes in, and the look-up of what
 * would be fetched isn't free: the argument is not evaluated. */
#define sl_seam_prefetch(at) ((void)sizeof(at))

/* Counts the end of a packet. */
SL_INLINE void sl_tables_count(const struct sl_tables *t, uint32_t reason)
{
	struct sl_tally *counters = sl_map_at(tally, t->writer);

	if (!counters)
		return;
	sl_opaque(reason);
	counters->packets[reason & (SL_REASON_MAX - 1)]++;
}

#include "apart.h"

#endif
