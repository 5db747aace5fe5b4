/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of nearly all packets: whole, without options or extension headers, to a service that a
 * worker has served before, or from a backend. It decides as core/ does, in fewer steps:
 *
 * - What a packet has to be is compared a word at a time, and stands where it always stands.
 * - What is asked of a service's record was asked when the service was first met, and is at hand
 *   (known.h). It holds until the worker takes another generation; the bank's sequence word is read
 *   before the packet is written to, as always.
 *
 * Whatever is otherwise ends with SL_STEADY_NOT or SL_ELSEWHERE, before anything has changed that
 * may not change twice (a flow may have been entered, or found no room), and is decided by core/
 * from the buffer on. So this file may be taken out,
 * and nothing changes but the speed: replay and the tests go the same two ways (halves.h).
 *
 * Both families go by the same lines, in which `six` is a constant wherever they are used.
 */
#ifndef SL_ENGINE_STEADY_H
#define SL_ENGINE_STEADY_H

#include "known.h"

enum {
	SL_STEADY_TCP = sizeof(struct sl_ip4) + sizeof(struct sl_tcp),
	SL_STEADY_TCP6 = sizeof(struct sl_ip6) + sizeof(struct sl_tcp),
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are compared as they lie there");

/* What the first half hands to the second. */
struct sl_step {
	union {
		const struct sl_known_service *service;
		const struct sl_reverse *reverse; /* of a reply */
	};
	uint8_t *l3;
	uint32_t at;	/* row; of a reply the place of its route */
	uint16_t l3_at; /* from the frame's first byte */
	uint16_t kind;	/* enum sl_steady_kind */
	union {
		uint32_t bucket[2]; /* of an IPv4 flow, where its service looks flows up */
		uint64_t key;	    /* of an IPv6 one */
	};
};

_Static_assert(sizeof(struct sl_step) == 32, "a power of two: a burst of them is indexed");

/* No reason, as SL_ELSEWHERE. */
#define SL_UNKNOWN_FLOW (SL_REASON_COUNT + 1)

/* What gcc is to keep in registers over a burst: nobody else can be writing here. */
struct sl_steady_keys {
	uint64_t row[2];
	uint64_t flow[2];
	uint64_t mac; /* of the port that the burst came in by, as link.h compares it */
};

SL_INLINE struct sl_steady_keys sl_steady_keys(const struct sl_tables *t, uint16_t ingress)
{
	const struct sl_root *root = t->root;

	return (struct sl_steady_keys){ { root->row_key[0], root->row_key[1] },
					{ root->flow_key[0], root->flow_key[1] },
					sl_link_word(t->port[ingress].mac) };
}

/* What core/ has found for a packet to a service is at hand from now on, unless its place is one of
 * which the n steps make use: two services that share a place, and are both busy, would push each
 * other out for ever. Steps hold no longer than until the next is learned. */
static inline void sl_steady_learn(const struct sl_tables *t, struct sl_known *known,
				   const struct sl_service *service, const struct sl_step *step,
				   uint32_t n)
{
	uint64_t to;
	const struct sl_known_service *place = sl_known_place_of(known, service, &to);

	for (uint32_t i = 0; i < n; i++)
		if (step[i].kind != SL_STEADY_NOT && step[i].service == place)
			return;
	sl_known_learn(t, known, service);
}

/* A source that no host has, by its first byte; of the last one it depends: sl_martian4(). */
static const uint8_t sl_martian_net[256] = { [0] = 1, [127] = 1, [224 ... 239] = 1, [255] = 1 };

/* A source that parse6.h or sl_martian6() may have something to say about. */
SL_INLINE bool sl_odd_source6(const union sl_addr *src, const union sl_addr *dst)
{
	return !src->q[0] || src->b[0] >= 0xfe || sl_addr_equal(src, dst);
}

SL_INLINE uint8_t sl_steady_protocol(const void *l3, bool six)
{
	return six ? ((const struct sl_ip6 *)l3)->next : ((const struct sl_ip4 *)l3)->protocol;
}

/* Behind a header without options: UDP's ports stand there too. */
SL_INLINE struct sl_tcp *sl_steady_tcp(uint8_t *l3, bool six)
{
	return (void *)(l3 + (six ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4)));
}

