/* SPDX-License-Identifier: BSD-2-Clause */
/* The network around the gateway: where does a packet to this address leave?
 *
 * A mirror of the kernel's links, routes and neighbours in the network namespace of the caller,
 * seen through the ports of the configuration. It answers for control itself (a backend's next
 * hop) and makes the records of the engines' route bank; both answers come from one table, so
 * they can't differ. Not thread-safe: everything happens on the event base.
 *
 *   - Of the kernel's tables, `local` is looked up first, then `main`. Policy rules, TOS routes
 *     and other tables aren't mirrored.
 *   - Next hops of the configuration stand beside the routes of `main`: the longest prefix wins,
 *     and at equal length the configuration's. The gateway's own addresses stay its own.
 *   - Among equal prefixes the lowest metric wins. Of a multipath route all next hops are taken
 *     that are usable: through a port of ours, up and with carrier, with a gateway that is
 *     resolved. Two or more of them make a group, of which each flow takes one. Next hops of the
 *     configuration with equal prefixes are a multipath route too. Where the first usable next hop
 *     has no gateway, it is the only one that is taken: each host on its link is a next hop.
 *   - The kernel sees no traffic for the next hops that engines use. Gateways, and addresses that
 *     were asked for, are therefore revalidated from here (neighbours.h).
 *   - A VLAN interface (802.1Q) on top of a port is a port of its own here, from SL_PORT_VLANS on,
 *     and so is a VLAN that a next hop of the configuration is in. Routes and neighbours of the
 *     interface lead out of it, so that packets get its tag.
 *   - Both families in one table. IPv6 gateways may be link-local: a next hop is an address at a
 *     port. Routes to link-local and multicast destinations aren't mirrored.
 */
#ifndef SL_CONTROL_NETWORK_NET_H
#define SL_CONTROL_NETWORK_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../config/config.h"
#include "../../dataplane/abi/next_hop.h"
#include "../../dataplane/abi/service.h"

struct event_base;
struct sl_net;

#define SL_INTERFACE_NAME 16 /* with the final 0: IFNAMSIZ */

/* A port as the kernel has it now. PCI and virtual devices are never present: no kernel interface
 * stands for them, and their MAC address is what sl_net_set_mac() was told. */
struct sl_net_port {
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool up; /* set up, and with carrier */
	bool present;
	bool partial;	 /* of a kind on which hosts may leave checksums to offload */
	uint32_t downs;	 /* how often it was seen to be down: it may be up again by now */
	uint16_t parent; /* of a VLAN: the port that it is on */
	uint16_t vlan;	 /* 0: it is none */
	char name[SL_INTERFACE_NAME]; /* as it is called now, which needn't be the file's word */
	union sl_addr addr4; /* the gateway's own there, the lowest of several; ::0: none */
	union sl_addr addr6;
	/* More MAC addresses that frames to this host have there, see stacked.h: of these the first
	 * SL_PORT_ADDRESSES are told. */
	uint8_t other_mac[SL_PORT_ADDRESSES][6];
	uint32_t n_other;
};

/* One next hop of several. gateway is ::0 if the configuration says what its MAC address is. */
struct sl_net_hop {
	union sl_addr gateway;
	uint8_t dst_mac[6], src_mac[6];
	uint32_t mtu;
	uint32_t weight;
	uint16_t port;
	bool known; /* dst_mac */
	uint8_t pad;
};

/* A group of next hops, all known. */
struct sl_net_group {
	struct sl_net_hop hop[SL_HOPS];
	uint32_t n; /* at least 2 */
};

/* kind is VIA (all fields count), ASK (dst_mac doesn't), LOCAL or NONE (nothing else does); never
 * LINK. gateway is ::0 where the address itself is on the link. Of a group (port is SL_EGRESS_GROUP
 * and its index) gateway and dst_mac are those of the first, mtu is the smallest. */
struct sl_next_hop {
	enum sl_route_kind kind;
	uint16_t port;
	uint8_t dst_mac[6], src_mac[6];
	uint32_t mtu;
	union sl_addr gateway;
	/* Of a host on a link the low bits of its address that tell hosts there apart; else 0. */
	uint32_t link_bits;
};

/* config must outlive net. changed(context) is called from the event loop when an answer below
 * may have become another, at most once in 5 ms. A port whose interface doesn't exist is no error.
 * 0, or -errno with a message in error. */
int sl_net_open(struct sl_net **net, struct event_base *base, const struct sl_config *config,
		void (*changed)(void *context), void *context, char error[SL_ERROR_MAX]);
void sl_net_close(struct sl_net *net);

/* By its index in config->dataplane.port, or of a VLAN; NULL: there is none. */
const struct sl_net_port *sl_net_port(const struct sl_net *net, uint32_t port);

/* Grows whenever something changed about interfaces, also those that are no ports. */
uint32_t sl_net_link_events(const struct sl_net *net);

/* Whether the kernel's table of neighbours of the family is full, so that some stay unknown. */
bool sl_net_neighbours_full(const struct sl_net *net, bool is_ipv6);

/* What the dataplane says of a port that no kernel interface stands for; ignored for others. */
void sl_net_set_mac(struct sl_net *net, uint32_t port, const uint8_t mac[6]);

/* The next hops in config have become others: answers follow at once, changed() isn't called. */
void sl_net_configured(struct sl_net *net);

/* Whether it is an address of the gateway itself, at a port or anywhere, or a broadcast one. */
bool sl_net_is_own(const struct sl_net *net, const union sl_addr *addr);

/* An own address within a prefix (its length in the 16-byte form); NULL: there is none. */
const union sl_addr *sl_net_own_in(const struct sl_net *net, const union sl_addr *prefix,
				   uint32_t length);

void sl_net_next_hop(struct sl_net *net, const union sl_addr *addr, struct sl_next_hop *hop);

/* The records for the engines' route bank, longest prefix first, then by address. Returns how
 * many there are, which may exceed max. */
size_t sl_net_routes(struct sl_net *net, struct sl_route *route, size_t max);

/* The groups that these routes and the next hops above name, by their index. Returns how many there
 * are: SL_HOP_GROUPS at most. They are valid until the next answer may have become another. */
size_t sl_net_groups(const struct sl_net *net, const struct sl_net_group **group);

/* Starts or refreshes the resolution of the next hop towards addr, at most once in 500 ms each,
 * and keeps it resolved from then on. */
void sl_net_ask(struct sl_net *net, const union sl_addr *addr);

#endif
