/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The arrays that make up an instance: the one list from which both sides create, check and map.
 *
 * Indices, never pointers; every index is compared with its array's count at every use. `writer`
 * says who maps the array writable: control writes tables, engines write what they saw. Of the flow
 * table control only ever clears entries, by compare-and-swap and by the rules of flow.h, and only
 * while no worker is there to do it. Of the words of token buckets it rescales those of a limit
 * whose rate it changed, by compare-and-swap too.
 */
#ifndef SL_ABI_LAYOUT_H
#define SL_ABI_LAYOUT_H

#include "backend.h"
#include "binding.h"
#include "flow.h"
#include "fragment.h"
#include "limit.h"
#include "root.h"
#include "service.h"
#include "worker.h"

enum sl_array_writer { SL_BY_CONTROL, SL_BY_ENGINE, SL_BY_BOTH };

/*        name           record                   written by */
#define SL_ARRAYS(X)                                                                               \
	X(root, struct sl_root, SL_BY_CONTROL)                                                     \
	X(services, struct sl_service, SL_BY_CONTROL)                                              \
	X(reverse, struct sl_reverse, SL_BY_CONTROL)                                               \
	X(routes, struct sl_route, SL_BY_CONTROL)                                                  \
	X(ports, struct sl_port, SL_BY_CONTROL)                                                    \
	X(slots, struct sl_rows, SL_BY_CONTROL)                                                    \
	X(backends, struct sl_backend, SL_BY_CONTROL)                                              \
	X(terms, struct sl_terms, SL_BY_CONTROL)                                                   \
	X(limits, struct sl_limit, SL_BY_CONTROL)                                                  \
	X(exceptions, struct sl_exception, SL_BY_CONTROL)                                          \
	X(engine, struct sl_engine, SL_BY_ENGINE)                                                  \
	X(workers, struct sl_worker, SL_BY_ENGINE)                                                 \
	X(queues, struct sl_queue, SL_BY_ENGINE)                                                   \
	X(tally, struct sl_tally, SL_BY_ENGINE)                                                    \
	X(traffic, struct sl_traffic, SL_BY_ENGINE)                                                \
	X(service_tally, struct sl_service_tally, SL_BY_ENGINE)                                    \
	X(wanted, struct sl_wanted, SL_BY_ENGINE)                                                  \
	X(leases, struct sl_lease, SL_BY_ENGINE)                                                   \
	X(fragments, struct sl_fragments, SL_BY_ENGINE)                                            \
	X(limit_tally, struct sl_limit_tally, SL_BY_ENGINE)                                        \
	X(bitten, struct sl_bitten, SL_BY_ENGINE)                                                  \
	X(balances, struct sl_balance, SL_BY_BOTH)                                                 \
	X(meters, struct sl_meters, SL_BY_BOTH)                                                    \
	X(bindings, struct sl_bindings, SL_BY_BOTH)                                                \
	X(bound, struct sl_bound, SL_BY_ENGINE)                                                    \
	X(flows, struct sl_bucket, SL_BY_BOTH)

#define SL_ARRAY_ENUM(name, record, writer) SL_ARRAY_##name,
enum sl_array { SL_ARRAYS(SL_ARRAY_ENUM) SL_ARRAY_COUNT };
#undef SL_ARRAY_ENUM

_Static_assert(SL_ARRAY_COUNT <= SL_ARRAYS_MAX, "root has room for them");

/* What an instance is made for: how many may serve at a time. Fixed while it lives. The arrays hold
 * more, since what is replaced rests for a while: ids of services and backends until no flow names
 * them, rows until every worker has moved on. */
struct sl_capacity {
	uint32_t services;
	uint32_t backends; /* of all services together */
	uint32_t rows;	   /* of all services together */
	uint32_t flows;	   /* entries provisioned */
	uint32_t routes;
	uint32_t limits;     /* of all services together */
	uint32_t exceptions; /* clients and flows with a rate of their own */
	uint32_t clients;    /* that are below a full bucket at a time, of all limits together */
	uint32_t addresses;  /* of all pools together */
	uint32_t workers;
	uint32_t cpus; /* that XDP may run on */
};

#endif
