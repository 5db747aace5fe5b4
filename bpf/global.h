/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* XDP's side of core/seam.h for large or rare functions: they are global BPF functions, which the
 * verifier checks once, on their own. A global function takes only numbers and takes its own
 * snapshot of the tables. None calls another, except the body of a loop (core/loop.h): kernels
 * before 6.9 round each function's stack up to 32 bytes, and all together have 512 bytes.
 */
#ifndef SL_BPF_GLOBAL_H
#define SL_BPF_GLOBAL_H

#include "../dataplane/core/partial.h"
#include "../dataplane/core/rare.h"

/* A snapshot with the caller's bank, even if another bank went live meanwhile. `seq` is the low
 * half of the bank's sequence word. */
SL_INLINE bool sl_tables_snapshot_bank(struct sl_tables *t, uint32_t live, uint32_t seq)
{
	if (!sl_tables_snapshot(t))
		return false;
	sl_tables_take(t, live);
	if (sl_unlikely((uint32_t)t->seq != seq))
		t->seq |= SL_SEQ_NEVER;
	return true;
}

#include "global_fragment.h"
#include "global_fullnat.h"
#include "global_ip6.h"
#include "global_limit.h"

__attribute__((noinline)) int sl_flow_relocate_global(uint64_t flow, uint64_t now)
{
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_flow_relocate_impl(&t, flow, now);
}

SL_INLINE bool sl_flow_relocate(const struct sl_tables *t, uint64_t flow, uint64_t now)
{
	(void)t;
	return sl_flow_relocate_global(flow, now);
}

/* slot: 0..31 the slot, 32..39 event, 40 track_all, 41 full, 42 policed, 43 forced, 44 the bank. */
__attribute__((noinline)) uint32_t sl_track_miss_global(uint64_t key, uint64_t extent,
							uint64_t slot, uint64_t now, uint32_t seq)
{
	struct sl_flow_query query = { .key = key,
				       .now = now,
				       .slot = (uint32_t)slot,
				       .backends = (uint32_t)extent,
				       .n_backends = (uint32_t)(extent >> 32),
				       .event = (uint8_t)(slot >> 32),
				       .track_all = slot >> 40 & 1,
				       .full = slot >> 41 & 1,
				       .policed = slot >> 42 & 1,
				       .forced = slot >> 43 & 1 };
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, slot >> 44 & 1, seq))
		return 0;
	query.hash = sl_hash_flow(key, t.root->flow_key);
	return sl_track_miss_impl(&t, &query);
}

SL_INLINE uint32_t sl_track_miss(const struct sl_tables *t, const struct sl_flow_query *query)
{
	uint64_t slot = query->slot | (uint64_t)query->event << 32 |
			(uint64_t)query->track_all << 40 | (uint64_t)query->full << 41 |
			(uint64_t)query->policed << 42 | (uint64_t)query->forced << 43 |
			(uint64_t)t->live << 44;

	return sl_track_miss_global(query->key, (uint64_t)query->n_backends << 32 | query->backends,
				    slot, query->now, (uint32_t)t->seq);
}

/* extent: the first block of the slots, 32..63 the slot mask. what: 0..15 the service's id, 16..
 * how to pick. */
__attribute__((noinline)) uint32_t sl_pick_global(uint64_t extent, uint32_t what, uint64_t hash)
{
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_pick_impl(&t, (uint32_t)extent, (uint32_t)(extent >> 32), what & 0xffff,
			    what >> 16, hash);
}

SL_INLINE uint32_t sl_pick(const struct sl_tables *t, const struct sl_service *s, uint64_t hash)
{
	(void)t;
	return sl_pick_global(s->slots | (uint64_t)s->slot_mask << 32,
			      s->id | (uint32_t)s->pick << 16, hash);
}

/* where, server_ids: see quic.h. */
__attribute__((noinline)) uint32_t sl_quic_global(struct xdp_md *ctx, uint64_t where,
						  uint32_t servers)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_quic_impl(NULL, &p, where, servers);
}

