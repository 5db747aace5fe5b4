/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The last step for a packet that is forwarded: which of several next hops it takes, and in which
 * VLAN.
 *
 * Most packets don't need it: their egress is a port, and the rewrite has stored the next hop's MAC
 * addresses already. If the egress is a next hop group (abi/next_hop.h), the hash of the packet as
 * it leaves picks one of the group's next hops. The hash covers addresses, protocol and ports, as
 * the kernel's with fib_multipath_hash_policy = 1. Of a tunnel the inner packet counts, so that
 * flows spread although the outer header is the same for all. Fragments have no ports (all of a
 * datagram go one way), nor have ICMP errors.
 *
 * The VLAN is the next hop's, whichever the packet came in: tags are removed, added or replaced.
 * The priority (802.1Q PCP and DEI) is kept. Answers to the sender don't come here, so they have
 * the tags of the packet that they answer.
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

#define SL_VLAN_PRIORITY 0xf000

/* Whether a packet with this verdict and egress needs the step. l3: where its network header is. */
SL_INLINE bool sl_egress_open(uint32_t reason, uint16_t egress, uint32_t l3)
{
	return (egress >= SL_PORT_VLANS || l3 != sizeof(struct sl_eth)) &&
	       sl_reason_forwards(reason);
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

/* Reads the group and picks the next hop. False: there is no such group. */
SL_INLINE bool sl_egress_pick(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3,
			      uint16_t type, uint16_t group, struct sl_hop *to)
{
	const struct sl_hop_group *g = sl_seam_hop_group(t, group);
	const struct sl_root *root = sl_seam_root(t);
	uint32_t bucket, hop;

	if (!g || !root)
		return false;
	bucket = (uint32_t)(sl_egress_hash(p, l3, type, root->slot_key) >> 32);
	hop = g->bucket[bucket & (SL_HOP_BUCKETS - 1)];
	sl_opaque(hop);
	*to = g->hop[hop & (SL_HOPS - 1)];
	return true;
}

/* Writes the link header: MAC addresses and VLAN of the next hop. vlan 0: no tag. */
SL_INLINE uint32_t sl_egress_link(struct sl_packet *p, uint32_t reason, const uint8_t mac[12],
				  uint16_t vlan, uint32_t l3, uint16_t type)
{
	uint32_t size = sizeof(struct sl_eth) + (vlan ? sizeof(struct sl_vlan) : 0);
	const struct sl_vlan *was = sl_packet_at(p, sizeof(struct sl_eth), sizeof(*was));
	uint16_t priority = 0;
	struct sl_vlan *tag;
	struct sl_eth *eth;

	if (!was)
		return SL_REASON_bad_header;
	if (l3 > sizeof(*eth))
		priority = sl_ntohs(was->tag) & SL_VLAN_PRIORITY;
	if (l3 > size && !sl_seam_shrink(p, l3 - size))
		return SL_REASON_no_room;
	if (l3 < size && !sl_seam_grow(p, sizeof(*tag)))
		return SL_REASON_no_room;
	eth = sl_packet_at(p, 0, sizeof(*eth));
	tag = sl_packet_at(p, sizeof(*eth), sizeof(*tag));
	if (!eth || !tag)
		return SL_REASON_bad_header;
	sl_eth_address(eth, mac);
	eth->type = sl_htons(vlan ? SL_ETH_VLAN : type);
	if (vlan) {
		tag->tag = sl_htons(priority | vlan);
		tag->type = sl_htons(type);
	}
	return reason;
}

/* Returns the final verdict; *egress becomes a port that isn't a VLAN. */
SL_INLINE uint32_t sl_egress_impl(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
				  uint16_t *egress)
{
	const struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	struct sl_hop to __attribute__((aligned(8)));
	const struct sl_port *port;
	uint16_t type, vlan = 0;
	uint32_t l3;

	if (!eth)
		return SL_REASON_bad_header;
	__builtin_memcpy(to.mac, eth, sizeof(to.mac));
	to.egress = *egress;
	l3 = sl_parse_link(p, &type);
	if (to.egress & SL_EGRESS_GROUP &&
	    !sl_egress_pick(t, p, l3, type, to.egress & (SL_EGRESS_GROUP - 1), &to))
		return SL_REASON_bad_index;
	if (to.egress >= SL_PORT_VLANS) {
		port = sl_seam_port(t, to.egress);
		if (!port)
			return SL_REASON_bad_index;
		vlan = port->vlan;
		to.egress = port->parent;
	}
	if (!sl_seam_current(t))
		return SL_REASON_next_hop_changed;
	*egress = to.egress;
	return sl_egress_link(p, reason, to.mac, vlan, l3, type);
}

#endif
