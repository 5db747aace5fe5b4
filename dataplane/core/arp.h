/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Answers ARP requests for a VIP in place (RFC 826), so no interface has to own the address. */
#ifndef SL_CORE_ARP_H
#define SL_CORE_ARP_H

#include "neighbour.h"

/* Turns the frame into the answer. False: it can't be answered. */
SL_INLINE bool sl_arp_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t l3)
{
	struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	struct sl_arp *arp = sl_packet_at(p, l3, sizeof(*arp));
	const struct sl_port *port = sl_seam_port(t, p->ingress);
	union sl_addr sender;
	sl_be32 vip;

	if (!eth || !arp || !port)
		return false;
	sender = sl_addr4(arp->sender);
	if (arp->sender) /* a probe (RFC 5227) has no sender address */
		sl_neighbour_heard(t, &sender, sl_link_word(arp->sender_mac) | p->ingress);
	vip = arp->target;
	for (int i = 0; i < 6; i++) {
		eth->dst[i] = arp->target_mac[i] = arp->sender_mac[i];
		eth->src[i] = arp->sender_mac[i] = port->mac[i];
	}
	arp->operation = sl_htons(2);
	arp->target = arp->sender;
	arp->sender = vip;
	return true;
}

#endif
