/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The token bucket: one word, the time at which it is full again (GCRA, ITU-T I.371 annex A).
 *
 * A packet costs the time in which its tokens grow back. It passes while the bucket is then no
 * further than `depth` from full; what passes moves the word by its cost. Nothing is divided:
 * control turned the rate into costs (abi/limit.h). A packet that is larger than the whole burst
 * passes a full bucket, or it never would.
 *
 * Why it holds
 * - from 1 kbit/s to 100 Gbit/s: costs count 2^-24 ns, so a byte's is exact to 1e-6 at 100 Gbit/s,
 * and 64 kB at 1 kbit/s take 8.8e18 of 1.8e19.
 * - 48-bit words count ticks of 4 ns, of which 64 bytes at 100 Gbit/s are 1.28: the fraction is
 * rounded up or down by a hash of the word, so that it is right on average, and to some ticks in a
 * burst.
 * - idle for long: a word in the past is a full bucket, however far. 48-bit words come round after
 * 13 days, and look then like one that is up to an hour from full; the sweep clears an entry days
 *   before (abi/flow.h), and a bucket is never found further from full than `most` anyway. 64-bit
 *   words come round after 2 years and are swept the same way (meters), or stand a year of idling.
 * - a clock that steps back, or is behind another's, finds the bucket that much further from full:
 * by 50 us that is 50 us worth of tokens, which are there again 50 us later.
 * - two writers of one word: by compare-and-swap, the one who comes second gives up after some
 * tries: what is lost is the charge of its packet.
 * - a rate that grew: what an old rate left in the word is cut to `most`, an empty bucket at worst.
 * That is written down even by a packet that is dropped, or the next would find the same; but only
 * where it is more than clocks may differ by, or whose clock is behind gave tokens away.
 */
#ifndef SL_CORE_GCRA_H
#define SL_CORE_GCRA_H

#include "../abi/limit.h"
#include "wire.h"

enum sl_policer_verdict {
	SL_POLICER_PASS,
	SL_POLICER_MARK,
	SL_POLICER_DROP,
	SL_POLICER_UNLIMITED, /* nobody limits this one */
};

#define SL_GCRA_SLACK (1000000u >> SL_TICK_SHIFT) /* ticks: clocks differ by less */

/* In 2^-24 ns. */
SL_INLINE uint64_t sl_gcra_cost(const struct sl_pace *pace, uint32_t bytes)
{
	return bytes * pace->byte + pace->packet;
}

/* What becomes of a packet of that cost at a bucket that is `ahead` from full; all in one unit. */
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

/* Draws `cost` from the bucket; all in 2^-8 ns. */
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
