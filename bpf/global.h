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

__attribute__((noinline)) int sl_flow_relocate_global(uint64_t flow, uint64_t now)
{
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_flow_relocate_impl(&t, flow, now);
}

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

/* Packs a struct sl_policer_query into numbers. 0..23 index of the limit (there are no more
 * records), 24..39 bytes, 40..55 port, 56..57 direction, 58 begin, 59 picked, 60 may_mark, 61 the
 * bank. 62 and 63 are left to the callee. */
SL_INLINE uint64_t sl_policer_query_pack(const struct sl_tables *t,
					 const struct sl_policer_query *a, uint32_t index)
{
	return ((a->limits + index) & 0xffffff) | (uint64_t)a->bytes << 24 |
	       (uint64_t)a->port << 40 | (uint64_t)(a->direction & 3) << 56 |
	       (uint64_t)a->begin << 58 | (uint64_t)a->picked << 59 | (uint64_t)a->may_mark << 60 |
	       (uint64_t)t->live << 61;
}

SL_INLINE struct sl_policer_query sl_policer_query_unpack(uint64_t what, uint64_t q0, uint64_t q1,
							  uint64_t now)
{
	return (struct sl_policer_query){ .client = { .q = { q0, q1 } },
					  .now = now,
					  .limits = what & 0xffffff,
					  .bytes = (uint16_t)(what >> 24),
					  .port = (sl_be16)(what >> 40),
					  .direction = what >> 56 & 3,
					  .begin = what >> 58 & 1,
					  .picked = what >> 59 & 1,
					  .may_mark = what >> 60 & 1 };
}

/* The bank is the caller's. The caller checks its sequence word before it acts on the result. */
__attribute__((noinline)) uint32_t sl_limit_check_one_global(uint64_t what, uint64_t q0,
							     uint64_t q1, uint32_t counter_id,
							     uint64_t now)
{
	struct sl_policer_query query = sl_policer_query_unpack(what, q0, q1, now);
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, what >> 61 & 1, 0))
		return SL_POLICER_PASS;
	query.counter_id = counter_id;
	return sl_limit_check_one_impl(&t, &query, 0);
}

/* what: sl_policer_query_pack(), with 62 ends and 63 limited. key: with 63 ends one side alone. */
__attribute__((noinline)) uint32_t sl_track_charge_global(uint64_t what, uint64_t q0, uint64_t q1,
							  uint64_t key, uint64_t now)
{
	struct sl_policer_query packet = sl_policer_query_unpack(what, q0, q1, now);
	uint8_t event = what >> 62 & 1	     ? SL_EVENT_END
			: key & SL_FLOW_BUSY ? SL_EVENT_HALF_CLOSE
					     : SL_EVENT_DATA;
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, what >> 61 & 1, 0))
		return SL_POLICER_UNLIMITED;
	return sl_track_charge_impl(&t, key & ~SL_FLOW_BUSY, event, what >> 63 & 1, &packet);
}

/* What it looks at is in no bank. */
__attribute__((noinline)) uint32_t sl_window_global(uint64_t index, uint64_t seq_ack, uint64_t what)
{
	return sl_window_impl(NULL, (uint32_t)index, seq_ack, (uint32_t)what);
}

SL_INLINE uint32_t sl_window(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			     uint32_t what)
{
	(void)t;
	return sl_window_global(index, seq_ack, what);
}

/* place: 32..63 what. */
__attribute__((noinline)) int sl_segment_global(uint64_t index, uint64_t seq_ack, uint64_t flow,
						uint64_t now)
{
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_segment_impl(&t, (uint32_t)index, seq_ack, index >> 32, flow, now);
	return 0;
}

SL_INLINE void sl_segment(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			  uint32_t what, uint64_t key, uint64_t now)
{
	(void)t;
	sl_segment_global(index | (uint64_t)what << 32, seq_ack, key, now);
}

__attribute__((noinline)) uint64_t sl_track_value_global(uint64_t key, uint64_t now)
{
	struct sl_tables t;

	return sl_tables_snapshot(&t) ? sl_track_value_impl(&t, key, now) : 0;
}

__attribute__((noinline)) uint64_t sl_snat_find_global(uint64_t key, uint64_t now, uint32_t pool)
{
	struct sl_tables t;

	return sl_tables_snapshot(&t) ? sl_snat_find_impl(&t, key, now, pool) : SL_SNAT_UNKNOWN;
}

/* It needs no bank: a pool's table blocks don't change. */
__attribute__((noinline)) uint64_t sl_snat_find_anywhere_global(uint64_t key, uint64_t hash,
								uint32_t pool)
{
	return sl_snat_find_anywhere_impl(NULL, key, hash, pool);
}

