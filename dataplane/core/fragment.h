/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Fragments of a datagram to a service, or of a backend's reply. All go where the first one goes,
 * each as it comes, without reassembly.
 *
 *   first    has the ports and is decided like a whole packet, including tracking. Its ports are
 *            stored under the datagram's identification (abi/fragment.h).
 *   later    with the stored ports, slot and flow entry tell its backend as for the first one, but
 *            nothing is entered or refreshed. It contains no ports and no transport checksum, so
 *            only addresses are rewritten.
 *   before   the first one came: if sent to a service, it goes where the last fragmented datagram
 *            of the same hosts and protocol went, or is dropped if there was none within seconds.
 *            If sent by a backend, nothing shows that it is ours, and it is left to the kernel.
 *
 * In mode fullnat all fragments of a datagram get another identification (fragment_id.h).
 *
 * docs/decisions/0015-fragments-follow-the-first.md has the reasons. A later fragment must not
 * carry what a filter has to see in the first one (RFC 1858, RFC 3128): a first fragment contains
 * the whole TCP or UDP header, and no later one overlaps a TCP header.
 *
 * After parsing, IPv4 and IPv6 share the code, with `is_ipv6` a constant at every call; fragment6.h
 * has the rest of IPv6.
 */
#ifndef SL_CORE_FRAGMENT_H
#define SL_CORE_FRAGMENT_H

#include "decide.h"
#include "icmp.h"

/* The offsets of a fragment's headers as one number (seam.h): 0..7 the IP header, 8..15 the IPv6
 * fragment header, 0 for IPv4. */
SL_INLINE uint32_t sl_fragment_where(uint32_t l3, uint32_t at)
{
	return l3 | at << 8;
}

/* IPv6: digests of both addresses, each with half of the identification in the port's place. Nobody
 * compares the addresses themselves, and whoever owns a network can choose most of their bits. */
SL_INLINE uint64_t sl_fragment_hash6(const struct sl_root *root, const struct sl_packet *p,
				     uint32_t l3, uint32_t at, bool last)
{
	const struct sl_ip6_extension *e;
	const struct sl_ip6 *ip;
	union sl_addr src, dst;
	uint64_t a, b;
	uint32_t id;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!(e = sl_packet_at(p, at, sizeof(*e))))
		return 0;
	id = last ? 0 : (uint32_t)e->data;
	if (!(ip = sl_packet_at(p, l3, sizeof(*ip))))
		return 0;
	src = sl_addr_load(ip->src);
	dst = sl_addr_load(ip->dst);
	a = sl_hash_source6(&src, (sl_be16)(uint16_t)id, root->slot_key);
	b = sl_hash_source6(&dst, (sl_be16)(uint16_t)(id >> 16), root->slot_key);
	return sl_hash_mix(a, b | (uint64_t)last << 48, root->flow_key);
}

/* The hash under which a datagram's ports are stored. last: that of the last datagram of its
 * hosts. */
SL_INLINE uint64_t sl_fragment_hash(const struct sl_root *root, const struct sl_packet *p,
				    uint32_t where, bool last)
{
	uint32_t l3 = where & 0xff, at = where >> 8 & 0xff;
	const struct sl_ip4 *ip;
	uint64_t a, b;

	if (at)
		return sl_fragment_hash6(root, p, l3, at, last);
	ip = sl_packet_at(p, l3, sizeof(*ip));
	if (!ip)
		return 0;
	a = (uint64_t)(uint32_t)ip->src << 32 | (uint32_t)ip->dst;
	b = last ? 1ull << 32 : (uint64_t)(uint16_t)ip->id << 8;
	return sl_hash_mix(a, b | ip->protocol, root->flow_key);
}

/* life: how old it may be. */
SL_INLINE uint64_t sl_fragment_lookup(const struct sl_tables *t, uint64_t hash, uint32_t life)
{
	const struct sl_fragments *f = sl_seam_fragments(t, (uint32_t)hash);
	uint32_t now = sl_fragment_time(sl_seam_now(t));

	for (int way = 0; f && way < SL_FRAGMENT_WAYS; way++) {
		uint64_t value = sl_entry_load(&f->value[way]);

		if ((sl_entry_load(&f->key[way]) ^ value) == hash &&
		    sl_fragment_age(value, now) <= life)
			return value;
	}
	return 0;
}

