/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's side of core/seam.h for large or rare functions: they are not inlined, so that the
 * common path stays small.
 *
 * gcc keeps a struct sl_packet in registers only while its address is never passed to such a
 * function. So where rare code is inlined into the common path, it passes the address of a copy.
 */
#ifndef SL_ENGINE_NOINLINE_H
#define SL_ENGINE_NOINLINE_H

#include "../core/rare.h"

#define SL_NOINLINE static __attribute__((noinline, unused))

/* Evaluates `call` with `copy`, a copy of *p, and copies it back. */
#define SL_ON_COPY(p, call)                                                                        \
	({                                                                                         \
		struct sl_packet copy = *(p);                                                      \
		__auto_type said = (call);                                                         \
		*(p) = copy;                                                                       \
		said;                                                                              \
	})

SL_NOINLINE bool sl_flow_relocate(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	return sl_flow_relocate_impl(t, key, now);
}

SL_NOINLINE uint32_t sl_pick(const struct sl_tables *t, const struct sl_service *s, uint64_t hash)
{
	return sl_pick_impl(t, s->slots, s->slot_mask, s->id, s->pick, hash);
}

SL_NOINLINE uint32_t sl_track_miss(const struct sl_tables *t, const struct sl_flow_query *query)
{
	return sl_track_miss_impl(t, query);
}

SL_NOINLINE uint32_t sl_egress(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			       uint16_t *egress)
{
	return sl_egress_impl(t, p, reason, egress);
}

SL_NOINLINE enum sl_policer_verdict sl_track_charge(const struct sl_tables *t, uint64_t key,
						    uint8_t event, bool limited,
						    const struct sl_policer_query *packet)
{
	return sl_track_charge_impl(t, key, event, limited, packet);
}

SL_INLINE uint32_t sl_window(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			     uint32_t what)
{
	return sl_window_impl(t, index, seq_ack, what);
}

SL_NOINLINE void sl_segment(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			    uint32_t what, uint64_t key, uint64_t now)
{
	sl_segment_impl(t, index, seq_ack, what, key, now);
}

SL_NOINLINE uint64_t sl_track_value(const struct sl_tables *t, uint64_t key, uint64_t now)
{
	return sl_track_value_impl(t, key, now);
}

SL_NOINLINE uint32_t sl_quic_noinline(const struct sl_tables *t, const struct sl_packet *p,
				      uint64_t where, uint32_t server_ids)
{
	return sl_quic_impl(t, p, where, server_ids);
}

SL_INLINE uint32_t sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where,
			   uint32_t server_ids)
{
	return sl_quic_has_ids(where) ? sl_quic_noinline(t, p, where, server_ids) : 0;
}

SL_NOINLINE uint32_t sl_limit_check_one(const struct sl_tables *t,
					const struct sl_policer_query *query, uint32_t index)
{
	return sl_limit_check_one_impl(t, query, index);
}

SL_NOINLINE uint32_t sl_service_search_noinline(const struct sl_tables *t, union sl_addr vip,
						uint32_t endpoint)
{
	return sl_service_search_impl(t, &vip, endpoint);
}

SL_NOINLINE sl_be32 sl_snat_vip4(const struct sl_tables *t, uint32_t index)
{
	return sl_snat_vip4_impl(t, index);
}

SL_NOINLINE uint16_t sl_called_delta(const union sl_addr *called, const union sl_addr *vip)
{
	return sl_csum_delta_addr(called, vip);
}

SL_NOINLINE uint64_t sl_snat_source(const struct sl_tables *t, uint32_t index, uint64_t key)
{
	return sl_snat_source_impl(t, index, key);
}

SL_NOINLINE uint64_t sl_vip_source(const struct sl_tables *t, uint64_t source,
				   const union sl_addr *vip)
{
	return sl_vip_source_impl(t, source, vip);
}

SL_NOINLINE uint32_t sl_reply_range_noinline(const struct sl_tables *t, union sl_addr backend,
					     uint32_t endpoint)
{
	return sl_reply_range_impl(t, &backend, endpoint);
}

SL_INLINE uint32_t sl_service_search(const struct sl_tables *t, const union sl_addr *vip,
				     uint32_t endpoint)
{
	return sl_service_search_noinline(t, *vip, endpoint);
}

SL_INLINE uint32_t sl_reply_range(const struct sl_tables *t, const union sl_addr *backend,
				  uint32_t endpoint)
{
	return sl_reply_range_noinline(t, *backend, endpoint);
}

SL_NOINLINE enum sl_reason sl_extended(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, uint16_t *egress)
{
	if (w->packet_class >= SL_CLASS_SERVICE6)
		return SL_ON_COPY(p, sl_extended_impl(t, &copy, w, egress, true));
	return SL_ON_COPY(p, sl_extended_impl(t, &copy, w, egress, false));
}

SL_INLINE enum sl_reason sl_fullnat_both_steps(const struct sl_tables *t, struct sl_packet *p,
					       const struct sl_lookup *w, uint16_t *egress,
					       bool is_ipv6)
{
	enum sl_reason reason = sl_fullnat_impl(t, p, w, egress, is_ipv6);

	return reason == SL_RETRY_SLOW_PATH ? sl_fullnat_new_flow_impl(t, p, w, egress, is_ipv6)
					    : reason;
}

SL_NOINLINE enum sl_reason sl_fullnat(const struct sl_tables *t, struct sl_packet *p,
				      const struct sl_lookup *w, uint16_t *egress)
{
	if (w->packet_class >= SL_CLASS_SERVICE6)
		return SL_ON_COPY(p, sl_fullnat_both_steps(t, &copy, w, egress, true));
	return SL_ON_COPY(p, sl_fullnat_both_steps(t, &copy, w, egress, false));
}

