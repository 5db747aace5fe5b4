/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The seam: what an engine supplies to the core, namely access to the tables and where large
 * functions go.
 *
 * An engine's own seam.h defines struct sl_tables and every function declared here, then includes
 * decide.h; a missing function is a compile error. A function that takes an index returns NULL (or
 * does nothing) if the index is outside its array: the core doesn't trust the tables to be right,
 * only to be there. The bank is the one of the engine's last snapshot.
 */
#ifndef SL_CORE_SEAM_H
#define SL_CORE_SEAM_H

#include "../abi/layout.h"
#include "../abi/reason.h"
#include "gcra.h"

struct sl_tables;

/* The root, and the head of the bank. */
SL_INLINE const struct sl_root *sl_seam_root(const struct sl_tables *t);
SL_INLINE const struct sl_bank *sl_seam_bank(const struct sl_tables *t);

/* Whether the bank is unchanged since the engine's snapshot. False: what was read since may be
 * torn, and the packet has to be decided again. */
SL_INLINE bool sl_seam_current(const struct sl_tables *t);

/* Small records of the bank, by index, and how many a bank has (powers of two). */
SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t);
SL_INLINE const struct sl_reply_entry *sl_seam_reply_entry(const struct sl_tables *t,
							   uint32_t index);
SL_INLINE uint32_t sl_seam_reply_entries(const struct sl_tables *t);
SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_routes(const struct sl_tables *t);
SL_INLINE const struct sl_port *sl_seam_port(const struct sl_tables *t, uint32_t index);
SL_INLINE const struct sl_hop_group *sl_seam_hop_group(const struct sl_tables *t, uint32_t index);

/* Extents. A slot is given by its number in the whole array, a block by its own; blocks may hold
 * other things than slots. */
SL_INLINE const uint32_t *sl_seam_slot(const struct sl_tables *t, uint64_t slot);
SL_INLINE const struct sl_table_block *sl_seam_block(const struct sl_tables *t, uint64_t record);
SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index);

/* Flows. sl_seam_inline_lookup(): whether hits are looked up inline, or only by sl_track_miss(). */
SL_INLINE bool sl_seam_inline_lookup(const struct sl_tables *t);
SL_INLINE const struct sl_flow_timeouts *sl_seam_timeouts(const struct sl_tables *t,
							  uint32_t service);
SL_INLINE const struct sl_schedule *sl_seam_schedule(const struct sl_tables *t, uint32_t service);
SL_INLINE struct sl_bucket *sl_seam_bucket(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_buckets(const struct sl_tables *t);
SL_INLINE struct sl_fragments *sl_seam_fragments(const struct sl_tables *t, uint32_t hash);
/* SNAT ports, and their clients (abi/snat.h). */
SL_INLINE struct sl_snat_line *sl_seam_snat_line(const struct sl_tables *t, uint32_t line);
SL_INLINE struct sl_snat_client *sl_seam_snat_client(const struct sl_tables *t, uint32_t index);
/* Ticks since root->origin_ns. sl_seam_now() is cheap and may be milliseconds late; limits use
 * sl_seam_clock(). */
SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t);
SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t);

/* Limits. Exceptions are given by index in the bank, meters by line. */
SL_INLINE const struct sl_limit *sl_seam_limit(const struct sl_tables *t, uint64_t index);
SL_INLINE const struct sl_exception *sl_seam_exception(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_exceptions(const struct sl_tables *t);
SL_INLINE struct sl_meters *sl_seam_meters(const struct sl_tables *t, uint32_t line);
SL_INLINE uint32_t sl_seam_meter_lines(const struct sl_tables *t);
SL_INLINE struct sl_shared_bucket *sl_seam_shared_bucket(const struct sl_tables *t, uint32_t index);

/* This writer's counters. */
SL_INLINE struct sl_backend_counters *sl_seam_backend_counters(const struct sl_tables *t,
							       uint32_t backend);
SL_INLINE struct sl_service_counters *sl_seam_service_counters(const struct sl_tables *t,
							       uint32_t service);
SL_INLINE struct sl_limit_counters *sl_seam_limit_counters(const struct sl_tables *t,
							   uint32_t limit);
SL_INLINE struct sl_most_limited *sl_seam_most_limited(const struct sl_tables *t, uint32_t index);
/* This writer's lease on a shared bucket. */
SL_INLINE struct sl_lease *sl_seam_lease(const struct sl_tables *t, uint32_t shared_bucket);

/* This writer's number among those of its engine, from 0. */
SL_INLINE uint32_t sl_seam_writer(const struct sl_tables *t);

/* When this writer may send its next answer, in ticks; see answer.h. NULL: it can't send any. */
SL_INLINE uint64_t *sl_seam_next_answer(const struct sl_tables *t);

/* sl_seam_grow() adds n bytes in front of the frame, sl_seam_shrink() removes n of the frame's
 * first, sl_seam_cut() ends it after `length` bytes.
 * False: impossible, and nothing has changed. Afterwards known offsets are wrong, and in BPF
 * pointers into the frame are invalid. */
SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n);
SL_INLINE bool sl_seam_shrink(struct sl_packet *p, uint32_t n);
SL_INLINE bool sl_seam_cut(struct sl_packet *p, uint32_t length);

