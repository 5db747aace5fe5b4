/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of nearly all packets: IPv4 without options and whole, to a service that a worker has
 * served before, or from a backend. It decides as core/ does, in fewer steps:
 *
 * - What a packet has to be is compared a word at a time, and stands where it always stands.
 * - What is asked of a service's record was asked when the service was first met, and is at hand
 *   in a line of the worker's own, found by what the packet says. It holds until the worker takes
 *   another generation; the bank's sequence word is read before the packet is written to, as
 * always.
 *
 * Whatever is otherwise ends with SL_STEADY_NOT or SL_ELSEWHERE, before anything has changed that
 * may not change twice, and is decided by core/ from the buffer on. So this file may be taken out,
 * and nothing changes but the speed: replay and the tests go the same two ways (decide_one.h).
 */
#ifndef SL_ENGINE_STEADY_H
#define SL_ENGINE_STEADY_H

#include "seam.h"

enum {
	SL_STEADY_BITS = 6,
	SL_STEADY_PLACES = 1 << SL_STEADY_BITS,
	SL_STEADY_TCP = sizeof(struct sl_ip4) + sizeof(struct sl_tcp),
	SL_STEADY_UDP = sizeof(struct sl_ip4) + sizeof(struct sl_udp),
};

/* Of a service: that packets to it are decided in core/, as those of tunnels are. Of limits there
 * is one here, that which is kept in the flow's entry. */
#define SL_STEADY_NEVER                                                                            \
	(SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW | SL_SERVICE_QUIC | SL_SERVICE_FULLNAT)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are compared as they lie there");

/* What the first half knows of a packet. */
enum sl_steady_kind {
	SL_STEADY_NOT,	 /* nothing: it isn't for here */
	SL_STEADY_KNOWN, /* its service, whose second half isn't here: see SL_STEADY_NEVER */
	SL_STEADY_NAT,
	SL_STEADY_DIRECT,
	SL_STEADY_REPLY, /* the backend that it comes from, and its route */
};

/* A service, as far as it is asked for each packet. */
struct sl_steady {
	uint64_t to; /* sl_steady_to(), or ~0 */
	const struct sl_service *service;
	const uint32_t *rows; /* row_mask + 1 of them, and n_backends: checked to be there */
	const struct sl_backend *backends;
	uint32_t row_mask;
	uint32_t n_backends;
	uint32_t row_endpoint;
	sl_be32 counts4; /* affinity: what of a client's address and port makes its row */
	sl_be16 counts_port;
	uint16_t id;
	uint16_t flags;
	uint8_t least; /* bytes of its packets' headers */
	uint8_t kind;  /* enum sl_steady_kind */
	uint32_t limits;
} __attribute__((aligned(64)));

struct sl_known {
	uint64_t generation;
	struct sl_steady steady[SL_STEADY_PLACES];
};

_Static_assert(sizeof(struct sl_steady) == 64, "one cache line");

/* Destination address, protocol, and port: as they lie behind the source, with the protocol where
 * the source's port is. */
SL_INLINE uint64_t sl_steady_to(sl_be32 dst, uint8_t protocol, sl_be16 port)
{
	return (uint32_t)dst | (uint64_t)protocol << 32 | (uint64_t)(uint16_t)port << 48;
}

SL_INLINE uint32_t sl_steady_place(uint64_t to)
{
	uint32_t folded =
		(uint32_t)(to ^ to >> 32); /* a port alone would stay in the highest bits */

	return (uint32_t)(folded * 0x9e3779b97f4a7c15ull >> (64 - SL_STEADY_BITS));
}

/* Nothing is known in the generation that the tables are of. */
static inline void sl_known_forget(struct sl_known *known, uint64_t generation)
{
	known->generation = generation;
	for (int i = 0; i < SL_STEADY_PLACES; i++)
		known->steady[i].to = ~0ull;
}

/* What the first half hands to the second. */
struct sl_step {
	union {
		const struct sl_steady *steady;
		const struct sl_reverse *reverse; /* of a reply */
	};
	uint8_t *l3;
	uint32_t at;	    /* row; of a reply the place of its route */
	uint16_t l3_at;	    /* from the frame's first byte */
	uint16_t kind;	    /* enum sl_steady_kind */
	uint32_t bucket[2]; /* of the flow, where the service looks flows up */
};

/* What core/ has found for a packet to a service is at hand from now on, unless its place is one of
 * which the n steps make use: two services that share a place, and are both busy, would push each
 * other out for ever. Steps hold no longer than until the next is learned. */
