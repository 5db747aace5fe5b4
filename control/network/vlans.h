/* SPDX-License-Identifier: BSD-2-Clause */
/* The VLAN interfaces on top of ports: each is a port of its own, from SL_PORT_VLANS on.
 *
 * Only VLANs by 802.1Q count, directly on top of a port and in its network namespace. A VLAN keeps
 * its index while its interface lives, so that nothing that names it has to be written again.
 */
#ifndef SL_CONTROL_NETWORK_VLANS_H
#define SL_CONTROL_NETWORK_VLANS_H

#include <netlink/cache.h>

#include "net.h"

/* Brings the VLANs in port to what links says. Returns how many there is no room for. */
size_t sl_vlans_find(struct nl_cache *links, struct sl_net_port port[SL_PORTS_MAX]);

#endif