__attribute__((noinline)) int sl_snat_reclaim_global(uint64_t key, uint64_t now, uint32_t pool)
{
	struct sl_tables t;

	return sl_tables_snapshot(&t) && sl_snat_reclaim_impl(&t, key, now, pool);
}

/* what: 0..31 the pool, 32..47 the client's port. */
__attribute__((noinline)) uint64_t sl_snat_alloc_global(uint64_t key, uint64_t now, uint64_t what,
							uint64_t q0, uint64_t q1)
{
	union sl_addr client = { .q = { q0, q1 } };
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_snat_alloc_impl(&t, key, now, (uint32_t)what, &client,
				  (sl_be16)(uint16_t)(what >> 32));
}

SL_INLINE uint64_t sl_snat_find(const struct sl_tables *t, uint64_t key, uint64_t now,
				uint32_t pool)
{
	(void)t;
	return sl_snat_find_global(key, now, pool);
}

SL_INLINE uint64_t sl_snat_find_anywhere(const struct sl_tables *t, uint64_t key, uint32_t pool)
{
	return sl_snat_find_anywhere_global(key, sl_hash_flow(key, t->root->flow_key), pool);
}

SL_INLINE uint64_t sl_snat_alloc(const struct sl_tables *t, uint64_t key, uint64_t now,
				 uint32_t pool, const union sl_addr *client, sl_be16 port)
{
	(void)t;
	return sl_snat_alloc_global(key, now, pool | (uint64_t)(uint16_t)port << 32, client->q[0],
				    client->q[1]);
}

SL_INLINE bool sl_snat_reclaim(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool)
{
	(void)t;
	return sl_snat_reclaim_global(key, now, pool);
}

/* where, server_ids: see quic.h. */
__attribute__((noinline)) uint32_t sl_quic_global(struct xdp_md *ctx, uint64_t where,
						  uint32_t servers)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_quic_impl(NULL, &p, where, servers);
}

/* where: see fragment.h; bit 32: also use the last datagram of the same hosts. */
__attribute__((noinline)) uint64_t sl_fragment_find_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_fragment_find_impl(&t, &p, (uint32_t)where, where >> 32 & 1);
}

__attribute__((noinline)) int sl_fragment_enter_global(struct xdp_md *ctx, uint64_t where,
						       uint64_t what)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_fragment_enter_impl(&t, &p, (uint32_t)where, what, where >> 32 & 1);
	return 0;
}

/* where, to: as fragment_id.h has them. */
__attribute__((noinline)) int sl_fragment_rename_global(struct xdp_md *ctx, uint64_t where,
							uint64_t to)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_fragment_rename_impl(&t, &p, (uint32_t)where, to);
	return 0;
}

SL_INLINE void sl_fragment_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t where,
				  uint64_t to)
{
	(void)t;
	sl_fragment_rename_global(p->frame, where, to);
}

/* where: 0..7 the offset of the message, 32 whether it's IPv6. */
__attribute__((noinline)) int sl_quote_rename_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_quote_rename_impl(&t, &p, where & 0xff, where >> 32 & 1);
	return 0;
}

SL_INLINE void sl_quote_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t l4,
			       bool is_ipv6)
{
	(void)t;
	sl_quote_rename_global(p->frame, l4 | (uint64_t)is_ipv6 << 32);
}

SL_INLINE uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t where, bool guess)
{
	(void)t;
	return sl_fragment_find_global(p->frame, where | (uint64_t)guess << 32);
}

SL_INLINE void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, uint64_t what, bool last)
{
	(void)t;
	sl_fragment_enter_global(p->frame, where | (uint64_t)last << 32, what);
}

SL_INLINE bool sl_flow_relocate(const struct sl_tables *t, uint64_t flow, uint64_t now)
{
	(void)t;
	return sl_flow_relocate_global(flow, now);
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

SL_INLINE enum sl_policer_verdict sl_track_charge(const struct sl_tables *t, uint64_t key,
						  uint8_t event, bool limited,
						  const struct sl_policer_query *packet)
{
	uint64_t ends = event == SL_EVENT_END, half = event == SL_EVENT_HALF_CLOSE;

	return (enum sl_policer_verdict)sl_track_charge_global(
		sl_policer_query_pack(t, packet, 0) | ends << 62 | (uint64_t)limited << 63,
		packet->client.q[0], packet->client.q[1], key | half << 63, packet->now);
}

SL_INLINE uint64_t sl_track_value(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	(void)t;
	return sl_track_value_global(key, now);
}

SL_INLINE uint32_t sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where,
			   uint32_t servers)
{
	(void)t;
	return sl_quic_global(p->frame, where, servers);
}

