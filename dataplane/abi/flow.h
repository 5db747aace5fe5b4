/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The flow table: one for the whole instance, written by all engines at once.
 *
 * A bucket is one cache line with four entries. An entry is two 64-bit words:
 *
 *     key    63 busy    62..48 service id    47..0 source
 *     value  63..50 backend    49..48 state    47..0 time
 *
 * The source of an IPv4 flow is the client's address and port, so the key identifies the flow
 * exactly. The source of an IPv6 flow is a digest of both (hash.h, sl_hash_source6). A key of 0
 * means that the entry is empty; service ids count from 1.
 *
 * To insert, a writer swaps the key (compare-and-swap) from what it found there (0, or the key of
 * an expired entry) to the new key with the busy bit set, stores the value, then stores the key
 * without the busy bit (release). Nobody matches a busy key, and only the writer that set it writes
 * the entry, so a key never stands beside another flow's value. A hit refreshes the value by
 * compare-and-swap, so that a delayed writer can't overwrite an entry that meanwhile belongs to
 * another flow. If an engine dies between those three stores, the entry stays busy; a worker clears
 * it a minute later (engine/flow_sweeper.h), or control does where no worker lives
 * (control/upkeep/sweep.c).
 *
 * Time counts ticks of 4 ns since root->origin_ns. 48 bits wrap around after 13 days. The time says
 * when the flow was last seen. Where the flow has a limit it is the time at which its token bucket
 * will be full again (limit.h), which lies up to SL_TIME_AHEAD in the future. An entry is alive
 * while
 *
 *     -SL_TIME_AHEAD <= now - time <= flow_timeouts[service id].lifetime[state]
 *
 * A lifetime is a week at most, so an expired entry could come back to life only if nobody swept
 * the table for six days. Workers and control take seconds.
 *
 * Everybody treats an entry past that time as expired, but nobody may reuse it before another
 * SL_FLOW_GRACE (67 ms) has passed: a writer that found it at the last moment may still refresh it.
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
	SL_FLOW_OPENING,     /* only SYNs were seen so far */
	SL_FLOW_ESTABLISHED, /* any other packet was seen */
	SL_FLOW_CLOSING, /* FIN or RST was seen, from either side; in mode fullnat an RST, or the
			  * FINs of both sides */
	SL_FLOW_HALF_CLOSED, /* mode fullnat: the FIN of one side was seen */
	SL_FLOW_STATES = 4,  /* as many as the field can hold */
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

/* Whether the entry's time lies at most `lifetime` before now, and at most SL_TIME_AHEAD after
 * it. */
static inline int sl_flow_within(uint64_t value, uint64_t now, uint64_t lifetime)
{
	return ((now - sl_flow_time(value) + SL_TIME_AHEAD) & SL_TIME_MASK) <=
	       SL_TIME_AHEAD + lifetime;
}

#define SL_FLOW_GRACE (67000000u >> SL_TICK_SHIFT) /* ticks */

/* The timeouts of all entries of a service, by service id. They are in no bank, so they apply at
 * once. Control writes them, one word at a time. All zero: the service is gone, and its entries
 * count as expired. */
struct sl_flow_timeouts {
	uint64_t lifetime[SL_FLOW_STATES]; /* ticks without packets that an entry survives, by state
					    */
} __attribute__((aligned(32)));

_Static_assert(sizeof(struct sl_flow_timeouts) == 32, "half a cache line");
_Static_assert(sizeof(struct sl_bucket) == 64, "one cache line");

#endif
