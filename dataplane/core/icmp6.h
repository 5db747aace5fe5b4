/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ICMPv6 that concerns us (RFC 4443), by the rules of icmp.h: echo requests to a VIP are answered,
 * errors go to the flow's backend or client, with their quotes changed back. The checksum also
 * covers the addresses of the outer header, so it changes by these as well as by the quoted ones.
 */
#ifndef SL_CORE_ICMP6_H
#define SL_CORE_ICMP6_H

#include "icmp.h"
#include "quote6.h"

SL_INLINE void sl_icmp6_classify_error(const struct sl_tables *t, const struct sl_quote6 *q,
				       struct sl_lookup *w)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_service *s =
		sl_service_of(t, &q->src, sl_endpoint(q->in.sport, q->in.protocol));
	uint64_t source;

	if (!s || !root) {
		s = sl_service_find(t, &q->src, 0);
		if (s && s->flags & SL_SERVICE_POOL)
			w->packet_class = SL_CLASS_ERROR_SNAT;
		return;
	}
	source = sl_hash_source6(&q->dst, q->in.dport, root->slot_key);
	w->service = s;
	w->packet_class = SL_CLASS_ERROR_TO_BACKEND;
	w->at = sl_slot_index6(root, s, &q->dst, source);
	w->hash = sl_service_flow_key(t, s, source, &q->src);
}

SL_INLINE void sl_icmp6_classify_transit(const struct sl_tables *t, const struct sl_quote6 *q,
					 struct sl_lookup *w)
{
	const struct sl_reply_entry *r =
		sl_reply_entry_of(t, &q->dst, sl_endpoint(q->in.dport, q->in.protocol));

	if (r)
		sl_classify_reply(t, r, sl_route_find6(t, &q->src), SL_CLASS_ERROR_TO_CLIENT, w);
}

/* The offset at which the message ends. */
SL_INLINE uint32_t sl_icmp6_end(const struct sl_ip6 *ip, uint32_t l3)
{
	return l3 + (uint32_t)sizeof(*ip) + sl_ntohs(ip->length);
}

/* Parses the quoted packet. */
SL_INLINE bool sl_quote6_find(const struct sl_tables *t, const struct sl_packet *p,
			      const struct sl_lookup *w, uint32_t end, struct sl_quote6 *q)
{
	uint32_t at = w->l4 + (uint32_t)sizeof(struct sl_icmp);

	return sl_quote6_parse(p, at, end, sl_quote6_layout(t, p, at, end), q);
}

SL_INLINE void sl_icmp6_classify_any(const struct sl_tables *t, const struct sl_packet *p,
				     struct sl_lookup *w)
{
	const struct sl_ip6 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	const struct sl_icmp *icmp;
	union sl_addr src, dst;
	struct sl_quote6 q;
	uint32_t end;
	uint8_t type;
	bool to_vip;

	sl_lookup_decided(w, SL_REASON_not_ours);
	if (!ip)
		return;
	src = sl_addr_load(ip->src);
	dst = sl_addr_load(ip->dst);
	end = sl_icmp6_end(ip, w->l3);
	to_vip = sl_is_vip(t, &dst);
	if (to_vip)
		w->reason = SL_REASON_bad_header;
	icmp = sl_packet_at(p, w->l4, sizeof(*icmp));
	if (!icmp || w->l4 + sizeof(*icmp) > end)
		return;
	type = icmp->type;
	if (to_vip) {
		w->reason = SL_REASON_martian;
		if (sl_martian6(&src, &dst) || sl_is_vip(t, &src))
			return;
		w->reason = SL_REASON_icmp_unknown;
		if (type == SL_ICMP6_ECHO)
			w->packet_class = SL_CLASS_ECHO;
	}
	if (!sl_icmp6_is_error(type) || !sl_quote6_find(t, p, w, end, &q) ||
	    !sl_addr_equal(&q.src, &dst))
		return;
	if (to_vip)
		sl_icmp6_classify_error(t, &q, w);
	else
		sl_icmp6_classify_transit(t, &q, w);
}

SL_INLINE void sl_icmp6_classify(const struct sl_tables *t, const struct sl_packet *p,
				 struct sl_lookup *w)
{
	const struct sl_ip6 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	union sl_addr dst;

	sl_icmp6_classify_any(t, p, w);
	if (!ip)
		return;
	dst = sl_addr_load(ip->dst);
	sl_yield_shared(t, &dst, w);
}

/* first: it has the ICMP header; later fragments of a ping don't. */
SL_INLINE enum sl_reason sl_icmp6_echo(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, bool first)
{
	const struct sl_port *port = sl_seam_port(t, p->ingress);
	union sl_addr vip, client;
	struct sl_icmp *icmp = NULL;
	struct sl_eth *eth;
	struct sl_ip6 *ip;
	uint8_t mac[6];

	if (!port || !(eth = sl_packet_at(p, 0, sizeof(*eth))) ||
	    !(ip = sl_packet_at(p, w->l3, sizeof(*ip))) ||
	    (first && !(icmp = sl_packet_at(p, w->l4, sizeof(*icmp)))))
		return SL_REASON_bad_header;
	__builtin_memcpy(mac, port->mac, sizeof(mac));
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	for (int i = 0; i < 6; i++) {
		eth->dst[i] = eth->src[i];
		eth->src[i] = mac[i];
	}
	vip = sl_addr_load(ip->dst);
	client = sl_addr_load(ip->src);
	sl_addr_store(ip->dst, &client);
	sl_addr_store(ip->src, &vip);
	ip->hops = SL_ECHO_TTL;
	if (first) {
		icmp->csum = sl_csum_apply(icmp->csum,
					   sl_word_delta(SL_ICMP6_ECHO, SL_ICMP6_ECHO_REPLY));
		icmp->type = SL_ICMP6_ECHO_REPLY;
	}
	return SL_REASON_echo_reply;
}