/* The same, from the frame's first byte. */
SL_INLINE uint32_t sl_steady_l4(const struct sl_step *step, bool six)
{
	return step->l3_at + (uint32_t)(six ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
}

/* The first half of a packet that is to none of the services that are known: whether it is from a
 * backend. left: bytes of the frame from its network header on. */
SL_INLINE bool sl_steady_from(const struct sl_tables *t, uint8_t *l3, uint32_t left,
			      struct sl_step *step, bool six)
{
	const struct sl_tcp *tcp = sl_steady_tcp(l3, six);
	uint8_t protocol = sl_steady_protocol(l3, six);
	uint32_t l4_length =
		protocol == SL_PROTO_TCP ? sizeof(struct sl_tcp) : sizeof(struct sl_udp);
	uint32_t least = (uint32_t)((const uint8_t *)tcp - l3) + l4_length;
	uint32_t length = sl_l3_length(l3, six), place;
	union sl_addr dst = sl_l3_dst(l3, six), src = sl_l3_src(l3, six);
	const struct sl_ip4 *ip = (const void *)l3;
	const struct sl_reverse *r;
	const struct sl_route *route;

	if (six ? *l3 >> 4 != 6 || sl_addr_is4(&src) || sl_addr_is4(&dst)
		: ip->version_ihl != 0x45 || ip->fragment & sl_htons(SL_IP4_FRAGMENT))
		return false;
	if (sl_unlikely(length - least > left - least || sl_l3_ttl(l3, six) <= 1 ||
			(protocol != SL_PROTO_TCP && protocol != SL_PROTO_UDP)))
		return false;
	if (sl_service_find(t, &dst, sl_endpoint(tcp->dst, protocol)))
		return false; /* not known yet */
	r = sl_reverse_find(t, &src, sl_endpoint(tcp->src, protocol));
	if (sl_unlikely(!r || r->flags & SL_SERVICE_ODD_FROM))
		return false;
	place = six ? sl_route_find6(t, &dst) : sl_route_find4(t, dst.w[3]);
	route = sl_seam_route(t, place);
	if (sl_unlikely(!route || route->kind != SL_ROUTE_VIA))
		return false;
	step->reverse = r;
	step->at = place;
	step->kind = SL_STEADY_REPLY | (six ? SL_STEADY_SIX : 0);
	return true;
}

/* Where a flow's entry is looked for, which comes in meanwhile. */
SL_INLINE void sl_steady_buckets(const struct sl_tables *t, uint64_t hash, const uint64_t key[2],
				 uint32_t bucket[2])
{
	bucket[0] = sl_hash_bucket(hash, t->buckets);
	bucket[1] = sl_hash_bucket2(hash, t->buckets, key);
	sl_seam_prefetch(&t->bucket[bucket[0]]);
	sl_seam_prefetch(&t->bucket[bucket[1]]);
}

/* Where full NAT looks first for the flow's port, or NULL. */
SL_APART const struct sl_bindings *sl_steady_port(const struct sl_tables *t,
						  const struct sl_known_service *s, uint64_t flow,
						  uint64_t hash)
{
	uint32_t port, region, index;
	struct sl_bind b;

	return sl_bind_begin(&b, t, flow, hash, s->service->pool)
		       ? sl_bind_at(&b, 0, &port, &region, &index)
		       : NULL;
}

/* All that is looked up of a flow. */
SL_INLINE void sl_steady_look(const struct sl_tables *t, const struct sl_known_service *s,
			      uint64_t flow, const uint64_t key[2], uint32_t bucket[2])
{
	uint64_t hash = sl_hash_flow(flow, key);

	sl_steady_buckets(t, hash, key, bucket);
	if (sl_unlikely(s->flags & SL_SERVICE_FULLNAT))
		sl_seam_prefetch(sl_steady_port(t, s, flow, hash));
}

/* The first half of IPv6. Its digest is the price of telling clients apart (abi/hash.h). */
static __attribute__((noinline, unused)) enum sl_steady_kind
sl_steady_classify6(const struct sl_tables *t, const struct sl_known *known, uint8_t *l3,
		    uint32_t left, struct sl_step *step)
{
	const struct sl_root *root = t->root;
	const struct sl_ip6 *ip = (const void *)l3;
	const struct sl_tcp *tcp = sl_steady_tcp(l3, true);
	union sl_addr dst = sl_addr_load(ip->dst), src = sl_addr_load(ip->src);
	uint32_t endpoint = sl_endpoint(tcp->dst, ip->next);
	uint64_t to = sl_known_to6(&dst, endpoint), source;
	const struct sl_known_service *s = &known->six[sl_known_place(to)];
	uint32_t length = sl_l3_length(ip, true), bucket[2];

	if (sl_unlikely(s->to != to || s->service->endpoint != endpoint ||
			!sl_addr_equal(&s->service->vip, &dst) || *l3 >> 4 != 6)) {
		sl_steady_from(t, l3, left, step, true);
		return (enum sl_steady_kind)step->kind;
	}
	if (sl_unlikely(length - s->least > left - s->least || ip->hops <= 1 ||
			sl_odd_source6(&src, &dst)))
		return SL_STEADY_NOT;
	source = sl_hash_source6(&src, tcp->src, root->row_key);
	step->service = s;
	step->key = sl_flow_key(s->id, source);
	step->at = sl_hash_row_of(source, &dst, s->row_endpoint, root->row_key) & s->row_mask;
	sl_seam_prefetch(s->rows + step->at);
	if (s->flags & SL_SERVICE_LOOKUP)
		sl_steady_look(t, s, step->key, root->flow_key, bucket);
	step->kind = s->kind;
	return (enum sl_steady_kind)step->kind;
}

/* The first half: how far it got. */
SL_INLINE enum sl_steady_kind sl_steady_classify(const struct sl_tables *t,
						 const struct sl_known *known,
						 struct sl_steady_keys keys, uint16_t ingress,
						 uint8_t *data, uint32_t linear,
						 uint32_t frame_length, struct sl_step *step)
{
	const struct sl_eth *eth = (const void *)data;
	uint32_t l3 = sizeof(*eth), length, fate;
	const struct sl_known_service *s;
	const struct sl_ip4 *ip;
	const struct sl_tcp *tcp;
	uint64_t to, other;

	step->kind = SL_STEADY_NOT;
	if (sl_unlikely(linear < l3 + SL_STEADY_TCP))
		return SL_STEADY_NOT;
	other = sl_link_word(eth) ^ keys.mac;
	if (sl_unlikely(other | (eth->type ^ sl_htons(SL_ETH_IP4)))) {
		const struct sl_packet p = { .data = data, .end = data + linear };
		uint16_t type;

		if (other && !sl_link_has(&t->port[ingress], sl_link_word(eth)))
			return SL_STEADY_NOT;
		l3 = sl_parse_link(&p, &type);
		step->l3 = data + l3;
		step->l3_at = (uint16_t)l3;
		if (type == SL_ETH_IP6 && linear >= l3 + SL_STEADY_TCP6)
			return sl_steady_classify6(t, known, data + l3, frame_length - l3, step);
		if (type != SL_ETH_IP4 || linear < l3 + SL_STEADY_TCP)
			return SL_STEADY_NOT;
	}
	ip = (const void *)(data + l3);
	tcp = (const void *)(ip + 1);
	step->l3 = data + l3;
	step->l3_at = (uint16_t)l3;
	fate = *(const sl_u32_any *)(const void *)&ip->fragment; /* TTL and protocol follow */
	to = *(const sl_u64_any *)(const void *)&ip->dst;
	to = (to & 0xffff0000ffffffff) | (uint64_t)(fate >> 24) << 32;
	s = &known->four[sl_known_place(to)];
	length = sl_ntohs(ip->length);
	if (sl_unlikely((s->to ^ to) | (ip->version_ihl ^ 0x45) |
			(fate & sl_htons(SL_IP4_FRAGMENT)))) {
		sl_steady_from(t, data + l3, frame_length - l3, step, false);
		return (enum sl_steady_kind)step->kind;
	}
	if (sl_unlikely(length - s->least > frame_length - l3 - s->least || ip->ttl <= 1 ||
			sl_martian_net[(uint8_t)ip->src] || ip->src == ip->dst))
		return SL_STEADY_NOT;
	step->service = s;
	step->at = sl_hash_row((sl_be32)((uint32_t)ip->src & (uint32_t)s->counts4),
			       (sl_be16)((uint16_t)tcp->src & (uint16_t)s->counts_port), ip->dst,
			       s->row_endpoint, keys.row) &
		   s->row_mask;
	sl_seam_prefetch(s->rows + step->at);
	if (s->flags & SL_SERVICE_LOOKUP)
		sl_steady_look(t, s, sl_flow_key4(s->id, ip->src, tcp->src), keys.flow,
			       step->bucket);
	step->kind = s->kind;
	return (enum sl_steady_kind)step->kind;
}

SL_INLINE uint64_t sl_step_key(const struct sl_step *step, bool six)
{
	const struct sl_ip4 *ip = (const void *)step->l3;
	const struct sl_tcp *tcp = (const void *)(ip + 1);

	return six ? step->key : sl_flow_key4(step->service->id, ip->src, tcp->src);
}

/* The same as core/ would have it. */
SL_INLINE void sl_step_work(const struct sl_tables *t, const struct sl_step *step,
			    struct sl_work *w)
{
	bool six = step->kind & SL_STEADY_SIX;

	w->at = step->at;
	w->l3 = (uint8_t)step->l3_at;
	w->l4 = (uint8_t)sl_steady_l4(step, six);
	w->hash = 0;
	if ((step->kind & ~SL_STEADY_SIX) == SL_STEADY_REPLY) {
		w->reverse = step->reverse;
		w->todo = six ? SL_TODO_REVERSE6 : SL_TODO_REVERSE;
		return;
	}
	w->service = step->service->service;
	w->todo = six ? SL_TODO_SERVICE6 : SL_TODO_SERVICE;
	if (six)
		w->hash = step->key;
	else if (step->service->flags & SL_SERVICE_LOOKUP)
		w->hash = sl_hash_flow(sl_step_key(step, false), sl_seam_root(t)->flow_key);
}

/* What tracking has to know of a flow that is known. */
SL_INLINE struct sl_ask sl_steady_ask(const struct sl_tables *t, const struct sl_known_service *s,
				      uint64_t key, uint8_t tcp_flags)
{
	return (struct sl_ask){ .key = key,
				.now = sl_seam_now(t),
				.backends = (uint32_t)(s->backends - t->backend),
				.n_backends = s->n_backends,
				.event = (uint8_t)sl_event_of(tcp_flags),
				.timed = s->flags & SL_SERVICE_ENTRY };
}

/* What happens to the entry of a flow that is known: the backend, or 0. */
SL_APART uint32_t sl_steady_hit(const struct sl_tables *t, const struct sl_known_service *s,
				uint64_t key, uint8_t tcp_flags, struct sl_flow_at *entry)
{
	const struct sl_terms *terms = &t->terms[s->id];
	struct sl_ask ask = sl_steady_ask(t, s, key, tcp_flags);

	return sl_flow_alive(entry->value, terms, ask.now) ? sl_track_hit(t, &ask, terms, entry)
							   : 0;
}

/* The backend of a flow that isn't known, which is entered. *full: there was no room, and nobody
 * has counted that yet. */
SL_APART uint32_t sl_steady_unknown(const struct sl_tables *t, const struct sl_known_service *s,
				    uint64_t key, uint32_t row, uint8_t tcp_flags, bool *full)
{
	struct sl_ask ask = sl_steady_ask(t, s, key, tcp_flags);
	uint32_t backend;

	ask.hash = sl_hash_flow(key, t->root->flow_key);
	ask.row = row;
	ask.always = s->flags & SL_SERVICE_TRACK;
	backend = sl_track_unknown(t, &ask);
	*full = backend == SL_TRACK_CROWDED;
	return *full ? sl_track_full(t, &ask) : backend;
}

/* The backend of a flow that is looked up and known, or 0; *entry is its place. */
SL_INLINE uint32_t sl_steady_track(const struct sl_tables *t, const struct sl_step *step,
				   uint8_t tcp_flags, struct sl_flow_at *entry, bool six)
{
	const struct sl_known_service *s = step->service;
	uint64_t key = sl_step_key(step, six);
	uint32_t own[2];
	const uint32_t *bucket = six ? own : step->bucket;

	/* A SYN is of no flow that is known, or nearly so. */
	if (sl_unlikely(!(s->flags & SL_SERVICE_LOOKUP) || sl_begins(tcp_flags)))
		return 0;
	if (six)
		sl_steady_buckets(t, sl_hash_flow(key, t->root->flow_key), t->root->flow_key, own);
	*entry = sl_track_in(&t->bucket[bucket[0]], key);
	if (sl_unlikely(!entry->bucket))
		*entry = sl_track_in(&t->bucket[bucket[1]], key);
	if (sl_unlikely(!entry->bucket))
		return 0;
	if (sl_likely(sl_event_of(tcp_flags) == SL_EVENT_DATA &&
		      sl_track_settled(entry->value, &t->terms[s->id], sl_seam_now(t))))
		return sl_flow_backend(entry->value);
	return sl_steady_hit(t, s, key, tcp_flags, entry);
}

/* What the limit says that is kept in the flow's entry. */
SL_APART enum sl_bite sl_steady_charge(const struct sl_tables *t, const struct sl_step *step,
				       uint32_t frame_length, struct sl_flow_at *entry)
{
	const struct sl_known_service *s = step->service;
	bool six = step->kind & SL_STEADY_SIX;
	const struct sl_tcp *tcp = sl_steady_tcp(step->l3, six);
	const struct sl_limit *limit = sl_seam_limit(t, s->service->limits);
	union sl_addr client = sl_l3_src(step->l3, six);
	struct sl_packet p = { .length = frame_length };
	struct sl_limit_ask packet =
		sl_route_about(t, &p, step->l3, sl_steady_protocol(step->l3, six), &client,
			       tcp->src, SL_TO_BACKEND, six);

	return limit ? sl_track_charge_at(t, limit, &packet, sl_step_key(step, six),
					  sl_flow_state(entry->value), entry)
		     : SL_BITE_FREE;
}

/* Into a tunnel, as tunnel.h has it, without tags and with an outer header of IPv4. */
SL_INLINE enum sl_reason sl_steady_tunnel(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_step *step, const struct sl_backend *b,
					  bool six)
{
	uint8_t mode = step->service->mode;
	struct sl_tunnel o = { .mode = mode };
	struct sl_inner in = { 0 };
	struct sl_outer4 *outer;
	struct sl_eth *eth;
	uint32_t ports = *(const sl_u32_any *)sl_steady_tcp(step->l3, six), size;

	if (six)
		sl_inner_read6((void *)step->l3, ports, t->root->row_key, &in);
	else
		sl_inner_read4((void *)step->l3, ports, t->root->row_key, &in);
	sl_tunnel_read(&o, b, in.hash);
	size = sizeof(outer->ip) + sl_gue_size(&o);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(!sl_seam_grow(p, size)))
		return SL_REASON_no_room;
	if (six)
		((struct sl_ip6 *)(void *)step->l3)->hops--;
	else
		sl_ip4_hop((void *)step->l3, 0);
	eth = (void *)p->data;
	outer = (void *)(eth + 1);
	sl_eth_address(eth, o.mac);
	eth->type = sl_htons(SL_ETH_IP4);
	sl_outer4_write(&outer->ip, &o, &in, size);
	if (mode == SL_MODE_GUE)
		sl_gue_write(&outer->gue, &o, &in);
	return SL_REASON_to_backend;
}

