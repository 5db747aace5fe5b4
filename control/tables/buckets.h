/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the word that holds a token bucket, and reads it, as engines do (abi/limit.h). The
 * functions that search return NULL if there is no such word; the bucket is full then. */
#ifndef SL_CONTROL_TABLES_BUCKETS_H
#define SL_CONTROL_TABLES_BUCKETS_H

#include "../daemon.h"

/* The time since the instance was created, in 2^-8 ns. Shifted right by SL_METER_SHIFT it is in
 * ticks. */
uint64_t sl_bucket_now(const struct sl_control *c);

/* Returns the value of a flow's entry. source: 48 bits, see sl_flow_key(). */
uint64_t *sl_bucket_of_flow(const struct sl_control *c, uint16_t service, uint64_t source);

/* Returns the meter of a limit's subject. subject: 48 bits, see sl_meter_key(). */
uint64_t *sl_bucket_of_subject(const struct sl_control *c, uint16_t limit, uint64_t subject);

/* How far the bucket is from full, in the unit of the word: in ticks for the value of a flow's
 * entry, in 2^-8 ns for a meter or a shared bucket. 0: it is full. */
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
