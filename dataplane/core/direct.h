/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Forwarding mode direct: changes the destination MAC address to the backend's, and nothing else.
 *
 * The backend has the VIP itself, on an interface that doesn't answer ARP for it, and answers the
 * client directly. We act as a bridge, so the TTL doesn't change, even if it is 1. The backend has
 * to be on a link of ours: a router in between would send the packet back to us.
 */
#ifndef SL_CORE_DIRECT_H
#define SL_CORE_DIRECT_H

#include "nat.h"
#include "seam.h"

SL_INLINE int sl_direct(const struct sl_tables *t, struct sl_packet *p, const struct sl_backend *b)
{
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	uint8_t mac[12] __attribute__((aligned(8)));

	__builtin_memcpy(mac, b->dst_mac, sizeof(mac));
	if (!sl_seam_current(t))
		return SL_REASON_torn_table;
	if (!eth)
		return SL_REASON_bad_header;
	sl_eth_address(eth, mac);
	return SL_REASON_to_backend;
}

#endif
