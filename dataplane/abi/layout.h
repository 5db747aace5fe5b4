/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The list of the arrays that make up an instance. Both sides create, check and map arrays by this
 * list.
 *
 * Arrays hold indices, never pointers, and every index is compared with its array's size at every
 * use. `writer` says who maps an array writable: control writes tables, engines write state and
 * counters. In the flow table control only clears entries, by compare-and-swap, by the rules of
 * flow.h, and only while no worker lives to do it. In the token buckets control only rescales the
 * words of a limit whose rate it changed, by compare-and-swap too.
 */
#ifndef SL_ABI_LAYOUT_H
#define SL_ABI_LAYOUT_H

#include "backend.h"
#include "flow.h"
#include "fragment.h"
#include "learned.h"
#include "limit.h"
#include "next_hop.h"
#include "root.h"
#include "service.h"
#include "snat.h"
#include "worker.h"

enum sl_array_writer { SL_BY_CONTROL, SL_BY_ENGINE, SL_BY_BOTH };

/*        name           record                   written by */
#define SL_ARRAYS(X)                                                                               \
	X(root, struct sl_root, SL_BY_CONTROL)                                                     \
	X(services, struct sl_service, SL_BY_CONTROL)                                              \
	X(reply_entries, struct sl_reply_entry, SL_BY_CONTROL)                                     \
	X(routes, struct sl_route, SL_BY_CONTROL)                                                  \
	X(ports, struct sl_port, SL_BY_CONTROL)                                                    \
	X(hop_groups, struct sl_hop_group, SL_BY_CONTROL)                                          \
	X(table_blocks, struct sl_table_block, SL_BY_CONTROL)                                      \
	X(backends, struct sl_backend, SL_BY_CONTROL)                                              \
	X(flow_timeouts, struct sl_flow_timeouts, SL_BY_CONTROL)                                   \
	X(schedules, struct sl_schedule, SL_BY_CONTROL)                                            \
	X(limits, struct sl_limit, SL_BY_CONTROL)                                                  \
	X(exceptions, struct sl_exception, SL_BY_CONTROL)                                          \
	X(engine, struct sl_engine, SL_BY_ENGINE)                                                  \
	X(workers, struct sl_worker, SL_BY_ENGINE)                                                 \
	X(queues, struct sl_queue, SL_BY_ENGINE)                                                   \
	X(reason_counters, struct sl_reason_counters, SL_BY_ENGINE)                                \
	X(backend_counters, struct sl_backend_counters, SL_BY_ENGINE)                              \
	X(service_counters, struct sl_service_counters, SL_BY_ENGINE)                              \
	X(neigh_requests, struct sl_neighbour_requests, SL_BY_ENGINE)                              \
	X(leases, struct sl_lease, SL_BY_ENGINE)                                                   \
	X(fragments, struct sl_fragments, SL_BY_ENGINE)                                            \
	X(learned, struct sl_learned, SL_BY_ENGINE)                                                \
	X(limit_counters, struct sl_limit_counters, SL_BY_ENGINE)                                  \
	X(most_limited, struct sl_most_limited, SL_BY_ENGINE)                                      \
	X(shared_buckets, struct sl_shared_bucket, SL_BY_BOTH)                                     \
	X(meters, struct sl_meters, SL_BY_BOTH)                                                    \
	X(snat_ports, struct sl_snat_line, SL_BY_BOTH)                                             \
	X(snat_clients, struct sl_snat_client, SL_BY_ENGINE)                                       \
	X(flows, struct sl_bucket, SL_BY_BOTH)

#define SL_ARRAY_ENUM(name, record, writer) SL_ARRAY_##name,
enum sl_array { SL_ARRAYS(SL_ARRAY_ENUM) SL_ARRAY_COUNT };
#undef SL_ARRAY_ENUM

_Static_assert(SL_ARRAY_COUNT <= SL_ARRAYS_MAX, "root has room for them");

/* What an instance is made for: how many of each may be in service at a time. These numbers are
 * fixed while the instance lives. The arrays are larger, because what was replaced stays in
 * quarantine for a while: ids of services and backends until no flow entry names them, table blocks
 * until every worker has moved on. */
struct sl_capacity {
	uint32_t services;
	uint32_t backends; /* of all services together */
	uint32_t slots;	   /* of all services together */
	uint32_t flows;	   /* entries */
	uint32_t routes;
	uint32_t limits;     /* of all services together */
	uint32_t exceptions; /* clients and flows that have their own rate */
	uint32_t clients;    /* clients below a full bucket at the same time, over all limits */
	uint32_t addresses;  /* of all SNAT pools together */
	uint32_t workers;
	uint32_t cpus; /* CPUs that XDP may run on */
};

#endif
