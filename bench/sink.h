/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a benchmark's frames end: a transmit callback that checks each frame byte by byte, in runs
 * that aren't measured. A figure counts only if the work it stands for was done.
 */
#ifndef SL_BENCH_SINK_H
#define SL_BENCH_SINK_H

#include <rte_mbuf.h>

#include "../config/config.h"

/* The form in which a packet arrives at its backend. */
enum sl_form {
	SL_FORM_NAT,
	SL_FORM_DIRECT,
	SL_FORM_IPIP,
	SL_FORM_GUE,
	SL_FORM_REPLY,	 /* with the VIP as its source */
	SL_FORM_FULLNAT, /* with a pool's address as its source */
	SL_FORMS,
};

struct sl_sink {
	const struct sl_config *config;
	uint64_t frames;
	uint64_t wrong;
	uint64_t form[SL_FORMS];
	char first[SL_ERROR_MAX]; /* what is wrong with the first such frame */
};

/* The callback for rte_eth_add_tx_callback(). user: the sink. A frame is right if it goes to a
 * backend of its service (also in a tunnel, or unchanged to the VIP) or comes from one; if its
 * destination MAC is the first next hop's; if its checksums are right; and if it has one hop less
 * in modes with NAT. */
uint16_t sl_sink_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
		       void *user);

#endif