SL_INLINE uint32_t sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where,
			   uint32_t servers)
{
	(void)t;
	return sl_quic_global(p->frame, where, servers);
}

/* live: the caller's bank. */
__attribute__((noinline)) uint32_t sl_service_search_global(uint64_t q0, uint64_t q1,
							    uint32_t endpoint, uint32_t live)
{
	union sl_addr vip = { .q = { q0, q1 } };
	struct sl_tables t;

	return sl_tables_snapshot_bank(&t, live & 1, 0) ? sl_service_search_impl(&t, &vip, endpoint)
							: ~0u;
}

SL_INLINE uint32_t sl_service_search(const struct sl_tables *t, const union sl_addr *vip,
				     uint32_t endpoint)
{
	return sl_service_search_global(vip->q[0], vip->q[1], endpoint, t->live);
}

__attribute__((noinline)) uint32_t sl_reply_range_global(uint64_t q0, uint64_t q1,
							 uint32_t endpoint, uint32_t live)
{
	union sl_addr backend = { .q = { q0, q1 } };
	struct sl_tables t;

	return sl_tables_snapshot_bank(&t, live & 1, 0)
		       ? sl_reply_range_impl(&t, &backend, endpoint)
		       : ~0u;
}

SL_INLINE uint32_t sl_reply_range(const struct sl_tables *t, const union sl_addr *backend,
				  uint32_t endpoint)
{
	return sl_reply_range_global(backend->q[0], backend->q[1], endpoint, t->live);
}

__attribute__((noinline)) int sl_neighbour_heard_global(uint64_t q0, uint64_t q1, uint64_t link)
{
	union sl_addr addr = { .q = { q0, q1 } };
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_neighbour_heard_impl(&t, &addr, link);
	return 0;
}

SL_INLINE void sl_neighbour_heard(const struct sl_tables *t, const union sl_addr *addr,
				  uint64_t link)
{
	(void)t;
	sl_neighbour_heard_global(addr->q[0], addr->q[1], link);
}

__attribute__((noinline)) uint64_t sl_neighbour_resolve_global(uint64_t q0, uint64_t q1,
							       uint32_t port)
{
	union sl_addr hop = { .q = { q0, q1 } };
	struct sl_tables t;

	return sl_tables_snapshot(&t) ? sl_neighbour_resolve_impl(&t, &hop, (uint16_t)port) : 0;
}

SL_INLINE uint64_t sl_neighbour_resolve(const struct sl_tables *t, const union sl_addr *hop,
					uint16_t port)
{
	(void)t;
	return sl_neighbour_resolve_global(hop->q[0], hop->q[1], port);
}

/* Completes a partial checksum, if the frame came in by one of these ports, and counts it. generic:
 * the ports on which the kernel still has the note that the checksum is partial, so that the field
 * has to stay what it is. */
__attribute__((noinline)) int sl_partial_complete_global(struct xdp_md *ctx, uint32_t port,
							 uint64_t partial, uint64_t generic)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint32_t queue = ctx->rx_queue_index;
	bool mend = !(generic >> (port & 63) & 1);
	struct sl_queue *q;

	if (!(partial >> (port & 63) & 1) || !sl_partial_complete_impl(&p, mend))
		return 0;
	q = queue < SL_QUEUES_PER_PORT ? sl_map_at(queues, port * SL_QUEUES_PER_PORT + queue)
				       : NULL;
	if (q)
		__sync_fetch_and_add(mend ? &q->completed : &q->left_partial, 1);
	return 0;
}

/* what: 0..7 the reason, 16..31 the egress, 32 the bank. Returns the first two as they are now. */
__attribute__((noinline)) uint32_t sl_egress_global(struct xdp_md *ctx, uint64_t what, uint64_t seq)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t egress = (uint16_t)(what >> 16);
	struct sl_tables t;
	uint32_t reason;

	if (!sl_tables_snapshot_bank(&t, what >> 32 & 1, (uint32_t)seq))
		return SL_REASON_next_hop_changed;
	reason = sl_egress_impl(&t, &p, what & 0xff, &egress);
	return reason | (uint32_t)egress << 16;
}

