/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Fragments: what is remembered of a datagram whose first fragment came by, since only that one has
 * the ports. Written by every engine at once; small, and never in anybody's way: a new datagram
 * takes the place of the oldest in its bucket.
 *
 *     key    hash of the datagram, xor value
 *     value  63..48 source port    47..32 destination port    31..30 kind    29 UDP, not TCP
 *            28..0 time
 *
 * A key is stored together with its value (xor), so that of two writers who take the same place
 * neither leaves a key beside the other's value that anybody would match: no swap is needed.
 *
 * The hash is of (source, destination, identification, protocol) under the instance's secret keys,
 * of IPv6 without the protocol, which only the first fragment tells (RFC 8200, 4.5): nobody can aim
 * at the place of somebody else's datagram. Time is in units of 2^20 ns (about 1.05 ms) since
 * root->origin_ns and comes round after 6 days.
 */
#ifndef SL_ABI_FRAGMENT_H
#define SL_ABI_FRAGMENT_H

#include "flow.h"

#define SL_FRAGMENT_BUCKETS 4096
#define SL_FRAGMENT_WAYS    4
#define SL_FRAGMENT_SHIFT   20
#define SL_FRAGMENT_LIFE    2861 /* of the units: 3 s */
#define SL_FRAGMENT_TIME    0x1fffffff

enum sl_fragment_kind {
	SL_FRAGMENT_SERVICE = 1, /* to a service */
	SL_FRAGMENT_REPLY,	 /* of a backend */
	SL_FRAGMENT_ECHO,	 /* of a ping to a VIP */
};

struct sl_fragments {
	uint64_t key[SL_FRAGMENT_WAYS];
	uint64_t value[SL_FRAGMENT_WAYS];
} __attribute__((aligned(64)));

/* now: ticks. */
static inline uint32_t sl_fragment_time(uint64_t now)
{
	return (uint32_t)(now >> (SL_FRAGMENT_SHIFT - SL_TICK_SHIFT)) & SL_FRAGMENT_TIME;
}

/* Without a time. */
static inline uint64_t sl_fragment_value(sl_be16 sport, sl_be16 dport, int udp,
					 enum sl_fragment_kind kind)
{
	return (uint64_t)(uint16_t)sport << 48 | (uint64_t)(uint16_t)dport << 32 |
	       (uint64_t)kind << 30 | (uint64_t) !!udp << 29;
}

static inline sl_be16 sl_fragment_sport(uint64_t value)
{
	return (sl_be16)(uint16_t)(value >> 48);
}

static inline sl_be16 sl_fragment_dport(uint64_t value)
{
	return (sl_be16)(uint16_t)(value >> 32);
}

static inline enum sl_fragment_kind sl_fragment_kind(uint64_t value)
{
	return (enum sl_fragment_kind)(value >> 30 & 3);
}

static inline int sl_fragment_udp(uint64_t value)
{
	return value >> 29 & 1;
}

/* Of the time's units; 0 where another clock was slightly ahead of ours. */
static inline uint32_t sl_fragment_age(uint64_t value, uint32_t time)
{
	uint32_t age = (time - (uint32_t)value) & SL_FRAGMENT_TIME;

	return age > SL_FRAGMENT_TIME / 2 ? 0 : age;
}

_Static_assert(sizeof(struct sl_fragments) == 64, "one cache line");

#endif
