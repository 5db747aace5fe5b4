/* SPDX-License-Identifier: BSD-2-Clause */
/* The network around the gateway: it says where a packet to an address leaves.
 *
 * This is a mirror of the kernel's links, routes and neighbours in the caller's network namespace,
 * seen through the ports of the configuration. It answers control's own questions (a backend's next
 * hop) and makes the records of the engines' route bank. Both answers come from one table, so they
 * can't differ. It isn't thread-safe: everything happens on the event base.
 *
 *   - Of the kernel's tables, `local` is looked up first, then `main`. Policy rules, TOS routes and
 *     other tables aren't mirrored.
 *   - Next hops of the configuration stand beside the routes of `main`. The longest prefix wins; of
 *     two with equal length the configuration's wins. The gateway's own addresses always stay its
 *     own.
 *   - Among equal prefixes the lowest metric wins. Of a multipath route, all usable next hops are
 *     taken: those through a port of the configuration that is up and has carrier, and with a
 *     resolved gateway. Two or more of them make a group, of which each flow takes one. Next hops
 *     of the configuration with equal prefixes are a multipath route too. If the first usable next
 *     hop has no gateway, only that one is taken, and each host on its link is a next hop.
 *   - The kernel sees no traffic for the next hops that engines use. Control therefore revalidates
 *     gateways, and addresses that were requested (neighbours.h).
 *   - A VLAN interface (802.1Q) on top of a port is a port of its own here, from SL_PORT_VLANS on.
 *     So is a VLAN that a next hop of the configuration is in. Routes and neighbours of the VLAN
 *     interface lead out of that port, so that packets get its tag.
 *   - Both families are in one table. IPv6 gateways may be link-local, since a next hop is an
 *     address at a port. Routes to link-local and multicast destinations aren't mirrored.
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

#define SL_INTERFACE_NAME 16 /* with the final 0, as IFNAMSIZ */

/* A port as the kernel has it now. A PCI or virtual device has no kernel interface and is never
 * present; its MAC address is the one given to sl_net_set_mac(). */
struct sl_net_port {
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool up; /* administratively up, and with carrier */
	bool present;
	bool partial;	 /* its frames may have partial checksums: hosts leave them to offload */
	uint32_t downs;	 /* how often it was seen down; it may be up again by now */
	uint16_t parent; /* for a VLAN: the port that it is on */
	uint16_t vlan;	 /* 0: not a VLAN */
	char name[SL_INTERFACE_NAME]; /* its present name, perhaps not the configuration's */
	union sl_addr addr4; /* the gateway's own address there, the lowest of several; ::0: none */
	union sl_addr addr6;
	/* More MAC addresses by which frames reach this host there (stacked.h). n_other may exceed
	 * SL_PORT_ADDRESSES; only that many are stored. */
	uint8_t other_mac[SL_PORT_ADDRESSES][6];
	uint32_t n_other;
};

/* One next hop of a multipath route. gateway is ::0 if the configuration gives its MAC address. */
struct sl_net_hop {
	union sl_addr gateway;
	uint8_t dst_mac[6], src_mac[6];
	uint32_t mtu;
	uint32_t weight;
	uint16_t port;
	bool known; /* dst_mac is resolved */
	uint8_t pad;
};

/* A group of next hops, all of them resolved. */
struct sl_net_group {
	struct sl_net_hop hop[SL_HOPS];
	uint32_t n; /* at least 2 */
};

/* The next hop of an address. kind is VIA (all fields are valid), ASK (all but dst_mac), LOCAL or
 * NONE (no other field); never LINK. gateway is ::0 if the address itself is on the link. For a
 * group, port is SL_EGRESS_GROUP with the group's index, gateway and dst_mac are the first
 * member's, and mtu is the smallest. */
struct sl_next_hop {
	enum sl_route_kind kind;
	uint16_t port;
	uint8_t dst_mac[6], src_mac[6];
	uint32_t mtu;
	union sl_addr gateway;
	/* For a host on a link: the number of low bits of its address by which hosts on that link
	 * differ; else 0. */
	uint32_t link_bits;
};

/* Opens the mirror. config must outlive net. changed(context) is called from the event loop when an
 * answer of the functions below may be different, at most once in 5 ms. A port whose interface
 * doesn't exist is no error. Returns 0, or -errno with a message in error. */
int sl_net_open(struct sl_net **net, struct event_base *base, const struct sl_config *config,
		void (*changed)(void *context), void *context, char error[SL_ERROR_MAX]);
void sl_net_close(struct sl_net *net);

/* Returns a port by its index in config->dataplane.port, or a VLAN's port; NULL if there is
 * none. */
const struct sl_net_port *sl_net_port(const struct sl_net *net, uint32_t port);

/* Returns a counter that grows with each change of an interface, also of one that is no port. */
uint32_t sl_net_link_events(const struct sl_net *net);

/* Whether the kernel's neighbour table of the family is full, so that some neighbours can't be
 * resolved. */
bool sl_net_neighbours_full(const struct sl_net *net, bool is_ipv6);

/* Sets the MAC address that the dataplane reports for a port without a kernel interface. It is
 * ignored for other ports. */
void sl_net_set_mac(struct sl_net *net, uint32_t port, const uint8_t mac[6]);

/* Takes over changed next hops in config. Answers reflect them at once, and changed() isn't
 * called. */
void sl_net_configured(struct sl_net *net);

/* Whether addr is one of the gateway's own addresses, at a port or anywhere else, or a broadcast
 * address. */
bool sl_net_is_own(const struct sl_net *net, const union sl_addr *addr);

/* Returns one of the gateway's own addresses within a prefix, or NULL if there is none. length is
 * that of the 16-byte form. */
const union sl_addr *sl_net_own_in(const struct sl_net *net, const union sl_addr *prefix,
				   uint32_t length);

void sl_net_next_hop(struct sl_net *net, const union sl_addr *addr, struct sl_next_hop *hop);

/* Writes the records of the engines' route bank, sorted by longest prefix and then by address.
 * Returns how many there are, which may exceed max. */
size_t sl_net_routes(struct sl_net *net, struct sl_route *route, size_t max);

/* Returns the groups that these routes and next hops name by index, and how many there are:
 * SL_HOP_GROUPS at most. They are valid until the next change. */
size_t sl_net_groups(const struct sl_net *net, const struct sl_net_group **group);

/* Starts or refreshes the resolution of the next hop towards addr, at most once in 500 ms each, and
 * keeps it resolved from then on. */
void sl_net_ask(struct sl_net *net, const union sl_addr *addr);

#endif
