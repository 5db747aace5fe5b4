/* SPDX-License-Identifier: BSD-2-Clause */
/* The service cache: what a worker has computed about the services of its packets, one cache line
 * per service, so that the fast path doesn't look them up again. It holds for one generation. It is
 * direct-mapped: two services with the same index replace each other. Nobody else reads or writes
 * it.
 */
#ifndef SL_ENGINE_SERVICE_CACHE_H
#define SL_ENGINE_SERVICE_CACHE_H

#include "seam.h"

enum {
	SL_CACHE_BITS = 12,
	SL_CACHE_ENTRIES = 1 << SL_CACHE_BITS,
};

/* Flags of services whose packets the fast path doesn't route. Of limits it handles only the one in
 * flow entries. */
#define SL_FAST_EXCLUDED                                                                           \
	(SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW | SL_SERVICE_QUIC | SL_SERVICE_FULLNAT)

/* What the first pass (classify) found, and so which second pass (route) comes next. */
enum sl_fast_kind {
	SL_FAST_NONE,	 /* nothing: the slow path does both passes */
	SL_FAST_SERVICE, /* a cached service: the slow path routes */
	SL_FAST_NAT,
	SL_FAST_DIRECT,
	SL_FAST_TUNNEL,
	SL_FAST_REPLY, /* a reply: its reply entry, and its route */
	SL_FAST_IPV6 = 8,
	SL_FAST_SERVICE6 = SL_FAST_SERVICE | SL_FAST_IPV6, /* bit of IPv6 */
	SL_FAST_NAT6 = SL_FAST_NAT | SL_FAST_IPV6,
	SL_FAST_DIRECT6 = SL_FAST_DIRECT | SL_FAST_IPV6,
	SL_FAST_TUNNEL6 = SL_FAST_TUNNEL | SL_FAST_IPV6,
	SL_FAST_REPLY6 = SL_FAST_REPLY | SL_FAST_IPV6,
};

/* What the fast path needs to know of a service. */
struct sl_cached_service {
	uint64_t tag; /* sl_cache_tag4() or sl_cache_tag6(); an empty entry is all 0 */
	const struct sl_service *service;
	const uint32_t *slots; /* slot_mask + 1 of them, and n_backends: checked to exist */
	const struct sl_backend *backends;
	uint32_t slot_mask;
	uint32_t n_backends;
	uint32_t slot_endpoint;
	sl_be32 affinity_mask4; /* affinity: the part of the client that picks the slot */
	sl_be16 affinity_mask_port;
	uint16_t id;
	uint16_t flags;
	uint8_t min_length; /* network and transport header of its packets */
	uint8_t kind;	    /* enum sl_fast_kind */
	uint8_t mode;	    /* enum sl_mode */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sl_cached_service) == 64, "one cache line");

/* Starts zeroed. */
struct sl_service_cache {
	uint64_t generation; /* of all entries */
	uint32_t n_used;
	struct sl_cached_service *used[2 * SL_CACHE_ENTRIES];
	struct sl_cached_service ipv4[SL_CACHE_ENTRIES];
	struct sl_cached_service ipv6[SL_CACHE_ENTRIES];
};

/* The tag of an IPv4 destination: address, protocol and port, laid out as in the packet behind the
 * source address, with the protocol in place of the source port. */
SL_INLINE uint64_t sl_cache_tag4(sl_be32 dst, uint8_t protocol, sl_be16 port)
{
	return (uint32_t)dst | (uint64_t)protocol << 32 | (uint64_t)(uint16_t)port << 48;
}

/* The tag of an IPv6 destination is a digest; the service record is compared too. Never 0. */
SL_INLINE uint64_t sl_cache_tag6(const union sl_addr *dst, uint32_t endpoint)
{
	return ((dst->q[0] + endpoint) * 0x9e3779b97f4a7c15ull ^ dst->q[1]) | 1;
}

SL_INLINE uint32_t sl_cache_index(uint64_t tag)
{
	uint32_t folded =
		(uint32_t)(tag ^ tag >> 32); /* a port alone only changes the highest bits */

	return (uint32_t)(folded * 0x9e3779b97f4a7c15ull >> (64 - SL_CACHE_BITS));
}

/* Empties the cache for another generation. */
static inline void sl_cache_flush(struct sl_service_cache *cache, uint64_t generation)
{
	cache->generation = generation;
	while (cache->n_used)
		*cache->used[--cache->n_used] = (struct sl_cached_service){ 0 };
}

/* Whether the first slot's backend has an IPv4 address. Nearly always all backends are of one
 * family. */
