/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Mode fullnat. Packets to a service take the way of forward.h, plus one step (snat.h): when the
 * first packet of a flow has been tracked, it continues here, where the flow gets its SNAT port.
 *
 * Replies are sent to an address of a pool. The port leads to the flow's key, the key to the
 * service and the client, and the flow's entry to the backend. Only that backend may answer. So
 * services may share backends, and a stranger who guesses a port reaches nobody. A packet that
 * belongs to no flow, or to one whose entry has expired, is dropped.
 *
 *   packet, first fragment   from the flow's backend: to the client, with the VIP as its source
 *   later fragment           as its first fragment (fragment.h), without ports
 *   ICMP error               about a packet from the pool to a backend; sent by the backend or a
 *                            router on the way: to the client, with the VIP as its source (icmp.h)
 *
 * IPv4 and IPv6 share the code: `is_ipv6` is a constant at every call.
 */
#ifndef SL_CORE_FULLNAT_H
#define SL_CORE_FULLNAT_H

#include "forward.h"
#include "reply.h"

/* Notes beside the mapping of a flow to a prefix who the client is and which address it calls: the
 * key, a digest, doesn't tell. All who map the flow store the same. */
SL_INLINE bool sl_snat_note_vip(const struct sl_tables *t, const struct sl_lookup *w,
				const void *l3, sl_be16 port, uint64_t mapping, bool is_ipv6)
{
	uint32_t index = sl_snat_place(t, w->service->pool, mapping);
	struct sl_snat_client *client = sl_seam_snat_client(t, index);
	union sl_addr vip = sl_l3_dst(l3, is_ipv6);

	if (!client)
		return false;
	client->addr = sl_l3_src(l3, is_ipv6);
	client->vip.q[0] = (vip.q[0] & ~0xffffull) | (uint16_t)port;
	client->vip.q[1] = vip.q[1];
	return true;
}

/* The first packet of a flow, or one whose SNAT port sl_route_service() didn't find. That function
 * has done everything that doesn't depend on the port; p->mtu is the result of its search. */