/* The stored value, or 0. guess: if there is none, that of the hosts' last datagram. */
SL_INLINE uint64_t sl_fragment_find_impl(const struct sl_tables *t, const struct sl_packet *p,
					 uint32_t where, bool guess)
{
	const struct sl_root *root = sl_seam_root(t);
	uint64_t value;

	if (!root)
		return 0;
	value = sl_fragment_lookup(t, sl_fragment_hash(root, p, where, false), SL_FRAGMENT_LIFE);
	if (!value && guess)
		value = sl_fragment_lookup(t, sl_fragment_hash(root, p, where, true),
					   SL_FRAGMENT_LIFE);
	return value;
}

/* Stores a value in the datagram's own entry, or in the oldest one. what: without a time. */
SL_INLINE void sl_fragment_put(const struct sl_tables *t, uint64_t hash, uint64_t what)
{
	struct sl_fragments *f = sl_seam_fragments(t, (uint32_t)hash);
	uint32_t now = sl_fragment_time(sl_seam_now(t)), oldest = 0;
	uint32_t victim = 0;

	if (!f)
		return;
	what |= now;
	for (uint32_t way = 0; way < SL_FRAGMENT_WAYS; way++) {
		uint64_t there = sl_entry_load(&f->value[way]);
		uint32_t age = sl_fragment_age(there, now) + 1;

		if ((sl_entry_load(&f->key[way]) ^ there) == hash)
			age = UINT32_MAX;
		else if (!there)
			age = UINT32_MAX - 1;
		if (age > oldest) {
			oldest = age;
			victim = way;
		}
	}
	victim &= SL_FRAGMENT_WAYS - 1;
	sl_entry_store(&f->value[victim], what);
	sl_entry_store(&f->key[victim], hash ^ what);
}

/* Stores a datagram's value; last: also as the last datagram of its hosts. */
SL_INLINE void sl_fragment_enter_impl(const struct sl_tables *t, const struct sl_packet *p,
				      uint32_t where, uint64_t what, bool last)
{
	const struct sl_root *root = sl_seam_root(t);

	if (!root)
		return;
	sl_fragment_put(t, sl_fragment_hash(root, p, where, false), what);
	if (last)
		sl_fragment_put(t, sl_fragment_hash(root, p, where, true), what);
}

/* Lengths and offsets that no honest sender uses. offset, length: of the payload, in bytes. */
SL_INLINE bool sl_fragment_bad(uint32_t offset, uint32_t length, bool more)
{
	return (more && length & 7) || !length || offset + length > 65535;
}

SL_INLINE bool sl_fragment_bad4(const struct sl_ip4 *ip)
{
	uint32_t fragment = sl_ntohs(ip->fragment), offset = (fragment & SL_IP4_OFFSET) * 8;
	uint32_t length = sl_ntohs(ip->length) - (ip->version_ihl & 15u) * 4;

	return sl_fragment_bad(offset, length, fragment & SL_IP4_MORE) ||
	       (ip->protocol == SL_PROTO_TCP && offset && offset < sizeof(struct sl_tcp));
}

/* A first fragment, whose ports are known. */
SL_INLINE void sl_fragment_classify_first(const struct sl_tables *t, const struct sl_packet *p,
					  const struct sl_parsed *o, uint32_t where,
					  struct sl_lookup *w, bool is_ipv6)
{
	union sl_addr dst = is_ipv6 ? o->dst6 : sl_addr4(o->dst);
	union sl_addr src = is_ipv6 ? o->src6 : sl_addr4(o->src);
	const struct sl_service *s;
	const struct sl_reply_entry *r;
	bool udp = o->protocol == SL_PROTO_UDP;