static inline bool sl_cache_outer_is_ipv4(const struct sl_cached_service *k)
{
	uint32_t backend = sl_slot_cur(k->slots[0]);

	return backend - 1 < k->n_backends && sl_addr_is4(&k->backends[backend - 1].addr);
}

/* The second pass that a service's packets take. */
static inline enum sl_fast_kind sl_cache_kind(const struct sl_service *s,
					      const struct sl_cached_service *k)
{
	static const uint8_t kind_of[SL_MODES] = {
		[SL_MODE_NAT] = SL_FAST_NAT,	     [SL_MODE_DIRECT] = SL_FAST_DIRECT,
		[SL_MODE_IPIP] = SL_FAST_TUNNEL,     [SL_MODE_GUE] = SL_FAST_TUNNEL,
		[SL_MODE_FULLNAT] = SL_FAST_SERVICE,
	};
	bool never = s->flags & SL_FAST_EXCLUDED || s->mode >= SL_MODES ||
		     (s->flags & SL_SERVICE_ENTRY_TO && !(s->flags & SL_SERVICE_TRACK));

	if (never || (kind_of[s->mode] == SL_FAST_TUNNEL && !sl_cache_outer_is_ipv4(k)))
		return SL_FAST_SERVICE;
	return (enum sl_fast_kind)kind_of[s->mode];
}

/* The cache entry of a service; *tag: its tag. */
static inline struct sl_cached_service *sl_cache_entry(struct sl_service_cache *cache,
						       const struct sl_service *s, uint64_t *tag)
{
	uint8_t protocol = sl_endpoint_protocol(s->endpoint);

	if (!sl_addr_is4(&s->vip)) {
		*tag = sl_cache_tag6(&s->vip, s->endpoint);
		return &cache->ipv6[sl_cache_index(*tag)];
	}
	*tag = sl_cache_tag4(s->vip.w[3], protocol, (sl_be16)(uint16_t)s->endpoint);
	return &cache->ipv4[sl_cache_index(*tag)];
}

/* Whether the service may be cached: the extents that its record names exist, and the packet alone
 * tells that it belongs to it. */
static inline bool sl_cache_accepts(const struct sl_tables *t, const struct sl_service *s,
				    bool is_ipv6)
{
	uint64_t slots = (uint64_t)s->slots * SL_SLOTS_PER_BLOCK;

	return !(s->flags & SL_SERVICE_RANGE) && !sl_endpoint_prefix_index(s->endpoint) &&
	       !(is_ipv6 && s->prefix6) && s->id < t->n_timeouts && s->id < t->n_service_counters &&
	       s->n_backends && sl_seam_slot(t, slots + s->slot_mask) &&
	       sl_seam_backend(t, (uint64_t)s->backends + s->n_backends - 1);
}

/* Puts a service that core/ found in its cache entry. */
static inline void sl_cache_fill(const struct sl_tables *t, struct sl_service_cache *cache,
				 const struct sl_service *service)
{
	struct sl_service s = *service;
	bool is_ipv6 = !sl_addr_is4(&s.vip), tcp = sl_endpoint_protocol(s.endpoint) == SL_PROTO_TCP;
	size_t l3 = is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4);
	size_t l4 = tcp ? sizeof(struct sl_tcp) : sizeof(struct sl_udp);
	uint64_t tag;
	struct sl_cached_service *entry = sl_cache_entry(cache, &s, &tag);
	struct sl_cached_service new = {
		.tag = tag,
		.service = service,
		.slots = sl_seam_slot(t, (uint64_t)s.slots * SL_SLOTS_PER_BLOCK),
		.backends = sl_seam_backend(t, s.backends),
		.slot_mask = s.slot_mask,
		.n_backends = s.n_backends,
		.slot_endpoint = s.slot_endpoint,
		.affinity_mask4 = (sl_be32) ~(uint32_t)s.ignore4,
		.affinity_mask_port = (sl_be16) ~(uint16_t)s.ignore_port,
		.id = s.id,
		.flags = s.flags,
		.min_length = (uint8_t)(l3 + l4),
		.mode = s.mode,
	};

	if (cache->generation != t->generation || !sl_cache_accepts(t, &s, is_ipv6))
		return;
	new.kind = (uint8_t)(sl_cache_kind(&s, &new) | (is_ipv6 ? SL_FAST_IPV6 : 0));
	if (!sl_seam_current(t))
		return;
	if (!entry->service)
		cache->used[cache->n_used++] = entry;
	*entry = new;
}

#endif