SL_NOINLINE enum sl_reason sl_fullnat_reply(const struct sl_tables *t, struct sl_packet *p,
					    const struct sl_lookup *w, uint16_t *egress)
{
	struct sl_lookup found = *w;

	if (w->packet_class == SL_CLASS_SNAT_REPLY6)
		return SL_ON_COPY(p, sl_fullnat_reply_impl(t, &copy, &found, egress, true));
	return SL_ON_COPY(p, sl_fullnat_reply_impl(t, &copy, &found, egress, false));
}

SL_INLINE enum sl_reason sl_fullnat_error(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress, bool is_ipv6)
{
	return is_ipv6 ? sl_icmp6_snat(t, p, w, egress) : sl_icmp_snat(t, p, w, egress);
}

SL_NOINLINE uint64_t sl_snat_find(const struct sl_tables *t, uint64_t key, uint64_t now,
				  uint32_t pool)
{
	return sl_snat_find_impl(t, key, now, pool);
}

SL_NOINLINE uint64_t sl_snat_find_anywhere(const struct sl_tables *t, uint64_t key, uint32_t pool)
{
	return sl_snat_find_anywhere_impl(t, key, sl_hash_flow(key, sl_seam_root(t)->flow_key),
					  pool);
}

SL_NOINLINE uint64_t sl_snat_alloc(const struct sl_tables *t, uint64_t key, uint64_t now,
				   uint32_t pool, const union sl_addr *client, sl_be16 port)
{
	return sl_snat_alloc_impl(t, key, now, pool, client, port);
}

SL_NOINLINE bool sl_snat_reclaim(const struct sl_tables *t, uint64_t key, uint64_t now,
				 uint32_t pool)
{
	return sl_snat_reclaim_impl(t, key, now, pool);
}

SL_NOINLINE enum sl_reason sl_rare(const struct sl_tables *t, struct sl_packet *p,
				   uint8_t packet_class, uint16_t *egress)
{
	return sl_rare_impl(t, p, packet_class, egress);
}

SL_NOINLINE bool sl_source_routed(const struct sl_packet *p, uint32_t l3, uint32_t header)
{
	return sl_source_routed_impl(p, l3, header);
}

/* ---- IPv6 ---- */

SL_INLINE uint32_t sl_layout6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	(void)t;
	return sl_layout6_impl(p, l3);
}

SL_INLINE uint32_t sl_quote6_layout(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t at, uint32_t end)
{
	(void)t;
	return sl_quote6_layout_impl(p, at, end);
}

SL_NOINLINE uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst)
{
	return sl_route_find6_impl(t, dst);
}

SL_NOINLINE void sl_classify6(const struct sl_tables *t, const struct sl_packet *p,
			      struct sl_lookup *w)
{
	sl_classify6_impl(t, p, w);
}

static inline enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, uint16_t *egress)
{
	return SL_ON_COPY(p, sl_route6_impl(t, &copy, w, egress));
}

/* ---- fragments, answers, modes ---- */

SL_INLINE uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t where, bool guess)
{
	return sl_fragment_find_impl(t, p, where, guess);
}

SL_NOINLINE void sl_fragment_rename_noinline(const struct sl_tables *t, struct sl_packet p,
					     uint32_t where, uint64_t to)
{
	sl_fragment_rename_impl(t, &p, where, to);
}

SL_INLINE void sl_fragment_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t where,
				  uint64_t to)
{
	sl_fragment_rename_noinline(t, *p, where, to);
}

SL_INLINE void sl_quote_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t l4,
			       bool is_ipv6)
{
	sl_quote_rename_impl(t, p, l4, is_ipv6);
}

SL_INLINE void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, uint64_t what, bool last)
{
	sl_fragment_enter_impl(t, p, where, what, last);
}

SL_NOINLINE void sl_neighbour_heard_noinline(const struct sl_tables *t, union sl_addr addr,
					     uint64_t link)
{
	sl_neighbour_heard_impl(t, &addr, link);
}

SL_INLINE void sl_neighbour_heard(const struct sl_tables *t, const union sl_addr *addr,
				  uint64_t link)
{
	sl_neighbour_heard_noinline(t, *addr, link);
}

SL_NOINLINE uint64_t sl_neighbour_resolve_noinline(const struct sl_tables *t, union sl_addr hop,
						   uint16_t port)
{
	return sl_neighbour_resolve_impl(t, &hop, port);
}

SL_INLINE uint64_t sl_neighbour_resolve(const struct sl_tables *t, const union sl_addr *hop,
					uint16_t port)
{
	return sl_neighbour_resolve_noinline(t, *hop, port);
}

SL_INLINE uint16_t sl_sum_to_end(const struct sl_packet *p, uint32_t from)
{
	return sl_sum_to_end_impl(p, from);
}

SL_NOINLINE uint32_t sl_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			       uint32_t mtu)
{
	return sl_answer_impl(t, p, reason, mtu);
}

SL_NOINLINE int sl_mode_noinline(const struct sl_tables *t, struct sl_packet *p, uint64_t index,
				 uint32_t l3, uint32_t l4, uint8_t mode)
{
	return sl_mode_impl(t, p, index, l3, l4, mode);
}

SL_INLINE int sl_mode(const struct sl_tables *t, struct sl_packet *p, uint64_t index, uint32_t l3,
		      uint32_t l4, uint8_t mode)
{
	return SL_ON_COPY(p, sl_mode_noinline(t, &copy, index, l3, l4, mode));
}

SL_NOINLINE void sl_mss_clamp(struct sl_packet p, uint32_t l3, uint32_t l4, uint16_t most)
{
	sl_mss_clamp_impl(&p, l3, l4, most);
}

#endif
