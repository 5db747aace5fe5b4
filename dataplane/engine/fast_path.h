/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path: the decision for nearly all packets. It takes packets to a service that is in the
 * worker's service cache (service_cache.h), and replies of backends, if they are complete and have
 * no IP options or extension headers.
 *
 * It decides as core/ does, in fewer steps. Headers are at fixed offsets and are compared a word at
 * a time. What is the same for all packets of a service was computed when the service entered the
 * cache; the cache holds for one generation. As in core/, the bank's sequence word is checked
 * before the packet is modified.
 *
 * All other packets take the slow path, which is core/: sl_fast_classify() returns SL_FAST_NONE for
 * them, or sl_fast_route() returns SL_RETRY_SLOW_PATH. Everything done so far is then safe to
 * repeat (at most a flow was entered, or found no room). So without this file everything would be
 * decided alike, only slower. The replay tool and the tests use both paths too (one_packet.h).
 *
 * IPv4 and IPv6 share the code: `is_ipv6` is a constant at every call.
 */
#ifndef SL_ENGINE_FAST_PATH_H
#define SL_ENGINE_FAST_PATH_H

#include "service_cache.h"

enum {
	SL_FAST_MIN_BYTES = sizeof(struct sl_ip4) + sizeof(struct sl_tcp),
	SL_FAST_MIN_BYTES6 = sizeof(struct sl_ip6) + sizeof(struct sl_tcp),
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are compared as they lie there");

/* What the first pass (classify) found, for the second (route). */
struct sl_fast_lookup {
	union {
		const struct sl_cached_service *service;
		const struct sl_reply_entry *reply; /* for a reply */
	};
	uint8_t *l3;
	uint32_t at;	/* slot of the service; for a reply the index of its route */
	uint16_t l3_at; /* offset from the frame's first byte */
	uint16_t kind;	/* enum sl_fast_kind */
	union {
		uint32_t bucket[2]; /* for an IPv4 flow, if its service looks flows up */
		uint64_t key;	    /* for an IPv6 flow */
	};
};

_Static_assert(sizeof(struct sl_fast_lookup) == 32, "a power of two: a burst of them is indexed");

/* Not a verdict: the flow isn't in the flow table, call sl_fast_route_new_flow(). */
#define SL_RETRY_NEW_FLOW (SL_REASON_COUNT + 1)

/* The hash keys by value, so that gcc keeps them in registers over a burst: through a pointer it
 * would reload them after every store. */
struct sl_fast_keys {
	uint64_t slot[2];
	uint64_t flow[2];
	uint64_t mac; /* of the port that the burst came in by, as link.h compares it */
};

SL_INLINE struct sl_fast_keys sl_fast_keys(const struct sl_tables *t, uint16_t ingress)
{
	const struct sl_root *root = t->root;

	return (struct sl_fast_keys){ { root->slot_key[0], root->slot_key[1] },
				      { root->flow_key[0], root->flow_key[1] },
				      sl_link_word(t->port[ingress].mac) };
}

/* Adds a service that the slow path found to the cache. But if the n packets of this burst use the
 * cache entry that it would replace, it stays out, so that two busy services with the same entry
 * don't evict each other in turns. The lookups are invalid once the cache was filled. */
static inline void sl_fast_cache_fill(const struct sl_tables *t, struct sl_service_cache *cache,
				      const struct sl_service *service,
				      const struct sl_fast_lookup *fast, uint32_t n)
{
	uint64_t tag;
	const struct sl_cached_service *entry = sl_cache_entry(cache, service, &tag);

	for (uint32_t i = 0; i < n; i++)
		if (fast[i].kind != SL_FAST_NONE && fast[i].service == entry)
			return;
	sl_cache_fill(t, cache, service);
}

/* First bytes of sources that no host has; for the last byte see sl_martian4(). */
static const uint8_t sl_martian_net[256] = { [0] = 1, [127] = 1, [224 ... 239] = 1, [255] = 1 };

/* Whether the source needs a closer look, by parse6.h or sl_martian6(). */
SL_INLINE bool sl_fast_suspect_source6(const union sl_addr *src, const union sl_addr *dst)
{
	return !src->q[0] || src->b[0] >= 0xfe || sl_addr_equal(src, dst);
}

SL_INLINE uint8_t sl_fast_protocol(const void *l3, bool is_ipv6)
{
	return is_ipv6 ? ((const struct sl_ip6 *)l3)->next : ((const struct sl_ip4 *)l3)->protocol;
}

/* The transport header behind a network header without options. The ports of UDP are at the same
 * offsets. */
SL_INLINE struct sl_tcp *sl_fast_tcp(uint8_t *l3, bool is_ipv6)
{
	return (void *)(l3 + (is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4)));
}

