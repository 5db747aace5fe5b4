/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Full NAT. The way there is forward.h's, with one step more (bind.h): a flow's first packet, when
 * it's tracked, ends there and goes on here, where it gets its port.
 *
 * The way back is to an address of a pool. The port says which flow it is; its key which service,
 * and which client; its entry which backend, and nobody else may answer: so backends may be shared
 * by services, and a stranger who guesses a port is heard by nobody. What is of no flow, or of one
 * whose entry is dead, is dropped.
 *
 *   a packet, or a first fragment   from the backend: to the client, from the VIP
 *   a later fragment                as its first one (fragment.h), without ports
 *   an ICMP error                   about a packet pool → backend, from there or a router on the
 *                                   way: to the client, with the VIP as its source, as icmp.h has
 * it
 *
 * Both families are decided by the same lines, in which `six` is a constant wherever they are used.
 */
#ifndef SL_CORE_FULLNAT_H
#define SL_CORE_FULLNAT_H

#include "forward.h"
#include "reply.h"

/* A flow's first packet, or one that sl_route_service() didn't find bound, which has done with it
 * all but what follows from the port; p->mtu: what it knew of that. */
SL_INLINE enum sl_reason sl_fullnat_first_with(const struct sl_tables *t, struct sl_packet *p,
					       const struct sl_work *w, uint16_t *egress, bool six)
{
	uint32_t id, length = p->length;
	const struct sl_udp *ports;
	struct sl_traffic *traffic;
	const struct sl_tcp *tcp;
	enum sl_reason reason;
	union sl_addr client;
	uint64_t key, bound;
	struct sl_nat n;
	const void *l3;
	uint8_t protocol;
	bool begin;

	/* Each is checked at once: clang may look twice at what is checked later. */
	if (!(l3 = sl_l3_again(p, w, six)) || !(ports = sl_packet_again(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	key = sl_work_key(w, l3, ports->src, six);
	client = sl_l3_src(l3, six);
	protocol = sl_l3_protocol(l3, w->service->endpoint, six);
	tcp = protocol == SL_PROTO_TCP ? sl_packet_again(p, w->l4, sizeof(*tcp)) : NULL;
	begin = tcp && sl_begins(tcp->flags);
	bound = sl_bind_new(t, key, sl_seam_now(t), w->service->pool, p->mtu, &client, ports->src);
	if (bound == SL_BOUND_ENDING)
		return sl_fullnat_refuses(t, w->service);
	if (!(bound & SL_BOUND)) {
		if (!sl_seam_current(t))
			return SL_REASON_torn_table;
		return bound == SL_BOUND_NO_ENTRY ? SL_REASON_no_entry : SL_REASON_pool_full;
	}
	if (protocol == SL_PROTO_TCP && (tcp = sl_packet_again(p, w->l4, sizeof(*tcp))))
		sl_segment(t, sl_bound_place(t, w->service->pool, bound), sl_segment_numbers(tcp),
			   sl_segment_what(w, l3, tcp, six), key, sl_seam_now(t));
	reason = sl_look_backend(t, w, key, &n, &id, egress);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (!n.port)
		n.port = ports->dst;
	reason = sl_route_odd(t, p, w, l3, n.index, SL_MODE_FULLNAT, begin, six);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (!sl_route_from(t, p, w, protocol, bound, &n.addr, six) ||
	    !sl_nat(p, w->l3, w->l4, protocol, &n, false, six))
		return SL_REASON_bad_header;
	traffic = sl_seam_traffic(t, id);
	if (traffic) {
		traffic->packets_in++;
		traffic->bytes_in += length;
		traffic->connections += begin;
	}
	return SL_REASON_to_backend;
}

/* Whom a port is bound to. */
struct sl_back {
	const struct sl_reverse *r; /* by the service's id */
	const struct sl_backend *backend;
	uint64_t key;
	union sl_addr client;
	sl_be16 port;	/* the client's */
	uint32_t place; /* of the binding */
};

/* The flow that a port of a pool's address is bound to; 0: none. */
SL_INLINE uint64_t sl_back_key(const struct sl_tables *t, const union sl_addr *addr, sl_be16 port,
			       struct sl_back *b, bool six)
{
	const struct sl_service *pool = sl_service_find(t, addr, 0);
	const struct sl_bound *bound;
	struct sl_bindings *line;
	uint64_t *at, key;
	uint32_t place;

	if (!pool || !(pool->flags & SL_SERVICE_POOL))
		return 0;
	place = sl_binding_at(pool->rows, sl_ntohs(port));
	b->place = place;
	line = sl_seam_bindings(t, place / SL_BINDINGS);
	if (!line)
		return 0;
	at = &line->key[place % SL_BINDINGS];
	key = sl_entry_load(at);
	if (!key || key & SL_BINDING_BUSY)
		return 0;
	if (!six) {
		b->client = sl_addr4((sl_be32)(uint32_t)(key >> 16));
		b->port = (sl_be16)(uint16_t)key;
		return key;
	}
	bound = sl_seam_bound(t, place);
	if (!bound)
		return 0;
	b->client = bound->addr;
	b->port = bound->port;
	return sl_entry_load(at) == key ? key : 0;
}

/* Everything about it. False: of no flow. */
SL_INLINE bool sl_back_find(const struct sl_tables *t, const union sl_addr *addr, sl_be16 port,
			    struct sl_back *b, bool six)
{
	uint64_t key = sl_back_key(t, addr, port, b, six);
	union sl_addr id = sl_reverse_id(sl_flow_key_service(key));
	uint32_t place, backend;

	if (!key)
		return false;
	b->key = key;
	b->r = sl_reverse_placed(t, &id, SL_ENDPOINT_ID, &place);
	if (!b->r)
		return false;
	backend = sl_flow_backend(sl_track_value(t, key, sl_seam_now(t)));
	if (backend - 1 >= b->r->n_backends)
		return false;
	b->backend = sl_seam_backend(t, (uint64_t)b->r->backends + backend - 1);
	return b->backend != NULL;
}

/* Whether it's the flow's backend. */
SL_INLINE bool sl_back_is(const struct sl_back *b, const union sl_addr *addr, sl_be16 port)
{
	return sl_addr_equal(&b->backend->addr, addr) &&
	       (!b->backend->port || b->backend->port == port);
}

/* The place of the client's route, and what fits the way there. SL_REASON_to_client, or why there
 * is none. */
SL_INLINE enum sl_reason sl_back_route(const struct sl_tables *t, const struct sl_back *b,
				       uint32_t *at, uint32_t *mtu, bool six)
{
	uint8_t mac[12] __attribute__((aligned(8)));
	const struct sl_route *route;
	uint16_t egress;

	*at = six ? sl_route_find6(t, &b->client) : sl_route_find4(t, b->client.w[3]);
	route = sl_seam_route(t, *at);
	*mtu = route ? route->mtu : 0;
	return sl_route_out(t, *at, &b->client, mac, &egress);
}

/* What the rewrite needs of that route, no earlier: what limits need besides wouldn't fit XDP's
 * stack. False: the tables have moved. */
SL_INLINE bool sl_back_take(const struct sl_tables *t, uint32_t at, uint8_t mac[12],
			    uint16_t *egress)
{
	const struct sl_route *route = sl_seam_route(t, at);

	if (!route)
		return false;
	__builtin_memcpy(mac, route->dst_mac, 12);
	*egress = route->port;
	return sl_seam_current(t);
}

/* TTL or hop limit, and the MAC addresses. */
SL_INLINE bool sl_back_hop(struct sl_packet *p, uint32_t l3, const uint8_t mac[12], bool six)
{
	struct sl_eth *eth;
	struct sl_ip4 *ip;
	struct sl_ip6 *ip6;

	if (!(eth = sl_packet_again(p, 0, sizeof(*eth))))
		return false;
	sl_eth_address(eth, mac);
	if (six) {
		if (!(ip6 = sl_packet_again(p, l3, sizeof(*ip6))))
			return false;
		ip6->hops--;
	} else {
		if (!(ip = sl_packet_again(p, l3, sizeof(*ip))))
			return false;
		sl_ip4_hop(ip, 0);
	}
	return true;
}

SL_INLINE void sl_back_count(const struct sl_tables *t, const struct sl_packet *p, uint32_t id)
{
	struct sl_traffic *traffic = sl_seam_traffic(t, id);

	if (sl_likely(traffic)) {
		traffic->packets_out++;
		traffic->bytes_out += p->length;
	}
}

/* A packet with ports. w->at: its protocol; w->reverse is found here. */
SL_INLINE enum sl_reason sl_fullnat_back_with(const struct sl_tables *t, struct sl_packet *p,
					      struct sl_work *w, uint16_t *egress, bool six)
{
	const struct sl_udp *ports;
	uint8_t protocol = (uint8_t)w->at;
	uint8_t mac[12] __attribute__((aligned(8)));
	enum sl_reason reason;
	union sl_addr src, dst;
	struct sl_back b;
	const void *l3;
	uint16_t flags;
	uint8_t event = SL_EVENT_DATA;
	uint32_t id, at, mtu;
	sl_be16 port;

	/* Each is checked at once: clang may look twice at what is checked later. */
	if (!(l3 = sl_l3_again(p, w, six)) || !(ports = sl_packet_again(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	src = sl_l3_src(l3, six);
	dst = sl_l3_dst(l3, six);
	if (!sl_back_find(t, &dst, ports->dst, &b, six) || b.r->protocol != protocol ||
	    !sl_back_is(&b, &src, ports->src))
		return sl_seam_current(t) ? SL_REASON_not_bound : SL_REASON_torn_table;
	if (sl_unlikely(sl_l3_ttl(l3, six) <= 1))
		return SL_REASON_ttl_told;
	if (sl_unlikely(b.backend->mss))
		sl_mss_reply(p, w->l3, w->l4, protocol, b.backend->mss);
	w->reverse = b.r;
	id = b.backend->traffic;
	flags = b.r->flags;
	reason = sl_back_route(t, &b, &at, &mtu, six);
	if (reason != SL_REASON_to_client)
		return reason;
	if (sl_unlikely(sl_l3_length(l3, six) > mtu)) {
		p->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
		return SL_REASON_too_big_told;
	}
	if (sl_likely(protocol == SL_PROTO_TCP))
		event = sl_route_window(t, p, w, l3, b.place, SL_WINDOW_BACK, six);
	reason = sl_reverse_limit(t, p, w, l3, protocol, &b.client, b.port, id, flags, event, six);
	if (reason != SL_REASON_to_client)
		return reason;
	port = b.r->port ? b.r->port : ports->src;
	if (!sl_back_take(t, at, mac, egress))
		return SL_REASON_torn_table;
	sl_route_fragment(t, p, w, b.r->vip.w[3], b.client.w[3], six);
	/* The VIP isn't copied, which wouldn't fit XDP's stack either. Should it be another's by
	 * now, what this has become is of no flow. */
	if (!sl_nat_end(p, w->l3, w->l4, protocol, &b.r->vip, port, true, six))
		return SL_REASON_bad_header;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (!sl_nat_end(p, w->l3, w->l4, protocol, &b.client, b.port, false, six) ||
	    !sl_back_hop(p, w->l3, mac, six))
		return SL_REASON_bad_header;
	sl_back_count(t, p, id);
	return SL_REASON_to_client;
}

#endif
