/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Explicit congestion notification (RFC 3168): tells a sender that it is too fast, without dropping
 * its packets.
 */
#ifndef SL_CORE_ECN_H
#define SL_CORE_ECN_H

#include "../abi/csum.h"
#include "wire.h"

enum { SL_ECN = 3, SL_ECN_CE = 3 }; /* bits of the TOS byte; ECT is 1 or 2 */

/* Whether the sender would react to a mark. Only asked for TCP: a UDP sender may set ECT and ignore
 * marks. */
SL_INLINE bool sl_ecn_capable(const void *l3)
{
	return ((const struct sl_ip4 *)l3)->tos & SL_ECN;
}

/* Sets CE. TOS is the second byte of the 16-bit word that it shares with version and IHL. */
SL_INLINE void sl_ecn_mark(struct sl_packet *p, uint32_t l3)
{
	struct sl_ip4 *ip = sl_packet_at_parsed(p, l3, sizeof(*ip));
	uint8_t tos;

	if (!ip)
		return;
	tos = ip->tos | SL_ECN_CE;
	ip->csum = sl_csum_apply(ip->csum, (uint32_t)(tos - ip->tos) << 8);
	ip->tos = tos;
}

/* In IPv6 the two bits begin the second half of the second byte, and no checksum covers them. */
SL_INLINE bool sl_ecn_capable6(const void *l3)
{
	return ((const uint8_t *)l3)[1] & SL_ECN << 4;
}

SL_INLINE void sl_ecn_mark6(struct sl_packet *p, uint32_t l3)
{
	uint8_t *ip = sl_packet_at_parsed(p, l3, sizeof(struct sl_ip6));

	if (ip)
		ip[1] |= SL_ECN_CE << 4;
}

#endif