static inline void sl_known_learn(const struct sl_tables *t, struct sl_known *known,
				  const struct sl_service *service, const struct sl_step *step,
				  uint32_t n)
{
	struct sl_service s = *service;
	uint8_t protocol = (uint8_t)(s.endpoint >> 16);
	uint64_t rows = (uint64_t)s.rows * SL_ROWS_PER_RECORD;
	bool never = s.flags & SL_STEADY_NEVER ||
		     (s.flags & SL_SERVICE_ENTRY_TO && !(s.flags & SL_SERVICE_TRACK));
	struct sl_steady new = {
		.to = sl_steady_to(s.vip.w[3], protocol, (sl_be16)(uint16_t)s.endpoint),
		.service = service,
		.rows = sl_seam_row(t, rows),
		.backends = sl_seam_backend(t, s.backends),
		.row_mask = s.row_mask,
		.n_backends = s.n_backends,
		.row_endpoint = s.row_endpoint,
		.counts4 = (sl_be32) ~(uint32_t)s.ignore4,
		.counts_port = (sl_be16) ~(uint16_t)s.ignore_port,
		.id = s.id,
		.flags = s.flags,
		.least = protocol == SL_PROTO_TCP ? SL_STEADY_TCP : SL_STEADY_UDP,
		.kind = never			   ? SL_STEADY_KNOWN
			: s.mode == SL_MODE_NAT	   ? SL_STEADY_NAT
			: s.mode == SL_MODE_DIRECT ? SL_STEADY_DIRECT
						   : SL_STEADY_KNOWN,
		.limits = s.limits,
	};

	struct sl_steady *place = &known->steady[sl_steady_place(new.to)];

	for (uint32_t i = 0; i < n; i++)
		if (step[i].kind != SL_STEADY_NOT && step[i].steady == place)
			return;
	if (known->generation == t->generation && sl_addr_is4(&s.vip) && s.id < t->n_terms &&
	    !(s.flags & SL_SERVICE_RANGE) && s.n_backends && sl_seam_row(t, rows + s.row_mask) &&
	    sl_seam_backend(t, (uint64_t)s.backends + s.n_backends - 1) && sl_seam_current(t))
		*place = new;
}

/* What gcc is to keep in registers over a burst: nobody else can be writing here. */
struct sl_steady_keys {
	uint64_t row[2];
	uint64_t flow[2];
};

SL_INLINE struct sl_steady_keys sl_steady_keys(const struct sl_root *root)
{
	return (struct sl_steady_keys){ { root->row_key[0], root->row_key[1] },
					{ root->flow_key[0], root->flow_key[1] } };
}

/* A source that no host has, by its first byte: as sl_martian4() has it. */
static const uint8_t sl_martian_net[256] = { [0] = 1, [127] = 1, [224 ... 255] = 1 };

/* The first half of a packet that is to none of the services that are known: whether it is from a
 * backend. left: bytes of the frame from its network header on. */
SL_INLINE bool sl_steady_from(const struct sl_tables *t, const struct sl_ip4 *ip, uint32_t left,
			      struct sl_step *step)
{
	const struct sl_tcp *tcp = (const void *)(ip + 1);
	uint32_t least = ip->protocol == SL_PROTO_TCP ? SL_STEADY_TCP : SL_STEADY_UDP;
	uint32_t length = sl_ntohs(ip->length), place;
	union sl_addr dst = sl_addr4(ip->dst), src = sl_addr4(ip->src);
	const struct sl_reverse *r;
	const struct sl_route *route;

	if (sl_unlikely(ip->version_ihl != 0x45 || ip->fragment & sl_htons(SL_IP4_FRAGMENT) ||
			length - least > left - least || ip->ttl <= 1 ||
			(ip->protocol != SL_PROTO_TCP && ip->protocol != SL_PROTO_UDP)))
		return false;
	if (sl_service_find(t, &dst, sl_endpoint(tcp->dst, ip->protocol)))
		return false; /* not known yet */
	r = sl_reverse_find(t, &src, sl_endpoint(tcp->src, ip->protocol));
	if (sl_unlikely(!r || r->flags & SL_SERVICE_ODD_FROM))
		return false;
	place = sl_route_find4(t, ip->dst);
	route = sl_seam_route(t, place);
	if (sl_unlikely(!route || route->kind != SL_ROUTE_VIA))
		return false;
	step->reverse = r;
	step->at = place;
	return true;
}

