/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The token bucket as one word: the time at which it is full again (GCRA, ITU-T I.371 annex A).
 *
 * A packet costs the time in which its tokens are refilled. It passes if the bucket then is at most
 * `depth` away from full; if it passes, the word grows by its cost. There is no division, because
 * control turned the rate into costs (abi/limit.h). A packet that is larger than the burst passes
 * if the bucket is full, or it would never pass.
 *
 * Why this is right:
 *
 * - From 1 kbit/s to 100 Gbit/s: costs count 2^-24 ns. So the cost of a byte is exact to 1e-6 at
 *   100 Gbit/s, and 64 kB at 1 kbit/s cost 8.8e18 of at most 1.8e19.
 * - 48-bit words count ticks of 4 ns; 64 bytes at 100 Gbit/s cost 1.28 ticks. The fraction is
 *   rounded up or down by a hash of the word, so that it is right on average, and within some ticks
 *   for a burst.
 * - After a long idle time: a word in the past means a full bucket, however far it lies back.
 *   48-bit words wrap around after 13 days, and then look like a bucket up to an hour from full;
 *   the sweep clears an entry days before (abi/flow.h). 64-bit words wrap around after 2 years, so
 *   a bucket may be idle for one. And a bucket never counts as further from full than `most`.
 * - A clock that goes back, or is behind another engine's, finds the bucket that much further from
 *   full: 50 us cost 50 us worth of tokens, which are there again 50 us later.
 * - Two writers of one word use compare-and-swap. A writer that fails some times gives up, and only
 *   its packet's charge is lost.
 * - After a change to a higher rate, what the old rate left in the word is cut to `most`, at worst
 *   an empty bucket. Even a packet that is dropped stores that, or the next would find the same;
 *   but only if the difference is larger than clocks differ by, or a slow clock would give tokens
 *   away.
 */
#ifndef SL_CORE_GCRA_H
#define SL_CORE_GCRA_H

#include "../abi/limit.h"
#include "wire.h"

enum sl_policer_verdict {
	SL_POLICER_PASS,
	SL_POLICER_MARK,
	SL_POLICER_DROP,
	SL_POLICER_UNLIMITED, /* no limit applies to the subject */
};

#define SL_GCRA_SLACK (1000000u >> SL_TICK_SHIFT) /* ticks: clocks differ by less than this */

/* In 2^-24 ns. */
SL_INLINE uint64_t sl_gcra_cost(const struct sl_pace *pace, uint32_t bytes)
{
	return bytes * pace->byte + pace->packet;
}

/* The verdict on a packet of this cost, if the bucket is `ahead` away from full. All in one
 * unit. */
SL_INLINE enum sl_policer_verdict sl_gcra_verdict(uint64_t ahead, uint64_t cost, uint64_t depth,
						  bool may_mark)
{
	if (sl_likely(ahead + cost <= depth || !ahead))
		return SL_POLICER_PASS;
	return may_mark && ahead + cost <= 2 * depth ? SL_POLICER_MARK : SL_POLICER_DROP;
}

/* 48-bit words, in ticks. */

SL_INLINE uint64_t sl_gcra_ahead_ticks(uint64_t word, uint64_t now, uint64_t most)
{
	uint64_t ahead = (word - now) & SL_TIME_MASK;

	if (ahead > SL_TIME_AHEAD)
		return 0; /* it lies in the past */
	return ahead < most ? ahead : most;
}

SL_INLINE uint64_t sl_gcra_ticks(uint64_t cost, uint64_t word)
{
	uint64_t h = word * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	return (cost + (h >> (64 - SL_COST_SHIFT - SL_TICK_SHIFT))) >>
	       (SL_COST_SHIFT + SL_TICK_SHIFT);
}

/* 64-bit words, in 2^-8 ns. */

SL_INLINE uint64_t sl_gcra_ahead(uint64_t word, uint64_t now, uint64_t most)
{
	uint64_t ahead = word - now;

	if ((int64_t)ahead < 0)
		return 0;
	return ahead < most ? ahead : most;
}

/* Draws `cost` from the bucket. All in 2^-8 ns. */
SL_INLINE enum sl_policer_verdict sl_gcra_draw(uint64_t *word, uint64_t now, uint64_t cost,
					       uint64_t depth, uint64_t most, bool may_mark)
{
	for (int tries = 0; tries < 3; tries++) {
		uint64_t old = *(const volatile uint64_t *)word;
		uint64_t ahead = sl_gcra_ahead(old, now, most);
		enum sl_policer_verdict verdict = sl_gcra_verdict(ahead, cost, depth, may_mark);
		uint64_t charge = verdict == SL_POLICER_DROP ? 0 : cost;

		if (verdict == SL_POLICER_DROP &&
		    sl_likely(old - now <= most + ((uint64_t)SL_GCRA_SLACK << SL_METER_SHIFT)))
			return verdict;
		if (__sync_val_compare_and_swap(word, old, now + ahead + charge) == old)
			return verdict;
	}
	return SL_POLICER_PASS;
}

#endif
