/* SPDX-License-Identifier: BSD-2-Clause */
/* control/network/net.c against a real kernel, as root, in a network namespace of its own:
 *
 *       gateway (this process)                    peer (a child)
 *       eth-a 10.1.0.1/24 02::a1 ---------------- peer-a 10.1.0.2, .3, .4/24 02::b1
 *       eth-b 10.2.0.1/24 02::a2 ---------------- peer-b 10.2.0.2/24         02::b2
 *       other 10.9.0.1/24        ---------------- peer-o, not a port of ours
 *       pci (no interface)       10.30.0.0/16, 10.31.0.0/16 by configuration
 *
 * Every test opens the mirror anew and leaves the topology as it found it. Waits are bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../control/network/neighbours.h"
#include "../../control/network/net.h"

#define WAIT_MS 10000 /* for what must happen, on a machine that is busy */

/* Lets things happen until the condition holds. Whether it does is asserted by who waits. */
#define UNTIL(condition)                                                                           \
	for (int64_t end = now_ms() + WAIT_MS; !(condition) && now_ms() < end;)                    \
	turn(5)

enum { A, B, PCI, PORTS };

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa1 }, mac_b[6] = { 2, 0, 0, 0, 0, 0xa2 },
		     peer_a[6] = { 2, 0, 0, 0, 0, 0xb1 }, peer_b[6] = { 2, 0, 0, 0, 0, 0xb2 },
		     mac_pci[6] = { 2, 's', 'l', 0, 0, PCI }, told_pci[6] = { 2, 0, 0, 0, 0, 0xc1 },
		     peer_pci[6] = { 2, 0, 0, 0, 0, 0xd1 };

static struct {
	pid_t peer;
	struct event_base *base;
	struct sl_net *net;
	unsigned int changes;
	struct sl_config config;
	struct sl_config_next_hop next_hop[2];
} at;

/* The topology */

static union sl_addr addr(const char *text)
{
	struct in_addr v4;
	union sl_addr v6;

	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, v6.b), 1);
		return v6;
	}
	assert_int_equal(inet_pton(AF_INET, text, &v4), 1);
	return sl_addr4((sl_be32)v4.s_addr);
}

static void feed(const char *command, const char *lines)
{
	FILE *f = popen(command, "w");

	assert_non_null(f);
	fputs(lines, f);
	if (pclose(f))
		fail_msg("%s refused:\n%s", command, lines);
}

static void here(const char *lines)
{
	feed("ip -batch -", lines);
}

static void there(const char *lines)
{
	char command[64];

	snprintf(command, sizeof(command), "nsenter -t %d -n ip -batch -", (int)at.peer);
	feed(command, lines);
}

static void sysctl(const char *device, const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/neigh/%s/%s", device, name);
	fd = open(path, O_WRONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

static void make_a(void)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "link add eth-a address 02:00:00:00:00:a1 type veth peer name peer-a "
		 "address 02:00:00:00:00:b1 netns %d\n",
		 (int)at.peer);
	here(line);
	there("link set peer-a up\naddr add 10.1.0.2/24 dev peer-a\n"
	      "addr add 10.1.0.3/24 dev peer-a\naddr add 10.1.0.4/24 dev peer-a\n");
	here("addr add 10.1.0.1/24 dev eth-a\nlink set eth-a up\n");
	sysctl("eth-a", "retrans_time_ms", "50");
}

static void make_b(void)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "link add eth-b address 02:00:00:00:00:a2 type veth peer name peer-b "
		 "address 02:00:00:00:00:b2 netns %d\n"
		 "link add other type veth peer name peer-o netns %d\n",
		 (int)at.peer, (int)at.peer);
	here(line);
	there("link set peer-b up\naddr add 10.2.0.2/24 dev peer-b\nlink set peer-o up\n");
	here("link set lo up\naddr add 10.2.0.1/24 dev eth-b\nlink set eth-b mtu 1400 up\n"
	     "addr add 10.9.0.1/24 dev other\nlink set other up\n");
}

