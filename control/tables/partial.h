/* SPDX-License-Identifier: BSD-2-Clause */
/* When the engines look for partial checksums (dataplane/core/partial.h), and what they found.
 *
 * Looking costs each packet a few nanoseconds, and only ports whose frames come from this machine's
 * memory can have any (veth and the like). There every packet is looked at while there are few, and
 * in one turn of sixteen while there are many. Once one was found on a port, all of its packets are
 * looked at from then on, also after a restart of control.
 */
#ifndef SL_CONTROL_TABLES_PARTIAL_H
#define SL_CONTROL_TABLES_PARTIAL_H

#include "../daemon.h"

struct sl_partial_count {
	uint64_t completed;
	uint64_t left; /* found by generic XDP, which can't complete them */
};

struct sl_partial_count sl_partial_count(const struct sl_control *c, uint32_t port);

/* A turn: tells the engines where to look until the next, and logs ports on which the first partial
 * checksum was found. */
void sl_partial_tick(struct sl_control *c);

#endif
