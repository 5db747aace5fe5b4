/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks the packets during a publish storm: does each frame come from a single generation?
 *
 * scripts/bench-publish publishes again and again. In the k-th publish every next hop gets the MAC
 * address 02:kk:kk:kk:hh:hh, and the backends' weights alternate between even and odd k, which
 * moves slots. So the MAC address of a frame tells the generation of its backend record, its
 * backend tells the generation of its slot, and its checksums tell the generation of the deltas.
 *
 * This runs in the worker as a callback before transmit. So the generation that the worker
 * acknowledged last is the one that it used for this burst, and what control has published by now
 * can't be older. Each frame must
 *
 *   - have the k of the other frames under this acknowledged generation, or a later k that is
 *     published by now, if the worker decided it again because the tables changed;
 *   - go to the backend that its flow had before under an even or an odd k (`learn`);
 *   - have right checksums, an address and a port of one backend, and that backend's MAC.
 *
 * Any other frame is torn.
 */
#ifndef SL_BENCH_STORM_H
#define SL_BENCH_STORM_H

#include <rte_mbuf.h>

#include "../config/config.h"
#include "../dataplane/abi/root.h"
#include "../dataplane/abi/worker.h"

#define SL_STORM_FLOWS 65536

struct sl_storm {
	const struct sl_config *config;
	const struct sl_root *root;
	const struct sl_worker *self;
	bool learn;
	uint64_t generation;		   /* acknowledged when the last frame was checked */
	uint32_t k;			   /* the frames of that generation */
	uint16_t owner[2][SL_STORM_FLOWS]; /* backend of a flow + 1; 0: not seen yet */
	uint64_t frames;
	uint64_t generations; /* generations that frames left under */
	uint64_t later;	      /* frames decided again by a later generation */
	uint64_t torn;
	char first[80]; /* what was wrong with the first torn frame */
};

/* How many flows have different backends for even and odd k. */
uint32_t sl_storm_differ(const struct sl_storm *s, uint32_t flows);

/* The callback for rte_eth_add_tx_callback(). user: the storm. */
uint16_t sl_storm_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			void *user);

#endif