/* Rewrites the message and its quote: the quoted source becomes the backend, or the quoted
 * destination the VIP, and the packet's own other address likewise. more: by how much the sum has
 * grown before. */
SL_INLINE bool sl_icmp6_rewrite(struct sl_packet *p, const struct sl_lookup *w,
				const struct sl_quote6 *q, const struct sl_nat *n, uint32_t more,
				bool to_backend)
{
	union sl_addr before;
	struct sl_udp *ports;
	struct sl_icmp *icmp;
	struct sl_ip6 *ip;
	struct sl_eth *eth;
	uint32_t grown;

	if (!(ip = sl_packet_at(p, q->in.l3, sizeof(*ip))) ||
	    !(ports = sl_packet_at(p, q->in.l4, sizeof(*ports))))
		return false;
	if (to_backend) {
		grown = sl_csum_delta_addr(&q->src, &n->addr);
		sl_addr_store(ip->src, &n->addr);
		if (sl_likely(n->port)) {
			grown += sl_word_delta(ports->src, n->port);
			ports->src = n->port;
		}
	} else {
		grown = sl_csum_delta_addr(&q->dst, &n->addr);
		sl_addr_store(ip->dst, &n->addr);
		if (sl_likely(n->port)) {
			grown += sl_word_delta(ports->dst, n->port);
			ports->dst = n->port;
		}
	}
	grown += more + sl_quote_csum(p, &q->in, n->l4_delta);
	if (!(eth = sl_packet_at(p, 0, sizeof(*eth))) ||
	    !(ip = sl_packet_at(p, w->l3, sizeof(*ip))) ||
	    !(icmp = sl_packet_at(p, w->l4, sizeof(*icmp))))
		return false;
	before = sl_addr_load(to_backend ? ip->dst : ip->src);
	sl_addr_store(to_backend ? ip->dst : ip->src, &n->addr);
	grown += sl_csum_delta_addr(&before, &n->addr);
	ip->hops--;
	icmp->csum = sl_csum_apply(icmp->csum, grown);
	sl_eth_address(eth, n->mac);
	return true;
}

SL_INLINE enum sl_reason sl_icmp6_forward(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress,
					  bool to_backend)
{
	const struct sl_ip6 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	uint8_t mode = to_backend ? w->service->mode : SL_MODE_NAT;
	enum sl_reason reason;
	struct sl_quote6 q;
	union sl_addr dst;
	struct sl_nat n;
	uint32_t id, more = 0;

	if (!ip || !sl_quote6_find(t, p, w, sl_icmp6_end(ip, w->l3), &q))
		return SL_REASON_bad_header;
	if (ip->hops <= 1 && mode != SL_MODE_DIRECT)
		return SL_REASON_ttl_exceeded;
	if (to_backend) {
		reason = sl_resolve_backend(t, w, w->hash, &n, &id, egress);
		if (reason != SL_REASON_to_backend)
			return reason;
		if (mode == SL_MODE_FULLNAT &&
		    !sl_icmp_quote_snat(t, p, &q.in, w->hash, w->service->pool, &more, true))
			return sl_seam_current(t) ? SL_REASON_icmp_unknown : SL_REASON_torn_table;
		if (mode != SL_MODE_NAT &&
		    mode != SL_MODE_FULLNAT) { /* the backend has the VIP, gets it unchanged */
			reason = (enum sl_reason)sl_mode(t, p, n.index, w->l3, w->l4, mode);
			return reason == SL_REASON_to_backend ? SL_REASON_icmp_to_backend : reason;
		}
	} else {
		sl_nat_of_reply(&n, w->reply);
		dst = sl_addr_load(ip->dst);
		reason = sl_route_to_client(t, w->at, &dst, n.mac, egress);
		if (reason != SL_REASON_to_client)
			return reason;
	}
	if (to_backend)
		sl_nat_called(&n, w->service, &q.src);
	if (!sl_icmp6_rewrite(p, w, &q, &n, more, to_backend))
		return SL_REASON_bad_header;
	if (to_backend && mode == SL_MODE_FULLNAT)
		sl_quote_rename(t, p, w->l4, true);
	return to_backend ? SL_REASON_icmp_to_backend : SL_REASON_icmp_to_client;
}

SL_INLINE enum sl_reason sl_icmp6_snat(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, uint16_t *egress)
{
	const struct sl_ip6 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	struct sl_quote6 q;

	if (!ip || !sl_quote6_find(t, p, w, sl_icmp6_end(ip, w->l3), &q))
		return SL_REASON_bad_header;
	return sl_icmp_snat_impl(t, p, w, &q.in, &q.src, &q.dst, egress, true);
}

SL_INLINE enum sl_reason sl_icmp6_route(const struct sl_tables *t, struct sl_packet *p,
					const struct sl_lookup *w, uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_ECHO:
		*egress = p->ingress;
		return sl_icmp6_echo(t, p, w, true);
	case SL_CLASS_ERROR_TO_BACKEND:
		return sl_icmp6_forward(t, p, w, egress, true);
	case SL_CLASS_ERROR_TO_CLIENT:
		return sl_icmp6_forward(t, p, w, egress, false);
	case SL_CLASS_ERROR_SNAT:
		return sl_fullnat_error(t, p, w, egress, true);
	default:
		return sl_seam_current(t) ? (enum sl_reason)w->reason : SL_REASON_torn_table;
	}
}

#endif