/* unknown: the flow is looked up, and isn't known. */
SL_INLINE enum sl_reason sl_steady_forward(const struct sl_tables *t, const struct sl_step *step,
					   enum sl_steady_kind kind, uint32_t ports,
					   struct sl_packet *p, uint8_t protocol, bool six,
					   bool unknown, uint16_t *egress)
{
	const struct sl_known_service *s = step->service;
	bool is_tcp = protocol == SL_PROTO_TCP;
	const struct sl_tcp *tcp = sl_steady_tcp(step->l3, six);
	uint32_t row = *(const volatile uint32_t *)(s->rows + step->at), backend, id;
	uint32_t frame_length = p->length, l4 = sl_steady_l4(step, six);
	uint8_t tcp_flags = is_tcp ? tcp->flags : 0;
	bool begin = sl_begins(tcp_flags);
	uint16_t able = SL_BACKEND_RESOLVED, mss;
	enum sl_bite bite = SL_BITE_NONE;
	bool full = false;
	struct sl_flow_at entry;
	struct sl_traffic *traffic;
	const struct sl_backend *b;
	struct sl_nat n;

	if (kind == SL_STEADY_TUNNEL && sl_unlikely(step->l3_at != sizeof(struct sl_eth)))
		return SL_ELSEWHERE;
	if (unknown) {
		backend = sl_steady_unknown(t, s, sl_step_key(step, six), row, tcp_flags, &full);
	} else if (sl_likely(sl_row_state(row) == SL_ROW_CLOSED &&
			     !(s->flags & SL_SERVICE_TRACK))) {
		backend = sl_row_cur(row);
	} else {
		backend = sl_steady_track(t, step, tcp_flags, &entry, six);
		able |= SL_BACKEND_SERVES;
		if (sl_unlikely(!backend))
			return SL_UNKNOWN_FLOW;
	}
	if (sl_unlikely(backend - 1 >= s->n_backends))
		return SL_ELSEWHERE;
	b = &s->backends[backend - 1];
	id = b->traffic;
	mss = unknown ? b->mss : 0;
	*egress = b->egress;
	if (sl_unlikely((b->flags & able) != able || sl_l3_length(step->l3, six) > b->mtu ||
			id >= t->traffics || *egress >= ports || (begin && b->mss && !unknown)))
		return SL_ELSEWHERE;
	if (kind == SL_STEADY_TUNNEL && sl_unlikely(!sl_addr_is4(&b->addr)))
		return SL_ELSEWHERE;
	if (unknown && full)
		t->tally[s->id].untrackable++;
	if (sl_unlikely(s->flags & SL_SERVICE_ENTRY_TO))
		bite = sl_steady_charge(t, step, frame_length, &entry);
	sl_nat_of_backend(&n, b);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(bite != SL_BITE_NONE)) {
		if (bite == SL_BITE_DROP)
			return SL_REASON_limit_flow;
		if (bite == SL_BITE_MARK)
			six ? sl_ecn_mark6(p, step->l3_at) : sl_ecn_mark(p, step->l3_at);
	}
	if (unknown && begin && mss)
		sl_mss_clamp(*p, step->l3_at, l4, mss);
	if (kind == SL_STEADY_TUNNEL) {
		enum sl_reason reason = sl_steady_tunnel(t, p, step, b, six);

		if (sl_unlikely(reason != SL_REASON_to_backend))
			return reason;
	} else if (kind == SL_STEADY_DIRECT) {
		sl_eth_address((void *)p->data, n.mac);
	} else {
		sl_nat(p, step->l3_at, l4, protocol, &n, false, six);
	}
	traffic = &t->traffic[id];
	if (sl_unlikely(begin))
		traffic->connections++;
	traffic->packets_in++;
	traffic->bytes_in += frame_length;
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_steady_reply(const struct sl_tables *t, const struct sl_step *step,
					 uint32_t ports, struct sl_packet *p, bool six,
					 uint16_t *egress)
{
	const struct sl_reverse *r = step->reverse;
	const struct sl_route *route = &t->route[step->at];
	const struct sl_tcp *tcp = sl_steady_tcp(step->l3, six);
	uint8_t protocol = sl_steady_protocol(step->l3, six);
	bool is_tcp = protocol == SL_PROTO_TCP;
	uint8_t matters = r->flags & SL_SERVICE_LOOKUP ? SL_TCP_FIN | SL_TCP_RST : 0;
	uint32_t id = r->traffic;
	struct sl_traffic *traffic;
	struct sl_nat n;

	if (r->mss)
		matters |= SL_TCP_SYN;
	*egress = route->port;
	if (sl_unlikely(route->kind != SL_ROUTE_VIA || sl_l3_length(step->l3, six) > route->mtu ||
			(is_tcp && tcp->flags & matters) || id >= t->traffics || *egress >= ports))
		return SL_ELSEWHERE;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	sl_nat_of_reverse(&n, r);
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	sl_nat(p, step->l3_at, sl_steady_l4(step, six), protocol, &n, true, six);
	traffic = &t->traffic[id];
	traffic->packets_out++;
	traffic->bytes_out += p->length;
	return SL_REASON_to_client;
}