	s = sl_service_of(t, &dst, sl_endpoint(o->dport, o->protocol));
	if (s) {
		sl_fragment_enter(t, p, where,
				  sl_fragment_value(o->sport, o->dport, udp, SL_FRAGMENT_SERVICE),
				  true);
		is_ipv6 ? sl_classify_service6(t, s, o, w) : sl_classify_service(t, s, o, w);
		return;
	}
	if (w->reason != SL_REASON_not_ours) {
		s = sl_service_find(t, &dst, 0);
		w->reason = SL_REASON_no_service;
		if (!s || !(s->flags & SL_SERVICE_POOL))
			return;
		sl_fragment_enter(t, p, where,
				  sl_fragment_value(o->sport, o->dport, udp, SL_FRAGMENT_REPLY),
				  false);
		sl_lookup_snat_reply(w, o->protocol, is_ipv6);
		return;
	}
	r = sl_reply_entry_of(t, &src, sl_endpoint(o->sport, o->protocol));
	if (!r)
		return;
	sl_classify_reply(t, r, is_ipv6 ? sl_route_find6(t, &dst) : sl_route_find4(t, o->dst),
			  is_ipv6 ? SL_CLASS_REPLY6 : SL_CLASS_REPLY, w);
	if (w->packet_class != SL_CLASS_DECIDED)
		sl_fragment_enter(t, p, where,
				  sl_fragment_value(o->sport, o->dport, udp, SL_FRAGMENT_REPLY),
				  false);
}

SL_INLINE uint8_t sl_fragment_protocol(uint64_t value)
{
	return sl_fragment_udp(value) ? SL_PROTO_UDP : SL_PROTO_TCP;
}

/* A later fragment of a datagram to a service. w->hash becomes the flow's key, as for a reply. */
SL_INLINE void sl_fragment_classify_service(const struct sl_tables *t, const void *l3,
					    uint64_t value, struct sl_lookup *w, bool is_ipv6)
{
	union sl_addr vip = sl_l3_dst(l3, is_ipv6), client = sl_l3_src(l3, is_ipv6);
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_service *s;
	uint64_t source;

	s = sl_service_of(t, &vip,
			  sl_endpoint(sl_fragment_dport(value), sl_fragment_protocol(value)));
	if (!s || !root)
		return;
	w->service = s;
	w->packet_class = SL_CLASS_FRAGMENT_TO_BACKEND;
	source = is_ipv6 ? sl_hash_source6(&client, sl_fragment_sport(value), root->slot_key)
			 : sl_flow_key4(0, client.w[3], sl_fragment_sport(value));
	w->hash = sl_service_flow_key(t, s, source, &vip);
	w->at = is_ipv6 ? sl_slot_index6(root, s, &client, source)
			: sl_slot_index4(root, s, client.w[3], sl_fragment_sport(value));
}

/* A later fragment of a backend's reply. */
SL_INLINE void sl_fragment_classify_reply(const struct sl_tables *t, const void *l3, uint64_t value,
					  struct sl_lookup *w, bool is_ipv6)
{
	union sl_addr backend = sl_l3_src(l3, is_ipv6), client = sl_l3_dst(l3, is_ipv6);
	const struct sl_reply_entry *r;

	r = sl_reply_entry_of(t, &backend,
			      sl_endpoint(sl_fragment_sport(value), sl_fragment_protocol(value)));
	if (!r)
		return;
	w->reply = r;
	w->at = is_ipv6 ? sl_route_find6(t, &client) : sl_route_find4(t, client.w[3]);
	w->packet_class = SL_CLASS_FRAGMENT_TO_CLIENT;
	w->hash = sl_reply_key(t, r->service, &client, sl_fragment_dport(value), is_ipv6);
}

/* A fragment of a ping: the first one, or a later one, which can't be told from other ICMP. */
SL_INLINE void sl_fragment_classify_icmp(const struct sl_tables *t, const struct sl_packet *p,
					 const struct sl_parsed *o, uint32_t where,
					 struct sl_lookup *w, bool is_ipv6)
{
	const struct sl_icmp *icmp = sl_packet_at(p, o->l4, sizeof(*icmp));
	union sl_addr src = is_ipv6 ? o->src6 : sl_addr4(o->src);

	if (!icmp || sl_is_vip(t, &src))
		return;
	w->reason = SL_REASON_icmp_unknown;
	if (icmp->type != (is_ipv6 ? SL_ICMP6_ECHO : SL_ICMP_ECHO))
		return;
	w->packet_class = SL_CLASS_ECHO;
	sl_fragment_enter(t, p, where,
			  sl_fragment_value((sl_be16)0, (sl_be16)0, false, SL_FRAGMENT_ECHO),
			  false);
}