/* Its offset from the frame's first byte. */
SL_INLINE uint32_t sl_fast_l4(const struct sl_fast_lookup *fast, bool is_ipv6)
{
	return fast->l3_at + (uint32_t)(is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
}

/* The first pass for a packet to no cached service: finds the reply entry of the backend that sent
 * it, and the route to the client. False: it isn't a reply. left: bytes from the network header to
 * the frame's end. */
SL_INLINE bool sl_fast_classify_reply(const struct sl_tables *t, uint8_t *l3, uint32_t left,
				      struct sl_fast_lookup *fast, bool is_ipv6)
{
	const struct sl_tcp *tcp = sl_fast_tcp(l3, is_ipv6);
	uint8_t protocol = sl_fast_protocol(l3, is_ipv6);
	uint32_t l4_length =
		protocol == SL_PROTO_TCP ? sizeof(struct sl_tcp) : sizeof(struct sl_udp);
	uint32_t min_length = (uint32_t)((const uint8_t *)tcp - l3) + l4_length;
	uint32_t length = sl_l3_length(l3, is_ipv6), index;
	union sl_addr dst = sl_l3_dst(l3, is_ipv6), src = sl_l3_src(l3, is_ipv6);
	const struct sl_ip4 *ip = (const void *)l3;
	const struct sl_reply_entry *r;
	const struct sl_route *route;

	if (is_ipv6 ? *l3 >> 4 != 6 || sl_addr_is4(&src) || sl_addr_is4(&dst)
		    : ip->version_ihl != 0x45 || ip->fragment & sl_htons(SL_IP4_FRAGMENT))
		return false;
	if (sl_unlikely(length - min_length > left - min_length || sl_l3_ttl(l3, is_ipv6) <= 1 ||
			(protocol != SL_PROTO_TCP && protocol != SL_PROTO_UDP)))
		return false;
	if (sl_service_find(t, &dst, sl_endpoint(tcp->dst, protocol)))
		return false; /* a service that isn't cached yet */
	r = sl_reply_entry_find(t, &src, sl_endpoint(tcp->src, protocol));
	if (sl_unlikely(!r || r->flags & SL_SERVICE_SLOW_REPLY))
		return false;
	index = is_ipv6 ? sl_route_find6(t, &dst) : sl_route_find4(t, dst.w[3]);
	route = sl_seam_route(t, index);
	if (sl_unlikely(!route || route->kind != SL_ROUTE_VIA))
		return false;
	fast->reply = r;
	fast->at = index;
	fast->kind = SL_FAST_REPLY | (is_ipv6 ? SL_FAST_IPV6 : 0);
	return true;
}

/* Finds the flow's two buckets and prefetches them. */
SL_INLINE void sl_fast_prefetch_buckets(const struct sl_tables *t, uint64_t hash,
					const uint64_t key[2], uint32_t bucket[2])
{
	bucket[0] = sl_hash_bucket(hash, t->buckets);
	bucket[1] = sl_hash_bucket2(hash, t->buckets, key);
	sl_seam_prefetch(&t->bucket[bucket[0]]);
	sl_seam_prefetch(&t->bucket[bucket[1]]);
}

/* The line of SNAT ports in which the flow's mapping is searched first, or NULL. */
SL_NOINLINE const struct sl_snat_line *sl_fast_snat_line(const struct sl_tables *t,
							 const struct sl_cached_service *s,
							 uint64_t flow, uint64_t hash)
{
	uint32_t port, region, index;
	struct sl_snat_search b;

	return sl_snat_search_begin(&b, t, flow, hash, s->service->pool)
		       ? sl_snat_search_line(&b, 0, &port, &region, &index)
		       : NULL;
}

/* Prefetches whatever the second pass will look up for the flow. */
SL_INLINE void sl_fast_prefetch_flow(const struct sl_tables *t, const struct sl_cached_service *s,
				     uint64_t flow, const uint64_t key[2], uint32_t bucket[2])
{
	uint64_t hash = sl_hash_flow(flow, key);

	sl_fast_prefetch_buckets(t, hash, key, bucket);
	if (sl_unlikely(s->flags & SL_SERVICE_FULLNAT)) {
		const struct sl_snat_line *line = sl_fast_snat_line(t, s, flow, hash);

		if (sl_likely(line != NULL)) { /* a pool that a publish takes away has none */
			sl_seam_prefetch(line->key);
			sl_seam_prefetch(line->tcp);
		}
	}
}

/* The first pass for IPv6. It costs more because clients are told apart by a digest
 * (abi/hash.h). */
static __attribute__((noinline, unused)) enum sl_fast_kind
sl_fast_classify6(const struct sl_tables *t, const struct sl_service_cache *cache, uint8_t *l3,
		  uint32_t left, struct sl_fast_lookup *fast)
{
	const struct sl_root *root = t->root;
	const struct sl_ip6 *ip = (const void *)l3;
	const struct sl_tcp *tcp = sl_fast_tcp(l3, true);
	union sl_addr dst = sl_addr_load(ip->dst), src = sl_addr_load(ip->src);
	uint32_t endpoint = sl_endpoint(tcp->dst, ip->next);
	uint64_t tag = sl_cache_tag6(&dst, endpoint), source;
	const struct sl_cached_service *s = &cache->ipv6[sl_cache_index(tag)];
	uint32_t length = sl_l3_length(ip, true), bucket[2];

	if (sl_unlikely(s->tag != tag || s->service->endpoint != endpoint ||
			!sl_addr_equal(&s->service->vip, &dst) || *l3 >> 4 != 6)) {
		sl_fast_classify_reply(t, l3, left, fast, true);
		return (enum sl_fast_kind)fast->kind;
	}
	if (sl_unlikely(length - s->min_length > left - s->min_length || ip->hops <= 1 ||
			sl_fast_suspect_source6(&src, &dst)))
		return SL_FAST_NONE;
	source = sl_hash_source6(&src, tcp->src, root->slot_key);
	fast->service = s;
	fast->key = sl_flow_key(s->id, source);
	fast->at = sl_hash_slot_of(source, &dst, s->slot_endpoint, root->slot_key) & s->slot_mask;
	sl_seam_prefetch(s->slots + fast->at);
	if (s->flags & SL_SERVICE_LOOKUP)
		sl_fast_prefetch_flow(t, s, fast->key, root->flow_key, bucket);
	fast->kind = s->kind;
	return (enum sl_fast_kind)fast->kind;
}

/* The first pass. The result says which second pass the packet needs. */
SL_INLINE enum sl_fast_kind sl_fast_classify(const struct sl_tables *t,
					     const struct sl_service_cache *cache,
					     struct sl_fast_keys keys, uint16_t ingress,
					     uint8_t *data, uint32_t linear, uint32_t frame_length,
					     struct sl_fast_lookup *fast)
{
	const struct sl_eth *eth = (const void *)data;
	uint32_t l3 = sizeof(*eth), length, fate;
	const struct sl_cached_service *s;
	const struct sl_ip4 *ip;
	const struct sl_tcp *tcp;
	uint64_t tag, other;

	fast->kind = SL_FAST_NONE;
	if (sl_unlikely(linear < l3 + SL_FAST_MIN_BYTES))
		return SL_FAST_NONE;
	other = sl_link_word(eth) ^ keys.mac;
	if (sl_unlikely(other | (eth->type ^ sl_htons(SL_ETH_IP4)))) {
		const struct sl_packet p = { .data = data, .end = data + linear };
		uint16_t type;

		if (other && !sl_link_has(&t->port[ingress], sl_link_word(eth)))
			return SL_FAST_NONE;
		l3 = sl_parse_link(&p, &type);
		if (sl_unlikely(l3 != sizeof(*eth)))
			return SL_FAST_NONE; /* tags are replaced on the slow path (egress.h) */
		fast->l3 = data + l3;
		fast->l3_at = (uint16_t)l3;
		if (type == SL_ETH_IP6 && linear >= l3 + SL_FAST_MIN_BYTES6)
			return sl_fast_classify6(t, cache, data + l3, frame_length - l3, fast);
		if (type != SL_ETH_IP4 || linear < l3 + SL_FAST_MIN_BYTES)
			return SL_FAST_NONE;
	}
	ip = (const void *)(data + l3);
	tcp = (const void *)(ip + 1);
	fast->l3 = data + l3;
	fast->l3_at = (uint16_t)l3;
	fate = *(const sl_u32_any *)(const void *)&ip
			->fragment; /* with TTL and protocol, which follow */
	tag = *(const sl_u64_any *)(const void *)&ip->dst;
	tag = (tag & 0xffff0000ffffffff) | (uint64_t)(fate >> 24) << 32;
	s = &cache->ipv4[sl_cache_index(tag)];
	length = sl_ntohs(ip->length);
	if (sl_unlikely((s->tag ^ tag) | (ip->version_ihl ^ 0x45) |
			(fate & sl_htons(SL_IP4_FRAGMENT)))) {
		sl_fast_classify_reply(t, data + l3, frame_length - l3, fast, false);
		return (enum sl_fast_kind)fast->kind;
	}
	if (sl_unlikely(length - s->min_length > frame_length - l3 - s->min_length ||
			ip->ttl <= 1 || sl_martian_net[(uint8_t)ip->src] || ip->src == ip->dst))
		return SL_FAST_NONE;
	fast->service = s;
	fast->at = sl_hash_slot((sl_be32)((uint32_t)ip->src & (uint32_t)s->affinity_mask4),
				(sl_be16)((uint16_t)tcp->src & (uint16_t)s->affinity_mask_port),
				ip->dst, s->slot_endpoint, keys.slot) &
		   s->slot_mask;
	sl_seam_prefetch(s->slots + fast->at);
	if (s->flags & SL_SERVICE_LOOKUP)
		sl_fast_prefetch_flow(t, s, sl_flow_key4(s->id, ip->src, tcp->src), keys.flow,
				      fast->bucket);
	fast->kind = s->kind;
	return (enum sl_fast_kind)fast->kind;
}

SL_INLINE uint64_t sl_fast_flow_key(const struct sl_fast_lookup *fast, bool is_ipv6)
{
	const struct sl_ip4 *ip = (const void *)fast->l3;
	const struct sl_tcp *tcp = (const void *)(ip + 1);

	return is_ipv6 ? fast->key : sl_flow_key4(fast->service->id, ip->src, tcp->src);
}

/* Converts to what core/ would have found, for the slow path. */
SL_INLINE void sl_fast_to_lookup(const struct sl_tables *t, const struct sl_fast_lookup *fast,
				 struct sl_lookup *w)
{
	bool is_ipv6 = fast->kind & SL_FAST_IPV6;

	w->at = fast->at;
	w->l3 = (uint8_t)fast->l3_at;
	w->l4 = (uint8_t)sl_fast_l4(fast, is_ipv6);
	w->hash = 0;
	if ((fast->kind & ~SL_FAST_IPV6) == SL_FAST_REPLY) {
		w->reply = fast->reply;
		w->packet_class = is_ipv6 ? SL_CLASS_REPLY6 : SL_CLASS_REPLY;
		return;
	}
	w->service = fast->service->service;
	w->packet_class = is_ipv6 ? SL_CLASS_SERVICE6 : SL_CLASS_SERVICE;
	if (is_ipv6)
		w->hash = fast->key;
	else if (fast->service->flags & SL_SERVICE_FULLNAT)
		w->hash = sl_fast_flow_key(fast, false);
	else if (fast->service->flags & SL_SERVICE_LOOKUP)
		w->hash = sl_hash_flow(sl_fast_flow_key(fast, false), sl_seam_root(t)->flow_key);
}

/* The flow query for a packet of a cached service. */
SL_INLINE struct sl_flow_query sl_fast_flow_query(const struct sl_tables *t,
						  const struct sl_cached_service *s, uint64_t key,
						  uint8_t tcp_flags)
{
	return (struct sl_flow_query){ .key = key,
				       .now = sl_seam_now(t),
				       .backends = (uint32_t)(s->backends - t->backend),
				       .n_backends = s->n_backends,
				       .event = (uint8_t)sl_event_of(tcp_flags),
				       .policed = s->flags & SL_SERVICE_ENTRY };
}

/* Updates the entry of a flow that was found. Returns its backend, or 0. */
SL_NOINLINE uint32_t sl_fast_hit(const struct sl_tables *t, const struct sl_cached_service *s,
				 uint64_t key, uint8_t tcp_flags, struct sl_flow_at *entry)
{
	const struct sl_flow_timeouts *timeouts = &t->timeouts[s->id];
	struct sl_flow_query query = sl_fast_flow_query(t, s, key, tcp_flags);

	return sl_flow_alive(entry->value, timeouts, query.now)
		       ? sl_track_hit(t, &query, timeouts, entry)
		       : 0;
}

/* Enters a new flow in the flow table and returns its backend. *full: the table had no room, and
 * that hasn't been counted yet. */
SL_NOINLINE uint32_t sl_fast_track_new(const struct sl_tables *t, const struct sl_cached_service *s,
				       uint64_t key, uint32_t slot, uint8_t tcp_flags, bool *full)
{
	struct sl_flow_query query = sl_fast_flow_query(t, s, key, tcp_flags);
	uint32_t backend;

	query.hash = sl_hash_flow(key, t->root->flow_key);
	query.slot = slot;
	query.track_all = s->flags & SL_SERVICE_TRACK;
	backend = sl_track_new(t, s->service, &query);
	*full = backend == SL_TRACK_NO_ROOM;
	return *full ? sl_track_full(t, &query) : backend;
}

/* The backend of a flow that the table must know, or 0 if it doesn't; *entry: where it was
 * found. */
SL_INLINE uint32_t sl_fast_track(const struct sl_tables *t, const struct sl_fast_lookup *fast,
				 uint8_t tcp_flags, struct sl_flow_at *entry, bool is_ipv6)
{
	const struct sl_cached_service *s = fast->service;
	uint64_t key = sl_fast_flow_key(fast, is_ipv6);
	uint32_t own[2];
	const uint32_t *bucket = is_ipv6 ? own : fast->bucket;

	/* A SYN hardly ever belongs to a flow in the table. */
	if (sl_unlikely(!(s->flags & SL_SERVICE_LOOKUP) || sl_is_syn(tcp_flags)))
		return 0;
	if (is_ipv6)
		sl_fast_prefetch_buckets(t, sl_hash_flow(key, t->root->flow_key), t->root->flow_key,
					 own);
	*entry = sl_track_find_in(&t->bucket[bucket[0]], key);
	if (sl_unlikely(!entry->bucket))
		*entry = sl_track_find_in(&t->bucket[bucket[1]], key);
	if (sl_unlikely(!entry->bucket))
		return 0;
	if (sl_likely(sl_event_of(tcp_flags) == SL_EVENT_DATA &&
		      sl_track_needs_no_update(entry->value, &t->timeouts[s->id], sl_seam_now(t))))
		return sl_flow_backend(entry->value);
	return sl_fast_hit(t, s, key, tcp_flags, entry);
}

/* Charges the packet to the limit that is kept in the flow's entry. */
SL_NOINLINE enum sl_policer_verdict sl_fast_charge(const struct sl_tables *t,
						   const struct sl_fast_lookup *fast,
						   uint32_t frame_length, struct sl_flow_at *entry)
{
	const struct sl_cached_service *s = fast->service;
	bool is_ipv6 = fast->kind & SL_FAST_IPV6;
	const struct sl_tcp *tcp = sl_fast_tcp(fast->l3, is_ipv6);
	const struct sl_limit *limit = sl_seam_limit(t, s->service->limits);
	union sl_addr client = sl_l3_src(fast->l3, is_ipv6);
	struct sl_packet p = { .length = frame_length };
	struct sl_policer_query policer =
		sl_policer_query_of(t, &p, fast->l3, sl_fast_protocol(fast->l3, is_ipv6), &client,
				    tcp->src, SL_TO_BACKEND, is_ipv6);

	return limit ? sl_track_charge_at(t, limit, &policer, sl_fast_flow_key(fast, is_ipv6),
					  sl_flow_state(entry->value), entry)
		     : SL_POLICER_UNLIMITED;
}

/* Encapsulates the packet as tunnel.h does, for frames without VLAN tags and an outer IPv4
 * header. */
SL_INLINE enum sl_reason sl_fast_tunnel(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_fast_lookup *fast,
					const struct sl_backend *b, bool is_ipv6)
{
	uint8_t mode = fast->service->mode;
	struct sl_tunnel o = { .mode = mode };
	struct sl_inner in = { 0 };
	struct sl_outer4 *outer;
	struct sl_eth *eth;
	uint32_t ports = *(const sl_u32_any *)sl_fast_tcp(fast->l3, is_ipv6), size;

	if (is_ipv6)
		sl_inner_read6((void *)fast->l3, ports, t->root->slot_key, &in);
	else
		sl_inner_read4((void *)fast->l3, ports, t->root->slot_key, &in);
	sl_tunnel_read(&o, b, in.hash);
	size = sizeof(outer->ip) + sl_gue_size(&o);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(!sl_seam_grow(p, size)))
		return SL_REASON_no_room;
	if (is_ipv6)
		((struct sl_ip6 *)(void *)fast->l3)->hops--;
	else
		sl_ip4_dec_ttl((void *)fast->l3, 0);
	eth = (void *)p->data;
	outer = (void *)(eth + 1);
	sl_eth_address(eth, o.mac);
	eth->type = sl_htons(SL_ETH_IP4);
	sl_outer4_write(&outer->ip, &o, &in, size);
	if (mode == SL_MODE_GUE)
		sl_gue_write(&outer->gue, &o, &in);
	return SL_REASON_to_backend;
}

