/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader's side of a publish storm: does each frame that leaves come from one generation?
 *
 * scripts/bench-publish publishes again and again. The k-th time every next hop gets the MAC
 * address 02:kk:kk:kk:hh:hh, and the weights of the backends are those for an even or an odd k,
 * which move slots. So a frame tells by its MAC address which generation's record of a backend it
 * met, by where it goes whose slots, and by its checksums whose deltas.
 *
 * Runs in the worker, as a callback before transmit: what the worker acknowledged last is what it
 * looked at for this burst, and what control has published by now can't be older. Each frame must
 * be
 *
 *   - of the k that the other frames of this acknowledged generation have; or, where the worker had
 *     to decide anew because the tables moved, of a later one that is published by now;
 *   - to the backend that its flow had whenever k was even, or odd, the first two times (`learn`);
 *   - with right checksums, an address and a port that belong together, and the backend's MAC
 * address.
 *
 * Anything else is torn.
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
	uint64_t generation;		   /* acknowledged, as of the last frame */
	uint32_t k;			   /* of its frames */
	uint16_t owner[2][SL_STORM_FLOWS]; /* backend of a flow + 1; 0: not seen */
	uint64_t frames;
	uint64_t generations; /* that frames left under */
	uint64_t later;	      /* frames decided anew, by a later generation */
	uint64_t torn;
	char first[80]; /* what was wrong first */
};

/* How many flows have another backend when k is odd than when it is even. */
uint32_t sl_storm_differ(const struct sl_storm *s, uint32_t flows);

/* A function for rte_eth_add_tx_callback(); user: the storm. */
uint16_t sl_storm_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			void *user);

#endif
