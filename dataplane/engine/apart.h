/* SPDX-License-Identifier: BSD-2-Clause */
/* The large and rare parts are functions of their own, where they don't stand in the common path's
 * way. gcc keeps a packet in registers for as long as no such function is given its address: so
 * what is rare in a part that isn't is given a copy's, and the worker makes another of the same
 * buffer.
 */
#ifndef SL_ENGINE_APART_H
#define SL_ENGINE_APART_H

#include "../core/rare.h"

#define SL_APART static __attribute__((noinline, unused))

/* What `call` says of `copy`, and the packet is as it left that. */
#define SL_ON_COPY(p, call)                                                                        \
	({                                                                                         \
		struct sl_packet copy = *(p);                                                      \
		__auto_type said = (call);                                                         \
		*(p) = copy;                                                                       \
		said;                                                                              \
	})

SL_APART bool sl_flow_relocate(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	return sl_flow_relocate_with(t, key, now);
}

SL_APART uint32_t sl_track_rest(const struct sl_tables *t, const struct sl_ask *ask)
{
	return sl_track_rest_with(t, ask);
}

SL_APART enum sl_bite sl_track_charge(const struct sl_tables *t, uint64_t key, bool ends,
				      bool limited, const struct sl_limit_ask *packet)
{
	return sl_track_charge_with(t, key, ends, limited, packet);
}

SL_APART uint64_t sl_track_value(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	return sl_track_value_with(t, key, now);
}

SL_APART uint32_t sl_quic_apart(const struct sl_tables *t, const struct sl_packet *p,
				uint64_t where, uint32_t servers)
{
	return sl_quic_with(t, p, where, servers);
}

SL_INLINE uint32_t sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where,
			   uint32_t servers)
{
	return sl_quic_has_ids(where) ? sl_quic_apart(t, p, where, servers) : 0;
}

SL_APART uint32_t sl_limit_one(const struct sl_tables *t, const struct sl_limit_ask *ask,
			       uint32_t place)
{
	return sl_limit_one_with(t, ask, place);
}

SL_APART uint32_t sl_service_range_apart(const struct sl_tables *t, union sl_addr vip,
					 uint32_t endpoint)
{
	return sl_service_range_with(t, &vip, endpoint);
}

SL_APART uint32_t sl_reverse_range_apart(const struct sl_tables *t, union sl_addr backend,
					 uint32_t endpoint)
{
	return sl_reverse_range_with(t, &backend, endpoint);
}

SL_INLINE uint32_t sl_service_range(const struct sl_tables *t, const union sl_addr *vip,
				    uint32_t endpoint)
{
	return sl_service_range_apart(t, *vip, endpoint);
}

SL_INLINE uint32_t sl_reverse_range(const struct sl_tables *t, const union sl_addr *backend,
				    uint32_t endpoint)
{
	return sl_reverse_range_apart(t, *backend, endpoint);
}

SL_APART enum sl_reason sl_limited(const struct sl_tables *t, struct sl_packet *p,
				   const struct sl_work *w, uint16_t *egress)
{
	if (w->todo >= SL_TODO_SERVICE6)
		return SL_ON_COPY(p, sl_limited_with(t, &copy, w, egress, true));
	return SL_ON_COPY(p, sl_limited_with(t, &copy, w, egress, false));
}

SL_INLINE enum sl_reason sl_fullnat_both(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress, bool six)
{
	enum sl_reason reason = sl_fullnat_with(t, p, w, egress, six);

	return reason == SL_ELSEWHERE ? sl_fullnat_first_with(t, p, w, egress, six) : reason;
}

SL_APART enum sl_reason sl_fullnat(const struct sl_tables *t, struct sl_packet *p,
				   const struct sl_work *w, uint16_t *egress)
{
	if (w->todo >= SL_TODO_SERVICE6)
		return SL_ON_COPY(p, sl_fullnat_both(t, &copy, w, egress, true));
	return SL_ON_COPY(p, sl_fullnat_both(t, &copy, w, egress, false));
}

SL_APART enum sl_reason sl_fullnat_back(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_work *w, uint16_t *egress)
{
	struct sl_work found = *w;

	if (w->todo == SL_TODO_BOUND6)
		return SL_ON_COPY(p, sl_fullnat_back_with(t, &copy, &found, egress, true));
	return SL_ON_COPY(p, sl_fullnat_back_with(t, &copy, &found, egress, false));
}

SL_INLINE enum sl_reason sl_fullnat_error(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress, bool six)
{
	return six ? sl_icmp6_bound(t, p, w, egress) : sl_icmp_bound(t, p, w, egress);
}

SL_APART uint64_t sl_bound(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool)
{
	return sl_bound_with(t, key, now, pool);
}

SL_APART uint64_t sl_bound_anywhere(const struct sl_tables *t, uint64_t key, uint32_t pool)
{
	return sl_bound_anywhere_with(t, key, sl_hash_flow(key, sl_seam_root(t)->flow_key), pool);
}

SL_APART uint64_t sl_bind(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool,
			  const union sl_addr *client, sl_be16 port)
{
	return sl_bind_with(t, key, now, pool, client, port);
}

SL_APART bool sl_bind_stale(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool)
{
	return sl_bind_stale_with(t, key, now, pool);
}

SL_APART enum sl_reason sl_rare(const struct sl_tables *t, struct sl_packet *p, uint8_t todo,
				uint16_t *egress)
{
	return sl_rare_with(t, p, todo, egress);
}

SL_APART bool sl_source_routed(const struct sl_packet *p, uint32_t l3, uint32_t header)
{
	return sl_source_routed_with(p, l3, header);
}

/* ---- IPv6 ---- */

SL_INLINE uint32_t sl_shape6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	(void)t;
	return sl_shape6_with(p, l3);
}

SL_INLINE uint32_t sl_quote6_shape(const struct sl_tables *t, const struct sl_packet *p,
				   uint32_t at, uint32_t end)
{
	(void)t;
	return sl_quote6_shape_with(p, at, end);
}

SL_APART uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst)
{
	return sl_route_find6_with(t, dst);
}

SL_APART void sl_classify6(const struct sl_tables *t, const struct sl_packet *p, struct sl_work *w)
{
	sl_classify6_with(t, p, w);
}

static inline enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_work *w, uint16_t *egress)
{
	return SL_ON_COPY(p, sl_route6_with(t, &copy, w, egress));
}

/* ---- fragments, answers, modes ---- */

SL_INLINE uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t where, bool guess)
{
	return sl_fragment_find_with(t, p, where, guess);
}

SL_INLINE void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, uint64_t what, bool last)
{
	sl_fragment_enter_with(t, p, where, what, last);
}

SL_APART uint32_t sl_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			    uint32_t mtu)
{
	return sl_answer_with(t, p, reason, mtu);
}

SL_APART int sl_mode_apart(const struct sl_tables *t, struct sl_packet *p, uint64_t index,
			   uint32_t l3, uint32_t l4, uint8_t mode)
{
	return sl_mode_with(t, p, index, l3, l4, mode);
}

SL_INLINE int sl_mode(const struct sl_tables *t, struct sl_packet *p, uint64_t index, uint32_t l3,
		      uint32_t l4, uint8_t mode)
{
	return SL_ON_COPY(p, sl_mode_apart(t, &copy, index, l3, l4, mode));
}

SL_APART void sl_mss_clamp(struct sl_packet p, uint32_t l3, uint32_t l4, uint16_t most)
{
	sl_mss_clamp_with(&p, l3, l4, most);
}

#endif
