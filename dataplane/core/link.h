/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Is this frame addressed to us? A switch floods frames for addresses that it hasn't learned, a
 * port may be promiscuous, and two gateways may share a link. So the destination MAC address is
 * checked as a host does it:
 *
 *   - the port's own address, or another one that it has (abi/service.h): addressed to us;
 *   - a group address (broadcast or multicast): only ARP requests and neighbour solicitations for a
 *     VIP are for us. IP in such a frame is never forwarded (RFC 1812, 5.3.4);
 *   - any other address: not for us.
 *
 * Addresses are compared as 64-bit words whose first 16 bits are 0 (abi/service.h).
 */
#ifndef SL_CORE_LINK_H
#define SL_CORE_LINK_H

#include "parse.h"
#include "seam.h"

#define SL_LINK_GROUP (1ull << 16) /* the first bit of a MAC address on the wire */

/* The address at `at` as a word. Eight bytes must be readable there. */
SL_INLINE uint64_t sl_link_word(const void *at)
{
	return *(const sl_u64_any *)at << 16;
}

/* Whether the address is one of the port's. There is no branch for each, or the verifier would walk
 * both ways each time. */
SL_INLINE bool sl_link_has(const struct sl_port *port, uint64_t addr)
{
	uint64_t differs = 1;

	for (int i = 0; i < SL_PORT_ADDRESSES; i++) {
		uint64_t x = port->address[i] ^ addr;

		differs &= (x | -x) >> 63;
	}
	return !differs;
}

/* Whether the frame may be for us, by its destination; if not, *reason says why. kind: what it
 * carries (enum sl_parsed_kind). */
SL_INLINE bool sl_link_admits(const struct sl_tables *t, const struct sl_packet *p, uint8_t kind,
			      enum sl_reason *reason)
{
	const struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	const struct sl_port *port = sl_seam_port(t, p->ingress);
	uint64_t to;

	*reason = SL_REASON_not_ours;
	if (!eth || !port)
		return false;
	to = sl_link_word(eth);
	if (sl_likely(to == sl_link_word(port->mac)))
		return true;
	if (to & SL_LINK_GROUP)
		return kind == SL_PARSED_ARP || kind == SL_PARSED_IP6;
	*reason = SL_REASON_other_host;
	return sl_link_has(port, to);
}

/* Whether an admitted frame has a group address. */
SL_INLINE bool sl_link_is_group(const struct sl_packet *p)
{
	const struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));

	return eth && eth->dst[0] & 1;
}

#endif