/* A later fragment. Returns the stored value, or 0. */
SL_INLINE uint64_t sl_fragment_classify_later(const struct sl_tables *t, const struct sl_packet *p,
					      const void *l3, uint32_t where, struct sl_lookup *w,
					      bool is_ipv6)
{
	bool to_vip = w->reason != SL_REASON_not_ours;
	uint64_t value = sl_fragment_find(t, p, where, to_vip);

	if (to_vip)
		w->reason = SL_REASON_fragment;
	switch (sl_fragment_kind(value)) {
	case SL_FRAGMENT_SERVICE:
		sl_fragment_classify_service(t, l3, value, w, is_ipv6);
		break;
	case SL_FRAGMENT_REPLY:
		if (to_vip) { /* we also answer for addresses of SNAT pools */
			w->packet_class = SL_CLASS_FRAGMENT_SNAT;
			w->hash = (uint16_t)sl_fragment_dport(value);
		} else {
			sl_fragment_classify_reply(t, l3, value, w, is_ipv6);
		}
		break;
	case SL_FRAGMENT_ECHO:
		w->packet_class = SL_CLASS_FRAGMENT_ECHO;
		break;
	default:
		break;
	}
	return value;
}

SL_INLINE void sl_fragment_classify(const struct sl_tables *t, const struct sl_packet *p,
				    struct sl_parsed *o, bool first, struct sl_lookup *w)
{
	const struct sl_ip4 *ip = sl_packet_at(p, o->l3, sizeof(*ip));
	uint32_t where = sl_fragment_where(o->l3, 0);
	bool to_vip;

	if (!ip)
		return;
	to_vip = sl_is_vip4(t, o->dst);
	if (to_vip && sl_martian4(o->src, o->dst)) {
		w->reason = SL_REASON_martian;
		return;
	}
	if (to_vip)
		w->reason = SL_REASON_fragment_bad;
	if (sl_fragment_bad4(ip))
		return;
	if (!first) {
		sl_fragment_classify_later(t, p, ip, where, w, false);
	} else if (o->protocol == SL_PROTO_TCP || o->protocol == SL_PROTO_UDP) {
		uint32_t left = sl_ntohs(ip->length) - (ip->version_ihl & 15u) * 4;

		if (sl_parse_transport(p, o, left) == SL_PARSED_FLOW)
			sl_fragment_classify_first(t, p, o, where, w, false);
	} else if (to_vip && o->protocol == SL_PROTO_ICMP) {
		sl_fragment_classify_icmp(t, p, o, where, w, false);
	} else if (to_vip) {
		w->reason = SL_REASON_no_service;
	}
}

/* The client's port, if w->hash is the key of an IPv4 flow; or a pool's port. Of a key with the VIP
 * in it only the first fragment knows. */
SL_INLINE sl_be16 sl_fragment_port4(const struct sl_tables *t, const struct sl_packet *p,
				    const struct sl_lookup *w)
{
	if (w->packet_class == SL_CLASS_FRAGMENT_TO_BACKEND &&
	    sl_unlikely(w->service->flags & SL_SERVICE_VIP_KEYS))
		return sl_fragment_sport(sl_fragment_find(t, p, sl_fragment_where(w->l3, 0), true));
	return (sl_be16)(uint16_t)w->hash;
}

/* Applies the limits that count every packet. The limit in the flow's entry is charged by a look-up
 * of its own: a fragment doesn't keep an entry alive, but costs its length. port: the client's. */
SL_INLINE enum sl_reason sl_fragment_limit(const struct sl_tables *t, struct sl_packet *p,
					   const struct sl_lookup *w, const void *l3,
					   const union sl_addr *client, sl_be16 port, uint32_t id,
					   enum sl_limit_direction direction, bool is_ipv6)
{
	bool to = direction == SL_TO_BACKEND;
	uint16_t flags = to ? w->service->flags : w->reply->flags;
	uint16_t entry = to ? SL_SERVICE_ENTRY_TO : SL_SERVICE_ENTRY_FROM;
	uint16_t others = to ? SL_SERVICE_LIMIT_TO : SL_SERVICE_LIMIT_FROM;
	enum sl_policer_verdict verdict = SL_POLICER_PASS;
	struct sl_policer_query policer;
	uint8_t protocol;

