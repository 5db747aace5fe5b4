/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's decision without a worker: one packet at a time, over any memory that holds an
 * instance's arrays. For those who have tables and packets but no ports: sluice-replay, and the
 * tests that compare the engines. Links nothing of DPDK.
 */
#ifndef SL_ENGINE_DECIDE_ONE_H
#define SL_ENGINE_DECIDE_ONE_H

#include "../abi/store.h"
#include "../core/wire.h"

/* Rewrites the packet in place as the verdict of the reason says, and counts as `writer`. `now` is
 * in ticks since the root's origin. *egress is a port's index where the packet leaves. */
enum sl_reason sl_decide_one(const struct sl_store *store, uint32_t writer, uint64_t now,
			     struct sl_packet *p, uint16_t *egress);

#endif