/* Asks control to resolve the MAC address of a next hop. */
SL_INLINE void sl_seam_request_neighbour(const struct sl_tables *t, const union sl_addr *addr);
SL_INLINE struct sl_learned *sl_seam_learned(const struct sl_tables *t, uint32_t hash);

SL_INLINE void sl_seam_prefetch(const void *at);

/* Large functions that few packets need. An engine defines each as a call of the function with the
 * same name and _impl (flow.h, route.h, limit.h, quic.h and others), placed where its compiler does
 * best: inline or out of line with gcc, in a global function, which the verifier checks on its own,
 * with clang. */
struct sl_flow_query;
struct sl_policer_query;
static bool sl_flow_relocate(const struct sl_tables *t, uint64_t key, uint64_t now);
static uint32_t sl_track_miss(const struct sl_tables *t, const struct sl_flow_query *query);
static uint32_t sl_pick(const struct sl_tables *t, const struct sl_service *s, uint64_t hash);
struct sl_lookup;
static enum sl_reason sl_extended(const struct sl_tables *t, struct sl_packet *p,
				  const struct sl_lookup *w, uint16_t *egress);
static enum sl_reason sl_fullnat(const struct sl_tables *t, struct sl_packet *p,
				 const struct sl_lookup *w, uint16_t *egress);
static enum sl_reason sl_fullnat_reply(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, uint16_t *egress);
static enum sl_reason sl_fullnat_error(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, uint16_t *egress, bool is_ipv6);
static uint64_t sl_snat_find(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool);
static uint64_t sl_snat_find_anywhere(const struct sl_tables *t, uint64_t key, uint32_t pool);
static uint64_t sl_snat_alloc(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool,
			      const union sl_addr *client, sl_be16 port);
static bool sl_snat_reclaim(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool);
static uint64_t sl_track_value(const struct sl_tables *t, uint64_t key, uint64_t now);
static uint32_t sl_quic(const struct sl_tables *t, const struct sl_packet *p, uint64_t where,
			uint32_t server_ids);
static enum sl_policer_verdict sl_track_charge(const struct sl_tables *t, uint64_t key,
					       uint8_t event, bool limited,
					       const struct sl_policer_query *packet);
static uint32_t sl_window(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			  uint32_t what);
static void sl_segment(const struct sl_tables *t, uint32_t index, uint64_t seq_ack, uint32_t what,
		       uint64_t key, uint64_t now);
static uint32_t sl_limit_check_one(const struct sl_tables *t, const struct sl_policer_query *query,
				   uint32_t index);
static uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, bool guess);
static void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p, uint32_t where,
			      uint64_t what, bool last);
static void sl_fragment_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t where,
			       uint64_t to);
static void sl_quote_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t l4,
			    bool is_ipv6);
static uint16_t sl_sum_to_end(const struct sl_packet *p, uint32_t from);
static void sl_neighbour_heard(const struct sl_tables *t, const union sl_addr *addr, uint64_t link);
static uint64_t sl_neighbour_resolve(const struct sl_tables *t, const union sl_addr *hop,
				     uint16_t port);
static uint32_t sl_service_search(const struct sl_tables *t, const union sl_addr *vip,
				  uint32_t endpoint);
/* sl_csum_delta_addr() for addresses of a prefix. */
static uint16_t sl_called_delta(const union sl_addr *called, const union sl_addr *vip);
static uint64_t sl_snat_source(const struct sl_tables *t, uint32_t index, uint64_t key);
static sl_be32 sl_snat_vip4(const struct sl_tables *t, uint32_t index);
/* A flow's source with the VIP's address in it (sl_hash_source_vip()). */
static uint64_t sl_vip_source(const struct sl_tables *t, uint64_t source, const union sl_addr *vip);
static uint32_t sl_reply_range(const struct sl_tables *t, const union sl_addr *backend,
			       uint32_t endpoint);
static enum sl_reason sl_rare(const struct sl_tables *t, struct sl_packet *p, uint8_t packet_class,
			      uint16_t *egress);

/* Whether an IPv4 header of this length has a source route option. */
static bool sl_source_routed(const struct sl_packet *p, uint32_t l3, uint32_t header);

/* The same for IPv6: the header layout of a packet (parse6.h) and of a quoted packet (quote6.h),
 * the index of a route by longest prefix or ~0, and both passes of the decision (classify.h,
 * decide.h). An engine that decides IPv6 in another program leaves the class at SL_CLASS_IP6 in the
 * first pass and never makes the second. */
struct sl_lookup;
static uint32_t sl_layout6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3);
static uint32_t sl_quote6_layout(const struct sl_tables *t, const struct sl_packet *p, uint32_t at,
				 uint32_t end);
static uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst);
static void sl_classify6(const struct sl_tables *t, const struct sl_packet *p, struct sl_lookup *w);
static enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				const struct sl_lookup *w, uint16_t *egress);

#endif
