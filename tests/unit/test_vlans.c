/* SPDX-License-Identifier: BSD-2-Clause */
/* control/network/vlans.c: which VLAN interfaces are on which ports, by messages as the kernel
 * sends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>

#include "../../control/network/vlans.h"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0xa5 };

static struct nl_cache *links;
static struct sl_net_port port[SL_PORTS_MAX];

static void take(struct nl_object *object, void *context)
{
	(void)context;
	assert_int_equal(nl_cache_add(links, object), 0);
}

/* netns: of the interface below; -1: this one. */
static void add(int index, int below, uint16_t protocol, uint16_t id, int netns)
{
	struct ifinfomsg info = { .ifi_index = index };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	struct nlattr *kind, *data;
	char name[16];

	snprintf(name, sizeof(name), "v%d", index);
	nlmsg_set_proto(msg, NETLINK_ROUTE);
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, name);
	nla_put_u32(msg, IFLA_LINK, (uint32_t)below);
	nla_put_u32(msg, IFLA_MTU, 1400);
	nla_put(msg, IFLA_ADDRESS, sizeof(mac), mac);
	if (netns >= 0)
		nla_put_s32(msg, IFLA_LINK_NETNSID, netns);
	kind = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "vlan");
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put_u16(msg, IFLA_VLAN_ID, id);
	nla_put_u16(msg, IFLA_VLAN_PROTOCOL, __builtin_bswap16(protocol));
	nla_nest_end(msg, data);
	nla_nest_end(msg, kind);
	assert_int_equal(nl_msg_parse(msg, take, NULL), 0);
	nlmsg_free(msg);
}

static void renew(void)
{
	nl_cache_free(links);
	assert_int_equal(nl_cache_alloc_name("route/link", &links), 0);
}

static void test_vlans(void **state)
{
	(void)state;
	port[0] = (struct sl_net_port){ .ifindex = 2, .present = true };
	port[1] = (struct sl_net_port){ .ifindex = 3, .present = true };
	renew();
	add(10, 2, ETH_P_8021Q, 200, -1);
	add(11, 3, ETH_P_8021Q, 300, -1);
	add(12, 2, ETH_P_8021AD, 400, -1); /* another kind of tag */
	add(13, 9, ETH_P_8021Q, 500, -1);  /* on no port of ours */
	add(14, 10, ETH_P_8021Q, 600, -1); /* on a VLAN */
	add(15, 2, ETH_P_8021Q, 700, 1);   /* on an interface of another namespace */
	assert_int_equal(sl_vlans_find(links, port), 0);
	for (int i = 0; i < 2; i++) {
		const struct sl_net_port *p = &port[SL_PORT_VLANS + i];

		assert_int_equal(p->ifindex, 10 + i);
		assert_int_equal(p->parent, i);
		assert_int_equal(p->vlan, i ? 300 : 200);
		assert_int_equal(p->mtu, 1400);
		assert_memory_equal(p->mac, mac, sizeof(mac));
		assert_true(p->present);
	}
	assert_int_equal(port[SL_PORT_VLANS + 2].vlan, 0);

	/* One goes, another comes: the one that stays keeps its place. */
	renew();
	add(11, 3, ETH_P_8021Q, 300, -1);
	add(16, 2, ETH_P_8021Q, 201, -1);
	assert_int_equal(sl_vlans_find(links, port), 0);
	assert_int_equal(port[SL_PORT_VLANS + 1].vlan, 300);
	assert_int_equal(port[SL_PORT_VLANS].vlan, 201);
	for (int i = 0; i < SL_PORTS_MAX - SL_PORT_VLANS; i++)
		add(100 + i, 2, ETH_P_8021Q, (uint16_t)(1000 + i), -1);
	assert_int_equal(sl_vlans_find(links, port), 2);
	renew();
	assert_int_equal(sl_vlans_find(links, port), 0);
	assert_int_equal(port[SL_PORT_VLANS].vlan, 0);
	nl_cache_free(links);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vlans) };

	return cmocka_run_group_tests_name("vlans", tests, NULL, NULL);
}