/* Leaves a packet to the slow path. If the table had no room for its flow, the slow path tries to
 * make room once more, so the failure isn't counted here. failures: as before the first attempt. */
SL_INLINE enum sl_reason sl_fast_retry(const struct sl_tables *t, uint16_t id, bool full,
				       uint64_t failures)
{
	if (sl_unlikely(full))
		t->service_counters[id].insert_failures = failures;
	return SL_RETRY_SLOW_PATH;
}

/* is_new: the flow has to be looked up, and isn't in the table. */
SL_INLINE enum sl_reason sl_fast_forward(const struct sl_tables *t,
					 const struct sl_fast_lookup *fast, enum sl_fast_kind kind,
					 uint32_t ports, struct sl_packet *p, uint8_t protocol,
					 bool is_ipv6, bool is_new, uint16_t *egress)
{
	const struct sl_cached_service *s = fast->service;
	bool is_tcp = protocol == SL_PROTO_TCP;
	const struct sl_tcp *tcp = sl_fast_tcp(fast->l3, is_ipv6);
	uint32_t slot = *(const volatile uint32_t *)(s->slots + fast->at), backend, id;
	uint32_t frame_length = p->length, l4 = sl_fast_l4(fast, is_ipv6);
	uint8_t tcp_flags = is_tcp ? tcp->flags : 0;
	bool begin = sl_is_syn(tcp_flags);
	uint16_t able = SL_BACKEND_RESOLVED, mss;
	enum sl_policer_verdict verdict = SL_POLICER_PASS;
	bool full = false;
	uint64_t failures = is_new ? t->service_counters[s->id].insert_failures : 0;
	struct sl_flow_at entry;
	struct sl_backend_counters *backend_counters;
	const struct sl_backend *b;
	struct sl_nat n;

	if (is_new) {
		backend = sl_fast_track_new(t, s, sl_fast_flow_key(fast, is_ipv6), slot, tcp_flags,
					    &full);
	} else if (sl_likely(sl_slot_state(slot) == SL_SLOT_CLOSED &&
			     !(s->flags & SL_SERVICE_TRACK))) {
		backend = sl_slot_cur(slot);
	} else {
		backend = sl_fast_track(t, fast, tcp_flags, &entry, is_ipv6);
		able |= SL_BACKEND_SERVES;
		/* A pick can't be made twice, as it would if the rest is left to the slow path. */
		if (sl_unlikely(!backend))
			return s->service->pick == SL_PICK_HASH ? SL_RETRY_NEW_FLOW
								: SL_RETRY_SLOW_PATH;
	}
	if (sl_unlikely(backend - 1 >= s->n_backends))
		return sl_fast_retry(t, s->id, full, failures);
	b = &s->backends[backend - 1];
	id = b->counter_id;
	mss = is_new ? b->mss : 0;
	*egress = b->egress;
	if (sl_unlikely((b->flags & able) != able || sl_l3_length(fast->l3, is_ipv6) > b->mtu ||
			id >= t->n_backend_counters || *egress >= ports ||
			(begin && b->mss && !is_new) ||
			(kind == SL_FAST_NAT && (begin || !is_tcp) &&
			 sl_hairpin_near(b, fast->l3, is_ipv6))))
		return sl_fast_retry(t, s->id, full, failures);
	if (kind == SL_FAST_TUNNEL && sl_unlikely(!sl_addr_is4(&b->addr)))
		return sl_fast_retry(t, s->id, full, failures);
	if (is_new && full)
		t->service_counters[s->id].untrackable++;
	if (sl_unlikely(s->flags & SL_SERVICE_ENTRY_TO))
		verdict = sl_fast_charge(t, fast, frame_length, &entry);
	sl_nat_of_backend(&n, b);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(verdict != SL_POLICER_PASS)) {
		if (verdict == SL_POLICER_DROP)
			return SL_REASON_limit_flow;
		if (verdict == SL_POLICER_MARK)
			is_ipv6 ? sl_ecn_mark6(p, fast->l3_at) : sl_ecn_mark(p, fast->l3_at);
	}
	if (is_new && begin && mss)
		sl_mss_clamp(*p, fast->l3_at, l4, mss);
	if (kind == SL_FAST_TUNNEL) {
		enum sl_reason reason = sl_fast_tunnel(t, p, fast, b, is_ipv6);

		if (sl_unlikely(reason != SL_REASON_to_backend))
			return reason;
	} else if (kind == SL_FAST_DIRECT) {
		sl_eth_address((void *)p->data, n.mac);
	} else {
		sl_nat(p, fast->l3_at, l4, protocol, &n, false, is_ipv6);
	}
	backend_counters = &t->backend_counters[id];
	if (sl_unlikely(begin))
		backend_counters->connections++;
	backend_counters->packets_in++;
	backend_counters->bytes_in += frame_length;
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_fast_reply(const struct sl_tables *t, const struct sl_fast_lookup *fast,
				       uint32_t ports, struct sl_packet *p, bool is_ipv6,
				       uint16_t *egress)
{
	const struct sl_reply_entry *r = fast->reply;
	const struct sl_route *route = &t->route[fast->at];
	const struct sl_tcp *tcp = sl_fast_tcp(fast->l3, is_ipv6);
	uint8_t protocol = sl_fast_protocol(fast->l3, is_ipv6);
	bool is_tcp = protocol == SL_PROTO_TCP;
	uint8_t matters = r->flags & SL_SERVICE_LOOKUP ? SL_TCP_FIN | SL_TCP_RST : 0;
	uint32_t id = r->counter_id;
	struct sl_backend_counters *backend_counters;
	struct sl_nat n;

	if (r->mss)
		matters |= SL_TCP_SYN;
	*egress = route->port;
	if (sl_unlikely(route->kind != SL_ROUTE_VIA ||
			sl_l3_length(fast->l3, is_ipv6) > route->mtu ||
			(is_tcp && tcp->flags & matters) || id >= t->n_backend_counters ||
			*egress >= ports))
		return SL_RETRY_SLOW_PATH;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	sl_nat_of_reply(&n, r);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	sl_nat(p, fast->l3_at, sl_fast_l4(fast, is_ipv6), protocol, &n, true, is_ipv6);
	backend_counters = &t->backend_counters[id];
	backend_counters->packets_out++;
	backend_counters->bytes_out += p->length;
	return SL_REASON_to_client;
}

