/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Partial checksums. A host that leaves the checksum of TCP and UDP to its interface stores only
 * the sum of the pseudo-header in the field, and notes beside the frame that the rest is to be
 * added. Between namespaces (veth) nobody adds it, since no wire is ever reached, and XDP gets the
 * frame without the note. What a rewrite makes of such a field is wrong.
 *
 * So frames are looked at before they are decided, on the ports and at the times that control says
 * (root->partial, control/tables/partial.h). The field is partial if it is exactly the
 * pseudo-header's sum; then the sum over the whole segment, field included, is what it would be
 * with the field 0 and the pseudo-header in front, and its complement is the checksum. One complete
 * checksum in 65,536 looks the same by chance: for it the same sum is computed anew, so it comes
 * out as it was.
 *
 * Left as they are: fragments (a host completes the checksum before it fragments), IPv6 with
 * extension headers, and frames beyond SL_PARTIAL_MOST, which XDP never has.
 */
#ifndef SL_CORE_PARTIAL_H
#define SL_CORE_PARTIAL_H

#include "../abi/csum.h"
#include "loop.h"
#include "parse.h"

enum { SL_PARTIAL_STEP = 32, SL_PARTIAL_MOST = 4096 };

/* Where the segment is, and the sum of its pseudo-header. */
struct sl_partial {
	uint32_t l4, end;
	uint32_t field; /* offset of the checksum */
	uint16_t pseudo;
	bool is_udp;
};

SL_INLINE uint16_t sl_partial_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	return sl_csum_fold((uint32_t)sum);
}

/* n: of 32-bit words. */
SL_INLINE uint64_t sl_partial_words(const void *at, int n)
{
	const sl_u32_any *word = at;
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += word[i];
	return sum;
}

/* False: neither TCP nor UDP, or one that is left as it is. */
SL_INLINE bool sl_partial_parse(const struct sl_packet *p, struct sl_partial *s)
{
	uint16_t type;
	uint32_t l3 = sl_parse_link(p, &type), length;
	const struct sl_ip4 *ip;
	const struct sl_ip6 *ip6;
	uint64_t sum;
	uint8_t protocol;

	if (type == SL_ETH_IP4) {
		ip = sl_packet_at(p, l3, sizeof(*ip));
		if (!ip || (ip->version_ihl & 15u) < 5 || ip->fragment & sl_htons(SL_IP4_FRAGMENT))
			return false;
		s->l4 = l3 + (ip->version_ihl & 15u) * 4;
		s->end = l3 + sl_ntohs(ip->length);
		protocol = ip->protocol;
		sum = sl_partial_words(&ip->src, 2);
	} else if (type == SL_ETH_IP6) {
		ip6 = sl_packet_at(p, l3, sizeof(*ip6));
		if (!ip6)
			return false;
		s->l4 = l3 + (uint32_t)sizeof(*ip6);
		s->end = s->l4 + sl_ntohs(ip6->length);
		protocol = ip6->next;
		sum = sl_partial_words(ip6->src, 8);
	} else {
		return false;
	}
	s->is_udp = protocol == SL_PROTO_UDP;
	s->field = s->l4 + (s->is_udp ? __builtin_offsetof(struct sl_udp, csum)
				      : __builtin_offsetof(struct sl_tcp, csum));
	length = s->end - s->l4;
	if ((!s->is_udp && protocol != SL_PROTO_TCP) || s->end < s->l4 || s->end > p->length ||
	    s->end > SL_PARTIAL_MOST || s->field + 2 > s->end)
		return false;
	s->pseudo = sl_partial_fold(sum + (uint16_t)sl_htons(protocol) +
				    (uint16_t)sl_htons((uint16_t)length));
	return true;
}

/* A sum under way. Words that the frame hasn't got make it wrong, which is noted. */
struct sl_partial_sum {
	const struct sl_packet *p;
	uint64_t sum;
	uint32_t from;
	uint32_t cut;
};

/* The masks change no offset: the verifier loses its bound in a loop. */
static long sl_partial_block(uint32_t i, void *state)
{
	struct sl_partial_sum *s = state;
	uint32_t at = (s->from + i * SL_PARTIAL_STEP) & (SL_PARTIAL_MOST - 1);
	const void *here;

	sl_opaque(at);
	here = sl_packet_at(s->p, at & (SL_PARTIAL_MOST - 1), SL_PARTIAL_STEP);
	if (!here) {
		s->cut = 1;
		return 1;
	}
	s->sum += sl_partial_words(here, SL_PARTIAL_STEP / 4);
	return 0;
}

static long sl_partial_byte(uint32_t i, void *state)
{
	struct sl_partial_sum *s = state;
	uint32_t at = (s->from + i) & (SL_PARTIAL_MOST - 1);
	const uint8_t *here;

	sl_opaque(at);
	here = sl_packet_at(s->p, at & (SL_PARTIAL_MOST - 1), 1);
	if (!here) {
		s->cut = 1;
		return 1;
	}
	s->sum += (uint32_t)*here << (i & 1) * 8;
	return 0;
}

/* The sum over the segment, or false if the frame isn't all here. */
SL_INLINE bool sl_partial_sum(const struct sl_packet *p, const struct sl_partial *of, uint64_t *sum)
{
	struct sl_partial_sum s = { .p = p, .from = of->l4 };
	uint32_t blocks = (of->end - of->l4) / SL_PARTIAL_STEP;

	sl_loop(blocks, sl_partial_block, &s);
	s.from += blocks * SL_PARTIAL_STEP;
	sl_loop((of->end - of->l4) % SL_PARTIAL_STEP, sl_partial_byte, &s);
	*sum = s.sum;
	return !s.cut;
}

/* Completes a partial checksum. Returns whether it was one. mend: false leaves it as it is. */
SL_INLINE bool sl_partial_complete_impl(const struct sl_packet *p, bool mend)
{
	uint16_t __attribute__((may_alias)) * field;
	struct sl_partial s = { 0 };
	uint64_t sum = 0;
	uint16_t csum;

	if (!sl_partial_parse(p, &s))
		return false;
	field = sl_packet_at(p, s.field, 2);
	if (!field || *field != s.pseudo)
		return false;
	if (!mend)
		return true;
	if (!sl_partial_sum(p, &s, &sum))
		return false;
	csum = (uint16_t)~sl_partial_fold(sum);
	field = sl_packet_at(p, s.field, 2);
	if (field)
		*field = s.is_udp && !csum ? 0xffff : csum;
	return field != NULL;
}

#endif
