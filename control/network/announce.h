/* SPDX-License-Identifier: BSD-2-Clause */
/* VIPs are announced on the kernel's interfaces: by control, since an XDP program can't send what
 * it hasn't received. When and in which words: abi/announce.h. */
#ifndef SL_CONTROL_NETWORK_ANNOUNCE_H
#define SL_CONTROL_NETWORK_ANNOUNCE_H

#include "../../config/config.h"
#include "../../dataplane/abi/announce.h"

struct sl_announcer;

/* 0, or -errno with a message in error. */
int sl_announcer_open(struct sl_announcer **announcer, uint32_t n_ports, char error[SL_ERROR_MAX]);
void sl_announcer_close(struct sl_announcer *announcer);

/* What a port is now; of one without a kernel interface it is never told. */
void sl_announcer_port(struct sl_announcer *announcer, uint32_t port,
		       const struct sl_announce_port *now);

/* Sends what is due. To be called every few milliseconds. */
void sl_announcer_run(struct sl_announcer *announcer, const struct sl_store *store,
		      uint64_t now_ns);

#endif
