/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What an engine supplies to the decision: the few look-ups that the core can't do itself.
 *
 * An engine's own seam.h defines struct sl_tables and every function declared here, then includes
 * decide.h; one that is missing doesn't compile. Every function that takes an index returns NULL
 * (or does nothing) when the index lies outside its array: nothing in the tables is trusted to be
 * right, only to be there. The bank is the one that was live when the engine last looked.
 */
#ifndef SL_CORE_SEAM_H
#define SL_CORE_SEAM_H

#include "../abi/layout.h"
#include "../abi/reason.h"
#include "gcra.h"

struct sl_tables;

/* Heads. */
SL_INLINE const struct sl_root *sl_seam_root(const struct sl_tables *t);
SL_INLINE const struct sl_bank *sl_seam_bank(const struct sl_tables *t);

/* Whether the bank still is what it was when the engine looked at the root; false means that what
 * was read since may be torn, and the packet has to be decided again. */
SL_INLINE bool sl_seam_current(const struct sl_tables *t);

/* Small records of the live bank by their place, and how many places a bank has (powers of 2). */
SL_INLINE const struct sl_service *sl_seam_service(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_services(const struct sl_tables *t);
SL_INLINE const struct sl_reply_entry *sl_seam_reply_entry(const struct sl_tables *t,
							   uint32_t index);
SL_INLINE uint32_t sl_seam_reply_entries(const struct sl_tables *t);
SL_INLINE const struct sl_route *sl_seam_route(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_routes(const struct sl_tables *t);
SL_INLINE const struct sl_port *sl_seam_port(const struct sl_tables *t, uint32_t index);

/* Extents. `slot` counts slots, not records, which may hold something else than slots. */
SL_INLINE const uint32_t *sl_seam_slot(const struct sl_tables *t, uint64_t slot);
SL_INLINE const struct sl_table_block *sl_seam_block(const struct sl_tables *t, uint64_t record);
SL_INLINE const struct sl_backend *sl_seam_backend(const struct sl_tables *t, uint64_t index);

/* Flows. Whether hits are looked for in line; else by sl_track_miss() too. */
SL_INLINE bool sl_seam_inline_lookup(const struct sl_tables *t);
SL_INLINE const struct sl_flow_timeouts *sl_seam_timeouts(const struct sl_tables *t,
							  uint32_t service);
SL_INLINE struct sl_bucket *sl_seam_bucket(const struct sl_tables *t, uint32_t index);
SL_INLINE uint32_t sl_seam_buckets(const struct sl_tables *t);
SL_INLINE struct sl_fragments *sl_seam_fragments(const struct sl_tables *t, uint32_t hash);
/* Ports of pools, and IPv6 clients that they are bound to (abi/snat.h). */
SL_INLINE struct sl_snat_line *sl_seam_snat_line(const struct sl_tables *t, uint32_t line);
SL_INLINE struct sl_snat_client *sl_seam_snat_client(const struct sl_tables *t, uint32_t index);
/* Ticks since root->origin_ns. The clock that is cheap may be milliseconds behind; limits ask the
 * other. */
SL_INLINE uint64_t sl_seam_now(const struct sl_tables *t);
SL_INLINE uint64_t sl_seam_clock(const struct sl_tables *t);

/* Limits. Exceptions by their place in the live bank, meters by line. */
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
/* And what it took of a balance. */
SL_INLINE struct sl_lease *sl_seam_lease(const struct sl_tables *t, uint32_t shared_bucket);

/* When this writer may send its next answer, in ticks: see answer.h. NULL: never. */
SL_INLINE uint64_t *sl_seam_next_answer(const struct sl_tables *t);

/* The frame gets n bytes more in front, or ends after `length` bytes. False: it can't, and nothing
 * has changed. Otherwise what was known of where things stand holds no more, and in BPF no pointer
 * into the frame does. */
SL_INLINE bool sl_seam_grow(struct sl_packet *p, uint32_t n);
SL_INLINE bool sl_seam_cut(struct sl_packet *p, uint32_t length);

/* Asks control to find the MAC of a next hop. */
SL_INLINE void sl_seam_request_neighbour(const struct sl_tables *t, const union sl_addr *addr);

SL_INLINE void sl_seam_prefetch(const void *at);

/* Large parts that run for few packets. An engine defines each by calling the function of the same
 * name with _with (flow.h, route.h, limit.h, quic.h) from wherever its compiler does that best: gcc
 * inline or apart, clang in global functions that the verifier looks at once. */
struct sl_flow_query;
struct sl_policer_query;
static bool sl_flow_relocate(const struct sl_tables *t, uint64_t key, uint64_t now);
static uint32_t sl_track_miss(const struct sl_tables *t, const struct sl_flow_query *query);
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
static enum sl_policer_verdict sl_track_charge(const struct sl_tables *t, uint64_t key, bool ends,
					       bool limited, const struct sl_policer_query *packet);
static uint32_t sl_limit_check_one(const struct sl_tables *t, const struct sl_policer_query *query,
				   uint32_t index);
static uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, bool guess);
static void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p, uint32_t where,
			      uint64_t what, bool last);
static uint32_t sl_service_range(const struct sl_tables *t, const union sl_addr *vip,
				 uint32_t endpoint);
static uint32_t sl_reply_range(const struct sl_tables *t, const union sl_addr *backend,
			       uint32_t endpoint);
static enum sl_reason sl_rare(const struct sl_tables *t, struct sl_packet *p, uint8_t packet_class,
			      uint16_t *egress);

/* Of an IPv4 header with options, of so many bytes. */
static bool sl_source_routed(const struct sl_packet *p, uint32_t l3, uint32_t header);

/* IPv6, likewise. What stands where in a packet (parse6.h), and in one that is quoted (quote6.h);
 * the place of the longest prefix that holds an address, or ~0; and both halves of the decision, of
 * classify.h and decide.h: an engine that makes it in another program says SL_CLASS_IP6 in the
 * first and never comes to the second. */
struct sl_lookup;
static uint32_t sl_layout6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3);
static uint32_t sl_quote6_layout(const struct sl_tables *t, const struct sl_packet *p, uint32_t at,
				 uint32_t end);
static uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst);
static void sl_classify6(const struct sl_tables *t, const struct sl_packet *p, struct sl_lookup *w);
static enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				const struct sl_lookup *w, uint16_t *egress);

#endif
