/* SPDX-License-Identifier: BSD-2-Clause */
/* Decides when engines look for partial checksums (dataplane/core/partial.h), and counts what they
 * found.
 *
 * Looking costs each packet a few nanoseconds. Only ports whose frames come from this machine's
 * memory (veth and the like) can have partial checksums. On these ports engines look at every
 * packet while there are few, and during one tick in sixteen while there are many. Once a partial
 * checksum was found on a port, engines look at all of its packets from then on, also after a
 * restart of control.
 */
#ifndef SL_CONTROL_TABLES_PARTIAL_H
#define SL_CONTROL_TABLES_PARTIAL_H

#include "../daemon.h"

struct sl_partial_count {
	uint64_t completed;
	uint64_t left; /* found by generic XDP, which can't complete them */
};

struct sl_partial_count sl_partial_count(const struct sl_control *c, uint32_t port);

/* To be called at each tick. Tells the engines where to look until the next one, and logs ports on
 * which a partial checksum was found for the first time. */
void sl_partial_tick(struct sl_control *c);

#endif
