/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The large and rare parts are global functions, which the verifier looks at once and alone. Such a
 * function takes numbers only, and looks at the tables for itself. None calls another, but for
 * the rounds of a loop (core/loop.h): kernels before 6.9 round the stack of each up to 32 bytes,
 * and 512 are all there is.
 */
#ifndef SL_BPF_APART_H
#define SL_BPF_APART_H

#include "../dataplane/core/rare.h"

__attribute__((noinline)) int sl_flow_relocate_alone(uint64_t flow, uint64_t now)
{
	struct sl_tables t;

	if (!sl_tables_look(&t))
		return 0;
	return sl_flow_relocate_with(&t, flow, now);
}

/* The same bank as the caller's, even if another went live meanwhile: `seq` is the low half of its
 * sequence word. */
SL_INLINE bool sl_tables_look_again(struct sl_tables *t, uint32_t live, uint32_t seq)
{
	uint64_t word;

	if (!sl_tables_look(t))
		return false;
	t->live = live;
	t->bank = live ? &t->root->bank[1] : &t->root->bank[0];
	word = *(const volatile uint64_t *)&t->bank->seq;
	t->seq = (uint32_t)word == seq ? word : ~0ull; /* an odd one is never found again */
	return true;
}

/* row: 0..31 the row, 32..39 the event, 40 always, 41 full, 42 timed, 43 firm, 44 the bank. */
__attribute__((noinline)) uint32_t sl_track_rest_alone(uint64_t key, uint64_t extent, uint64_t row,
						       uint64_t now, uint32_t seq)
{
	struct sl_ask ask = { .key = key,
			      .now = now,
			      .row = (uint32_t)row,
			      .backends = (uint32_t)extent,
			      .n_backends = (uint32_t)(extent >> 32),
			      .event = (uint8_t)(row >> 32),
			      .always = row >> 40 & 1,
			      .full = row >> 41 & 1,
			      .timed = row >> 42 & 1,
			      .firm = row >> 43 & 1 };
	struct sl_tables t;

	if (!sl_tables_look_again(&t, row >> 44 & 1, seq))
		return 0;
	ask.hash = sl_hash_flow(key, t.root->flow_key);
	return sl_track_rest_with(&t, &ask);
}

/* A struct sl_limit_ask in numbers. what: 0..23 the limit (there are no more records), 24..39
 * bytes, 40..55 port, 56..57 direction, 58 begin, 59 picked, 60 may_mark, 61 the bank, 62 and 63
 * are the callee's. */
SL_INLINE uint64_t sl_limit_what(const struct sl_tables *t, const struct sl_limit_ask *a,
				 uint32_t place)
{
	return ((a->limits + place) & 0xffffff) | (uint64_t)a->bytes << 24 |
	       (uint64_t)a->port << 40 | (uint64_t)(a->direction & 3) << 56 |
	       (uint64_t)a->begin << 58 | (uint64_t)a->picked << 59 | (uint64_t)a->may_mark << 60 |
	       (uint64_t)t->live << 61;
}

SL_INLINE struct sl_limit_ask sl_limit_unpack(uint64_t what, uint64_t q0, uint64_t q1, uint64_t now)
{
	return (struct sl_limit_ask){ .client = { .q = { q0, q1 } },
				      .now = now,
				      .limits = what & 0xffffff,
				      .bytes = (uint16_t)(what >> 24),
				      .port = (sl_be16)(what >> 40),
				      .direction = what >> 56 & 3,
				      .begin = what >> 58 & 1,
				      .picked = what >> 59 & 1,
				      .may_mark = what >> 60 & 1 };
}

/* The bank is the caller's, whose sequence word the caller checks before it acts. */
__attribute__((noinline)) uint32_t sl_limit_one_alone(uint64_t what, uint64_t q0, uint64_t q1,
						      uint32_t traffic, uint64_t now)
{
	struct sl_limit_ask ask = sl_limit_unpack(what, q0, q1, now);
	struct sl_tables t;

	if (!sl_tables_look_again(&t, what >> 61 & 1, 0))
		return SL_BITE_NONE;
	ask.traffic = traffic;
	return sl_limit_one_with(&t, &ask, 0);
}

