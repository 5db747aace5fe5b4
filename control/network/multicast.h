/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups that neighbour solicitations for IPv6 VIPs are sent to (RFC 4291, 2.7.1; RFC 2464, 7).
 *
 * No interface owns a VIP, so the kernel joins nothing for it, and a NIC that filters multicast
 * never hands such a frame to XDP. Control joins them by link-layer address on every kernel port.
 * The interface keeps that when control ends, as the program does, and it is no harm where it stays
 * behind: a frame more that comes in. A device that a worker opened itself is promiscuous.
 */
#ifndef SL_CONTROL_NETWORK_MULTICAST_H
#define SL_CONTROL_NETWORK_MULTICAST_H

#include "net.h"

/* Joins what these VIPs need on the interfaces that are there now, and leaves what they don't need
 * any more. To be called when either may have changed. */
void sl_multicast_follow(const struct sl_config *config, const struct sl_net *net,
			 const union sl_addr *vips, size_t n);

#endif
