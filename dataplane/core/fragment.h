/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Fragments of a datagram to a service, or of a backend's reply: all go where the first one goes,
 * each as it comes, without reassembly.
 *
 *   first     has the ports and is decided as any packet, tracking included. The ports are
 *             remembered under the datagram's identification (abi/fragment.h).
 *   others    have none. With those that are remembered the flow's row and entry say where it is,
 *             as for the first one; nothing is entered or refreshed. No port and no transport
 *             checksum stands in them, so only the addresses are rewritten.
 *   before    its first one: to a service, it goes where the last datagram of the same two hosts
 *             and protocol goes that was in fragments; where there was none in the last seconds it
 *             is dropped. From a backend it can't be told from what isn't ours, and is the
 * kernel's.
 *
 * docs/decisions/ has why. What a first fragment hides from a filter, a second one must not bring
 * (RFC 1858, RFC 3128): a first fragment holds the whole TCP or UDP header, and no other one
 * reaches into a TCP header.
 */
#ifndef SL_CORE_FRAGMENT_H
#define SL_CORE_FRAGMENT_H

#include "decide.h"
#include "icmp.h"

/* The datagram's hash; of the last one of these hosts where `any`. */
SL_INLINE uint64_t sl_fragment_hash(const struct sl_root *root, const struct sl_ip4 *ip, bool any)
{
	uint64_t a = (uint64_t)(uint32_t)ip->src << 32 | (uint32_t)ip->dst;
	uint64_t b = any ? 1ull << 32 : (uint64_t)(uint16_t)ip->id << 8;

	return sl_hash_mix(a, b | ip->protocol, root->flow_key);
}

/* What is remembered, or 0. */
SL_INLINE uint64_t sl_fragment_find_with(const struct sl_tables *t, uint64_t hash)
{
	const struct sl_fragments *f = sl_seam_fragments(t, (uint32_t)hash);
	uint32_t now = sl_fragment_time(sl_seam_now(t));

	for (int way = 0; f && way < SL_FRAGMENT_WAYS; way++) {
		uint64_t value = sl_entry_load(&f->value[way]);

		if ((sl_entry_load(&f->key[way]) ^ value) == hash &&
		    sl_fragment_age(value, now) <= SL_FRAGMENT_LIFE)
			return value;
	}
	return 0;
}

/* Remembers: in its own place, or that of the oldest. what: a value, whose time doesn't count. */
SL_INLINE void sl_fragment_enter_with(const struct sl_tables *t, uint64_t hash, uint64_t what)
{
	struct sl_fragments *f = sl_seam_fragments(t, (uint32_t)hash);
	uint32_t now = sl_fragment_time(sl_seam_now(t)), oldest = 0;
	uint32_t place = 0;

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
			place = way;
		}
	}
	place &= SL_FRAGMENT_WAYS - 1;
	sl_entry_store(&f->value[place], what);
	sl_entry_store(&f->key[place], hash ^ what);
}

/* Lengths and offsets that no sender of good will makes. */
SL_INLINE bool sl_fragment_bad(const struct sl_ip4 *ip)
{
	uint32_t fragment = sl_ntohs(ip->fragment), offset = (fragment & SL_IP4_OFFSET) * 8;
	uint32_t length = sl_ntohs(ip->length) - (ip->version_ihl & 15u) * 4;

	if (fragment & SL_IP4_MORE && (length & 7 || !length))
		return true;
	if (!length || offset + length > 65535)
		return true;
	return ip->protocol == SL_PROTO_TCP && offset && offset < sizeof(struct sl_tcp);
}

/* The first one of a datagram. */
SL_INLINE void sl_fragment_classify_first(const struct sl_tables *t, const struct sl_packet *p,
					  struct sl_parsed *o, const struct sl_ip4 *ip,
					  struct sl_work *w)
{
	uint32_t left = sl_ntohs(ip->length) - (ip->version_ihl & 15u) * 4;
	const struct sl_root *root = sl_seam_root(t);
	union sl_addr dst = sl_addr4(o->dst), src = sl_addr4(o->src);
	const struct sl_service *s;
	const struct sl_reverse *r;
	uint64_t what;

	if (!root || sl_parse_transport(p, o, left) != SL_PARSED_FLOW)
		return;
	s = sl_service_find(t, &dst, sl_endpoint(o->dport, o->protocol));
	if (s) {
		what = sl_fragment_value(o->sport, o->dport, SL_FRAGMENT_SERVICE, 0);
		sl_fragment_enter(t, sl_fragment_hash(root, ip, false), what);
		sl_fragment_enter(t, sl_fragment_hash(root, ip, true), what);
		sl_classify_service(t, s, o, w);
		return;
	}
	if (w->reason != SL_REASON_not_ours) {
		w->reason = SL_REASON_no_service;
		return;
	}
	r = sl_reverse_find(t, &src, sl_endpoint(o->sport, o->protocol));
	if (!r)
		return;
	sl_classify_reverse(t, r, sl_route_find4(t, o->dst), SL_TODO_REVERSE, w);
	if (w->todo == SL_TODO_REVERSE)
		sl_fragment_enter(t, sl_fragment_hash(root, ip, false),
				  sl_fragment_value(o->sport, o->dport, SL_FRAGMENT_REPLY, 0));
}

