/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ICMP that concerns us (RFC 792, RFC 1122, RFC 5508).
 *
 *   echo request to a VIP   is answered in place.
 *   error to a VIP          that quotes a packet from the VIP to a client: goes to the backend that
 *                           sent it, which slot and flow entry tell as for the flow itself. It
 *                           enters and refreshes nothing, because anybody can send an error.
 *   error to a SNAT pool    that quotes a packet from the pool to a backend: goes to the client,
 *                           as the next one.
 *   error to someone else   that quotes a packet from a client to a backend of a service: goes to
 *                           the client with the VIP as its source, whether the backend sent it or a
 *                           router on the way; firewalls would drop an inner address.
 *
 * The quote is changed back to what its receiver knows (quote.h). A backend that has the VIP itself
 * (all modes but NAT) sent the packet just as it is quoted, and gets the error unchanged. Other
 * ICMP to a VIP is dropped; other ICMP to anyone else is left to the kernel. An error is never
 * answered by an error.
 */
#ifndef SL_CORE_ICMP_H
#define SL_CORE_ICMP_H

#include "fullnat.h"
#include "mode.h"
#include "quote.h"
#include "route.h"

enum { SL_ECHO_TTL = 64 }; /* of answers, which start here */

SL_INLINE bool sl_is_vip4(const struct sl_tables *t, sl_be32 address)
{
	union sl_addr addr;

	sl_opaque(address); /* clang 14 crashes without */
	addr = sl_addr4(address);
	return sl_is_vip(t, &addr);
}

/* The offset at which the ICMP message ends. */
SL_INLINE uint32_t sl_icmp_end(const struct sl_packet *p, uint32_t l3)
{
	const struct sl_ip4 *ip = sl_packet_at(p, l3, sizeof(*ip));

	return ip ? l3 + sl_ntohs(ip->length) : 0;
}

/* An error to a VIP, about a packet from the VIP. */
SL_INLINE void sl_icmp_classify_error(const struct sl_tables *t, const struct sl_quote *q,
				      struct sl_lookup *w)
{
	const struct sl_root *root = sl_seam_root(t);
	union sl_addr vip = sl_addr4(q->src);
	const struct sl_service *s;

	s = sl_service_of(t, &vip, sl_endpoint(q->sport, q->protocol));
	if (!s || !root) {
		s = sl_service_find(t, &vip, 0);
		sl_lookup_decided(w, SL_REASON_icmp_unknown);
		if (s && s->flags & SL_SERVICE_POOL)
			w->packet_class = SL_CLASS_ERROR_SNAT;
		return;
	}
	w->service = s;
	w->packet_class = SL_CLASS_ERROR_TO_BACKEND;
	w->at = sl_slot_index4(root, s, q->dst, q->dport);
}

/* An error to someone else, perhaps about a packet that we sent to a backend. */
SL_INLINE void sl_icmp_classify_transit(const struct sl_tables *t, const struct sl_quote *q,
					struct sl_lookup *w)
{
	union sl_addr backend = sl_addr4(q->dst);
	const struct sl_reply_entry *r;
	const struct sl_route *route;

	r = sl_reply_entry_of(t, &backend, sl_endpoint(q->dport, q->protocol));
	w->reply = r;
	w->at = r ? sl_route_find4(t, q->src) : ~0u;
	route = sl_seam_route(t, w->at);
	if (!r || (route && route->kind <= SL_ROUTE_POOL))
		sl_lookup_decided(w, SL_REASON_not_ours);
	else
		w->packet_class = SL_CLASS_ERROR_TO_CLIENT;
}

SL_INLINE void sl_icmp_classify(const struct sl_tables *t, const struct sl_packet *p,
				const struct sl_parsed *o, struct sl_lookup *w)
{
	const struct sl_icmp *icmp = sl_packet_at(p, o->l4, sizeof(*icmp));
	uint32_t end = sl_icmp_end(p, o->l3);
	bool to_vip = sl_is_vip4(t, o->dst);
	struct sl_quote q;
	uint8_t type;

	w->packet_class = SL_CLASS_DECIDED;
	w->reason = to_vip ? SL_REASON_bad_header : SL_REASON_not_ours;
	if (!icmp || o->l4 + sizeof(*icmp) > end)
		return;
	type = icmp->type;
	if (to_vip) {
		w->reason = SL_REASON_martian;
		if (sl_martian4(o->src, o->dst) || sl_is_vip4(t, o->src))
			return;
		w->reason = SL_REASON_icmp_unknown;
		if (type == SL_ICMP_ECHO)
			w->packet_class = SL_CLASS_ECHO;
	}
	if (!sl_icmp_is_error(type) || !sl_quote_parse(p, o->l4 + sizeof(*icmp), end, &q) ||
	    q.src != o->dst)
		return;
	if (to_vip)
		sl_icmp_classify_error(t, &q, w);
	else
		sl_icmp_classify_transit(t, &q, w);
}

