/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a token bucket's word stands, and what it says: as engines find and read it (abi/limit.h).
 * NULL: there is none, the bucket is full. */
#ifndef SL_CONTROL_TABLES_BUCKETS_H
#define SL_CONTROL_TABLES_BUCKETS_H

#include "../daemon.h"

/* 2^-8 ns since the instance was made; >> SL_METER_SHIFT: ticks. */
uint64_t sl_bucket_now(const struct sl_control *c);

/* The value of a flow's entry. source: 48 bits, see sl_flow_key(). */
uint64_t *sl_bucket_of_flow(const struct sl_control *c, uint16_t service, uint64_t source);

/* The meter of a limit's subject. */
uint64_t *sl_bucket_of_subject(const struct sl_control *c, uint16_t limit, uint64_t subject);

/* How far from full, in the unit of the word. */
static inline uint64_t sl_bucket_ahead_ticks(uint64_t value, uint64_t now)
{
	uint64_t ahead = (sl_flow_time(value) - now) & SL_TIME_MASK;

	return ahead <= SL_TIME_AHEAD ? ahead : 0;
}

static inline uint64_t sl_bucket_ahead(uint64_t word, uint64_t now)
{
	return (int64_t)(word - now) > 0 ? word - now : 0;
}

#endif