/* Any other of a datagram to a service. w->hash: the flow's key, as for a reply. */
SL_INLINE void sl_fragment_classify_service(const struct sl_tables *t, const struct sl_ip4 *ip,
					    uint64_t value, struct sl_work *w)
{
	union sl_addr vip = sl_addr4(ip->dst);
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_service *s;

	s = sl_service_find(t, &vip, sl_endpoint(sl_fragment_dport(value), ip->protocol));
	if (!s || !root)
		return;
	w->service = s;
	w->todo = SL_TODO_FRAGMENT_TO_BACKEND;
	w->at = sl_row_at4(root, s, ip->src, sl_fragment_sport(value), ip->dst);
	w->hash = sl_flow_key4(s->id, ip->src, sl_fragment_sport(value));
}

/* Any other of a backend's reply. */
SL_INLINE void sl_fragment_classify_reply(const struct sl_tables *t, const struct sl_ip4 *ip,
					  uint64_t value, struct sl_work *w)
{
	union sl_addr backend = sl_addr4(ip->src);
	const struct sl_reverse *r;

	r = sl_reverse_find(t, &backend, sl_endpoint(sl_fragment_sport(value), ip->protocol));
	if (!r)
		return;
	w->reverse = r;
	w->at = sl_route_find4(t, ip->dst);
	w->todo = SL_TODO_FRAGMENT_TO_CLIENT;
	w->hash = sl_flow_key4(r->service, ip->dst, sl_fragment_dport(value));
}

/* A first fragment of a ping, or a later one, which looks the same for all of ICMP. */
SL_INLINE void sl_fragment_classify_icmp(const struct sl_tables *t, const struct sl_packet *p,
					 const struct sl_parsed *o, const struct sl_ip4 *ip,
					 struct sl_work *w)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_icmp *icmp = sl_packet_at(p, o->l4, sizeof(*icmp));

	if (!root || !icmp || sl_vip_is(t, o->src))
		return;
	w->reason = SL_REASON_icmp_unknown;
	if (icmp->type != SL_ICMP_ECHO)
		return;
	w->todo = SL_TODO_ECHO;
	sl_fragment_enter(t, sl_fragment_hash(root, ip, false),
			  sl_fragment_value((sl_be16)0, (sl_be16)0, SL_FRAGMENT_ECHO, 0));
}

SL_INLINE void sl_fragment_classify_rest(const struct sl_tables *t, const struct sl_ip4 *ip,
					 struct sl_work *w)
{
	const struct sl_root *root = sl_seam_root(t);
	bool to_vip = w->reason != SL_REASON_not_ours;
	uint64_t value;

	if (!root)
		return;
	if (to_vip)
		w->reason = SL_REASON_fragment;
	value = sl_fragment_find(t, sl_fragment_hash(root, ip, false));
	if (!value && to_vip)
		value = sl_fragment_find(t, sl_fragment_hash(root, ip, true));
	switch (sl_fragment_kind(value)) {
	case SL_FRAGMENT_SERVICE:
		sl_fragment_classify_service(t, ip, value, w);
		break;
	case SL_FRAGMENT_REPLY:
		sl_fragment_classify_reply(t, ip, value, w);
		break;
	case SL_FRAGMENT_ECHO:
		w->todo = SL_TODO_FRAGMENT_ECHO;
		break;
	default:
		break;
	}
}

SL_INLINE void sl_fragment_classify(const struct sl_tables *t, const struct sl_packet *p,
				    struct sl_parsed *o, bool first, struct sl_work *w)
{
	const struct sl_ip4 *ip = sl_packet_at(p, o->l3, sizeof(*ip));
	bool to_vip;

	if (!ip)
		return;
	to_vip = sl_vip_is(t, o->dst);
	if (to_vip && sl_martian4(o->src, o->dst)) {
		w->reason = SL_REASON_martian;
		return;
	}
	if (to_vip)
		w->reason = SL_REASON_fragment_bad;
	if (sl_fragment_bad(ip))
		return;
	if (!first)
		sl_fragment_classify_rest(t, ip, w);
	else if (o->protocol == SL_PROTO_TCP || o->protocol == SL_PROTO_UDP)
		sl_fragment_classify_first(t, p, o, ip, w);
	else if (to_vip && o->protocol == SL_PROTO_ICMP)
		sl_fragment_classify_icmp(t, p, o, ip, w);
	else if (to_vip)
		w->reason = SL_REASON_no_service;
}

