/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAC addresses that the kernel has on top of a port: a frame to one of them is for this host.
 *
 * On top of an interface stand the macvlan children (VRRP's virtual MAC is the address of one), the
 * VLANs and the bond, team or bridge that it belongs to, and on top of these others. What belongs
 * to another host is left out: the far end of a veth, a guest's macvtap, whatever stands in another
 * network namespace.
 */
#ifndef SL_CONTROL_NETWORK_STACKED_H
#define SL_CONTROL_NETWORK_STACKED_H

#include <netlink/cache.h>

#include "net.h"

/* Fills in the ports' other_mac, of the n ports that are present. links: all of the namespace. */
void sl_stacked_find(struct nl_cache *links, struct sl_net_port *port, size_t n);

#endif
