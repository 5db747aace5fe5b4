/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Mode fullnat: the identification of fragments (RFC 6864, 5.3.1; RFC 7857, 7).
 *
 * Many clients share one SNAT address towards a backend, and many backends share one VIP towards a
 * client. Each sender chooses identifications on its own, so two datagrams may have the same one at
 * the same time, and the receiver would reassemble a mixture of both. Therefore each datagram that
 * comes in fragments gets a new identification here, in both directions. All its fragments get the
 * same one, in any order and by any engine.
 *
 * IPv4 has 16 bits. A datagram has SL_FRAGMENT_ID_TRIES candidates: its own identification plus a
 * number that depends on its addresses and the instance's secret keys. It gets the first candidate
 * that no other datagram between the same two new addresses has. The owner of an identification is
 * stored in the table of fragments (abi/fragment.h), for as long as receivers wait for missing
 * fragments, under a hash of the new addresses and the new identification:
 *
 *     value  63..48 the original identification    47..29 part of the datagram's hash
 *            28..0 time
 *
 * The datagrams of one sender never collide, even if the table is too small, because the added
 * number is the same for all of them.
 *
 * IPv6 has 32 bits. A number that depends on the sender's address is added, and nothing is stored.
 *
 * Datagrams that aren't fragmented keep their identification.
 */
#ifndef SL_CORE_FRAGMENT_ID_H
#define SL_CORE_FRAGMENT_ID_H

#include "fragment6.h"

enum {
	SL_FRAGMENT_ID_TRIES = 4,
	SL_FRAGMENT_ID_TAG = 29,  /* first bit in the value of the datagram's hash */
	SL_FRAGMENT_ID_HASH = 45, /* first bit of that part in the hash itself */
	SL_FRAGMENT_ID_AT = 48,
};

/* These tell the hashes here from those of fragment.h. */
#define SL_FRAGMENT_ID_OWNER  (1ull << 33)
#define SL_FRAGMENT_ID_OFFSET (1ull << 34)

/* The hash under which the owner of an identification is stored. pair: both new addresses. */
SL_INLINE uint64_t sl_fragment_id_hash(const struct sl_root *root, uint64_t pair, uint8_t protocol,
				       uint16_t id)
{
	return sl_hash_mix(pair, SL_FRAGMENT_ID_OWNER | (uint64_t)id << 8 | protocol,
			   root->flow_key);
}

SL_INLINE uint64_t sl_fragment_pair(sl_be32 src, sl_be32 dst)
{
	return (uint64_t)(uint32_t)src << 32 | (uint32_t)dst;
}

/* The nth candidate of a datagram. pair: its original addresses. */
SL_INLINE uint16_t sl_fragment_id_nth(const struct sl_root *root, uint64_t pair, uint8_t protocol,
				      uint16_t id, uint32_t nth)
{
	uint64_t hash =
		sl_hash_mix(pair, SL_FRAGMENT_ID_OFFSET | nth << 8 | protocol, root->flow_key);

	return (uint16_t)(id + (hash >> 32));
}

/* The search for a datagram's new identification. */
struct sl_fragment_id {
	const struct sl_tables *t;
	uint64_t from; /* the addresses that it came with */
	uint64_t to;   /* the addresses that it leaves with */
	uint64_t what; /* the value of its record, without the time */
	uint16_t own;  /* the new identification */
	uint16_t id;   /* the identification that it came with */
	uint8_t protocol;
	bool found; /* a candidate that is free */
	bool known; /* a candidate that this datagram has already */
};

/* One candidate. A record of the datagram itself is preferred to a free candidate before it. */
static long sl_fragment_id_round(uint32_t i, void *state)
{
	struct sl_fragment_id *s = state;
	const struct sl_root *root = sl_seam_root(s->t);
	uint64_t there;
	uint16_t own;

	if (!root)
		return 1;
	own = sl_fragment_id_nth(root, s->from, s->protocol, s->id, i);
	there = sl_fragment_lookup(s->t, sl_fragment_id_hash(root, s->to, s->protocol, own),
				   SL_FRAGMENT_ID_LIFE);
	s->known = there && (there ^ s->what) >> SL_FRAGMENT_ID_TAG == 0;
	if (s->known || !s->found)
		s->own = own;
	s->found |= !there;
	return s->known;
}

/* The datagram's new identification. hash: the datagram's. */
SL_INLINE uint16_t sl_fragment_id_new(struct sl_fragment_id *s, const struct sl_root *root,
				      uint64_t hash)
{
	s->what = (uint64_t)s->id << SL_FRAGMENT_ID_AT | hash >> SL_FRAGMENT_ID_HASH
									 << SL_FRAGMENT_ID_TAG;
	sl_loop(SL_FRAGMENT_ID_TRIES, sl_fragment_id_round, s);
	if (!s->known)
		sl_fragment_put(s->t, sl_fragment_id_hash(root, s->to, s->protocol, s->own),
				s->what);
	return s->own;
}