/* The first half: how far it got. */
SL_INLINE enum sl_steady_kind sl_steady_classify(const struct sl_tables *t,
						 const struct sl_known *known,
						 struct sl_steady_keys keys, uint8_t *data,
						 uint32_t linear, uint32_t frame_length,
						 struct sl_step *step)
{
	const struct sl_eth *eth = (const void *)data;
	uint32_t l3 = sizeof(*eth), length, fate;
	const struct sl_steady *s;
	const struct sl_ip4 *ip;
	const struct sl_tcp *tcp;
	uint64_t to;

	step->kind = SL_STEADY_NOT;
	if (sl_unlikely(linear < l3 + SL_STEADY_TCP))
		return SL_STEADY_NOT;
	if (sl_unlikely(eth->type != sl_htons(SL_ETH_IP4))) {
		const struct sl_packet p = { .data = data, .end = data + linear };
		uint16_t type;

		l3 = sl_parse_link(&p, &type);
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
	s = &known->steady[sl_steady_place(to)];
	length = sl_ntohs(ip->length);
	if (sl_unlikely((s->to ^ to) | (ip->version_ihl ^ 0x45) |
			(fate & sl_htons(SL_IP4_FRAGMENT)))) {
		if (sl_steady_from(t, ip, frame_length - l3, step))
			step->kind = SL_STEADY_REPLY;
		return (enum sl_steady_kind)step->kind;
	}
	if (sl_unlikely(length - s->least > frame_length - l3 - s->least || ip->ttl <= 1 ||
			sl_martian_net[(uint8_t)ip->src] || ip->src == ip->dst))
		return SL_STEADY_NOT;
	step->steady = s;
	step->at = sl_hash_row((sl_be32)((uint32_t)ip->src & (uint32_t)s->counts4),
			       (sl_be16)((uint16_t)tcp->src & (uint16_t)s->counts_port), ip->dst,
			       s->row_endpoint, keys.row) &
		   s->row_mask;
	sl_seam_prefetch(s->rows + step->at);
	if (s->flags & SL_SERVICE_LOOKUP) {
		uint64_t hash = sl_hash_flow(sl_flow_key4(s->id, ip->src, tcp->src), keys.flow);

		step->bucket[0] = sl_hash_bucket(hash, t->buckets);
		step->bucket[1] = sl_hash_bucket2(hash, t->buckets, keys.flow);
		sl_seam_prefetch(&t->bucket[step->bucket[0]]);
		sl_seam_prefetch(&t->bucket[step->bucket[1]]);
	}
	step->kind = s->kind;
	return (enum sl_steady_kind)step->kind;
}

SL_INLINE uint64_t sl_step_key(const struct sl_step *step)
{
	const struct sl_ip4 *ip = (const void *)step->l3;
	const struct sl_tcp *tcp = (const void *)(ip + 1);

	return sl_flow_key4(step->steady->id, ip->src, tcp->src);
}

/* The same as core/ would have it. */
SL_INLINE void sl_step_work(const struct sl_tables *t, const struct sl_step *step,
			    struct sl_work *w)
{
	w->at = step->at;
	w->l3 = (uint8_t)step->l3_at;
	w->l4 = (uint8_t)(step->l3_at + sizeof(struct sl_ip4));
	w->hash = 0;
	if (step->kind == SL_STEADY_REPLY) {
		w->reverse = step->reverse;
		w->todo = SL_TODO_REVERSE;
		return;
	}
	w->service = step->steady->service;
	w->todo = SL_TODO_SERVICE;
	if (step->steady->flags & SL_SERVICE_LOOKUP)
		w->hash = sl_hash_flow(sl_step_key(step), sl_seam_root(t)->flow_key);
}

/* What happens to the entry of a flow that is known: the backend, or 0. */
SL_APART uint32_t sl_steady_hit(const struct sl_tables *t, const struct sl_step *step,
				uint8_t tcp_flags, struct sl_flow_at *entry)
{
	const struct sl_steady *s = step->steady;
	const struct sl_terms *terms = &t->terms[s->id];
	struct sl_ask ask = { .key = sl_step_key(step),
			      .now = sl_seam_now(t),
			      .backends = (uint32_t)(s->backends - t->backend),
			      .n_backends = s->n_backends,
			      .event = (uint8_t)sl_event_of(tcp_flags),
			      .timed = s->flags & SL_SERVICE_ENTRY };

	return sl_flow_alive(entry->value, terms, ask.now) ? sl_track_hit(t, &ask, terms, entry)
							   : 0;
}

/* The backend of a flow that is looked up and known, or 0; *entry is its place. */
SL_INLINE uint32_t sl_steady_track(const struct sl_tables *t, const struct sl_step *step,
				   uint8_t tcp_flags, struct sl_flow_at *entry)
{
	const struct sl_steady *s = step->steady;
	uint64_t key = sl_step_key(step);

	/* A SYN is of no flow that is known, or nearly so. */
	if (sl_unlikely(!(s->flags & SL_SERVICE_LOOKUP) || sl_begins(tcp_flags)))
		return 0;
	*entry = sl_track_in(&t->bucket[step->bucket[0]], key);
	if (sl_unlikely(!entry->bucket))
		*entry = sl_track_in(&t->bucket[step->bucket[1]], key);
	if (sl_unlikely(!entry->bucket))
		return 0;
	if (sl_likely(sl_event_of(tcp_flags) == SL_EVENT_DATA &&
		      sl_track_settled(entry->value, &t->terms[s->id], sl_seam_now(t))))
		return sl_flow_backend(entry->value);
	return sl_steady_hit(t, step, tcp_flags, entry);
}

/* What the limit says that is kept in the flow's entry. */
SL_APART enum sl_bite sl_steady_charge(const struct sl_tables *t, const struct sl_step *step,
				       uint32_t frame_length, struct sl_flow_at *entry)
{
	const struct sl_steady *s = step->steady;
	const struct sl_ip4 *ip = (const void *)step->l3;
	const struct sl_tcp *tcp = (const void *)(ip + 1);
	const struct sl_limit *limit = sl_seam_limit(t, s->limits);
	uint64_t key = sl_step_key(step);
	union sl_addr client = sl_addr4(ip->src);
	struct sl_packet p = { .length = frame_length };
	struct sl_limit_ask packet =
		sl_route_about(t, &p, ip, ip->protocol, &client, tcp->src, SL_TO_BACKEND, false);

	return limit ? sl_track_charge_at(t, limit, &packet, key, sl_flow_state(entry->value),
					  entry)
		     : SL_BITE_FREE;
}

SL_INLINE enum sl_reason sl_steady_route_of(const struct sl_tables *t, const struct sl_step *step,
					    uint32_t ports, uint32_t frame_length, bool is_tcp,
					    bool nat, uint16_t *egress)
{
	const struct sl_steady *s = step->steady;
	struct sl_ip4 *ip = (void *)step->l3;
	struct sl_tcp *tcp = (void *)(ip + 1);
	struct sl_udp *udp = (void *)tcp;
	struct sl_eth *eth = (void *)(step->l3 - step->l3_at);
	uint32_t row = *(const volatile uint32_t *)(s->rows + step->at), backend, id;
	bool begin = is_tcp && sl_begins(tcp->flags);
	uint16_t able = SL_BACKEND_RESOLVED;
	enum sl_bite bite = SL_BITE_NONE;
	struct sl_flow_at entry;
	struct sl_traffic *traffic;
	const struct sl_backend *b;
	struct sl_nat n;

	if (sl_likely(sl_row_state(row) == SL_ROW_CLOSED && !(s->flags & SL_SERVICE_TRACK))) {
		backend = sl_row_cur(row);
	} else {
		backend = sl_steady_track(t, step, is_tcp ? tcp->flags : 0, &entry);
		able |= SL_BACKEND_SERVES;
	}
	if (sl_unlikely(backend - 1 >= s->n_backends))
		return SL_ELSEWHERE;
	b = &s->backends[backend - 1];
	id = b->traffic;
	*egress = b->egress;
	if (sl_unlikely((b->flags & able) != able || sl_ntohs(ip->length) > b->mtu ||
			id >= t->traffics || *egress >= ports || (begin && b->mss)))
		return SL_ELSEWHERE;
	if (sl_unlikely(s->flags & SL_SERVICE_ENTRY_TO))
		bite = sl_steady_charge(t, step, frame_length, &entry);
	__builtin_memcpy(n.mac, b->dst_mac, sizeof(n.mac));
	n.addr = b->addr.w[3];
	n.port = b->port;
	n.ip_delta = b->ip_delta;
	n.l4_delta = b->l4_delta;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (sl_unlikely(bite != SL_BITE_NONE)) {
		struct sl_packet p = { .data = (uint8_t *)eth };

		if (bite == SL_BITE_DROP)
			return SL_REASON_limit_flow;
		if (bite == SL_BITE_MARK)
			sl_ecn_mark(&p, step->l3_at);
	}
	traffic = &t->traffic[id];
	if (sl_unlikely(begin))
		traffic->connections++;
	traffic->packets_in++;
	traffic->bytes_in += frame_length;
	sl_eth_address(eth, n.mac);
	if (!nat)
		return SL_REASON_to_backend;
	ip->dst = n.addr;
	udp->dst = n.port;
	if (is_tcp)
		tcp->csum = sl_csum_add(tcp->csum, n.l4_delta);
	else
		sl_udp_csum(udp, n.l4_delta);
	sl_ip4_hop(ip, n.ip_delta);
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_steady_reply(const struct sl_tables *t, const struct sl_step *step,
					 uint32_t ports, uint32_t frame_length, uint16_t *egress)
{
	const struct sl_reverse *r = step->reverse;
	const struct sl_route *route = &t->route[step->at];
	struct sl_ip4 *ip = (void *)step->l3;
	struct sl_tcp *tcp = (void *)(ip + 1);
	struct sl_udp *udp = (void *)tcp;
	struct sl_eth *eth = (void *)(step->l3 - step->l3_at);
	bool is_tcp = ip->protocol == SL_PROTO_TCP;
	uint8_t matters = r->flags & SL_SERVICE_LOOKUP ? SL_TCP_FIN | SL_TCP_RST : 0;
	uint32_t id = r->traffic;
	struct sl_traffic *traffic;
	struct sl_nat n;

	if (r->mss)
		matters |= SL_TCP_SYN;
	*egress = route->port;
	if (sl_unlikely(route->kind != SL_ROUTE_VIA || sl_ntohs(ip->length) > route->mtu ||
			(is_tcp && tcp->flags & matters) || id >= t->traffics || *egress >= ports))
		return SL_ELSEWHERE;
	__builtin_memcpy(n.mac, route->dst_mac, sizeof(n.mac));
	n.addr = r->vip.w[3];
	n.port = r->port;
	n.ip_delta = r->ip_delta;
	n.l4_delta = r->l4_delta;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	traffic = &t->traffic[id];
	traffic->packets_out++;
	traffic->bytes_out += frame_length;
	sl_eth_address(eth, n.mac);
	ip->src = n.addr;
	udp->src = n.port;
	if (is_tcp)
		tcp->csum = sl_csum_add(tcp->csum, n.l4_delta);
	else
		sl_udp_csum(udp, n.l4_delta);
	sl_ip4_hop(ip, n.ip_delta);
	return SL_REASON_to_client;
}

/* The second half, of a step of that kind: SL_REASON_to_backend or SL_REASON_to_client, and
 * *egress, one of so many ports, once the frame is rewritten; SL_REASON_torn_table;
 * SL_REASON_limit_flow; or SL_ELSEWHERE. */
SL_INLINE enum sl_reason sl_steady_route(const struct sl_tables *t, const struct sl_step *step,
					 enum sl_steady_kind kind, uint32_t ports,
					 uint32_t frame_length, uint16_t *egress)
{
	const struct sl_ip4 *ip = (const void *)step->l3;

	switch (kind) {
	case SL_STEADY_NAT:
		return sl_likely(ip->protocol == SL_PROTO_TCP)
			       ? sl_steady_route_of(t, step, ports, frame_length, true, true,
						    egress)
			       : sl_steady_route_of(t, step, ports, frame_length, false, true,
						    egress);
	case SL_STEADY_DIRECT:
		return sl_steady_route_of(t, step, ports, frame_length,
					  ip->protocol == SL_PROTO_TCP, false, egress);
	case SL_STEADY_REPLY:
		return sl_steady_reply(t, step, ports, frame_length, egress);
	default:
		return SL_ELSEWHERE;
	}
}

/* Both halves as a worker goes them, for who has one packet at a time: a service is known as soon
 * as it is met. */
struct sl_halves {
	struct sl_known known;
	struct sl_step step;
	struct sl_work work;
};

static inline void sl_halves_classify(struct sl_halves *h, const struct sl_tables *t,
				      const struct sl_packet *p)
{
	struct sl_steady_keys keys = sl_steady_keys(t->root);
	uint32_t linear = (uint32_t)(p->end - p->data);

	sl_known_forget(&h->known, t->generation);
	sl_classify(t, p, &h->work);
	if (h->work.todo == SL_TODO_SERVICE)
		sl_known_learn(t, &h->known, h->work.service, NULL, 0);
	if (sl_steady_classify(t, &h->known, keys, p->data, linear, p->length, &h->step))
		sl_step_work(t, &h->step, &h->work);
}

static inline enum sl_reason sl_halves_route(struct sl_halves *h, const struct sl_tables *t,
					     struct sl_packet *p, uint16_t *egress)
{
	enum sl_reason reason = sl_steady_route(t, &h->step, (enum sl_steady_kind)h->step.kind,
						SL_PORTS_MAX, p->length, egress);

	if (reason != SL_ELSEWHERE)
		return reason;
	return sl_decide_end(t, p, sl_route(t, p, &h->work, egress), egress);
}

#endif