SL_INLINE enum sl_reason sl_fullnat_new_flow_impl(const struct sl_tables *t, struct sl_packet *p,
						  const struct sl_lookup *w, uint16_t *egress,
						  bool is_ipv6)
{
	uint32_t id, length = p->length;
	const struct sl_udp *ports;
	struct sl_backend_counters *backend_counters;
	const struct sl_tcp *tcp;
	enum sl_reason reason;
	union sl_addr client, called;
	uint64_t key, mapping;
	struct sl_nat n;
	const void *l3;
	uint8_t protocol;
	bool begin;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!(l3 = sl_l3_header(p, w, is_ipv6)) ||
	    !(ports = sl_packet_at_parsed(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	key = w->hash;
	client = sl_l3_src(l3, is_ipv6);
	protocol = sl_l3_protocol(l3, w->service->endpoint, is_ipv6);
	tcp = protocol == SL_PROTO_TCP ? sl_packet_at_parsed(p, w->l4, sizeof(*tcp)) : NULL;
	begin = tcp && sl_is_syn(tcp->flags);
	mapping = sl_snat_assign(t, key, sl_seam_now(t), w->service->pool, p->mtu, &client,
				 ports->src);
	if (mapping == SL_SNAT_ENDING)
		return sl_fullnat_refuses(t, w->service);
	if (!(mapping & SL_SNAT_FOUND)) {
		if (!sl_seam_current(t))
			return SL_REASON_torn_table;
		return mapping == SL_SNAT_NO_ENTRY ? SL_REASON_no_entry : SL_REASON_pool_full;
	}
	if (w->service->flags & SL_SERVICE_VIP_KEYS &&
	    !sl_snat_note_vip(t, w, l3, ports->src, mapping, is_ipv6))
		return SL_REASON_bad_index;
	if (protocol == SL_PROTO_TCP && (tcp = sl_packet_at_parsed(p, w->l4, sizeof(*tcp))))
		sl_segment(t, sl_snat_place(t, w->service->pool, mapping), sl_segment_numbers(tcp),
			   sl_segment_what(w, l3, tcp, is_ipv6), key, sl_seam_now(t));
	reason = sl_resolve_backend(t, w, key, &n, &id, egress);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (!n.port)
		n.port = ports->dst;
	called = sl_l3_dst(l3, is_ipv6);
	sl_nat_called(&n, w->service, &called);
	reason = sl_route_exceptions(t, p, w, l3, n.index, SL_MODE_FULLNAT, begin, false, is_ipv6);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (!sl_route_snat(t, p, w, protocol, mapping, &n.addr, is_ipv6) ||
	    !sl_nat(p, w->l3, w->l4, protocol, &n, false, is_ipv6))
		return SL_REASON_bad_header;
	backend_counters = sl_seam_backend_counters(t, id);
	if (backend_counters) {
		backend_counters->packets_in++;
		backend_counters->bytes_in += length;
		backend_counters->connections += begin;
	}
	return SL_REASON_to_backend;
}

/* The flow of a reply to a SNAT port. */
struct sl_snat_reply {
	const struct sl_reply_entry *r; /* reply entry, found by the service's id */
	const struct sl_backend *backend;
	uint64_t key;
	union sl_addr client;
	sl_be16 port;	/* the client's */
	uint32_t index; /* of the binding */
};

/* The key of the flow that has this port of a pool's address; 0: none. */
SL_INLINE uint64_t sl_snat_reply_key(const struct sl_tables *t, const union sl_addr *addr,
				     sl_be16 port, struct sl_snat_reply *b)
{
	const struct sl_service *pool = sl_service_find(t, addr, 0);
	struct sl_snat_line *line;
	uint64_t key;
	uint32_t index;

	if (!pool || !(pool->flags & SL_SERVICE_POOL))
		return 0;
	index = sl_snat_port_index(pool->slots, sl_ntohs(port));
	b->index = index;
	line = sl_seam_snat_line(t, index / SL_SNAT_PORTS_PER_LINE);
	if (!line)
		return 0;
	key = sl_entry_load(&line->key[index % SL_SNAT_PORTS_PER_LINE]);
	return key & SL_SNAT_BUSY ? 0 : key;
}

/* The client of an IPv4 flow to a prefix as the source in a key (flow.h), which is a digest there;
 * 0: the port is another flow's by now. index: of the mapping. */
SL_INLINE uint64_t sl_snat_source_impl(const struct sl_tables *t, uint32_t index, uint64_t key)
{
	const struct sl_snat_client *client = sl_seam_snat_client(t, index);
	struct sl_snat_line *line = sl_seam_snat_line(t, index / SL_SNAT_PORTS_PER_LINE);
	uint64_t source;

	if (!client || !line)
		return 0;
	source = sl_flow_key4(0, client->addr.w[3], client->port);
	return sl_entry_load(&line->key[index % SL_SNAT_PORTS_PER_LINE]) == key ? source : 0;
}

/* The address of the prefix that the IPv4 client of a mapping has called. index: of the mapping. */
SL_INLINE sl_be32 sl_snat_vip4_impl(const struct sl_tables *t, uint32_t index)
{
	const struct sl_snat_client *client = sl_seam_snat_client(t, index);

	return client ? client->vip.w[3] : 0;
}

/* Sets the client of the flow with b->key. False: the port is another flow's by now. */
SL_INLINE bool sl_snat_reply_client(const struct sl_tables *t, struct sl_snat_reply *b,
				    bool is_ipv6)
{
	const struct sl_snat_client *client;
	struct sl_snat_line *line;
	uint64_t source = b->key;

	if (!is_ipv6) {
		if (sl_unlikely(b->r->flags & SL_SERVICE_VIP_KEYS))
			source = sl_snat_source(t, b->index, b->key);
		b->client = sl_addr4((sl_be32)(uint32_t)(source >> 16));
		b->port = (sl_be16)(uint16_t)source;
		return source;
	}
	client = sl_seam_snat_client(t, b->index);
	line = sl_seam_snat_line(t, b->index / SL_SNAT_PORTS_PER_LINE);
	if (!client || !line)
		return false;
	b->client = client->addr;
	b->port = client->port;
	return sl_entry_load(&line->key[b->index % SL_SNAT_PORTS_PER_LINE]) == b->key;
}

/* The address that the client of the flow has called. */
SL_INLINE union sl_addr sl_snat_reply_vip(const struct sl_tables *t, const struct sl_snat_reply *b,
					  bool is_ipv6)
{
	const union sl_addr *vip = &b->r->vip;
	const struct sl_snat_client *client;
	bool noted = b->r->flags & SL_SERVICE_VIP_KEYS;

	if (!is_ipv6)
		return sl_addr4(sl_unlikely(noted) ? sl_snat_vip4(t, b->index) : vip->w[3]);
	if (sl_unlikely(noted)) {
		client = sl_seam_snat_client(t, b->index);
		vip = client ? &client->vip : vip;
	}
	return (union sl_addr){ .q = { (vip->q[0] & ~0xffffull) | (b->r->vip.q[0] & 0xffff),
				       vip->q[1] } };
}

/* Looks up flow, service and backend of a pool port. False if no flow has it. */
SL_INLINE bool sl_snat_reply_find(const struct sl_tables *t, const union sl_addr *addr,
				  sl_be16 port, struct sl_snat_reply *b, bool is_ipv6)
{
	uint64_t key = sl_snat_reply_key(t, addr, port, b);
	union sl_addr id = sl_reply_entry_id(sl_flow_key_service(key));
	uint32_t index, backend;

	if (!key)
		return false;
	b->key = key;
	b->r = sl_reply_entry_find_at(t, &id, SL_ENDPOINT_ID, &index);
	if (!b->r || !sl_snat_reply_client(t, b, is_ipv6))
		return false;
	backend = sl_flow_backend(sl_track_value(t, key, sl_seam_now(t)));
	if (backend - 1 >= b->r->n_backends)
		return false;
	b->backend = sl_seam_backend(t, (uint64_t)b->r->backends + backend - 1);
	return b->backend != NULL;
}

/* Whether this is the flow's backend. */
SL_INLINE bool sl_snat_reply_is_from(const struct sl_snat_reply *b, const union sl_addr *addr,
				     sl_be16 port)
{
	return sl_addr_equal(&b->backend->addr, addr) &&
	       (!b->backend->port || b->backend->port == port);
}

/* The index of the client's route, and its MTU. Returns SL_REASON_to_client, or why there is no
 * way. */
SL_INLINE enum sl_reason sl_snat_reply_route(const struct sl_tables *t,
					     const struct sl_snat_reply *b, uint32_t *at,
					     uint32_t *mtu, bool is_ipv6)
{
	uint8_t mac[12] __attribute__((aligned(8)));
	const struct sl_route *route;
	uint16_t egress;

	*at = is_ipv6 ? sl_route_find6(t, &b->client) : sl_route_find4(t, b->client.w[3]);
	route = sl_seam_route(t, *at);
	*mtu = route ? route->mtu : 0;
	return sl_route_to_client(t, *at, &b->client, mac, &egress);
}

/* Decrements the TTL or hop limit, and sets the MAC addresses. */
SL_INLINE bool sl_snat_reply_forward(struct sl_packet *p, uint32_t l3, const uint8_t mac[12],
				     bool is_ipv6)
{
	struct sl_eth *eth;
	struct sl_ip4 *ip;
	struct sl_ip6 *ip6;

	if (!(eth = sl_packet_at_parsed(p, 0, sizeof(*eth))))
		return false;
	sl_eth_address(eth, mac);
	if (is_ipv6) {
		if (!(ip6 = sl_packet_at_parsed(p, l3, sizeof(*ip6))))
			return false;
		ip6->hops--;
	} else {
		if (!(ip = sl_packet_at_parsed(p, l3, sizeof(*ip))))
			return false;
		sl_ip4_dec_ttl(ip, 0);
	}
	return true;
}

SL_INLINE void sl_snat_reply_count(const struct sl_tables *t, const struct sl_packet *p,
				   uint32_t id)
{
	struct sl_backend_counters *backend_counters = sl_seam_backend_counters(t, id);

	if (sl_likely(backend_counters)) {
		backend_counters->packets_out++;
		backend_counters->bytes_out += p->length;
	}
}

/* A reply with ports. w->at: its protocol. Sets w->reply. */
SL_INLINE enum sl_reason sl_fullnat_reply_impl(const struct sl_tables *t, struct sl_packet *p,
					       struct sl_lookup *w, uint16_t *egress, bool is_ipv6)
{
	const struct sl_udp *ports;
	uint8_t protocol = (uint8_t)w->at;
	uint8_t mac[12] __attribute__((aligned(8)));
	enum sl_reason reason;
	union sl_addr src, dst, vip;
	struct sl_snat_reply b;
	const void *l3;
	uint16_t flags;
	uint8_t event = SL_EVENT_DATA;
	uint32_t id, at, mtu;
	sl_be16 port;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!(l3 = sl_l3_header(p, w, is_ipv6)) ||
	    !(ports = sl_packet_at_parsed(p, w->l4, sizeof(*ports))))
		return SL_REASON_bad_header;
	src = sl_l3_src(l3, is_ipv6);
	dst = sl_l3_dst(l3, is_ipv6);
	if (!sl_snat_reply_find(t, &dst, ports->dst, &b, is_ipv6) || b.r->protocol != protocol ||
	    !sl_snat_reply_is_from(&b, &src, ports->src))
		return sl_seam_current(t) ? SL_REASON_not_bound : SL_REASON_torn_table;
	if (sl_unlikely(sl_l3_ttl(l3, is_ipv6) <= 1))
		return SL_REASON_ttl_answered;
	if (sl_unlikely(b.backend->mss))
		sl_mss_reply(p, w->l3, w->l4, protocol, b.backend->mss);
	w->reply = b.r;
	id = b.backend->counter_id;
	flags = b.r->flags;
	reason = sl_snat_reply_route(t, &b, &at, &mtu, is_ipv6);
	if (reason != SL_REASON_to_client)
		return reason;
	if (sl_unlikely(sl_l3_length(l3, is_ipv6) > mtu)) {
		p->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
		return SL_REASON_too_big_answered;
	}
	if (sl_likely(protocol == SL_PROTO_TCP))
		event = sl_route_window(t, p, w, l3, b.index, SL_WINDOW_BACK, is_ipv6);
	reason = sl_reply_limit(t, p, w, l3, protocol, &b.client, b.port, id, flags, event, b.key,
				is_ipv6);
	if (reason != SL_REASON_to_client)
		return reason;
	port = b.r->port ? b.r->port : ports->src;
	/* Once more, since the MAC addresses and the limits together don't fit XDP's stack. */
	reason = sl_route_to_client(t, at, &b.client, mac, egress);
	if (reason != SL_REASON_to_client)
		return reason;
	vip = sl_snat_reply_vip(t, &b, is_ipv6);
	sl_route_fragment(t, p, w, vip.w[3], b.client.w[3], is_ipv6);
	if (!sl_nat_endpoint(p, w->l3, w->l4, protocol, &vip, port, true, is_ipv6))
		return SL_REASON_bad_header;
	if (sl_unlikely(!sl_seam_current(t)))
		return SL_REASON_torn_table;
	if (!sl_nat_endpoint(p, w->l3, w->l4, protocol, &b.client, b.port, false, is_ipv6) ||
	    !sl_snat_reply_forward(p, w->l3, mac, is_ipv6))
		return SL_REASON_bad_header;
	sl_snat_reply_count(t, p, id);
	return SL_REASON_to_client;
}

#endif
