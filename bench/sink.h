/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a bench's frames leave: a transmit callback that looks at each, byte for byte, for windows
 * that are not measured. A figure counts only if what it paid for was done.
 */
#ifndef SL_BENCH_SINK_H
#define SL_BENCH_SINK_H

#include <rte_mbuf.h>

#include "../config/config.h"

struct sl_sink {
	const struct sl_config *config;
	uint64_t frames;
	uint64_t wrong;
	char first[SL_ERROR_MAX]; /* what is wrong with the first such frame */
};

/* A function for rte_eth_add_tx_callback(); user: the sink. A frame is right when it goes to a
 * backend of the first service, to the MAC address of its next hop, with one hop less and checksums
 * that are right. */
uint16_t sl_sink_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
		       void *user);

#endif