static pid_t start_peer(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == -1 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void configure(void)
{
	struct sl_config_dataplane *dataplane = &at.config.dataplane;

	dataplane->n_ports = PORTS;
	strcpy(dataplane->port[A].device, "eth-a");
	strcpy(dataplane->port[B].device, "eth-b");
	strcpy(dataplane->port[PCI].device, "0000:03:00.0");
	dataplane->port[PCI].kind = SL_PORT_PCI;
	for (int i = 0; i < 2; i++) {
		at.next_hop[i].prefix = addr(i ? "10.31.0.0" : "10.30.0.0");
		at.next_hop[i].length = 112;
		at.next_hop[i].port = PCI;
		memcpy(at.next_hop[i].mac, peer_pci, 6);
	}
	at.config.next_hop = at.next_hop;
	at.config.n_next_hops = 2;
}

static int setup_all(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) == -1) {
		fprintf(stderr, "test_net needs root: unshare: %s\n", strerror(errno));
		return -1;
	}
	signal(SIGPIPE, SIG_IGN);
	at.peer = start_peer();
	configure();
	make_a();
	make_b();
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	if (at.peer > 0) {
		kill(at.peer, SIGKILL);
		waitpid(at.peer, NULL, 0);
	}
	return 0;
}

/* Waiting */

static void changed(void *context)
{
	(void)context;
	at.changes++;
}