/* Turns the frame into its own answer. first: it has the ICMP header; later fragments of a ping
 * don't. */
SL_INLINE enum sl_reason sl_icmp_echo(const struct sl_tables *t, struct sl_packet *p,
				      const struct sl_lookup *w, bool first)
{
	const struct sl_port *port = sl_seam_port(t, p->ingress);
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	struct sl_ip4 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	struct sl_icmp *icmp = sl_packet_at(p, w->l4, sizeof(*icmp));
	uint8_t mac[6];
	sl_be32 vip;

	if (!port || !eth || !ip || (first && !icmp))
		return SL_REASON_bad_header;
	__builtin_memcpy(mac, port->mac, sizeof(mac));
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	for (int i = 0; i < 6; i++) {
		eth->dst[i] = eth->src[i];
		eth->src[i] = mac[i];
	}
	vip = ip->dst;
	ip->dst = ip->src;
	ip->src = vip;
	ip->csum = sl_csum_apply(ip->csum, sl_word_delta(ip->ttl, SL_ECHO_TTL));
	ip->ttl = SL_ECHO_TTL;
	if (first) {
		uint16_t csum =
			sl_csum_apply(icmp->csum, sl_word_delta(SL_ICMP_ECHO, SL_ICMP_ECHO_REPLY));

		/* Nothing but zeros may be left, whose sum has but one right complement. */
		icmp->csum = csum ? csum : 0xffff;
		icmp->type = SL_ICMP_ECHO_REPLY;
	}
	return SL_REASON_echo_reply;
}

/* Rewrites the message and its quote; the tables were current. more: by how much the sum has grown
 * before. */
SL_INLINE bool sl_icmp_rewrite(struct sl_packet *p, const struct sl_lookup *w,
			       const struct sl_quote *q, const struct sl_nat *n, uint32_t more,
			       bool to_backend)
{
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	struct sl_ip4 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	struct sl_icmp *icmp = sl_packet_at(p, w->l4, sizeof(*icmp));
	uint32_t grown, delta = n->ip_delta, addr = (uint32_t)n->addr.w[3];

	if (!eth || !ip || !icmp || !sl_quote_nat(p, q, n, to_backend, &grown))
		return false;
	icmp->csum = sl_csum_apply(icmp->csum, grown + more);
	sl_eth_address(eth, n->mac);
	if (to_backend) {
		ip->dst = n->addr.w[3];
	} else {
		/* The sender is whoever found the fault, but control's delta is for the backend. */
		delta = sl_word_delta((uint16_t)(uint32_t)ip->src, (uint16_t)addr) +
			sl_word_delta((uint32_t)ip->src >> 16, addr >> 16);
		ip->src = n->addr.w[3];
	}
	sl_ip4_dec_ttl(ip, sl_csum_fold(delta));
	return true;
}

/* Replaces the quoted client by its SNAT address and port, which the backend knows. *grown: by how
 * much the message's sum grows. False: the flow has no SNAT port. */
SL_INLINE bool sl_icmp_quote_snat(const struct sl_tables *t, struct sl_packet *p,
				  const struct sl_quote *q, uint64_t key, uint32_t pool,
				  uint32_t *grown, bool is_ipv6)
{
	uint64_t mapping = sl_snat_find_anywhere(t, key, pool);
	const struct sl_snat_address *a = sl_snat_address(t, pool, sl_snat_address_index(mapping));

	if (!mapping || !a || !sl_seam_current(t))
		return false;
	if (!is_ipv6)
		sl_quote_rename(t, p, q->l3 - (uint32_t)sizeof(struct sl_icmp), false);
	*grown = sl_quote_nat_endpoint(p, q, &a->addr, sl_htons(sl_snat_port(mapping)), false,
				       is_ipv6);
	return true;
}

SL_INLINE enum sl_reason sl_icmp_to_backend(const struct sl_tables *t, struct sl_packet *p,
					    const struct sl_lookup *w, uint16_t *egress)
{
	const struct sl_ip4 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	enum sl_reason reason;
	struct sl_quote q;
	uint8_t mode = w->service->mode;
	union sl_addr called;
	struct sl_nat n;
	uint32_t id, more = 0;
	uint64_t key;

	if (!ip || !sl_quote_parse(p, w->l4 + sizeof(struct sl_icmp), sl_icmp_end(p, w->l3), &q))
		return SL_REASON_bad_header;
	if (ip->ttl <= 1 && mode != SL_MODE_DIRECT)
		return SL_REASON_ttl_exceeded;
	key = sl_service_flow_key4(t, w->service, q.dst, q.dport, q.src);
	reason = sl_resolve_backend(t, w, key, &n, &id, egress);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (!n.port)
		n.port = q.sport;
	if (mode == SL_MODE_FULLNAT) {
		called = sl_addr4(q.src);
		sl_nat_called(&n, w->service, &called);
		if (!sl_icmp_quote_snat(t, p, &q, key, w->service->pool, &more, false))
			return sl_seam_current(t) ? SL_REASON_icmp_unknown : SL_REASON_torn_table;
	}
	if (mode == SL_MODE_NAT || mode == SL_MODE_FULLNAT)
		return sl_icmp_rewrite(p, w, &q, &n, more, true) ? SL_REASON_icmp_to_backend
								 : SL_REASON_bad_header;
	reason = (enum sl_reason)sl_mode(t, p, n.index, w->l3, w->l4, mode);
	return reason == SL_REASON_to_backend ? SL_REASON_icmp_to_backend : reason;
}

