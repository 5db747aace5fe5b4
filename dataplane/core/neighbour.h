/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Next hops whose MAC address control hasn't published: it is asked to resolve them, and until it
 * has, what an engine heard itself stands in (abi/learned.h).
 *
 *     sl_neighbour_heard()    a host on the link has told its addresses, by asking for a VIP
 *     sl_neighbour_resolve()  a packet is to be sent to a next hop that isn't known
 *
 * A forged ARP request can at most claim an address that the kernel doesn't know, on the link that
 * the address belongs to, for as long as an entry lives: on such a link the kernel would believe it
 * for longer. Who is behind a router can't be claimed at all, since the next hop is the router.
 */
#ifndef SL_CORE_NEIGHBOUR_H
#define SL_CORE_NEIGHBOUR_H

#include "../abi/learned.h"
#include "link.h"
#include "seam.h"

/* link: the MAC address as a word (link.h), plus the port. */
SL_INLINE void sl_neighbour_heard_impl(const struct sl_tables *t, const union sl_addr *addr,
				       uint64_t link)
{
	const struct sl_root *root = sl_seam_root(t);
	uint64_t now = sl_seam_now(t), hash;
	struct sl_learned *entry;

	sl_seam_request_neighbour(t, addr);
	if (!root || link & SL_LINK_GROUP || !(link >> 16))
		return;
	hash = sl_learned_hash(addr, root->flow_key);
	entry = sl_seam_learned(t, (uint32_t)hash);
	if (!entry)
		return;
	entry->addr = *addr;
	entry->where = link;
	entry->time = now;
	entry->check = sl_learned_check(hash, link, now, root->flow_key);
}

/* The MAC address of a next hop at this port as a word, or 0. */
SL_INLINE uint64_t sl_neighbour_resolve_impl(const struct sl_tables *t, const union sl_addr *hop,
					     uint16_t port)
{
	const struct sl_root *root = sl_seam_root(t);
	const struct sl_learned *entry;
	uint64_t hash, where, time;

	sl_seam_request_neighbour(t, hop);
	if (!root)
		return 0;
	hash = sl_learned_hash(hop, root->flow_key);
	entry = sl_seam_learned(t, (uint32_t)hash);
	if (!entry)
		return 0;
	where = entry->where;
	time = entry->time;
	/* The clocks of two engines differ by a few milliseconds. */
	if (!sl_addr_equal(&entry->addr, hop) || (uint16_t)where != port ||
	    entry->check != sl_learned_check(hash, where, time, root->flow_key) ||
	    sl_seam_now(t) + SL_LEARNED_LIFE - time > 2ull * SL_LEARNED_LIFE)
		return 0;
	return where & ~0xffffull;
}

/* Puts the MAC address in front of the source address, as a frame has them. */
SL_INLINE void sl_neighbour_store(uint8_t mac[12], uint64_t link)
{
	sl_u64_any *first = (void *)mac;

	*first = (*first & ~0ull << 48) | link >> 16;
}

#endif