SL_INLINE uint32_t sl_egress(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			     uint16_t *egress)
{
	uint32_t what = sl_egress_global(
		p->frame, reason | (uint32_t)*egress << 16 | (uint64_t)t->live << 32, t->seq);

	*egress = (uint16_t)(what >> 16);
	return what & 0xff;
}

/* These are never called: the program continues in another one for such packets (engine.bpf.c). */
__attribute__((noinline)) uint32_t sl_sum_to_end_global(struct xdp_md *ctx, uint32_t from)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_sum_to_end_impl(&p, from & 0xff);
}

SL_INLINE uint16_t sl_sum_to_end(const struct sl_packet *p, uint32_t from)
{
	return (uint16_t)sl_sum_to_end_global(p->frame, from);
}

SL_INLINE uint32_t sl_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			     uint32_t mtu)
{
	(void)t;
	(void)p;
	(void)mtu;
	return (uint32_t)sl_reason_silent(reason);
}

SL_INLINE enum sl_reason sl_extended(const struct sl_tables *t, struct sl_packet *p,
				     const struct sl_lookup *w, uint16_t *egress)
{
	(void)t;
	(void)p;
	(void)w;
	(void)egress;
	return SL_REASON_bad_index;
}

SL_INLINE enum sl_reason sl_rare(const struct sl_tables *t, struct sl_packet *p,
				 uint8_t packet_class, uint16_t *egress)
{
	(void)packet_class;
	(void)t;
	(void)p;
	(void)egress;
	return SL_REASON_bad_index;
}

__attribute__((noinline)) uint32_t sl_source_routed_global(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	const struct sl_ip4 *ip;
	uint16_t type;
	uint32_t l3 = sl_parse_link(&p, &type);

	ip = sl_packet_at(&p, l3, sizeof(*ip));
	return ip && sl_source_routed_impl(&p, l3, (ip->version_ihl & 15u) * 4);
}

SL_INLINE bool sl_source_routed(const struct sl_packet *p, uint32_t l3, uint32_t header)
{
	(void)l3, (void)header;
	return sl_source_routed_global(p->frame);
}

/* where: 0..7 the offset of the network header, 8..15 of the transport header, 16..23 the mode, 24
 * the bank. The call may move the packet, so the caller's pointers into it are invalid afterwards.
 * Some kernels don't notice that in a global function and would accept their use. */
__attribute__((noinline)) int sl_mode_global(struct xdp_md *ctx, uint64_t index, uint64_t where,
					     uint64_t seq)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, where >> 24 & 1, (uint32_t)seq))
		return SL_REASON_torn_table;
	return sl_mode_impl(&t, &p, index, where & 0xff, where >> 8 & 0xff, (uint8_t)(where >> 16));
}

SL_INLINE int sl_mode(const struct sl_tables *t, struct sl_packet *p, uint64_t index, uint32_t l3,
		      uint32_t l4, uint8_t mode)
{
	return sl_mode_global(p->frame, index,
			      l3 | l4 << 8 | (uint64_t)mode << 16 | (uint64_t)t->live << 24,
			      t->seq);
}

/* where: 0..7 the offset of the network header, 8..15 of the transport header, 16..31 the largest
 * MSS. */
__attribute__((noinline)) int sl_mss_clamp_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	sl_mss_clamp_impl(&p, where & 0xff, where >> 8 & 0xff, (uint16_t)(where >> 16));
	return 0;
}

SL_INLINE void sl_mss_clamp(struct sl_packet p, uint32_t l3, uint32_t l4, uint16_t most)
{
	sl_mss_clamp_global(p.frame, l3 | l4 << 8 | (uint64_t)most << 16);
}

#endif