/* The second half once it has said SL_UNKNOWN_FLOW: the flow is entered. */
SL_APART enum sl_reason sl_steady_enter(const struct sl_tables *t, const struct sl_step *step,
					uint32_t ports, struct sl_packet *p, uint16_t *egress)
{
	uint16_t flags = step->service->flags & (SL_SERVICE_LOOKUP | SL_SERVICE_ENTRY);
	bool six = step->kind & SL_STEADY_SIX;

	if (flags != SL_SERVICE_LOOKUP)
		return SL_ELSEWHERE;
	return sl_steady_forward(t, step, step->kind & ~SL_STEADY_SIX, ports, p,
				 sl_steady_protocol(step->l3, six), six, true, egress);
}

/* The second half, of a step of that kind. p: the frame, of which data, end, frame and length are
 * asked for, and which a tunnel makes longer. SL_REASON_to_backend or SL_REASON_to_client, and
 * *egress, one of so many ports, once it is rewritten; why it can't; SL_ELSEWHERE; or
 * SL_UNKNOWN_FLOW, which sl_steady_enter() may do something about. */
SL_INLINE enum sl_reason sl_steady_route(const struct sl_tables *t, const struct sl_step *step,
					 enum sl_steady_kind kind, uint32_t ports,
					 struct sl_packet *p, uint16_t *egress)
{
	bool six = kind & SL_STEADY_SIX;
	enum sl_steady_kind way = kind & ~SL_STEADY_SIX;
	uint8_t protocol;

	switch (way) {
	case SL_STEADY_REPLY:
		return sl_steady_reply(t, step, ports, p, six, egress);
	case SL_STEADY_NAT:
	case SL_STEADY_DIRECT:
	case SL_STEADY_TUNNEL:
		protocol = sl_steady_protocol(step->l3, six);
		/* NAT of each in code of its own. */
		if (way == SL_STEADY_NAT && sl_likely(protocol == SL_PROTO_TCP))
			return sl_steady_forward(t, step, way, ports, p, SL_PROTO_TCP, six, false,
						 egress);
		if (way == SL_STEADY_NAT)
			protocol = SL_PROTO_UDP;
		return sl_steady_forward(t, step, way, ports, p, protocol, six, false, egress);
	default:
		return SL_ELSEWHERE;
	}
}

#endif
