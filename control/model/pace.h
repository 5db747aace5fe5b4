/* SPDX-License-Identifier: BSD-2-Clause */
/* From a rate and a burst to what engines compute with: the time that a byte or a packet takes, and
 * the time that the burst does (dataplane/abi/limit.h). All division is here.
 *
 * A cost is rounded to the nearest 2^-24 ns, which is exact to 2 parts in a million at 400 Gbit/s
 * and to far less below. Times are rounded to ticks of 4 ns.
 */
#ifndef SL_CONTROL_MODEL_PACE_H
#define SL_CONTROL_MODEL_PACE_H

#include <stdbool.h>

#include "../../config/config.h"
#include "../../dataplane/abi/limit.h"

/* Of a limit or an exception: `burst` is the one that counts, never 0. A rate of 0 is none: all
 * zero. */
struct sl_pace sl_pace_of(uint8_t unit, uint64_t rate, uint64_t burst, uint8_t action);
struct sl_pace sl_pace_of_limit(const struct sl_config_limit *l);

/* The rate that a pace was made of, as near as it can be told. */
uint64_t sl_pace_rate(const struct sl_pace *pace, uint8_t unit);

/* The time of a byte or a packet, whichever counts; 0: there is no rate. */
static inline uint64_t sl_pace_cost(const struct sl_pace *pace)
{
	return pace->byte ? pace->byte : pace->packet;
}

/* How much of `burst` is left where a bucket is that many ticks from full. */
uint64_t sl_pace_left(const struct sl_pace *pace, uint64_t burst, uint64_t ahead);

/* Ticks that a bucket is from full under `to`, if it was `ahead` ticks under `from`, so that what
 * was used of it stays the same. */
uint64_t sl_pace_rescale(const struct sl_pace *from, const struct sl_pace *to, uint64_t ahead);

/* What an engine takes of a shared bucket at a time, in ticks. */
uint32_t sl_pace_lease(const struct sl_pace *pace);

#endif
