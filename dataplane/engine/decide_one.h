/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's decision without a worker: one packet at a time, over memory that holds an
 * instance's arrays. sluice-replay and the tests that compare the engines use it. It links nothing
 * of DPDK.
 */
#ifndef SL_ENGINE_DECIDE_ONE_H
#define SL_ENGINE_DECIDE_ONE_H

#include "../abi/store.h"
#include "../core/wire.h"

/* Decides the packet, rewrites it in place and counts it as `writer`. now: ticks since the root's
 * origin. *egress: index of the port by which the packet leaves, if it does. */
enum sl_reason sl_decide_one(const struct sl_store *store, uint32_t writer, uint64_t now,
			     struct sl_packet *p, uint16_t *egress);

#endif
