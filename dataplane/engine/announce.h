/* SPDX-License-Identifier: BSD-2-Clause */
/* VIPs are announced on the ports that DPDK owns (PCI and virtual devices). On kernel interfaces
 * control does it. When and in which words: abi/announce.h.
 *
 * The main thread makes the frames. It has no transmit queue, so a ring takes them to the first
 * worker, which sends them when it looks at the clock.
 */
#ifndef SL_ENGINE_ANNOUNCE_H
#define SL_ENGINE_ANNOUNCE_H

#include <rte_ring.h>

#include "../abi/announce.h"
#include "ports.h"

struct sl_announcer {
	struct sl_ports *ports;
	struct sl_announce *schedule;
	struct rte_ring *ring; /* frames; their `port` is the index in the configuration. NULL: no
				* port is DPDK's */
	uint32_t downs[SL_PORTS_CONFIG_MAX];
	bool up[SL_PORTS_CONFIG_MAX];
};

/* 0, or -errno. */
int sl_announcer_init(struct sl_announcer *a, struct sl_ports *ports);
void sl_announcer_fini(struct sl_announcer *a);

/* Looks at the ports and the live generation, and hands to the worker what is due. */
void sl_announcer_run(struct sl_announcer *a, const struct sl_store *store, uint64_t now_ns);

#endif
