/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The last step for a packet that is forwarded: which of several next hops it takes.
 *
 * Most packets don't need it: their egress is a port, and the rewrite has stored the next hop's MAC
 * addresses already. If the egress is a next hop group (abi/next_hop.h), the hash of the packet as
 * it leaves picks one of the group's next hops. The hash covers addresses, protocol and ports, as
 * the kernel's with fib_multipath_hash_policy = 1. Of a tunnel the inner packet counts, so that
 * flows spread although the outer header is the same for all. Fragments have no ports (all of a
 * datagram go one way), nor have ICMP errors.
 *
 * The packet has been rewritten, so it can't be decided again: if the bank was replaced meanwhile,
 * the packet is dropped.
 */
#ifndef SL_CORE_EGRESS_H
#define SL_CORE_EGRESS_H

#include "../abi/hash.h"
#include "nat.h"
#include "parse.h"
#include "seam.h"

/* Whether a packet with this verdict and egress needs the step. */
SL_INLINE bool sl_egress_open(uint32_t reason, uint16_t egress)
{
	return egress & SL_EGRESS_GROUP && sl_reason_forwards(reason);
}

/* The hash of the flow. at: the network header, of this EtherType. */
SL_INLINE uint64_t sl_egress_hash(const struct sl_packet *p, uint32_t at, uint16_t type,
				  const uint64_t key[2])
{
	uint32_t protocol = type == SL_ETH_IP6 ? SL_PROTO_IP6 : SL_PROTO_IPIP;
	uint64_t hash = 0;
	const sl_u32_any *ports;

	for (int i = 0; i < 2; i++) {
		if (protocol == SL_PROTO_IPIP) {
			const struct sl_ip4 *ip = sl_packet_at(p, at, sizeof(*ip));

			if (!ip)
				return hash;
			hash = (uint64_t)(uint32_t)ip->src << 32 | (uint32_t)ip->dst;
			protocol = ip->fragment & sl_htons(SL_IP4_FRAGMENT) ? 0 : ip->protocol;
			at += (ip->version_ihl & 15u) * 4;
		} else if (protocol == SL_PROTO_IP6) {
			const struct sl_ip6 *ip = sl_packet_at(p, at, sizeof(*ip));
			union sl_addr src, dst;

			if (!ip)
				return hash;
			src = sl_addr_load(ip->src);
			dst = sl_addr_load(ip->dst);
			hash = sl_hash_mix(sl_hash_mix(src.q[0], src.q[1], key) ^ dst.q[0],
					   dst.q[1], key);
			protocol = ip->next;
			at += sizeof(*ip);
		}
	}
	ports = sl_packet_at(p, at, sizeof(*ports));
	if (ports && (protocol == SL_PROTO_TCP || protocol == SL_PROTO_UDP))
		return sl_hash_mix(hash, (uint64_t)*ports << 8 | protocol, key);
	return sl_hash_mix(hash, protocol, key);
}

/* Picks the next hop. Returns the final verdict; *egress becomes a port. */
SL_INLINE uint32_t sl_egress_impl(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
				  uint16_t *egress)
{
	const struct sl_hop_group *g = sl_seam_hop_group(t, *egress & (SL_EGRESS_GROUP - 1));
	const struct sl_root *root = sl_seam_root(t);
	struct sl_eth *eth;
	uint32_t l3, bucket, hop;
	uint16_t type;
	struct sl_hop to __attribute__((aligned(8)));

	if (!g || !root)
		return SL_REASON_bad_index;
	l3 = sl_parse_link(p, &type);
	bucket = (uint32_t)(sl_egress_hash(p, l3, type, root->slot_key) >> 32);
	hop = g->bucket[bucket & (SL_HOP_BUCKETS - 1)];
	sl_opaque(hop);
	to = g->hop[hop & (SL_HOPS - 1)];
	if (!sl_seam_current(t))
		return SL_REASON_next_hop_changed;
	eth = sl_packet_at(p, 0, sizeof(*eth));
	if (!eth)
		return SL_REASON_bad_header;
	sl_eth_address(eth, to.mac);
	*egress = to.egress;
	return reason;
}

#endif
