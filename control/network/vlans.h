/* SPDX-License-Identifier: BSD-2-Clause */
/* The VLAN interfaces on top of ports: each is a port of its own, from SL_PORT_VLANS on.
 *
 * Only 802.1Q VLANs directly on top of a port and in its network namespace count. A VLAN keeps its
 * index while its interface exists, so that records that name it stay valid.
 */
#ifndef SL_CONTROL_NETWORK_VLANS_H
#define SL_CONTROL_NETWORK_VLANS_H

#include <netlink/cache.h>

#include "net.h"

/* Updates the VLANs in `port` from links. Returns how many didn't fit. */
size_t sl_vlans_find(struct nl_cache *links, struct sl_net_port port[SL_PORTS_MAX]);

#endif