/* The number that is added to the identifications of an IPv6 sender. */
SL_INLINE uint32_t sl_fragment_id_offset6(const struct sl_root *root, const union sl_addr *src)
{
	return (uint32_t)sl_hash_source6(src, (sl_be16)0, root->slot_key);
}

/* Replaces a fragment's identification; packets that aren't fragments stay unchanged. where: as in
 * fragment.h; SL_FRAGMENT_FIND instead of the offset of a fragment header if that isn't known. to:
 * for IPv4, the pair of addresses that the fragment is going to have. */
SL_INLINE void sl_fragment_rename_impl(const struct sl_tables *t, struct sl_packet *p,
				       uint32_t where, uint64_t to)
{
	uint32_t l3 = where & 0xff, at = where >> 8 & 0xff;
	const struct sl_root *root = sl_seam_root(t);
	struct sl_ip6_extension *e;
	struct sl_ip6 *ip6;
	struct sl_ip4 *ip;
	union sl_addr src;
	sl_be16 own;

	if (!root)
		return;
	if (!at) {
		struct sl_fragment_id new = { .t = t, .to = to };

		ip = sl_packet_at(p, l3, sizeof(*ip));
		if (!ip)
			return;
		new.from = sl_fragment_pair(ip->src, ip->dst);
		new.id = sl_ntohs(ip->id);
		new.protocol = ip->protocol;
		own = sl_htons(
			sl_fragment_id_new(&new, root, sl_fragment_hash(root, p, where, false)));
		if (!(ip = sl_packet_at_parsed(p, l3, sizeof(*ip))))
			return;
		ip->csum = sl_csum_apply(ip->csum, sl_word_delta((uint16_t)ip->id, (uint16_t)own));
		ip->id = own;
		return;
	}
	if (at == SL_FRAGMENT_FIND)
		at = sl_layout6_first_fragment_impl(p, l3) >> 32 & 0xff;
	if (!at || !(ip6 = sl_packet_at(p, l3, sizeof(*ip6))) ||
	    !(e = sl_packet_at(p, at, sizeof(*e))))
		return;
	src = sl_addr_load(ip6->src);
	e->data = sl_htonl(sl_ntohl(e->data) + sl_fragment_id_offset6(root, &src));
}

/* Gives the first fragment that an ICMP error quotes its original identification. l4: the offset of
 * the message. For IPv4 the quoted addresses must still be the new ones; the message's checksum
 * doesn't change, because that of the quoted header does. For IPv6 they must be the original ones.
 */
SL_INLINE void sl_quote_rename_impl(const struct sl_tables *t, struct sl_packet *p, uint32_t l4,
				    bool is_ipv6)
{
	uint32_t l3 = l4 + (uint32_t)sizeof(struct sl_icmp), at;
	const struct sl_root *root = sl_seam_root(t);
	struct sl_ip6_extension *e;
	struct sl_icmp *icmp;
	struct sl_ip4 *ip;
	struct sl_ip6 *ip6;
	union sl_addr src;
	uint64_t there;
	sl_be32 data;
	sl_be16 id;

	if (!root)
		return;
	if (!is_ipv6) {
		ip = sl_packet_at(p, l3, sizeof(*ip));
		if (!ip || !(ip->fragment & sl_htons(SL_IP4_FRAGMENT)))
			return;
		there = sl_fragment_lookup(t,
					   sl_fragment_id_hash(root,
							       sl_fragment_pair(ip->src, ip->dst),
							       ip->protocol, sl_ntohs(ip->id)),
					   SL_FRAGMENT_ID_LIFE);
		if (!there)
			return;
		id = sl_htons((uint16_t)(there >> SL_FRAGMENT_ID_AT));
		ip->csum = sl_csum_apply(ip->csum, sl_word_delta((uint16_t)ip->id, (uint16_t)id));
		ip->id = id;
		return;
	}
	if (!(ip6 = sl_packet_at(p, l3, sizeof(*ip6))))
		return;
	at = sl_chain_walk(p, l3 + (uint32_t)sizeof(*ip6), ip6->next, p->length, true) >> 32 & 0xff;
	if (!at || !(e = sl_packet_at(p, at, sizeof(*e))) ||
	    !(icmp = sl_packet_at(p, l4, sizeof(*icmp))))
		return;
	src = sl_addr_load(ip6->src);
	data = sl_htonl(sl_ntohl(e->data) - sl_fragment_id_offset6(root, &src));
	icmp->csum = sl_csum_apply(
		icmp->csum, sl_word_delta((uint16_t)(uint32_t)e->data, (uint16_t)(uint32_t)data) +
				    sl_word_delta((uint32_t)e->data >> 16, (uint32_t)data >> 16));
	e->data = data;
}

#endif