static int setup(void **state)
{
	char error[SL_ERROR_MAX];

	(void)state;
	at.changes = 0;
	at.base = event_base_new();
	if (sl_net_open(&at.net, at.base, &at.config, changed, NULL, error)) {
		fprintf(stderr, "%s\n", error);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sl_net_close(at.net);
	event_base_free(at.base);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void turn(long ms)
{
	struct timeval wait = { .tv_usec = ms * 1000 };

	event_base_loopexit(at.base, &wait);
	event_base_dispatch(at.base);
}

static struct sl_next_hop hop_to(const char *to)
{
	union sl_addr a = addr(to);
	struct sl_next_hop hop;

	sl_net_next_hop(at.net, &a, &hop);
	return hop;
}

static void ask(const char *to)
{
	union sl_addr a = addr(to);

	sl_net_ask(at.net, &a);
}

static void until_kind(const char *to, enum sl_route_kind kind)
{
	UNTIL(hop_to(to).kind == kind);
	if (hop_to(to).kind != kind)
		fail_msg("%s: kind %d, not %d", to, (int)hop_to(to).kind, (int)kind);
}

/* Expectations */

struct expected {
	const char *to;
	enum sl_route_kind kind;
	uint16_t port;
	const uint8_t *dst, *src;
	uint32_t mtu;
	const char *gateway;
};

static void expect(const struct expected *e)
{
	static const union sl_addr none;
	union sl_addr gateway = e->gateway ? addr(e->gateway) : none;
	struct sl_next_hop hop = hop_to(e->to);

	if (hop.kind != e->kind)
		fail_msg("%s: kind %d, not %d", e->to, (int)hop.kind, (int)e->kind);
	if (e->kind == SL_ROUTE_NONE || e->kind == SL_ROUTE_LOCAL)
		return;
	assert_int_equal(hop.port, e->port);
	assert_int_equal(hop.mtu, e->mtu);
	assert_memory_equal(hop.src_mac, e->src, 6);
	assert_memory_equal(&hop.gateway, &gateway, sizeof(gateway));
	if (e->kind == SL_ROUTE_VIA)
		assert_memory_equal(hop.dst_mac, e->dst, 6);
}

static const struct sl_route *record(const char *prefix, uint32_t length)
{
	static struct sl_route route[256];
	size_t n = sl_net_routes(at.net, route, 256);
	union sl_addr a = addr(prefix);

	assert_true(n <= 256);
	for (size_t i = 0; i < n; i++)
		if (route[i].length == 96 + length && sl_addr_equal(&route[i].prefix, &a))
			return &route[i];
	return NULL;
}

static int kind_of(const char *prefix, uint32_t length)
{
	const struct sl_route *found = record(prefix, length);

	return found ? found->kind : 0;
}

/* Tests */

static void test_ports(void **state)
{
	const struct sl_net_port *a = sl_net_port(at.net, A), *b = sl_net_port(at.net, B);

	(void)state;
	assert_true(a->present && a->up && a->ifindex);
	assert_memory_equal(a->mac, mac_a, 6);
	assert_int_equal(b->mtu, 1400);
	assert_false(sl_net_port(at.net, PCI)->present);
	assert_null(sl_net_port(at.net, PORTS));
}

static void test_kinds(void **state)
{
	static const struct expected table[] = {
		{ "10.1.0.1", SL_ROUTE_LOCAL, 0, 0, 0, 0, 0 },
		{ "127.0.0.5", SL_ROUTE_LOCAL, 0, 0, 0, 0, 0 },
		{ "10.1.0.255", SL_ROUTE_LOCAL, 0, 0, 0, 0, 0 },
		{ "10.9.0.1", SL_ROUTE_LOCAL, 0, 0, 0, 0, 0 },
		{ "10.1.0.99", SL_ROUTE_ASK, A, 0, mac_a, 1500, 0 },
		{ "10.2.0.99", SL_ROUTE_ASK, B, 0, mac_b, 1400, 0 },
		{ "10.9.0.2", SL_ROUTE_NONE, 0, 0, 0, 0, 0 },  /* leaves by `other` */
		{ "192.0.2.1", SL_ROUTE_NONE, 0, 0, 0, 0, 0 }, /* no route at all */
		{ "10.20.0.1", SL_ROUTE_VIA, A, peer_a, mac_a, 1300, "10.1.0.2" },
		{ "10.20.1.1", SL_ROUTE_NONE, 0, 0, 0, 0, 0 },			   /* blackhole */
		{ "10.20.2.1", SL_ROUTE_NONE, 0, 0, 0, 0, 0 },			   /* unreachable */
		{ "10.20.3.1", SL_ROUTE_NONE, 0, 0, 0, 0, 0 },			   /* prohibit */
		{ "10.20.4.1", SL_ROUTE_VIA, B, peer_b, mac_b, 1400, "10.2.0.2" }, /* metric */
		{ "10.20.5.1", SL_ROUTE_VIA, B, peer_b, mac_b, 1400, "10.2.0.2" }, /* multipath */
		{ "10.20.6.1", SL_ROUTE_VIA, B, peer_b, mac_b, 1400, "10.2.0.2" }, /* default */
		{ "10.20.7.1", SL_ROUTE_NONE, 0, 0, 0, 0, 0 },	/* other's gateway */
		{ "10.20.8.1", SL_ROUTE_LOCAL, 0, 0, 0, 0, 0 }, /* local hides the /32 */
		{ "10.20.9.1", SL_ROUTE_VIA, B, peer_b, mac_b, 1400, "10.2.0.2" }, /* other table */
		{ "10.30.0.1", SL_ROUTE_VIA, PCI, peer_pci, mac_pci, 1500, 0 },
		{ "10.30.7.1", SL_ROUTE_VIA, A, peer_a, mac_a, 1500, "10.1.0.2" }, /* longer */
		{ "10.31.0.1", SL_ROUTE_VIA, PCI, peer_pci, mac_pci, 1500, 0 },	   /* equal */
	};

	(void)state;
	here("route add 10.20.0.0/24 via 10.1.0.2 mtu 1300\n"
	     "route add blackhole 10.20.1.0/24\nroute add unreachable 10.20.2.0/24\n"
	     "route add prohibit 10.20.3.0/24\n"
	     "route add 10.20.4.0/24 via 10.1.0.2 metric 20\n"
	     "route add 10.20.4.0/24 via 10.2.0.2 metric 10\n"
	     "route add 10.20.5.0/24 nexthop via 10.9.0.2 nexthop via 10.2.0.2\n"
	     "route add default via 10.2.0.2\nroute add 10.20.7.0/24 via 10.9.0.2\n"
	     "route add local 10.20.8.0/24 dev lo\nroute add 10.20.8.1/32 via 10.1.0.2\n"
	     "route add blackhole 10.20.9.0/24 table 77\n"
	     "route add 10.30.7.0/24 via 10.1.0.2\nroute add 10.31.0.0/16 via 10.1.0.2\n");
	until_kind("10.20.0.1", SL_ROUTE_VIA); /* gateways are asked without being asked for */
	until_kind("10.20.6.1", SL_ROUTE_VIA);
	here("route del default\n");
	until_kind("192.0.2.1", SL_ROUTE_NONE);
	here("route add default via 10.2.0.2\n");
	until_kind("192.0.2.1", SL_ROUTE_VIA);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strcmp(table[i].to, "192.0.2.1"))
			expect(&table[i]);
	assert_int_equal(kind_of("10.1.0.1", 32), SL_ROUTE_LOCAL);
	assert_int_equal(kind_of("10.1.0.0", 24), SL_ROUTE_LINK);
	assert_int_equal(kind_of("10.1.0.2", 32), SL_ROUTE_VIA); /* a neighbour now */
	assert_int_equal(kind_of("10.9.0.0", 24), SL_ROUTE_NONE);
	assert_int_equal(kind_of("10.20.8.1", 32), 0);
	assert_int_equal(hop_to("10.1.0.99").link_bits, 8);
	assert_int_equal(hop_to("10.1.0.2").link_bits, 8);
	assert_int_equal(hop_to("10.20.0.1").link_bits, 0); /* behind a router */
	assert_int_equal(hop_to("10.30.0.1").link_bits, 0); /* its next hop is the file's */
	here("route del default\nroute add default dev eth-b\n");
	until_kind("192.0.2.1", SL_ROUTE_ASK);
	assert_int_equal(hop_to("192.0.2.1").link_bits, 0); /* no link that is known */
	here("route del default\nroute add default via 10.2.0.2\n");
	until_kind("192.0.2.1", SL_ROUTE_VIA);
	assert_int_equal(kind_of("0.0.0.0", 0), SL_ROUTE_VIA);
	here("route flush root 10.20.0.0/16\nroute del default\nroute del 10.30.7.0/24\n"
	     "route flush root 10.20.8.0/24 table local\nroute del 10.31.0.0/16\n"
	     "route flush table 77\nneigh flush dev eth-a\nneigh flush dev eth-b\n");
	until_kind("10.20.6.1", SL_ROUTE_NONE);
	expect(&table[7]);
}

static void test_order(void **state)
{
	struct sl_route all[256], few[2];
	size_t n = sl_net_routes(at.net, all, 256);

	(void)state;
	assert_int_equal(sl_net_routes(at.net, few, 2), n);
	assert_memory_equal(few, all, sizeof(few));
	for (size_t i = 1; i < n; i++)
		assert_true(all[i].length < all[i - 1].length ||
			    (all[i].length == all[i - 1].length &&
			     memcmp(&all[i].prefix, &all[i - 1].prefix, 16) > 0));
}

static void test_ask(void **state)
{
	static const struct expected resolved = { "10.1.0.3", SL_ROUTE_VIA, A, peer_a,
						  mac_a,      1500,	    0 };

	(void)state;
	assert_int_equal(kind_of("10.1.0.3", 32), 0);
	ask("10.1.0.3");
	until_kind("10.1.0.3", SL_ROUTE_VIA);
	expect(&resolved);
	assert_int_equal(kind_of("10.1.0.3", 32), SL_ROUTE_VIA);
	assert_true(at.changes >= 1);

	ask("10.1.0.77"); /* nobody */
	UNTIL(kind_of("10.1.0.77", 32) == SL_ROUTE_ASK);
	assert_int_equal(hop_to("10.1.0.77").kind, SL_ROUTE_ASK);
	assert_int_equal(kind_of("10.1.0.77", 32), SL_ROUTE_ASK);
	turn(300); /* the kernel has given up */
	there("addr add 10.1.0.77/24 dev peer-a\n");
	until_kind("10.1.0.77", SL_ROUTE_VIA); /* asked again without a word from us */
	there("addr del 10.1.0.77/24 dev peer-a\n");
	ask("192.0.2.1"); /* no route, an own address, not a port of ours: nothing to do */
	ask("10.1.0.1");
	ask("10.9.0.2");
	ask("10.30.0.1");
	at.changes = 0;
	turn(30);
	assert_int_equal(at.changes, 0);
	here("neigh flush dev eth-a\n");
}

static void test_neighbour_loss(void **state)
{
	unsigned int before;

	(void)state;
	ask("10.1.0.4");
	until_kind("10.1.0.4", SL_ROUTE_VIA);
	before = at.changes;
	here("neigh replace 10.1.0.4 lladdr 02:00:00:00:00:b1 nud stale dev eth-a\n");
	turn(30);
	assert_int_equal(at.changes, before); /* it is still resolved */

	there("addr del 10.1.0.4/24 dev peer-a\n");
	here("neigh replace 10.1.0.4 lladdr 02:00:00:00:00:b1 nud probe dev eth-a\n");
	until_kind("10.1.0.4", SL_ROUTE_ASK);
	assert_int_equal(kind_of("10.1.0.4", 32), SL_ROUTE_ASK);
	assert_true(at.changes > before);
	there("addr add 10.1.0.4/24 dev peer-a\n");
	until_kind("10.1.0.4", SL_ROUTE_VIA);

	here("neigh replace 10.1.0.4 lladdr 02:00:00:00:00:ee nud permanent dev eth-a\n");
	UNTIL(hop_to("10.1.0.4").dst_mac[5] == 0xee);
	assert_int_equal(hop_to("10.1.0.4").dst_mac[5], 0xee);
	here("neigh del 10.1.0.4 dev eth-a\n");
	until_kind("10.1.0.4", SL_ROUTE_ASK);
	until_kind("10.1.0.4", SL_ROUTE_VIA);
	assert_memory_equal(hop_to("10.1.0.4").dst_mac, peer_a, 6);
}

static void test_link_down(void **state)
{
	(void)state;
	here("route add 10.20.0.0/24 via 10.1.0.2\n"); /* goes silently with its link */
	until_kind("10.20.0.1", SL_ROUTE_VIA);
	here("link set eth-a down\n");
	until_kind("10.20.0.1", SL_ROUTE_NONE);
	assert_false(sl_net_port(at.net, A)->up);
	assert_true(sl_net_port(at.net, A)->present);
	assert_int_equal(hop_to("10.1.0.3").kind, SL_ROUTE_NONE);
	here("link set eth-a up\n");
	until_kind("10.1.0.3", SL_ROUTE_ASK);
	UNTIL(sl_net_port(at.net, A)->up);
	assert_true(sl_net_port(at.net, A)->up);
	there("link set peer-a down\n");
	UNTIL(!sl_net_port(at.net, A)->up);
	assert_false(sl_net_port(at.net, A)->up); /* no carrier */
	there("link set peer-a up\n");
	UNTIL(sl_net_port(at.net, A)->up);
	assert_true(sl_net_port(at.net, A)->up);
}

/* How many next hops flows to this address share, with the group of them. */
static uint32_t ways(const char *to, const struct sl_net_group **group)
{
	struct sl_next_hop hop = hop_to(to);
	const struct sl_net_group *groups;
	size_t n = sl_net_groups(at.net, &groups);

	if (!(hop.port & SL_EGRESS_GROUP))
		return hop.kind == SL_ROUTE_VIA;
	assert_true((hop.port & ~SL_EGRESS_GROUP) < n);
	*group = &groups[hop.port & ~SL_EGRESS_GROUP];
	return (*group)->n;
}

static void expect_hop(const struct sl_net_hop *hop, uint16_t port, const char *gateway,
		       const uint8_t *dst, const uint8_t *src, uint32_t weight)
{
	union sl_addr via = addr(gateway);

	assert_int_equal(hop->port, port);
	assert_int_equal(hop->weight, weight);
	assert_memory_equal(&hop->gateway, &via, sizeof(via));
	assert_memory_equal(hop->dst_mac, dst, 6);
	assert_memory_equal(hop->src_mac, src, 6);
}

static void test_multipath(void **state)
{
	static const char *const to[] = { "10.20.0.1", "10.20.1.1", "10.20.2.1", "10.20.3.1",
					  "2001:db8:20::1" };
	static const char *const via_a[] = { "10.1.0.2", "10.1.0.2", "10.1.0.2", "10.1.0.2",
					     "2001:db8:1::2" };
	static const char *const via_b[] = { "10.2.0.2", "10.2.0.2", "10.2.0.2", "10.2.0.2",
					     "2001:db8:2::2" };
	const struct sl_net_group *group[5];

	(void)state;
	there("addr add 2001:db8:1::2/64 dev peer-a nodad\n"
	      "addr add 2001:db8:2::2/64 dev peer-b nodad\n");
	here("addr add 2001:db8:1::1/64 dev eth-a nodad\naddr add 2001:db8:2::1/64 dev eth-b "
	     "nodad\n"
	     "route add 10.20.0.0/24 nexthop via 10.1.0.2 weight 1 nexthop via 10.2.0.2 weight 3\n"
	     /* the dead, those of others and those that don't answer aren't used */
	     "route add 10.20.1.0/24 nexthop via 10.9.0.2 nexthop via 10.1.0.77"
	     " nexthop via 10.1.0.2 nexthop via 10.2.0.2 weight 3\n"
	     "nexthop add id 1 via 10.1.0.2 dev eth-a\nnexthop add id 2 via 10.2.0.2 dev eth-b\n"
	     "nexthop add id 10 group 1/2,3\n"
	     "nexthop add id 11 group 1/2,3 type resilient buckets 32\n"
	     "route add 10.20.2.0/24 nhid 10\nroute add 10.20.3.0/24 nhid 11\n"
	     "route add 2001:db8:20::/64 nexthop via 2001:db8:1::2 nexthop via 2001:db8:2::2 "
	     "weight 3\n");
	for (int i = 0; i < 5; i++) {
		UNTIL(ways(to[i], &group[i]) == 2);
		assert_int_equal(ways(to[i], &group[i]), 2);
		expect_hop(&group[i]->hop[0], A, via_a[i], peer_a, mac_a, 1);
		expect_hop(&group[i]->hop[1], B, via_b[i], peer_b, mac_b, 3);
		assert_int_equal(hop_to(to[i]).mtu, 1400); /* the smaller */
	}
	assert_ptr_equal(group[1], group[0]); /* routes with the same next hops share a group */
	assert_ptr_equal(group[3], group[0]);
	assert_ptr_not_equal(group[4], group[0]);
	assert_int_equal(record("10.20.0.0", 24)->port, hop_to("10.20.0.1").port);

	there("link set peer-b down\n"); /* no carrier */
	for (int i = 0; i < 5; i++) {
		UNTIL(ways(to[i], &group[i]) == 1);
		assert_int_equal(ways(to[i], &group[i]), 1);
		assert_int_equal(hop_to(to[i]).port, A);
		assert_memory_equal(hop_to(to[i]).dst_mac, peer_a, 6);
	}
	there("link set peer-b up\naddr replace 2001:db8:2::2/64 dev peer-b nodad\n");
	UNTIL(ways(to[0], &group[0]) == 2);
	assert_int_equal(ways(to[0], &group[0]), 2);
	there("addr del 10.1.0.2/24 dev peer-a\naddr add 10.1.0.2/24 dev peer-b\n");
	here("neigh flush dev eth-a\n"); /* nobody answers any more */
	UNTIL(ways(to[0], &group[0]) == 1);
	assert_int_equal(hop_to(to[0]).port, B);
	there("addr del 10.1.0.2/24 dev peer-b\naddr flush dev peer-a\n"
	      "addr add 10.1.0.2/24 dev peer-a\naddr add 10.1.0.3/24 dev peer-a\n"
	      "addr add 10.1.0.4/24 dev peer-a\n");
	UNTIL(ways(to[0], &group[0]) == 2);
	assert_int_equal(ways(to[0], &group[0]), 2);
	here("route del 10.20.0.0/24\nroute del 10.20.1.0/24\nnexthop flush\n"
	     "route del 2001:db8:20::/64\n"
	     "addr del 2001:db8:1::1/64 dev eth-a\naddr del 2001:db8:2::1/64 dev eth-b\n"
	     "neigh flush dev eth-a\nneigh flush dev eth-b\n");
	until_kind("10.20.0.1", SL_ROUTE_NONE);
	assert_int_equal(sl_net_groups(at.net, &group[0]), 0);
}

static void test_interface_comes_and_goes(void **state)
{
	uint32_t ifindex = sl_net_port(at.net, A)->ifindex;

	(void)state;
	ask("10.1.0.3");
	until_kind("10.1.0.3", SL_ROUTE_VIA);
	here("link del eth-a\n");
	until_kind("10.1.0.3", SL_ROUTE_NONE);
	assert_false(sl_net_port(at.net, A)->present);

	teardown(NULL); /* a port that isn't there is no error */
	assert_int_equal(setup(NULL), 0);
	assert_int_equal(hop_to("10.1.0.3").kind, SL_ROUTE_NONE);
	make_a();
	until_kind("10.1.0.3", SL_ROUTE_ASK);
	assert_true(sl_net_port(at.net, A)->present);
	assert_int_not_equal(sl_net_port(at.net, A)->ifindex, ifindex);
	ask("10.1.0.3");
	until_kind("10.1.0.3", SL_ROUTE_VIA);

	/* Under another name it stays the port. It was asked for before: no need to repeat. */
	ifindex = sl_net_port(at.net, A)->ifindex;
	here("link set eth-a down\n");
	until_kind("10.1.0.3", SL_ROUTE_NONE);
	here("link set eth-a name eth-z\nlink set eth-z up\n");
	until_kind("10.1.0.3", SL_ROUTE_VIA);
	assert_true(sl_net_port(at.net, A)->present);
	assert_int_equal(sl_net_port(at.net, A)->ifindex, ifindex);
	assert_string_equal(sl_net_port(at.net, A)->name, "eth-z");
	here("link set eth-z down\n");
	until_kind("10.1.0.3", SL_ROUTE_NONE);
	here("link set eth-z name eth-a\nlink set eth-a up\n");
	until_kind("10.1.0.3", SL_ROUTE_VIA);
	assert_true(at.changes >= 2);
}

static void test_told_mac(void **state)
{
	(void)state;
	sl_net_set_mac(at.net, PCI, told_pci);
	sl_net_set_mac(at.net, A, told_pci);
	UNTIL(at.changes);
	turn(20);
	assert_int_equal(at.changes, 1);
	assert_memory_equal(hop_to("10.30.0.1").src_mac, told_pci, 6);
	assert_memory_equal(sl_net_port(at.net, A)->mac, mac_a, 6);
}

/* More messages than the socket holds, while nobody reads. */
static void test_overrun(void **state)
{
	enum { MANY = 20000 };
	char *lines = malloc(MANY * 80), *p = lines;

	(void)state;
	assert_non_null(lines);
	for (int i = 0; i < MANY; i++)
		p += sprintf(p, "route replace 10.40.%d.0/24 via 10.1.0.%d\n", i % 100,
			     2 + i / 100 % 2);
	p += sprintf(p, "neigh replace 10.2.0.2 lladdr 02:00:00:00:00:ab dev eth-b\n");
	here(lines);
	free(lines);
	until_kind("10.40.99.1", SL_ROUTE_VIA);
	until_kind("10.2.0.2", SL_ROUTE_VIA);
	UNTIL(hop_to("10.2.0.2").dst_mac[5] == 0xab && hop_to("10.40.99.1").gateway.b[15] == 3);
	assert_int_equal(hop_to("10.2.0.2").dst_mac[5], 0xab);
	assert_int_equal(hop_to("10.40.99.1").gateway.b[15], 3);
	assert_true(at.changes < 20);
	here("route flush root 10.40.0.0/16\nneigh flush dev eth-b\n");
}

static void test_watch(void **state)
{
	static const unsigned int tries_ms[] = { 0, 500, 1500, 3500, 7500, 12500, 17500 };
	struct sl_watch *watch = sl_watch_new();
	const uint64_t ms = 1000000, begin = 100000 * ms;
	union sl_addr host = addr("10.1.0.9"), gateway = addr("10.1.0.2"), other;
	struct sl_watch_entry *entry;
	size_t n = 0;
	bool made;

	(void)state;
	sl_watch_begin(watch);
	sl_watch_gateway(watch, &gateway, 0);
	sl_watch_end(watch);
	entry = TAILQ_FIRST(&watch->used);
	for (unsigned int t = 0; t <= 17500; t += 250) /* unresolved: a pause that doubles */
		if (sl_watch_due(entry, begin + t * ms))
			assert_int_equal(t, tries_ms[n++]);
	assert_int_equal(n, 7);
	sl_watch_resolved(entry, true);
	assert_false(sl_watch_due(entry, begin + 37499 * ms));
	assert_true(sl_watch_due(entry, begin + 37500 * ms));
	sl_watch_resolved(entry, false); /* lost: at once */
	assert_true(sl_watch_due(entry, begin + 37501 * ms));

	assert_true(sl_watch_ask(watch, &host, 0, begin, &made));
	assert_true(made);
	assert_false(sl_watch_ask(watch, &host, 0, begin + 499 * ms, &made));
	assert_false(made);
	assert_true(sl_watch_ask(watch, &host, 0, begin + 500 * ms, &made));
	for (uint32_t i = 0; i < 2 * SL_WATCH_MAX; i++) { /* the gateway stays, the host doesn't */
		other = sl_addr4(sl_htonl(0x0b000000 + i));
		sl_watch_ask(watch, &other, 0, begin, &made);
		assert_true(made);
	}
	sl_watch_ask(watch, &gateway, 0, begin, &made);
	assert_false(made);
	sl_watch_ask(watch, &host, 0, begin, &made);
	assert_true(made);
	sl_watch_free(watch);
}

#define NET(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch),
		NET(test_ports),
		NET(test_order),
		NET(test_kinds),
		NET(test_ask),
		NET(test_neighbour_loss),
		NET(test_link_down),
		NET(test_multipath),
		NET(test_interface_comes_and_goes),
		NET(test_told_mac),
		NET(test_overrun),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