/* The second pass after SL_RETRY_NEW_FLOW: enters the flow in the flow table, then forwards. */
SL_NOINLINE enum sl_reason sl_fast_route_new_flow(const struct sl_tables *t,
						  const struct sl_fast_lookup *fast, uint32_t ports,
						  struct sl_packet *p, uint16_t *egress)
{
	uint16_t flags = fast->service->flags & (SL_SERVICE_LOOKUP | SL_SERVICE_ENTRY);
	bool is_ipv6 = fast->kind & SL_FAST_IPV6;

	if (flags != SL_SERVICE_LOOKUP)
		return SL_RETRY_SLOW_PATH;
	return sl_fast_forward(t, fast, fast->kind & ~SL_FAST_IPV6, ports, p,
			       sl_fast_protocol(fast->l3, is_ipv6), is_ipv6, true, egress);
}

/* The second pass, for a lookup of this kind. Of *p, which must not have changed since, it uses
 * data, end, frame and length; a tunnel makes the frame longer. `ports` is the number of ports.
 *
 * Returns SL_REASON_to_backend or SL_REASON_to_client, with *egress, when the packet was rewritten;
 * another reason when it is to be dropped or answered; SL_RETRY_NEW_FLOW, after which
 * sl_fast_route_new_flow() may handle it; or SL_RETRY_SLOW_PATH. */
