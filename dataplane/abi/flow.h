/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The flow table: one for the whole instance, written by every engine at once.
 *
 * A bucket is a cache line of four entries; an entry is two 64-bit words.
 *
 *     key    63 busy    62..48 service id    47..0 source
 *     value  63..50 backend    49..48 state    47..0 time
 *
 * The source of an IPv4 flow is its address and port, so the key is the flow itself. That of an
 * IPv6 flow is a digest of both (hash.h, sl_hash_source6). A key of 0 is an empty entry (service
 * ids count from 1).
 *
 * Insert: compare-and-swap of the key from what is there (0, or the key of an entry that died) to
 * the new key with busy set; store the value; store the key without busy (release). Nobody matches
 * a busy key, and nobody but the one who set it writes the entry, so a key never stands beside
 * another flow's value. A hit refreshes the value by compare-and-swap, so that a writer who slept
 * can't overwrite an entry that has become another flow's. An entry left busy by an engine that
 * died in those three stores is cleared by a worker a minute later (engine/flow_sweeper.h), or by
 * control where no worker lives (control/upkeep/sweep.c).
 *
 * Time is in ticks of 4 ns since root->origin_ns, of which 48 bits come round after 13 days. It
 * says when the flow was last seen; where the flow is limited, it is the time at which its token
 * bucket will be full again (limit.h), which lies up to SL_TIME_AHEAD in the future. An entry is
 * alive while
 *
 *     -SL_TIME_AHEAD <= now - time <= terms[service id].lifetime[state]
 *
 * Lifetimes are a week at most, so a dead entry could come to life again only if nobody swept the
 * table for six days; workers and control take seconds.
 *
 * An entry past that time is dead to everybody who looks, but nobody may take its place before
 * SL_FLOW_GRACE more ticks (67 ms): a hit that was found at the last moment may still be refreshing
 * it.
 */
#ifndef SL_ABI_FLOW_H
#define SL_ABI_FLOW_H

#include "address.h"

#define SL_TICK_SHIFT 2
#define SL_TICK_NS    (1u << SL_TICK_SHIFT)
#define SL_TIME_MASK  0xffffffffffffull
#define SL_TIME_AHEAD (3600ull * 1000000000u >> SL_TICK_SHIFT) /* ticks: an hour */

#define SL_FLOW_WAYS 4

enum sl_flow_state {
	SL_FLOW_OPENING,     /* only SYNs were seen */
	SL_FLOW_ESTABLISHED, /* anything else was */
	SL_FLOW_CLOSING,     /* FIN or RST, from either side */
	SL_FLOW_STATES = 4,  /* the field's width */
};

struct sl_bucket {
	uint64_t key[SL_FLOW_WAYS];
	uint64_t value[SL_FLOW_WAYS];
} __attribute__((aligned(64)));

#define SL_FLOW_BUSY	    (1ull << 63)
#define SL_FLOW_SERVICE_MAX 32767

static inline uint64_t sl_flow_key(uint16_t service, uint64_t source48)
{
	return (uint64_t)service << 48 | source48;
}

static inline uint64_t sl_flow_key4(uint16_t service, sl_be32 client, sl_be16 port)
{
	return sl_flow_key(service, (uint64_t)(uint32_t)client << 16 | (uint16_t)port);
}

static inline uint64_t sl_flow_key_source(uint64_t key)
{
	return key & 0xffffffffffffull;
}

static inline uint16_t sl_flow_key_service(uint64_t key)
{
	return key >> 48 & 0x7fff;
}

static inline uint64_t sl_flow_value(uint32_t backend, enum sl_flow_state state, uint64_t time)
{
	return (uint64_t)backend << 50 | (uint64_t)state << 48 | (time & SL_TIME_MASK);
}

static inline uint32_t sl_flow_backend(uint64_t value)
{
	return (uint32_t)(value >> 50);
}

static inline enum sl_flow_state sl_flow_state(uint64_t value)
{
	return (enum sl_flow_state)(value >> 48 & 3);
}

static inline uint64_t sl_flow_time(uint64_t value)
{
	return value & SL_TIME_MASK;
}

/* Whether the entry's time lies no more than `lifetime` before now, nor too far after it. */
static inline int sl_flow_within(uint64_t value, uint64_t now, uint64_t lifetime)
{
	return ((now - sl_flow_time(value) + SL_TIME_AHEAD) & SL_TIME_MASK) <=
	       SL_TIME_AHEAD + lifetime;
}

#define SL_FLOW_GRACE (67000000u >> SL_TICK_SHIFT) /* ticks */

/* What holds for all entries of a service; by service id, in no bank: it applies at once. Written
 * by control, word by word. All zero: the service is gone and so are its entries. */
struct sl_flow_timeouts {
	uint64_t lifetime[SL_FLOW_STATES]; /* ticks of silence that an entry survives, by state */
} __attribute__((aligned(32)));

_Static_assert(sizeof(struct sl_flow_timeouts) == 32, "half a cache line");
_Static_assert(sizeof(struct sl_bucket) == 64, "one cache line");

#endif
