/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters as people read them: summed over the writers. */
#ifndef SL_CONTROL_TABLES_COUNTERS_H
#define SL_CONTROL_TABLES_COUNTERS_H

#include "../daemon.h"

/* An id in the counters is given to a backend: it counts from now on. */
void sl_stats_begin(struct sl_control *c, uint32_t counter_id);

/* The same of a limit. */
void sl_stats_begin_limit(struct sl_control *c, uint16_t limit);

struct sl_backend_counters sl_stats_backend(const struct sl_control *c, uint32_t counter_id);
struct sl_service_counters sl_stats_service(const struct sl_control *c, uint32_t service);
struct sl_limit_counters sl_stats_limit(const struct sl_control *c, uint16_t limit);

/* Packets that ended with this reason. */
uint64_t sl_stats_reason(const struct sl_control *c, enum sl_reason reason);

/* Of `n` writers from one on (abi/worker.h): bytes of frames to and from all backends; packets that
 * were forwarded, answered or dropped. */
uint64_t sl_stats_bytes(const struct sl_control *c, uint32_t writer, uint32_t n);
uint64_t sl_stats_decided(const struct sl_control *c, uint32_t writer, uint32_t n);

#endif
