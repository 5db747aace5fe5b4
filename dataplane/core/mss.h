/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Lowers the maximum segment size in a SYN (RFC 9293, 3.7.1), if the service asks for it.
 *
 * Only an MSS option that exists and is larger is changed; without one the peer assumes 536 anyway.
 * The walk over the options is bounded by their number, the header's length and the packet's
 * length, and ends at the first inconsistent option. The checksum changes by the difference; if the
 * option is at an odd offset its bytes count swapped. The packet's version tells the address
 * family.
 */
#ifndef SL_CORE_MSS_H
#define SL_CORE_MSS_H

#include "../abi/csum.h"
#include "wire.h"

enum { SL_TCP_OPTION_END = 0, SL_TCP_OPTION_NOP = 1, SL_TCP_OPTION_MSS = 2, SL_TCP_MSS_SIZE = 4 };

/* Large, and only needed for SYNs. An engine defines this, like the functions in seam.h. */
static void sl_mss_clamp(struct sl_packet p, uint32_t l3, uint32_t l4, uint16_t most);

/* The offset at which the options end. */
SL_INLINE uint32_t sl_tcp_end(const struct sl_packet *p, uint32_t l3, uint32_t l4)
{
	const struct sl_ip4 *ip = sl_packet_at(p, l3, sizeof(*ip));
	const struct sl_ip6 *ip6 = (const void *)ip; /* only up to its length */
	const struct sl_tcp *tcp = sl_packet_at(p, l4, sizeof(*tcp));
	uint32_t end, packet;

	if (!ip || !tcp)
		return 0;
	end = l4 + (tcp->offset >> 4) * 4u;
	packet = l3 + (ip->version_ihl >> 4 == 6 ? sl_ntohs(ip6->length) + (uint32_t)sizeof(*ip6)
						 : sl_ntohs(ip->length));
	return end < packet ? end : packet;
}

SL_INLINE void sl_mss_set(struct sl_packet *p, uint32_t l4, uint32_t at, uint16_t old, uint16_t new)
{
	struct sl_tcp *tcp = sl_packet_at(p, l4, sizeof(*tcp));
	uint8_t *option = sl_packet_at(p, at, SL_TCP_MSS_SIZE);

	if (!tcp || !option)
		return;
	option[2] = (uint8_t)(new >> 8);
	option[3] = (uint8_t) new;
	if (!((at - l4) & 1)) {
		old = (uint16_t)sl_htons(old);
		new = (uint16_t)sl_htons(new);
	}
	tcp->csum = sl_csum_apply(tcp->csum, (uint32_t)(uint16_t)~old + new);
}

SL_INLINE void sl_mss_clamp_impl(struct sl_packet *p, uint32_t l3, uint32_t l4, uint16_t most)
{
	uint32_t at = l4 + sizeof(struct sl_tcp), end = sl_tcp_end(p, l3, l4);

	for (int i = 0; i < 40 && at + SL_TCP_MSS_SIZE <= end; i++) {
		const uint8_t *option;
		uint32_t kind, length, not_nop, nop;

		/* It never exceeds l4 + 60, and l4 is at most 255, but kernels before 6.9 lose that
		 * bound when the loop goes round. */
		sl_opaque(at);
		at &= 511;
		option = sl_packet_at(p, at, SL_TCP_MSS_SIZE);
		if (!option)
			return;
		/* Computed without a branch: the verifier would walk both ways forty times over. */
		kind = option[0];
		not_nop = kind ^ SL_TCP_OPTION_NOP;
		sl_opaque(not_nop);
		nop = (not_nop - 1) >> 31;
		length = (option[1] & (nop - 1)) | nop;
		if (kind == SL_TCP_OPTION_END || length + nop < 2)
			return;
		if (kind == SL_TCP_OPTION_MSS) {
			uint16_t mss = (uint16_t)(option[2] << 8 | option[3]);

			if (length == SL_TCP_MSS_SIZE && mss > most)
				sl_mss_set(p, l4, at, mss, most);
			return;
		}
		at += length;
	}
}

/* For a reply: lowers the MSS if it is a SYN. */
SL_INLINE void sl_mss_reply(const struct sl_packet *p, uint32_t l3, uint32_t l4, uint8_t protocol,
			    uint16_t most)
{
	const struct sl_tcp *tcp;

	if (protocol != SL_PROTO_TCP)
		return;
	tcp = sl_packet_at_parsed(p, l4, sizeof(*tcp));
	if (!tcp)
		return;
	if (sl_unlikely(tcp->flags & SL_TCP_SYN))
		sl_mss_clamp(*p, l3, l4, most);
}

#endif
