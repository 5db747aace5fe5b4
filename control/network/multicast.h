/* SPDX-License-Identifier: BSD-2-Clause */
/* The multicast groups that receive neighbour solicitations for IPv6 VIPs (RFC 4291, 2.7.1; RFC
 * 2464, 7).
 *
 * No interface owns a VIP, so the kernel joins no group for it, and a NIC that filters multicast
 * never hands such a frame to XDP. Control therefore joins the groups by link-layer address on
 * every kernel port. The interface keeps the membership when control ends, as it keeps the program.
 * A membership that stays behind is harmless: a few more frames come in. A device that a worker
 * opened itself is promiscuous.
 */
#ifndef SL_CONTROL_NETWORK_MULTICAST_H
#define SL_CONTROL_NETWORK_MULTICAST_H

#include "net.h"

/* Joins the groups that these VIPs need on the interfaces that exist now, and leaves groups that
 * they don't need any more. The caller calls it whenever either may have changed. */
void sl_multicast_follow(const struct sl_config *config, const struct sl_net *net,
			 const union sl_addr *vips, size_t n);

#endif