/* The limits that count every packet. The one in the flow's entry is asked there: a fragment is no
 * hit that keeps an entry alive, but it costs what it is long. */
SL_INLINE enum sl_reason sl_fragment_limit(const struct sl_tables *t, struct sl_packet *p,
					   const struct sl_work *w, const struct sl_ip4 *ip,
					   uint32_t id, enum sl_limit_direction direction)
{
	bool to = direction == SL_TO_BACKEND;
	uint16_t flags = to ? w->service->flags : w->reverse->flags;
	uint16_t entry = to ? SL_SERVICE_ENTRY_TO : SL_SERVICE_ENTRY_FROM;
	uint16_t others = to ? SL_SERVICE_LIMIT_TO : SL_SERVICE_LIMIT_FROM;
	enum sl_bite bite = SL_BITE_NONE;
	struct sl_limit_ask packet;
	union sl_addr client;

	if (!(flags & (entry | others)))
		return SL_REASON_to_backend;
	client = sl_addr4(to ? ip->src : ip->dst);
	packet = sl_route_about(t, p, ip, ip->protocol, &client, (sl_be16)(uint16_t)w->hash,
				direction, false);
	packet.limits = to ? w->service->limits : w->reverse->limits;
	packet.n_limits = to ? w->service->n_limits : w->reverse->n_limits;
	packet.traffic = id;
	if (flags & entry)
		bite = sl_track_charge(t, w->hash, false, true, &packet);
	return sl_route_limit(t, p, w, flags & others, &packet, bite, false);
}

SL_INLINE enum sl_reason sl_fragment_to_backend(const struct sl_tables *t, struct sl_packet *p,
						const struct sl_work *w, uint16_t *egress)
{
	struct sl_ip4 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	uint32_t id, length = p->length;
	uint8_t mode = w->service->mode;
	struct sl_traffic *traffic;
	enum sl_reason reason;
	struct sl_nat n;

	if (!ip || !eth)
		return SL_REASON_bad_header;
	if (ip->ttl <= 1 && mode != SL_MODE_DIRECT)
		return SL_REASON_ttl_exceeded;
	reason = sl_look_backend(t, w, w->hash, &n, &id, egress);
	if (reason == SL_REASON_to_backend && sl_ntohs(ip->length) > n.mtu)
		reason = SL_REASON_too_big;
	if (reason == SL_REASON_to_backend)
		reason = sl_fragment_limit(t, p, w, ip, id, SL_TO_BACKEND);
	if (reason != SL_REASON_to_backend)
		return reason;
	if (mode == SL_MODE_NAT) {
		sl_eth_address(eth, n.mac);
		ip->dst = n.addr;
		sl_ip4_hop(ip, n.ip_delta);
	} else {
		reason = (enum sl_reason)sl_mode(t, p, n.index, w->l3, w->l4, mode);
		if (reason != SL_REASON_to_backend)
			return reason;
	}
	traffic = sl_seam_traffic(t, id);
	if (traffic) {
		traffic->packets_in++;
		traffic->bytes_in += length;
	}
	return SL_REASON_to_backend;
}

SL_INLINE enum sl_reason sl_fragment_to_client(const struct sl_tables *t, struct sl_packet *p,
					       const struct sl_work *w, uint16_t *egress)
{
	struct sl_ip4 *ip = sl_packet_at(p, w->l3, sizeof(*ip));
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	sl_be32 vip = w->reverse->vip.w[3];
	uint16_t delta = w->reverse->ip_delta;
	uint32_t id = w->reverse->traffic;
	struct sl_traffic *traffic;
	enum sl_reason reason;
	union sl_addr dst;
	struct sl_nat n;

	if (!ip || !eth)
		return SL_REASON_bad_header;
	if (ip->ttl <= 1)
		return SL_REASON_ttl_exceeded;
	dst = sl_addr4(ip->dst);
	reason = sl_route_out(t, w->at, &dst, n.mac, egress);
	if (reason != SL_REASON_to_client)
		return reason;
	reason = sl_fragment_limit(t, p, w, ip, id, SL_FROM_BACKEND);
	if (reason != SL_REASON_to_backend)
		return reason;
	sl_eth_address(eth, n.mac);
	ip->src = vip;
	sl_ip4_hop(ip, delta);
	traffic = sl_seam_traffic(t, id);
	if (traffic) {
		traffic->packets_out++;
		traffic->bytes_out += p->length;
	}
	return SL_REASON_to_client;
}

#endif
