/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a bench's frames leave: a transmit callback that looks at each, byte for byte, for windows
 * that are not measured. A figure counts only if what it paid for was done.
 */
#ifndef SL_BENCH_SINK_H
#define SL_BENCH_SINK_H

#include <rte_mbuf.h>

#include "../config/config.h"

/* In what shape a packet goes to its backend. */
enum sl_form {
	SL_FORM_NAT,
	SL_FORM_DIRECT,
	SL_FORM_IPIP,
	SL_FORM_GUE,
	SL_FORM_REPLY,	 /* and from the VIP */
	SL_FORM_FULLNAT, /* and from its pool */
	SL_FORMS,
};

struct sl_sink {
	const struct sl_config *config;
	uint64_t frames;
	uint64_t wrong;
	uint64_t form[SL_FORMS];
	char first[SL_ERROR_MAX]; /* what is wrong with the first such frame */
};

/* A function for rte_eth_add_tx_callback(); user: the sink. A frame is right when it goes to a
 * backend of its service, or in a tunnel to one, or as it was to the VIP, or comes from it;
 * to the MAC address of the first next hop; with checksums that are right; and with NAT with one
 * hop less. */
uint16_t sl_sink_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
		       void *user);

#endif
