/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* First pass of the decision: what kind of packet is this, and which record is it for?
 *
 * The pass ends where it knows which cache lines come next: the slot of a packet to a service (and
 * both flow buckets, if the service looks flows up), the route of a reply. A DPDK worker makes it
 * over a whole burst while these lines are fetched, then makes the second pass (route.h); XDP makes
 * one after the other.
 *
 * A packet that classifies as ours is never passed to the kernel, which would answer with a reset.
 * A packet that doesn't is never modified.
 *
 * IPv4 and IPv6 are classified alike, with other widths. IPv4 is inline; IPv6 begins in
 * sl_classify6(), which an engine may place out of the way (seam.h).
 */
#ifndef SL_CORE_CLASSIFY_H
#define SL_CORE_CLASSIFY_H

#include "find.h"
#include "flow.h"
#include "link.h"
#include "parse6.h"

enum sl_packet_class {
	SL_CLASS_DECIDED, /* `reason` is the verdict */
	SL_CLASS_SERVICE,
	SL_CLASS_REPLY,
	SL_CLASS_ARP,
	SL_CLASS_SNAT_REPLY, /* to an address of a SNAT pool (fullnat.h) */
	SL_CLASS_SERVICE6,   /* these are routed by sl_route6() */
	SL_CLASS_REPLY6,
	SL_CLASS_ND,
	SL_CLASS_SNAT_REPLY6,
	SL_CLASS_ICMP6, /* ICMPv6 but ND; rare.h classifies it further, and the next two */
	SL_CLASS_FIRST_FRAGMENT6,
	SL_CLASS_FRAGMENT6,
	SL_CLASS_IP6,  /* not classified: IPv6 in an engine that decides it elsewhere */
	SL_CLASS_ICMP, /* rare.h classifies this further, and the next two */
	SL_CLASS_FIRST_FRAGMENT,
	SL_CLASS_FRAGMENT,
	SL_CLASS_ECHO, /* from here on only used in rare.h */
	SL_CLASS_ERROR_TO_BACKEND,
	SL_CLASS_ERROR_TO_CLIENT,
	SL_CLASS_ERROR_SNAT,
	SL_CLASS_FRAGMENT_ECHO, /* fragments other than the first */
	SL_CLASS_FRAGMENT_TO_BACKEND,
	SL_CLASS_FRAGMENT_TO_CLIENT,
	SL_CLASS_FRAGMENT_SNAT,
};

/* What the first pass found, for the second. */
struct sl_lookup {
	union {
		const struct sl_service *service;
		const struct sl_reply_entry *reply;
	};
	uint32_t at;	      /* the slot; of a reply: index of its route; pool: protocol */
	uint8_t packet_class; /* enum sl_packet_class */
	uint8_t reason;	      /* enum sl_reason */
	uint8_t l3;
	uint8_t l4;
	/* Hash of the flow's key, or 0 if the service looks up no flows. IPv6, full NAT: the key.
	 */
	uint64_t hash;
};

/* The index of the route for exactly this prefix, or ~0. An empty record looks like ::/0, except
 * for its kind. */
