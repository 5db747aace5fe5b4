/* SPDX-License-Identifier: BSD-2-Clause */
/* Announces VIPs on the kernel's interfaces. Control does it, since an XDP program can't send a
 * packet that it hasn't received. abi/announce.h has the times and the packets. */
#ifndef SL_CONTROL_NETWORK_ANNOUNCE_H
#define SL_CONTROL_NETWORK_ANNOUNCE_H

#include "../../config/config.h"
#include "../../dataplane/abi/announce.h"

struct sl_announcer;

/* Returns 0, or -errno with a message in error. */
int sl_announcer_open(struct sl_announcer **announcer, uint32_t n_ports, char error[SL_ERROR_MAX]);
void sl_announcer_close(struct sl_announcer *announcer);

/* Sets the present state of a port. It is never called for a port without a kernel interface. */
void sl_announcer_port(struct sl_announcer *announcer, uint32_t port,
		       const struct sl_announce_port *now);

/* Sends the announcements that are due. The caller calls it every few milliseconds. */
void sl_announcer_run(struct sl_announcer *announcer, const struct sl_store *store,
		      uint64_t now_ns);

#endif