	if (!(flags & (entry | others)))
		return SL_REASON_to_backend;
	protocol = to ? sl_l3_protocol(l3, w->service->endpoint, is_ipv6) : w->reply->protocol;
	policer = sl_policer_query_of(t, p, l3, protocol, client, port, direction, is_ipv6);
	policer.limits = to ? w->service->limits : w->reply->limits;
	policer.n_limits = to ? w->service->n_limits : w->reply->n_limits;
	policer.counter_id = id;
	if (flags & entry)
		verdict = sl_track_charge(t, w->hash, SL_EVENT_DATA, true, &policer);
	return sl_route_limit(t, p, w, flags & others, &policer, verdict, is_ipv6);
}

/* A later fragment has no ports and no transport checksum. */
SL_INLINE void sl_fragment_rewrite(void *l3, struct sl_eth *eth, const struct sl_nat *n,
				   bool to_client, bool is_ipv6)
{
	sl_eth_address(eth, n->mac);
	sl_nat_l3(l3, n, to_client, is_ipv6);
}

/* Whether it belongs to a hairpin, whose first fragment is refused. */
SL_INLINE bool sl_fragment_turns(const struct sl_tables *t, const struct sl_packet *p,
				 uint64_t index, const void *l3, bool is_ipv6)
{
	const struct sl_backend *b = sl_seam_backend(t, index);

	return b && sl_hairpin_near(b, l3, is_ipv6) && sl_hairpin_turns(t, p, b, l3, is_ipv6);
}