/* what: 62 ends, 63 limited. */
__attribute__((noinline)) uint32_t sl_track_charge_alone(uint64_t what, uint64_t q0, uint64_t q1,
							 uint64_t key, uint64_t now)
{
	struct sl_limit_ask packet = sl_limit_unpack(what, q0, q1, now);
	struct sl_tables t;

	if (!sl_tables_look_again(&t, what >> 61 & 1, 0))
		return SL_BITE_FREE;
	return sl_track_charge_with(&t, key, what >> 62 & 1, what >> 63 & 1, &packet);
}

__attribute__((noinline)) uint64_t sl_track_value_alone(uint64_t key, uint64_t now)
{
	struct sl_tables t;

	return sl_tables_look(&t) ? sl_track_value_with(&t, key, now) : 0;
}

__attribute__((noinline)) uint64_t sl_bound_alone(uint64_t key, uint64_t now, uint32_t pool)
{
	struct sl_tables t;

	return sl_tables_look(&t) ? sl_bound_with(&t, key, now, pool) : SL_BOUND_UNKNOWN;
}

/* What it looks at is in no bank. */
__attribute__((noinline)) uint64_t sl_bound_anywhere_alone(uint64_t key, uint64_t hash,
							   uint32_t pool)
{
	return sl_bound_anywhere_with(NULL, key, hash, pool);
}

__attribute__((noinline)) int sl_bind_stale_alone(uint64_t key, uint64_t now, uint32_t pool)
{
	struct sl_tables t;

	return sl_tables_look(&t) && sl_bind_stale_with(&t, key, now, pool);
}

/* what: 0..31 the pool, 32..47 the client's port. */
__attribute__((noinline)) uint64_t sl_bind_alone(uint64_t key, uint64_t now, uint64_t what,
						 uint64_t q0, uint64_t q1)
{
	union sl_addr client = { .q = { q0, q1 } };
	struct sl_tables t;

	if (!sl_tables_look(&t))
		return 0;
	return sl_bind_with(&t, key, now, (uint32_t)what, &client, (sl_be16)(uint16_t)(what >> 32));
}

SL_INLINE uint64_t sl_bound(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool)
{
	(void)t;
	return sl_bound_alone(key, now, pool);
}

SL_INLINE uint64_t sl_bound_anywhere(const struct sl_tables *t, uint64_t key, uint32_t pool)
{
	return sl_bound_anywhere_alone(key, sl_hash_flow(key, t->root->flow_key), pool);
}

SL_INLINE uint64_t sl_bind(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool,
			   const union sl_addr *client, sl_be16 port)
{
	(void)t;
	return sl_bind_alone(key, now, pool | (uint64_t)(uint16_t)port << 32, client->q[0],
			     client->q[1]);
}

SL_INLINE bool sl_bind_stale(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool)
{
	(void)t;
	return sl_bind_stale_alone(key, now, pool);
}

/* where, servers: as quic.h has them. */
__attribute__((noinline)) uint32_t sl_quic_alone(struct xdp_md *ctx, uint64_t where,
						 uint32_t servers)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_quic_with(NULL, &p, where, servers);
}

/* where: as fragment.h has it, and 32 whether the last datagram counts too. */
__attribute__((noinline)) uint64_t sl_fragment_find_alone(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (!sl_tables_look(&t))
		return 0;
	return sl_fragment_find_with(&t, &p, (uint32_t)where, where >> 32 & 1);
}

__attribute__((noinline)) int sl_fragment_enter_alone(struct xdp_md *ctx, uint64_t where,
						      uint64_t what)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_look(&t))
		sl_fragment_enter_with(&t, &p, (uint32_t)where, what, where >> 32 & 1);
	return 0;
}

