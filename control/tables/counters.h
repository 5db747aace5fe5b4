/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the counters that engines write, summed over all writers. */
#ifndef SL_CONTROL_TABLES_COUNTERS_H
#define SL_CONTROL_TABLES_COUNTERS_H

#include "../daemon.h"

/* Must be called when a backend is given a counter id. Its counters begin at 0 then: the present
 * sums, which a predecessor has left, become the baseline. */
void sl_stats_begin(struct sl_control *c, uint32_t counter_id);

/* The same for the id of a limit. */
void sl_stats_begin_limit(struct sl_control *c, uint16_t limit);

struct sl_backend_counters sl_stats_backend(const struct sl_control *c, uint32_t counter_id);
struct sl_service_counters sl_stats_service(const struct sl_control *c, uint32_t service);
struct sl_limit_counters sl_stats_limit(const struct sl_control *c, uint16_t limit);

/* The number of packets that ended with this reason. */
uint64_t sl_stats_reason(const struct sl_control *c, enum sl_reason reason);

/* Sums over `n` writers, from `writer` on (abi/worker.h): the bytes of all frames to and from
 * backends, and the number of packets that were forwarded, answered or dropped. */
uint64_t sl_stats_bytes(const struct sl_control *c, uint32_t writer, uint32_t n);
uint64_t sl_stats_decided(const struct sl_control *c, uint32_t writer, uint32_t n);

#endif
