/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAC addresses that the kernel has on top of a port: a frame to one of them is for this host.
 *
 * On top of an interface there may be macvlan children (VRRP's virtual MAC is the address of one),
 * VLANs, and the bond, team or bridge that it belongs to; on top of these there may be others.
 * Interfaces of other hosts don't count: the far end of a veth, a guest's macvtap, or anything in
 * another network namespace.
 */
#ifndef SL_CONTROL_NETWORK_STACKED_H
#define SL_CONTROL_NETWORK_STACKED_H

#include <netlink/cache.h>

#include "net.h"

/* Sets other_mac and n_other of n ports, for those that are present. `links` holds all links of the
 * namespace. */
void sl_stacked_find(struct nl_cache *links, struct sl_net_port *port, size_t n);

#endif