SL_INLINE uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t where, bool guess)
{
	(void)t;
	return sl_fragment_find_alone(p->frame, where | (uint64_t)guess << 32);
}

SL_INLINE void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, uint64_t what, bool last)
{
	(void)t;
	sl_fragment_enter_alone(p->frame, where | (uint64_t)last << 32, what);
}

SL_INLINE bool sl_flow_relocate(const struct sl_tables *t, uint64_t flow, uint64_t now)
{
	(void)t;
	return sl_flow_relocate_alone(flow, now);
}

SL_INLINE uint32_t sl_track_rest(const struct sl_tables *t, const struct sl_ask *ask)
{
	uint64_t row = ask->row | (uint64_t)ask->event << 32 | (uint64_t)ask->always << 40 |
		       (uint64_t)ask->full << 41 | (uint64_t)ask->timed << 42 |
		       (uint64_t)ask->firm << 43 | (uint64_t)t->live << 44;

	return sl_track_rest_alone(ask->key, (uint64_t)ask->n_backends << 32 | ask->backends, row,
				   ask->now, (uint32_t)t->seq);
}

SL_INLINE enum sl_bite sl_track_charge(const struct sl_tables *t, uint64_t key, bool ends,
				       bool limited, const struct sl_limit_ask *packet)
{
	return (enum sl_bite)sl_track_charge_alone(
		sl_limit_what(t, packet, 0) | (uint64_t)ends << 62 | (uint64_t)limited << 63,
		packet->client.q[0], packet->client.q[1], key, packet->now);
}

SL_INLINE uint64_t sl_track_value(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	(void)t;
	return sl_track_value_alone(key, now);
}

SL_INLINE uint32_t sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where,
			   uint32_t servers)
{
	(void)t;
	return sl_quic_alone(p->frame, where, servers);
}

SL_INLINE uint32_t sl_limit_one(const struct sl_tables *t, const struct sl_limit_ask *ask,
				uint32_t place)
{
	return sl_limit_one_alone(sl_limit_what(t, ask, place), ask->client.q[0], ask->client.q[1],
				  ask->traffic, ask->now);
}

/* live: the bank, which is the caller's. */
__attribute__((noinline)) uint32_t sl_service_range_alone(uint64_t q0, uint64_t q1,
							  uint32_t endpoint, uint32_t live)
{
	union sl_addr vip = { .q = { q0, q1 } };
	struct sl_tables t;

	return sl_tables_look_again(&t, live & 1, 0) ? sl_service_range_with(&t, &vip, endpoint)
						     : ~0u;
}

__attribute__((noinline)) uint32_t sl_reverse_range_alone(uint64_t q0, uint64_t q1,
							  uint32_t endpoint, uint32_t live)
{
	union sl_addr backend = { .q = { q0, q1 } };
	struct sl_tables t;

	return sl_tables_look_again(&t, live & 1, 0) ? sl_reverse_range_with(&t, &backend, endpoint)
						     : ~0u;
}

SL_INLINE uint32_t sl_service_range(const struct sl_tables *t, const union sl_addr *vip,
				    uint32_t endpoint)
{
	return sl_service_range_alone(vip->q[0], vip->q[1], endpoint, t->live);
}

SL_INLINE uint32_t sl_reverse_range(const struct sl_tables *t, const union sl_addr *backend,
				    uint32_t endpoint)
{
	return sl_reverse_range_alone(backend->q[0], backend->q[1], endpoint, t->live);
}

/* None of these is called: the program hands such packets to another one (engine.bpf.c). */
SL_INLINE uint32_t sl_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			     uint32_t mtu)
{
	(void)t;
	(void)p;
	(void)mtu;
	return (uint32_t)sl_reason_untold(reason);
}

SL_INLINE enum sl_reason sl_limited(const struct sl_tables *t, struct sl_packet *p,
				    const struct sl_work *w, uint16_t *egress)
{
	(void)t;
	(void)p;
	(void)w;
	(void)egress;
	return SL_REASON_bad_index;
}