SL_INLINE enum sl_reason sl_fast_route(const struct sl_tables *t, const struct sl_fast_lookup *fast,
				       enum sl_fast_kind kind, uint32_t ports, struct sl_packet *p,
				       uint16_t *egress)
{
	bool is_ipv6 = kind & SL_FAST_IPV6;
	enum sl_fast_kind way = kind & ~SL_FAST_IPV6;
	uint8_t protocol;

	switch (way) {
	case SL_FAST_REPLY:
		return sl_fast_reply(t, fast, ports, p, is_ipv6, egress);
	case SL_FAST_NAT:
	case SL_FAST_DIRECT:
	case SL_FAST_TUNNEL:
		protocol = sl_fast_protocol(fast->l3, is_ipv6);
		/* NAT gets separate code for TCP and UDP. */
		if (way == SL_FAST_NAT && sl_likely(protocol == SL_PROTO_TCP))
			return sl_fast_forward(t, fast, way, ports, p, SL_PROTO_TCP, is_ipv6, false,
					       egress);
		if (way == SL_FAST_NAT)
			protocol = SL_PROTO_UDP;
		return sl_fast_forward(t, fast, way, ports, p, protocol, is_ipv6, false, egress);
	default:
		return SL_RETRY_SLOW_PATH;
	}
}

#endif