SL_INLINE enum sl_reason sl_icmp_to_client(const struct sl_tables *t, struct sl_packet *p,
					   const struct sl_lookup *w, uint16_t *egress)
{
	const struct sl_ip4 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	const struct sl_reply_entry *r = w->reply;
	enum sl_reason reason;
	struct sl_quote q;
	union sl_addr dst;
	struct sl_nat n;

	if (!ip || !sl_quote_parse(p, w->l4 + sizeof(struct sl_icmp), sl_icmp_end(p, w->l3), &q))
		return SL_REASON_bad_header;
	if (ip->ttl <= 1)
		return SL_REASON_ttl_exceeded;
	sl_nat_of_reply(&n, r);
	if (!n.port)
		n.port = q.dport;
	dst = sl_addr4(ip->dst);
	reason = sl_route_to_client(t, w->at, &dst, n.mac, egress);
	if (reason != SL_REASON_to_client)
		return reason;
	return sl_icmp_rewrite(p, w, &q, &n, 0, false) ? SL_REASON_icmp_to_client
						       : SL_REASON_bad_header;
}

/* An error to an address of a SNAT pool, sent by a backend or a router on the way there: it quotes
 * a packet of the flow that has this port. src, dst: the quoted packet's. */
SL_INLINE enum sl_reason sl_icmp_snat_impl(const struct sl_tables *t, struct sl_packet *p,
					   const struct sl_lookup *w, const struct sl_quote *q,
					   const union sl_addr *src, const union sl_addr *dst,
					   uint16_t *egress, bool is_ipv6)
{
	uint8_t mac[12] __attribute__((aligned(8)));
	enum sl_reason reason;
	struct sl_icmp *icmp;
	uint32_t at, mtu, grown, outer;
	union sl_addr vip;
	struct sl_snat_reply b;
	sl_be16 port;
	void *l3;

	if (!sl_snat_reply_find(t, src, q->sport, &b, is_ipv6) || b.r->protocol != q->protocol ||
	    !sl_snat_reply_is_from(&b, dst, q->dport))
		return sl_seam_current(t) ? SL_REASON_icmp_unknown : SL_REASON_torn_table;
	port = b.r->port ? b.r->port : q->dport;
	reason = sl_snat_reply_route(t, &b, &at, &mtu, is_ipv6);
	if (reason != SL_REASON_to_client)
		return reason;
	l3 = sl_packet_at(p, w->l3, is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
	if (!l3 || sl_l3_ttl(l3, is_ipv6) <= 1)
		return l3 ? SL_REASON_ttl_exceeded : SL_REASON_bad_header;
	reason = sl_route_to_client(t, at, &b.client, mac, egress);
	if (reason != SL_REASON_to_client)
		return reason;
	if (!is_ipv6)
		sl_quote_rename(t, p, w->l4, false);
	vip = sl_snat_reply_vip(t, &b, is_ipv6);
	grown = sl_quote_nat_endpoint(p, q, &b.client, b.port, true, is_ipv6) +
		sl_quote_nat_endpoint(p, q, &vip, port, false, is_ipv6);
	outer = sl_nat_address(l3, &b.client, false, is_ipv6);
	outer += sl_nat_address(l3, &vip, true, is_ipv6);
	icmp = sl_packet_at(p, w->l4, sizeof(*icmp));
	if (!icmp || !sl_snat_reply_forward(p, w->l3, mac, is_ipv6))
		return SL_REASON_bad_header;
	icmp->csum = sl_csum_apply(icmp->csum, grown + (is_ipv6 ? outer : 0));
	if (is_ipv6)
		sl_quote_rename(t, p, w->l4, true);
	return SL_REASON_icmp_to_client;
}

SL_INLINE enum sl_reason sl_icmp_snat(const struct sl_tables *t, struct sl_packet *p,
				      const struct sl_lookup *w, uint16_t *egress)
{
	union sl_addr src, dst;
	struct sl_quote q;

	if (!sl_quote_parse(p, w->l4 + sizeof(struct sl_icmp), sl_icmp_end(p, w->l3), &q))
		return SL_REASON_bad_header;
	src = sl_addr4(q.src);
	dst = sl_addr4(q.dst);
	return sl_icmp_snat_impl(t, p, w, &q, &src, &dst, egress, false);
}

#endif
