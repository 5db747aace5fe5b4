/* SPDX-License-Identifier: BSD-2-Clause */
/* Announces VIPs on the ports that DPDK owns (PCI and virtual devices); control does it on kernel
 * interfaces. abi/announce.h has the schedule and the frames.
 *
 * The main thread makes the frames. It has no transmit queue, so it passes them through a ring to
 * the first worker, which sends them when it reads the clock.
 */
#ifndef SL_ENGINE_ANNOUNCE_H
#define SL_ENGINE_ANNOUNCE_H

#include <rte_ring.h>

#include "../abi/announce.h"
#include "ports.h"

struct sl_announcer {
	struct sl_ports *ports;
	struct sl_announce *schedule;
	struct rte_ring *ring; /* frames for the worker; NULL: no port is DPDK's */
	uint32_t downs[SL_PORTS_CONFIG_MAX];
	bool up[SL_PORTS_CONFIG_MAX];
};

/* 0, or -errno. */
int sl_announcer_init(struct sl_announcer *a, struct sl_ports *ports);
void sl_announcer_fini(struct sl_announcer *a);

/* Checks the ports and the live generation, and passes due frames to the worker. */
void sl_announcer_run(struct sl_announcer *a, const struct sl_store *store, uint64_t now_ns);

#endif
