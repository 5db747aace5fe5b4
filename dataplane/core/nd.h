/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Answers neighbour solicitations for a VIP in place (RFC 4861), so no interface has to own the
 * address.
 *
 * The frame keeps its length. The first option, which is the sender's link-layer address if there
 * is one, becomes ours if it has the right size. Other options stay, since a receiver ignores those
 * it doesn't know. A solicitation without options gets an answer without: its sender knows our
 * address already, or only asks whether someone has the VIP (RFC 4862).
 *
 * The checksum changes by the difference of the words that change; no packet is summed. So a
 * solicitation with a wrong checksum gets an answer with a wrong one, which nobody accepts.
 */
#ifndef SL_CORE_ND_H
#define SL_CORE_ND_H

#include "../abi/csum.h"
#include "neighbour.h"

SL_INLINE uint32_t sl_nd_sum(uint64_t words)
{
	return (uint32_t)(words & 0xffff) + (uint32_t)(words >> 16 & 0xffff) +
	       (uint32_t)(words >> 32 & 0xffff) + (uint32_t)(words >> 48);
}

SL_INLINE uint32_t sl_nd_delta(uint64_t from, uint64_t to)
{
	return (uint16_t)~sl_csum_fold(sl_nd_sum(from)) + sl_nd_sum(to);
}

/* ff02::1:ff00:0/104 */
SL_INLINE bool sl_nd_is_solicited_node(const union sl_addr *a)
{
	return a->w[0] == sl_htonl(0xff020000) && !a->w[1] && a->w[2] == sl_htonl(1) &&
	       a->b[12] == 0xff;
}

/* Turns the first option into our link-layer address. Returns by how much the sum grows. */
SL_INLINE uint32_t sl_nd_link(struct sl_nd_link *option, const uint8_t mac[6])
{
	uint64_t before = *(const sl_u64_any *)(const void *)option;

	option->type = SL_ND_LINK_TARGET;
	for (int i = 0; i < 6; i++)
		option->mac[i] = mac[i];
	return sl_nd_delta(before, *(const sl_u64_any *)(const void *)option);
}

/* Turns the frame into the answer. False: it can't be answered. The unspecified address as the
 * sender means a probe whether the VIP is free; the answer goes to all nodes. */
SL_INLINE bool sl_nd_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t l3,
			    uint32_t l4)
{
	const union sl_addr all_nodes = { .w = { sl_htonl(0xff020000), 0, 0, sl_htonl(1) } };
	const struct sl_port *port = sl_seam_port(t, p->ingress);
	struct sl_eth *eth;
	struct sl_ip6 *ip;
	struct sl_nd *nd;
	union sl_addr sender, target, dst, to;
	uint32_t end, options = l4 + sizeof(*nd), delta = SL_ND_ADVERTISE - SL_ND_SOLICIT;
	sl_be32 flags;
	bool probe;

	/* Each pointer is checked at once: clang may load it twice if it is checked later. */
	if (!port || !(eth = sl_packet_at(p, 0, sizeof(*eth))) ||
	    !(ip = sl_packet_at(p, l3, sizeof(*ip))) || !(nd = sl_packet_at(p, l4, sizeof(*nd))))
		return false;
	sender = sl_addr_load(ip->src);
	target = sl_addr_load(nd->target);
	dst = sl_addr_load(ip->dst);
	end = l3 + sizeof(*ip) + sl_ntohs(ip->length);
	probe = !(sender.q[0] | sender.q[1]);
	if (options > end || (probe && !sl_nd_is_solicited_node(&dst)))
		return false;
	if (options < end) {
		struct sl_nd_link *option = sl_packet_at(p, options, sizeof(*option));

		if (!option || options + sizeof(*option) > end || !option->length ||
		    (probe && option->type == SL_ND_LINK_SOURCE))
			return false;
		if (option->length == 1)
			delta += sl_nd_link(option, port->mac);
	}
	if (!probe)
		sl_neighbour_heard(t, &sender, sl_link_word(eth->src) | p->ingress);
	to = probe ? all_nodes : sender;
	flags = sl_htonl(probe ? 0x20000000 : 0x60000000); /* flags: override; and solicited */
	delta += sl_nd_delta((uint32_t)nd->flags, (uint32_t)flags);
	delta += sl_csum_delta_addr(&sender, &target);
	delta += sl_csum_delta_addr(&dst, &to);
	nd->type = SL_ND_ADVERTISE;
	nd->flags = flags;
	nd->csum = sl_csum_apply(nd->csum, delta);
	sl_addr_store(ip->src, &target);
	sl_addr_store(ip->dst, &to);
	for (int i = 0; i < 6; i++) {
		eth->dst[i] = probe ? (i < 2 ? 0x33 : i == 5) : eth->src[i];
		eth->src[i] = port->mac[i];
	}
	return true;
}

#endif