SL_INLINE uint32_t sl_limit_check_one(const struct sl_tables *t,
				      const struct sl_policer_query *query, uint32_t index)
{
	return sl_limit_check_one_global(sl_policer_query_pack(t, query, index), query->client.q[0],
					 query->client.q[1], query->counter_id, query->now);
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

__attribute__((noinline)) uint32_t sl_reply_range_global(uint64_t q0, uint64_t q1,
							 uint32_t endpoint, uint32_t live)
{
	union sl_addr backend = { .q = { q0, q1 } };
	struct sl_tables t;

	return sl_tables_snapshot_bank(&t, live & 1, 0)
		       ? sl_reply_range_impl(&t, &backend, endpoint)
		       : ~0u;
}

__attribute__((noinline)) uint64_t sl_snat_source_global(uint32_t index, uint64_t key)
{
	return sl_snat_source_impl(NULL, index, key);
}

__attribute__((noinline)) uint32_t sl_snat_vip4_global(uint32_t index)
{
	return (uint32_t)sl_snat_vip4_impl(NULL, index);
}

SL_INLINE sl_be32 sl_snat_vip4(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return (sl_be32)sl_snat_vip4_global(index);
}

__attribute__((noinline)) uint32_t sl_called_delta_global(uint64_t called0, uint64_t called1,
							  uint64_t vip0, uint64_t vip1)
{
	union sl_addr called = { .q = { called0, called1 } }, vip = { .q = { vip0, vip1 } };

	return sl_csum_delta_addr(&called, &vip);
}

SL_INLINE uint16_t sl_called_delta(const union sl_addr *called, const union sl_addr *vip)
{
	return (uint16_t)sl_called_delta_global(called->q[0], called->q[1], vip->q[0], vip->q[1]);
}

SL_INLINE uint64_t sl_snat_source(const struct sl_tables *t, uint32_t index, uint64_t key)
{
	(void)t;
	return sl_snat_source_global(index, key);
}

__attribute__((noinline)) uint64_t sl_vip_source_global(uint64_t source, uint64_t q0, uint64_t q1)
{
	union sl_addr vip = { .q = { q0, q1 } };
	struct sl_tables t = { .root = sl_map_at(root, 0) };

	return sl_vip_source_impl(&t, source, &vip);
}

SL_INLINE uint64_t sl_vip_source(const struct sl_tables *t, uint64_t source,
				 const union sl_addr *vip)
{
	(void)t;
	return sl_vip_source_global(source, vip->q[0], vip->q[1]);
}

SL_INLINE uint32_t sl_service_search(const struct sl_tables *t, const union sl_addr *vip,
				     uint32_t endpoint)
{
	return sl_service_search_global(vip->q[0], vip->q[1], endpoint, t->live);
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

__attribute__((noinline)) uint32_t sl_layout6_global(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t type;

	return sl_layout6_impl(&p, sl_parse_link(&p, &type));
}

__attribute__((noinline)) uint64_t sl_layout6_first_fragment_global(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t type;

	return sl_layout6_first_fragment_impl(&p, sl_parse_link(&p, &type));
}

/* where: 0..15 the offset of the quoted packet, 16..31 the end of the message. */
__attribute__((noinline)) uint32_t sl_quote6_layout_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_quote6_layout_impl(&p, where & 0x1ff, where >> 16 & 0xffff);
}

SL_INLINE uint32_t sl_quote6_layout(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t at, uint32_t end)
{
	(void)t;
	return sl_quote6_layout_global(p->frame, at | (uint64_t)end << 16);
}

SL_INLINE uint32_t sl_layout6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	(void)p;
	(void)l3;
	return t->layout;
}

__attribute__((noinline)) uint32_t sl_route_find6_global(uint64_t first, uint64_t second,
							 uint32_t live)
{
	union sl_addr dst = { .q = { first, second } };
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, live,
				     0)) /* the caller checks whether the bank still is current */
		return ~0u;
	return sl_route_find6_impl(&t, &dst);
}

SL_INLINE uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst)
{
	return sl_route_find6_global(dst->q[0], dst->q[1], t->live);
}

/* IPv6 has its own program (engine.bpf.c), which calls the _impl of these two itself. */
SL_INLINE void sl_classify6(const struct sl_tables *t, const struct sl_packet *p,
			    struct sl_lookup *w)
{
	(void)t;
	(void)p;
	w->packet_class = SL_CLASS_IP6;
}

SL_INLINE enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				   const struct sl_lookup *w, uint16_t *egress)
{
	(void)t;
	(void)p;
	(void)w;
	(void)egress;
	return SL_REASON_bad_index;
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
