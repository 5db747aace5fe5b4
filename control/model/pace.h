/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts a rate and a burst to what engines compute with: the time that a byte or a packet takes,
 * and the time that the burst takes (dataplane/abi/limit.h). All divisions are here.
 *
 * A cost is rounded to the nearest 2^-24 ns. The error is 2 parts in a million at 400 Gbit/s, and
 * far less at lower rates. Times are rounded to ticks of 4 ns.
 */
#ifndef SL_CONTROL_MODEL_PACE_H
#define SL_CONTROL_MODEL_PACE_H

#include <stdbool.h>

#include "../../config/config.h"
#include "../../dataplane/abi/limit.h"

/* The pace of a limit or an exception. rate: in bit/s, or in packets or connections a second; 0:
 * there is none, and the pace is all zeros. burst: the one that applies, never 0, in bytes, packets
 * or connections. */
struct sl_pace sl_pace_of(uint8_t unit, uint64_t rate, uint64_t burst, uint8_t action);
struct sl_pace sl_pace_of_limit(const struct sl_config_limit *l);

/* Returns the rate that a pace was made from, as exactly as rounding permits. */
uint64_t sl_pace_rate(const struct sl_pace *pace, uint8_t unit);

/* The time that a byte or a packet takes, in 2^-24 ns; 0: there is no rate. */
static inline uint64_t sl_pace_cost(const struct sl_pace *pace)
{
	return pace->byte ? pace->byte : pace->packet;
}

/* How much of `burst` is left if the bucket is `ahead` ticks from full. */
uint64_t sl_pace_left(const struct sl_pace *pace, uint64_t burst, uint64_t ahead);

/* Returns how many ticks a bucket is from full under `to`, if it was `ahead` ticks from full under
 * `from`. The used part of the burst stays the same. */
uint64_t sl_pace_rescale(const struct sl_pace *from, const struct sl_pace *to, uint64_t ahead);

/* How much an engine takes out of a shared bucket at a time, in ticks. */
uint32_t sl_pace_lease(const struct sl_pace *pace);

#endif
