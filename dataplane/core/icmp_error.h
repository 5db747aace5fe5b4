/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* An ICMP error about the packet at hand, in its place: the frame becomes the answer and goes back
 * the way it came, MAC addresses and VLAN tags included, since that is where its sender is reached.
 * It comes from whom the packet was sent to, a VIP for all that clients know.
 *
 * An answer quotes the packet as it came, as much as fits 576 bytes (RFC 1812, 4.3.2.3). None is
 * sent about what mustn't be answered (RFC 1122, 3.2.2), and by each writer no more than
 * SL_ICMP_BURST at once and one in SL_ICMP_EVERY then. For that a writer keeps one word, the time
 * at which its next error is due: sending one moves it on, and it may run ahead of the clock by the
 * burst.
 */
#ifndef SL_CORE_ICMP_ERROR_H
#define SL_CORE_ICMP_ERROR_H

#include "../abi/csum.h"
#include "classify.h"

#define SL_ICMP_QUOTE 548u /* 576 less an IPv4 header and an ICMP header; whole words */
#define SL_ICMP_BURST 64
#define SL_ICMP_EVERY (1000000u >> SL_TICK_SHIFT) /* ticks: a millisecond */

enum sl_icmp_result {
	SL_ICMP_BUILT,
	SL_ICMP_LIMITED,
	SL_ICMP_REFUSED, /* no answer is in order, or the frame can't become one */
};

/* One number says what it is about, so that engines can hand it on (core/seam.h). */
SL_INLINE uint32_t sl_icmp_what(uint8_t type, uint8_t code, uint16_t mtu)
{
	return type | (uint32_t)code << 8 | (uint32_t)mtu << 16;
}

/* Whether this packet may be answered by an error at all. */
SL_INLINE bool sl_icmp_in_order(const struct sl_packet *p, uint32_t l3)
{
	const struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	const struct sl_ip4 *ip = sl_packet_at(p, l3, sizeof(*ip));
	const struct sl_icmp *icmp;

	if (!eth || !ip || eth->dst[0] & 1 || sl_ntohs(ip->fragment) & SL_IP4_OFFSET)
		return false;
	if (sl_martian4(ip->src, ip->dst))
		return false;
	if (ip->protocol != SL_PROTO_ICMP)
		return true;
	icmp = sl_packet_at(p, l3 + (ip->version_ihl & 15u) * 4, sizeof(*icmp));
	return icmp && icmp->type != SL_ICMP_UNREACHABLE && icmp->type != SL_ICMP_QUENCH &&
	       icmp->type != SL_ICMP_REDIRECT && icmp->type != SL_ICMP_TIME_EXCEEDED &&
	       icmp->type != SL_ICMP_PARAMETER;
}

SL_INLINE bool sl_icmp_due(uint64_t *errors, uint64_t now)
{
	uint64_t due = *errors > now ? *errors : now;

	if (due - now >= (uint64_t)SL_ICMP_BURST * SL_ICMP_EVERY)
		return false;
	*errors = due + SL_ICMP_EVERY;
	return true;
}

/* What the link header says, n bytes further back now, to the front and back to its sender. */
SL_INLINE bool sl_link_return(struct sl_packet *p, uint32_t n, uint32_t l3)
{
	struct sl_link_words *link = sl_packet_at(p, 0, sizeof(*link) + n);
	const struct sl_link_words *was = sl_packet_at(p, n, sizeof(*was));

	if (!link || !was)
		return false;
	for (uint32_t i = 0; i < 3; i++) {
		link->word[i] = was->word[i + 3];
		link->word[i + 3] = was->word[i];
	}
	sl_link_tags(link, was, l3);
	return true;
}

/* The sum of all that follows, up to the frame's end, which is whole words away. */
SL_INLINE uint16_t sl_sum_rest(const struct sl_packet *p, uint32_t from)
{
	uint64_t sum = 0;

	for (uint32_t at = 0; at < SL_ICMP_QUOTE; at += 4) {
		const sl_u32_any *word = sl_packet_at(p, from + at, 4);

		if (!word)
			break;
		sum += *word;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	return sl_csum_fold((uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16 & 0xffff) +
			    (uint32_t)(sum >> 32));
}

SL_INLINE int sl_icmp4_build(struct sl_packet *p, uint32_t l3, uint32_t what)
{
	const uint32_t head = sizeof(struct sl_ip4) + sizeof(struct sl_icmp);
	const struct sl_ip4 *was = sl_packet_at(p, l3, sizeof(*was));
	struct sl_icmp *icmp;
	struct sl_ip4 *ip;
	uint32_t quote, sum;
	sl_be32 src, dst;

	if (!was)
		return SL_ICMP_REFUSED;
	quote = sl_ntohs(was->length);
	quote = (quote < SL_ICMP_QUOTE ? quote : SL_ICMP_QUOTE) & ~3u;
	src = was->dst;
	dst = was->src;
	if (quote < (was->version_ihl & 15u) * 4 + 8 || !sl_packet_at(p, l3, quote))
		return SL_ICMP_REFUSED;
	if (!sl_seam_cut(p, l3 + quote) || !sl_seam_grow(p, head) || !sl_link_return(p, head, l3))
		return SL_ICMP_REFUSED;
	ip = sl_packet_at(p, l3, sizeof(*ip));
	icmp = sl_packet_at(p, l3 + sizeof(*ip), sizeof(*icmp));
	if (!ip || !icmp)
		return SL_ICMP_REFUSED;
	*ip = (struct sl_ip4){ .version_ihl = 0x45,
			       .tos = 0xc0, /* RFC 1812, 4.3.2.5: internetwork control */
			       .length = sl_htons((uint16_t)(head + quote)),
			       .fragment = sl_htons(SL_IP4_DF), /* so it needs no id (RFC 6864) */
			       .ttl = 64,
			       .protocol = SL_PROTO_ICMP,
			       .src = src,
			       .dst = dst };
	sum = 0x45 | 0xc0 << 8;
	sum += (uint32_t)(uint16_t)ip->length + (uint16_t)ip->fragment + 64 + (SL_PROTO_ICMP << 8);
	sum += ((uint32_t)src & 0xffff) + ((uint32_t)src >> 16);
	ip->csum = (uint16_t)~sl_csum_fold(sum + ((uint32_t)dst & 0xffff) + ((uint32_t)dst >> 16));
	*icmp = (struct sl_icmp){ .type = (uint8_t)what,
				  .code = (uint8_t)(what >> 8),
				  .mtu = sl_htons((uint16_t)(what >> 16)) };
	icmp->csum = (uint16_t)~sl_csum_fold((what & 0xffff) + (uint16_t)icmp->mtu +
					     sl_sum_rest(p, l3 + head));
	return SL_ICMP_BUILT;
}

/* Large and rare: an engine defines it, as those in seam.h. what: sl_icmp_what(). */
static int sl_icmp_error(const struct sl_tables *t, struct sl_packet *p, uint32_t l3,
			 uint32_t what);

SL_INLINE int sl_icmp_error_with(const struct sl_tables *t, struct sl_packet *p, uint32_t l3,
				 uint32_t what)
{
	uint64_t *errors = sl_seam_errors(t);

	if (!errors || !sl_icmp_in_order(p, l3))
		return SL_ICMP_REFUSED;
	if (!sl_icmp_due(errors, sl_seam_now(t)))
		return SL_ICMP_LIMITED;
	return sl_icmp4_build(p, l3, what);
}

#endif