SL_INLINE enum sl_reason sl_rare(const struct sl_tables *t, struct sl_packet *p, uint8_t todo,
				 uint16_t *egress)
{
	(void)todo;
	(void)t;
	(void)p;
	(void)egress;
	return SL_REASON_bad_index;
}

__attribute__((noinline)) uint32_t sl_shape6_alone(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t type;

	return sl_shape6_with(&p, sl_parse_link(&p, &type));
}

__attribute__((noinline)) uint64_t sl_shape6_first_alone(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t type;

	return sl_shape6_first_with(&p, sl_parse_link(&p, &type));
}

/* where: 0..15 the offset of the quoted packet, 16..31 the end of the message. */
__attribute__((noinline)) uint32_t sl_quote6_shape_alone(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_quote6_shape_with(&p, where & 0x1ff, where >> 16 & 0xffff);
}

SL_INLINE uint32_t sl_quote6_shape(const struct sl_tables *t, const struct sl_packet *p,
				   uint32_t at, uint32_t end)
{
	(void)t;
	return sl_quote6_shape_alone(p->frame, at | (uint64_t)end << 16);
}

SL_INLINE uint32_t sl_shape6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	(void)p;
	(void)l3;
	return t->shape;
}

__attribute__((noinline)) uint32_t sl_route_find6_alone(uint64_t first, uint64_t second,
							uint32_t live)
{
	union sl_addr dst = { .q = { first, second } };
	struct sl_tables t;

	if (!sl_tables_look_again(&t, live, 0)) /* whether it still is current the caller asks */
		return ~0u;
	return sl_route_find6_with(&t, &dst);
}

SL_INLINE uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst)
{
	return sl_route_find6_alone(dst->q[0], dst->q[1], t->live);
}

/* IPv6 has a program of its own (engine.bpf.c), which calls these two's _with itself. */
SL_INLINE void sl_classify6(const struct sl_tables *t, const struct sl_packet *p, struct sl_work *w)
{
	(void)t;
	(void)p;
	w->todo = SL_TODO_IP6;
}

SL_INLINE enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				   const struct sl_work *w, uint16_t *egress)
{
	(void)t;
	(void)p;
	(void)w;
	(void)egress;
	return SL_REASON_bad_index;
}

/* where: 0..7 the offset of the network header, 8..15 of the transport's, 16..23 the mode, 24 the
 * bank. The packet is another afterwards, so the caller's pointers into it are void: kernels that
 * don't see that in a global function would let it use them, and we don't. */
__attribute__((noinline)) int sl_mode_alone(struct xdp_md *ctx, uint64_t index, uint64_t where,
					    uint64_t seq)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (!sl_tables_look_again(&t, where >> 24 & 1, (uint32_t)seq))
		return SL_REASON_torn_table;
	return sl_mode_with(&t, &p, index, where & 0xff, where >> 8 & 0xff, (uint8_t)(where >> 16));
}

SL_INLINE int sl_mode(const struct sl_tables *t, struct sl_packet *p, uint64_t index, uint32_t l3,
		      uint32_t l4, uint8_t mode)
{
	return sl_mode_alone(p->frame, index,
			     l3 | l4 << 8 | (uint64_t)mode << 16 | (uint64_t)t->live << 24, t->seq);
}

/* where: 0..7 the offset of the network header, 8..15 of the transport's, 16..31 the most. */
__attribute__((noinline)) int sl_mss_clamp_alone(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	sl_mss_clamp_with(&p, where & 0xff, where >> 8 & 0xff, (uint16_t)(where >> 16));
	return 0;
}

SL_INLINE void sl_mss_clamp(struct sl_packet p, uint32_t l3, uint32_t l4, uint16_t most)
{
	sl_mss_clamp_alone(p.frame, l3 | l4 << 8 | (uint64_t)most << 16);
}

#endif
