/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The fragment table remembers the ports of datagrams whose first fragment passed, since only that
 * fragment has them. All engines write it at once. It is small and never fails: a new datagram
 * replaces the oldest one of its bucket.
 *
 *     key    hash of the datagram, xor value
 *     value  63..48 source port    47..32 destination port    31..30 kind    29 UDP, not TCP
 *            28..0 time
 *
 * The key is stored xored with the value. When two writers use the same entry at once, a key that
 * ends up beside the other's value therefore matches nothing, and no compare-and-swap is needed.
 *
 * The table also holds which identifications mode fullnat has given to datagrams; their values have
 * another layout (core/fragment_id.h).
 *
 * The hash covers source, destination, identification and, for IPv4, the protocol (for IPv6 only
 * the first fragment tells the protocol: RFC 8200, 4.5). It is keyed with the instance's secret
 * keys, so nobody can aim at the entry of someone else's datagram. Time counts units of 2^20 ns
 * (about 1.05 ms) since root->origin_ns and wraps around after 6 days.
 */
#ifndef SL_ABI_FRAGMENT_H
#define SL_ABI_FRAGMENT_H

#include "flow.h"

#define SL_FRAGMENT_BUCKETS 16384
#define SL_FRAGMENT_WAYS    4
#define SL_FRAGMENT_SHIFT   20
#define SL_FRAGMENT_LIFE    2861  /* in units of time: 3 s */
#define SL_FRAGMENT_ID_LIFE 28610 /* 30 s: as long as Linux waits for missing fragments */
#define SL_FRAGMENT_TIME    0x1fffffff

enum sl_fragment_kind {
	SL_FRAGMENT_SERVICE = 1, /* a packet to a service */
	SL_FRAGMENT_REPLY,	 /* a backend's reply */
	SL_FRAGMENT_ECHO,	 /* a ping to a VIP */
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

/* A value whose time is still 0. */
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

/* In units of time. 0 if another engine's clock was slightly ahead of ours. */
static inline uint32_t sl_fragment_age(uint64_t value, uint32_t time)
{
	uint32_t age = (time - (uint32_t)value) & SL_FRAGMENT_TIME;

	return age > SL_FRAGMENT_TIME / 2 ? 0 : age;
}

_Static_assert(sizeof(struct sl_fragments) == 64, "one cache line");

#endif