SL_INLINE uint32_t sl_route_find_prefix(const struct sl_tables *t, const union sl_addr *prefix,
					uint32_t length)
{
	uint64_t hash = sl_cuckoo_hash(prefix, length, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_routes(t);

	for (int second = 0; second < 2; second++) {
		uint32_t index =
			second ? sl_cuckoo_second(hash, size) : sl_cuckoo_first(hash, size);
		const struct sl_route *r = sl_seam_route(t, index);

		if (r && r->length == length && sl_addr_equal(&r->prefix, prefix) && r->kind)
			return index;
	}
	return ~0u;
}

/* The index of the route with the longest prefix that contains an IPv4 address, or ~0. */
SL_INLINE uint32_t sl_route_find4(const struct sl_tables *t, sl_be32 dst)
{
	const struct sl_bank *bank = sl_seam_bank(t);

	for (int i = 0; i < SL_PREFIX_LENGTHS; i++) {
		uint32_t length = bank->lengths4[i];
		uint32_t host = 128 - length; /* bits after the prefix */
		union sl_addr prefix;
		uint32_t index;

		if (host > 32)
			break; /* 0xff: no more lengths */
		prefix = sl_addr4(sl_htonl((uint32_t)(~0ull << host) & sl_ntohl(dst)));
		index = sl_route_find_prefix(t, &prefix, length);
		if (index != ~0u)
			return index;
	}
	return ~0u;
}

SL_INLINE uint32_t sl_route_find6_impl(const struct sl_tables *t, const union sl_addr *dst)
{
	const struct sl_bank *bank = sl_seam_bank(t);

	for (int i = 0; i < SL_PREFIX_LENGTHS; i++) {
		uint32_t length = bank->lengths6[i];
		union sl_addr prefix;
		uint32_t index;

		if (length > 128)
			break;
		prefix = sl_addr_prefix(dst, length);
		index = sl_route_find_prefix(t, &prefix, length);
		if (index != ~0u)
			return index;
	}
	return ~0u;
}

SL_INLINE void sl_lookup_decided(struct sl_lookup *w, enum sl_reason reason)
{
	w->packet_class = SL_CLASS_DECIDED;
	w->reason = (uint8_t)reason;
}

/* The packet is for an address of a SNAT pool. */
SL_INLINE void sl_lookup_snat_reply(struct sl_lookup *w, uint8_t protocol, bool is_ipv6)
{
	w->packet_class = is_ipv6 ? SL_CLASS_SNAT_REPLY6 : SL_CLASS_SNAT_REPLY;
	w->at = protocol;
}

/* A source address that no host can have (RFC 1122, 3.2.1.3; RFC 6890): of this network, loopback,
 * multicast, broadcast, or equal to the destination. Any answer would go astray. 240.0.0.0/4 is
 * reserved but some hosts use it, so it is allowed for clients as for VIPs. */
SL_INLINE bool sl_martian4(sl_be32 src, sl_be32 dst)
{
	uint32_t net = (uint32_t)src & 0xff;

	return !net | (net == 127) | ((net & 0xf0) == 0xe0) | ((uint32_t)src == UINT32_MAX) |
	       (src == dst);
}

/* The same for IPv6 (RFC 4291, 2.5.2 to 2.7). Link-local addresses count too, since they go no
 * further than the link. */
SL_INLINE bool sl_martian6(const union sl_addr *src, const union sl_addr *dst)
{
	bool nobody = !src->q[0] && (!src->q[1] || src->q[1] == 1ull << 56); /* :: and ::1 */
	bool local = src->b[0] == 0xfe && (src->b[1] & 0xc0) == 0x80;

	return nobody || local || src->b[0] == 0xff || sl_addr_equal(src, dst);
}

/* The slot of a flow to a service. With client affinity a part of the client is ignored. The VIP is
 * the record's: for all addresses of a prefix the same. */
SL_INLINE uint32_t sl_slot_index4(const struct sl_root *root, const struct sl_service *s,
				  sl_be32 src, sl_be16 sport)
{
	return sl_hash_slot((sl_be32)((uint32_t)src & ~(uint32_t)s->ignore4),
			    (sl_be16)((uint16_t)sport & ~(uint16_t)s->ignore_port), s->vip.w[3],
			    s->slot_endpoint, root->slot_key) &
	       s->slot_mask;
}

/* source: the digest of client and port. */
SL_INLINE uint32_t sl_slot_index6(const struct sl_root *root, const struct sl_service *s,
				  const union sl_addr *src, uint64_t source)
{
	uint32_t bits = s->prefix6;

	if (sl_unlikely(bits))
		source = sl_hash_mix(src->q[0] & sl_half_mask(bits),
				     src->q[1] & sl_half_mask(bits > 64 ? bits - 64 : 0),
				     root->slot_key);
	return sl_hash_slot_of(source, &s->vip, s->slot_endpoint, root->slot_key) & s->slot_mask;
}

/* The key of a flow to a service. source: the client and its port, or for IPv6 their digest. vip:
 * the address that the client calls. */
SL_INLINE uint64_t sl_service_flow_key(const struct sl_tables *t, const struct sl_service *s,
				       uint64_t source, const union sl_addr *vip)
{
	if (sl_unlikely(s->flags & SL_SERVICE_VIP_KEYS))
		source = sl_vip_source(t, source, vip);
	return sl_flow_key(s->id, source);
}

SL_INLINE uint64_t sl_service_flow_key4(const struct sl_tables *t, const struct sl_service *s,
					sl_be32 src, sl_be16 sport, sl_be32 dst)
{
	union sl_addr vip = sl_addr4(dst);

	return sl_service_flow_key(t, s, sl_flow_key4(0, src, sport), &vip);
}

SL_INLINE uint64_t sl_vip_source_impl(const struct sl_tables *t, uint64_t source,
				      const union sl_addr *vip)
{
	const struct sl_root *root = sl_seam_root(t);

	return root ? sl_hash_source_vip(source, vip, root->slot_key) : source;
}

/* The packet is for a service: finds the slot, prefetches what comes next. */
SL_INLINE void sl_classify_service(const struct sl_tables *t, const struct sl_service *s,
				   const struct sl_parsed *o, struct sl_lookup *w)
{
	const struct sl_root *root = sl_seam_root(t);

	w->service = s;
	w->packet_class = SL_CLASS_SERVICE;
	w->at = sl_slot_index4(root, s, o->src, o->sport);
	sl_seam_prefetch(sl_seam_slot(t, (uint64_t)s->slots * SL_SLOTS_PER_BLOCK + w->at));
	w->hash = 0;
	if (s->flags & SL_SERVICE_LOOKUP) {
		uint64_t key = sl_service_flow_key4(t, s, o->src, o->sport, o->dst);

		w->hash = sl_hash_flow(key, root->flow_key);
		sl_seam_prefetch(sl_flow_bucket(t, w->hash, false));
		sl_seam_prefetch(sl_flow_bucket(t, w->hash, true));
		if (sl_unlikely(s->flags & SL_SERVICE_FULLNAT))
			w->hash = key;
	}
}

/* The same for IPv6. Its digest costs too much to be computed for a key that nobody looks up. */
SL_INLINE void sl_classify_service6(const struct sl_tables *t, const struct sl_service *s,
				    const struct sl_parsed *o, struct sl_lookup *w)
{
	const struct sl_root *root = sl_seam_root(t);
	uint64_t source = sl_hash_source6(&o->src6, o->sport, root->slot_key), hash;

	w->service = s;
	w->packet_class = SL_CLASS_SERVICE6;
	w->at = sl_slot_index6(root, s, &o->src6, source);
	sl_seam_prefetch(sl_seam_slot(t, (uint64_t)s->slots * SL_SLOTS_PER_BLOCK + w->at));
	w->hash = sl_service_flow_key(t, s, source, &o->dst6);
	if (s->flags & SL_SERVICE_LOOKUP) {
		hash = sl_hash_flow(w->hash, root->flow_key);
		sl_seam_prefetch(sl_flow_bucket(t, hash, false));
		sl_seam_prefetch(sl_flow_bucket(t, hash, true));
	}
}

/* The packet is from a backend: ours, unless the destination's route (at that index) says that it
 * is exempt. */
SL_INLINE void sl_classify_reply(const struct sl_tables *t, const struct sl_reply_entry *r,
				 uint32_t index, enum sl_packet_class packet_class,
				 struct sl_lookup *w)
{
	const struct sl_route *route = sl_seam_route(t, index);

	w->reply = r;
	w->at = index;
	w->packet_class = (uint8_t)packet_class;
	if (sl_likely(!route || route->kind > SL_ROUTE_POOL))
		return;
	if (route->kind == SL_ROUTE_POOL && packet_class != SL_CLASS_ERROR_TO_CLIENT)
		sl_lookup_snat_reply(w, sl_endpoint_protocol(r->endpoint),
				     packet_class == SL_CLASS_REPLY6);
	else
		sl_lookup_decided(w, SL_REASON_not_ours);
}

/* The packet is neither for a service nor from a backend, but it is still ours if its destination
 * is a VIP. */
SL_INLINE void sl_classify_unmatched(const struct sl_tables *t, const union sl_addr *dst,
				     const struct sl_parsed *o, bool martian, struct sl_lookup *w,
				     bool is_ipv6)
{
	const struct sl_service *vip = sl_vip_of(t, dst);
	uint32_t flags = vip ? vip->flags : SL_SERVICE_SHARED; /* nobody's is the kernel's too */

	if (flags & SL_SERVICE_SHARED)
		sl_lookup_decided(w, SL_REASON_not_ours);
	else if (o->kind == SL_PARSED_BAD)
		sl_lookup_decided(w, SL_REASON_bad_header);
	else if (o->kind == SL_PARSED_CHAIN)
		sl_lookup_decided(w, SL_REASON_header_chain);
	else if (martian)
		sl_lookup_decided(w, SL_REASON_martian);
	else if (o->kind == SL_PARSED_FLOW && flags & SL_SERVICE_POOL)
		sl_lookup_snat_reply(w, o->protocol, is_ipv6);
	else
		sl_lookup_decided(w, flags & SL_SERVICE_REJECTS ? SL_REASON_no_service_answered
								: SL_REASON_no_service);
}

/* Whether we are the one to answer for a VIP on its link: not where the kernel does, nor for the
 * addresses of a prefix, which is routed to us. */
SL_INLINE bool sl_answers_for(const struct sl_tables *t, const union sl_addr *vip)
{
	const struct sl_service *s = sl_service_find(t, vip, 0);

	return s && !(s->flags & SL_SERVICE_SHARED);
}

/* The last word about a rare packet: of a VIP that the kernel has too, what is for no service of it
 * is the kernel's, pings included. */
SL_INLINE void sl_yield_shared(const struct sl_tables *t, const union sl_addr *dst,
			       struct sl_lookup *w)
{
	const struct sl_service *vip;

	if (w->packet_class != SL_CLASS_DECIDED && w->packet_class != SL_CLASS_ECHO &&
	    w->packet_class != SL_CLASS_FRAGMENT_ECHO)
		return;
	vip = sl_vip_of(t, dst);
	if (vip && vip->flags & SL_SERVICE_SHARED)
		sl_lookup_decided(w, SL_REASON_not_ours);
}

/* A request for a VIP. One that names itself as who has it asks for nothing: it is an announcement
 * (RFC 5227, 2.3), of another gateway's. */
SL_INLINE bool sl_classify_arp(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	const struct sl_arp *arp = sl_packet_at(p, l3, sizeof(*arp));
	union sl_addr target;

	if (!arp || arp->hardware != sl_htons(1) || arp->protocol != sl_htons(SL_ETH_IP4) ||
	    arp->hardware_size != 6 || arp->protocol_size != 4 || arp->operation != sl_htons(1) ||
	    arp->sender == arp->target)
		return false;
	target = sl_addr4(arp->target);
	return sl_answers_for(t, &target);
}

/* Whether this is a neighbour solicitation for a VIP (RFC 4861, 7.1.1) from this link. The checksum
 * isn't checked: the answer's checksum is derived from it (nd.h), so a wrong one stays wrong. */
SL_INLINE bool sl_classify_nd(const struct sl_tables *t, const struct sl_packet *p,
			      const struct sl_parsed *o)
{
	const struct sl_nd *nd;
	union sl_addr target;

	if (o->kind != SL_PARSED_IP6 || o->protocol != SL_PROTO_ICMP6 || o->ttl != 255)
		return false;
	nd = sl_packet_at(p, o->l4, sizeof(*nd));
	if (!nd || nd->type != SL_ND_SOLICIT || nd->code)
		return false;
	target = sl_addr_load(nd->target);
	return !sl_addr_is4(&target) && sl_answers_for(t, &target);
}

/* IPv6; its header is at w->l3. The frame may have a group address. */
SL_INLINE void sl_classify6_any(const struct sl_tables *t, const struct sl_packet *p,
				struct sl_lookup *w)
{
	struct sl_parsed o;

	sl_parse6(p, sl_layout6(t, p, w->l3), &o);
	w->l4 = (uint8_t)o.l4;
	if (sl_likely(o.kind == SL_PARSED_FLOW)) {
		uint32_t there = sl_endpoint(o.dport, o.protocol);
		uint32_t here = sl_endpoint(o.sport, o.protocol);
		const struct sl_service *s = sl_service_find(t, &o.dst6, there);
		const struct sl_reply_entry *r = NULL;

		if (sl_unlikely(!s))
			r = sl_reply_entry_find(t, &o.src6, here);
		if (sl_unlikely(!s && !r && sl_seam_bank(t)->wide)) {
			uint32_t index = sl_service_search(t, &o.dst6, there);

			if (index != ~0u)
				s = sl_seam_service(t, index);
			else
				r = sl_seam_reply_entry(t, sl_reply_range(t, &o.src6, here));
		}
		if (sl_likely(s)) {
			if (sl_likely(!sl_martian6(&o.src6, &o.dst6)))
				sl_classify_service6(t, s, &o, w);
			else
				sl_lookup_decided(w, SL_REASON_martian);
			return;
		}
		if (sl_likely(r)) {
			sl_classify_reply(t, r, sl_route_find6(t, &o.dst6), SL_CLASS_REPLY6, w);
			return;
		}
	} else if (sl_classify_nd(t, p, &o)) {
		w->packet_class = SL_CLASS_ND;
		return;
	} else if (o.kind == SL_PARSED_IP6 && o.protocol == SL_PROTO_ICMP6) {
		w->packet_class = SL_CLASS_ICMP6;
		return;
	} else if (o.kind == SL_PARSED_FIRST_FRAGMENT || o.kind == SL_PARSED_FRAGMENT) {
		w->packet_class = o.kind == SL_PARSED_FIRST_FRAGMENT ? SL_CLASS_FIRST_FRAGMENT6
								     : SL_CLASS_FRAGMENT6;
		return;
	}
	if (o.kind == SL_PARSED_OTHER)
		sl_lookup_decided(w, SL_REASON_not_ours);
	else
		sl_classify_unmatched(t, &o.dst6, &o, sl_martian6(&o.src6, &o.dst6), w, true);
}

/* IPv6; its header is at w->l3. The frame was admitted. */
SL_INLINE void sl_classify6_impl(const struct sl_tables *t, const struct sl_packet *p,
				 struct sl_lookup *w)
{
	sl_classify6_any(t, p, w);
	if (sl_unlikely(sl_link_is_group(p)) && w->packet_class != SL_CLASS_ND)
		sl_lookup_decided(w, SL_REASON_not_ours);
}

/* Everything but IPv6, for which the class becomes SL_CLASS_IP6. */
SL_INLINE void sl_classify4(const struct sl_tables *t, const struct sl_packet *p,
			    struct sl_lookup *w)
{
	struct sl_parsed o = {
		0
	}; /* clang may load members that a branch left unset, which the verifier refuses */
	enum sl_reason reason;
	union sl_addr to;
	uint32_t options;

	sl_parse(p, &o);
	w->l3 = (uint8_t)o.l3;
	w->l4 = (uint8_t)o.l4;
	if (sl_unlikely(!sl_link_admits(t, p, o.kind, &reason))) {
		sl_lookup_decided(w, reason);
		return;
	}
	/* Dropped (RFC 7126, 4.3 and 4.4), as IPv6's are that have segments left. */
	options = o.l4 - o.l3 - (uint32_t)sizeof(struct sl_ip4);
	sl_opaque(options); /* or the verifier walks on with two lengths */
	if (sl_unlikely((int32_t)options > 0) && sl_source_routed(p, o.l3, o.l4 - o.l3))
		o.kind = SL_PARSED_CHAIN;
	if (sl_likely(o.kind == SL_PARSED_FLOW)) {
		union sl_addr dst = sl_addr4(o.dst), src;
		uint32_t there = sl_endpoint(o.dport, o.protocol);
		uint32_t here = sl_endpoint(o.sport, o.protocol);
		const struct sl_service *s = sl_service_find(t, &dst, there);
		const struct sl_reply_entry *r;

		if (sl_likely(s)) {
		to_service:
			if (sl_likely(!sl_martian4(o.src, o.dst)))
				sl_classify_service(t, s, &o, w);
			else
				sl_lookup_decided(w, SL_REASON_martian);
			return;
		}
		src = sl_addr4(o.src);
		r = sl_reply_entry_find(t, &src, here);
		if (sl_likely(r)) {
		from_backend:
			sl_classify_reply(t, r, sl_route_find4(t, o.dst), SL_CLASS_REPLY, w);
			return;
		}
		if (sl_unlikely(sl_seam_bank(t)->wide)) {
			s = sl_seam_service(t, sl_service_search(t, &dst, there));
			if (s)
				goto to_service;
			r = sl_seam_reply_entry(t, sl_reply_range(t, &src, here));
			if (r)
				goto from_backend;
		}
	} else if (o.kind == SL_PARSED_IP6) {
		w->packet_class = SL_CLASS_IP6;
		return;
	} else if (o.kind == SL_PARSED_ARP && sl_classify_arp(t, p, o.l3)) {
		w->packet_class = SL_CLASS_ARP;
		return;
	} else if (o.kind == SL_PARSED_FRAGMENT || o.kind == SL_PARSED_FIRST_FRAGMENT) {
		w->packet_class = o.kind == SL_PARSED_FIRST_FRAGMENT ? SL_CLASS_FIRST_FRAGMENT
								     : SL_CLASS_FRAGMENT;
		return;
	} else if (o.kind == SL_PARSED_IP4 && o.protocol == SL_PROTO_ICMP) {
		w->packet_class = SL_CLASS_ICMP;
		return;
	}
	to = sl_addr4(o.dst);
	if (o.kind >= SL_PARSED_IP4)
		sl_classify_unmatched(t, &to, &o, sl_martian4(o.src, o.dst), w, false);
	else
		sl_lookup_decided(w, SL_REASON_not_ours);
}

SL_INLINE void sl_classify(const struct sl_tables *t, const struct sl_packet *p,
			   struct sl_lookup *w)
{
	sl_classify4(t, p, w);
	if (sl_unlikely(w->packet_class == SL_CLASS_IP6))
		sl_classify6(t, p, w);
}

#endif