SL_INLINE enum sl_reason sl_fragment_to_backend(const struct sl_tables *t, struct sl_packet *p,
						const struct sl_lookup *w, sl_be16 port,
						uint16_t *egress, bool is_ipv6)
{
	void *l3 = sl_packet_at(p, w->l3, is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	uint32_t id, length = p->length;
	uint8_t mode = w->service->mode;
	struct sl_backend_counters *backend_counters;
	enum sl_reason reason;
	union sl_addr client, called;
	uint64_t mapping = 0;
	struct sl_nat n;

	if (!l3 || !eth)
		return SL_REASON_bad_header;
	if (sl_l3_ttl(l3, is_ipv6) <= 1 && mode != SL_MODE_DIRECT)
		return SL_REASON_ttl_exceeded;
	if (mode == SL_MODE_FULLNAT) {
		mapping = sl_snat_find_anywhere(t, w->hash, w->service->pool);
		if (!mapping)
			return sl_seam_current(t) ? SL_REASON_fragment : SL_REASON_torn_table;
	}
	client = sl_l3_src(l3, is_ipv6);
	reason = sl_resolve_backend(t, w, w->hash, &n, &id, egress);
	if (reason == SL_REASON_to_backend && mode == SL_MODE_NAT &&
	    sl_fragment_turns(t, p, n.index, l3, is_ipv6))
		reason = sl_seam_current(t) ? SL_REASON_hairpin : SL_REASON_torn_table;
	if (reason == SL_REASON_to_backend && sl_l3_length(l3, is_ipv6) > n.mtu)
		reason = SL_REASON_too_big;
	if (reason == SL_REASON_to_backend)
		reason = sl_fragment_limit(t, p, w, l3, &client, port, id, SL_TO_BACKEND, is_ipv6);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (mode == SL_MODE_FULLNAT) {
		const struct sl_snat_address *a =
			sl_snat_address(t, w->service->pool, sl_snat_address_index(mapping));

		if (!a)
			return SL_REASON_bad_index;
		sl_fragment_rename(t, p, sl_fragment_where(w->l3, is_ipv6 ? w->l4 : 0),
				   (uint64_t)(uint32_t)a->addr.w[3] << 32 | (uint32_t)n.addr.w[3]);
		sl_nat_address(l3, &a->addr, true, is_ipv6);
		called = sl_l3_dst(l3, is_ipv6);
		sl_nat_called(&n, w->service, &called);
	}
	if (mode == SL_MODE_NAT || mode == SL_MODE_FULLNAT) {
		sl_fragment_rewrite(l3, eth, &n, false, is_ipv6);
	} else {
		reason = (enum sl_reason)sl_mode(t, p, n.index, w->l3, w->l4, mode);
		if (reason != SL_REASON_to_backend)
			return reason;
	}
	backend_counters = sl_seam_backend_counters(t, id);
	if (backend_counters) {
		backend_counters->packets_in++;
		backend_counters->bytes_in += length;
	}
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_fragment_to_client(const struct sl_tables *t, struct sl_packet *p,
					       const struct sl_lookup *w, sl_be16 port,
					       uint16_t *egress, bool is_ipv6)
{
	void *l3 = sl_packet_at(p, w->l3, is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	const struct sl_reply_entry *r = w->reply;
	struct sl_backend_counters *backend_counters;
	enum sl_reason reason;
	union sl_addr dst;
	struct sl_nat n;
	uint32_t id = r->counter_id;

	if (!l3 || !eth)
		return SL_REASON_bad_header;
	if (sl_l3_ttl(l3, is_ipv6) <= 1)
		return SL_REASON_ttl_exceeded;
	sl_nat_of_reply(&n, r);
	dst = sl_l3_dst(l3, is_ipv6);
	reason = sl_route_to_client(t, w->at, &dst, n.mac, egress);
	if (reason != SL_REASON_to_client)
		return reason;
	reason = sl_fragment_limit(t, p, w, l3, &dst, port, id, SL_FROM_BACKEND, is_ipv6);
	if (reason != SL_REASON_to_backend)
		return reason;
	sl_fragment_rewrite(l3, eth, &n, true, is_ipv6);
	backend_counters = sl_seam_backend_counters(t, id);
	if (backend_counters) {
		backend_counters->packets_out++;
		backend_counters->bytes_out += p->length;
	}
	return SL_REASON_to_client;
}

/* A fragment to an address of a SNAT pool. port: the destination port of the first fragment. */
SL_INLINE enum sl_reason sl_fragment_snat(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, sl_be16 port, uint16_t *egress,
					  bool is_ipv6)
{
	void *l3 = sl_packet_at(p, w->l3, is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
	uint8_t mac[12] __attribute__((aligned(8)));
	struct sl_lookup mine = *w;
	enum sl_reason reason;
	union sl_addr src, dst, vip;
	struct sl_snat_reply b;
	uint32_t at, mtu, id;

	if (!l3)
		return SL_REASON_bad_header;
	if (sl_l3_ttl(l3, is_ipv6) <= 1)
		return SL_REASON_ttl_exceeded;
	src = sl_l3_src(l3, is_ipv6);
	dst = sl_l3_dst(l3, is_ipv6);
	if (!sl_snat_reply_find(t, &dst, port, &b, is_ipv6) ||
	    !sl_snat_reply_is_from(&b, &src, b.backend->port))
		return sl_seam_current(t) ? SL_REASON_not_bound : SL_REASON_torn_table;
	id = b.backend->counter_id;
	mine.reply = b.r;
	mine.hash = b.key;
	reason = sl_snat_reply_route(t, &b, &at, &mtu, is_ipv6);
	if (reason != SL_REASON_to_client)
		return reason;
	if (sl_l3_length(l3, is_ipv6) > mtu)
		return SL_REASON_too_big;
	reason =
		sl_fragment_limit(t, p, &mine, l3, &b.client, b.port, id, SL_FROM_BACKEND, is_ipv6);
	if (reason != SL_REASON_to_backend)
		return reason;
	reason = sl_route_to_client(t, at, &b.client, mac, egress);
	if (reason != SL_REASON_to_client)
		return reason;
	vip = sl_snat_reply_vip(t, &b, is_ipv6);
	sl_fragment_rename(t, p, sl_fragment_where(w->l3, is_ipv6 ? w->l4 : 0),
			   (uint64_t)(uint32_t)vip.w[3] << 32 | (uint32_t)b.client.w[3]);
	sl_nat_address(l3, &b.client, false, is_ipv6);
	sl_nat_address(l3, &vip, true, is_ipv6);
	if (!sl_snat_reply_forward(p, w->l3, mac, is_ipv6))
		return SL_REASON_bad_header;
	sl_snat_reply_count(t, p, id);
	return SL_REASON_to_client;
}

#endif
