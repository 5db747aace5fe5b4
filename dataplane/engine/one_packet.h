/* SPDX-License-Identifier: BSD-2-Clause */
/* Both passes of a worker's decision for callers that have one packet at a time (replay, tests):
 * the fast path first, then core/ for what it doesn't take. The service is put in the cache before
 * the first pass and stays for this packet only. A struct sl_one_packet starts zeroed and can be
 * used with any tables.
 *
 * The functions aren't inline: the whole core is compiled into them, which takes longer than all of
 * control. So it is compiled once, for all callers, in libdecide.
 */
#ifndef SL_ENGINE_ONE_PACKET_H
#define SL_ENGINE_ONE_PACKET_H

#include "fast_path.h"

struct sl_one_packet {
	struct sl_service_cache cache;
	struct sl_fast_lookup fast;
	struct sl_lookup lookup;
};

/* The first pass: looks the packet up. */
void sl_one_packet_classify(struct sl_one_packet *h, const struct sl_tables *t,
			    const struct sl_packet *p);

/* The second pass: decides it by what the first found, and rewrites it. */
enum sl_reason sl_one_packet_route(struct sl_one_packet *h, const struct sl_tables *t,
				   struct sl_packet *p, uint16_t *egress);

#endif
