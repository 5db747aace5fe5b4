/* SPDX-License-Identifier: BSD-2-Clause */
/* The decision on single packets: parse, classify, route, rewrite. Input, reason, exact output.
 *
 *     client 203.0.113.9 ─┐
 *     host   203.0.113.77 ┼─ port 0 ─ gateway ─ port 1 ─┬─ backend 10.1.0.1:8080
 *     router 192.0.2.1 ───┘                             └─ backend 10.1.0.2:8080
 *
 * VIP 198.51.100.7 has TCP 80 and UDP 53. All slots are closed and name backend 1. The expected
 * frame is built from the input's description with the addresses changed, so every checksum of the
 * output is compared with a full sum. What isn't forwarded or answered must come out untouched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "frames.h"
#include "world.h"

#define VIP    FRAME_IP(198, 51, 100, 7)
#define CLIENT FRAME_IP(203, 0, 113, 9)
#define HOST   FRAME_IP(203, 0, 113, 77)
#define FAR    FRAME_IP(192, 0, 2, 200)
#define ROUTER FRAME_IP(192, 0, 2, 1)
#define B1     FRAME_IP(10, 1, 0, 1)
#define B2     FRAME_IP(10, 1, 0, 2)

#define MAC_GATEWAY 2, 0, 0, 0, 0, 1
#define MAC_INNER   2, 0, 0, 0, 0, 2
#define MAC_CLIENT  2, 0, 0, 0, 1, 9
#define MAC_B1	    2, 0, 0, 0, 2, 1
#define MAC_B2	    2, 0, 0, 0, 2, 2

enum { TCP, UDP }; /* services */

struct fixture {
	struct world w;
	struct frame in, out, want;
	uint16_t egress, ingress;
};

static int setup(void **state)
{
	static const uint8_t mac[2][12] = { { MAC_B1, MAC_INNER }, { MAC_B2, MAC_INNER } };
	struct fixture *f = aligned_alloc(128, (sizeof(*f) + 127) & ~(size_t)127);
	struct sl_route *r;
	struct world *w = &f->w;

	memset(f, 0, sizeof(*f));
	if (world_make(w, 64))
		return -1;
	world_add_service(w, VIP, 80, FRAME_TCP, 64);
	world_add_service(w, VIP, 53, FRAME_UDP, 16);
	for (uint32_t s = TCP; s <= UDP; s++) {
		world_add_backend(w, s, B1, s == TCP ? 8080 : 5353, mac[0], 1);
		world_add_backend(w, s, B2, s == TCP ? 8080 : 5353, mac[1], 1);
		world_set_slots(w, s, sl_slot(1, 0, SL_SLOT_CLOSED));
		world_set_timeouts(w, s, 100, 1000, 100);
	}
	memcpy(w->port[0].mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	memcpy(w->port[1].mac, (uint8_t[]){ MAC_INNER }, 6);
	w->port[0].address[0] = sl_port_address((uint8_t[]){ MAC_INNER }); /* all come in there */
	r = world_add_route(w, CLIENT, 32, SL_ROUTE_VIA);
	memcpy(r->dst_mac, (uint8_t[]){ MAC_CLIENT }, 6);
	memcpy(r->src_mac, (uint8_t[]){ MAC_GATEWAY }, 6);
	world_add_route(w, FRAME_IP(203, 0, 113, 0), 24, SL_ROUTE_LINK);
	world_add_route(w, FRAME_IP(203, 0, 113, 1), 32, SL_ROUTE_LOCAL);
	world_add_route(w, FRAME_IP(10, 1, 0, 0), 16, SL_ROUTE_LOCAL);
	world_add_route(w, FRAME_IP(192, 0, 2, 0), 24, SL_ROUTE_ASK)->gateway =
		sl_addr4(sl_htonl(ROUTER));
	world_add_route(w, FRAME_IP(100, 64, 0, 0), 10, SL_ROUTE_NONE);
	world_publish(w);
	world_snapshot_all(w);
	world_time(w, 1000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	world_free(&f->w);
	free(f);
	return 0;
}

/* A frame through queue 0, in a copy. */
static enum sl_reason decide(struct fixture *f)
{
	struct sl_packet p = { .data = f->out.bytes,
			       .length = f->in.length,
			       .ingress = f->ingress };
	enum sl_reason reason;
	uint32_t removed;

	f->out = f->in;
	p.end = p.data + p.length;
	f->egress = 0xdead;
	reason = world_decide(&f->w, 0, &p, &f->egress);
	removed = (uint32_t)(p.data - f->out.bytes); /* tags */
	memmove(f->out.bytes, p.data, p.length);
	f->out.length -= removed;
	f->out.l3 -= removed;
	f->out.l4 -= removed;
	return reason;
}

static void assert_frame(const struct frame *got, const struct frame *want)
{
	assert_int_equal(got->length, want->length);
	assert_memory_equal(got->bytes, want->bytes, want->length);
}

static const struct frame_spec to_vip = {
	.eth_dst = { MAC_GATEWAY },
	.eth_src = { MAC_CLIENT },
	.src = CLIENT,
	.dst = VIP,
	.sport = 40000,
	.dport = 80,
	.flags = FRAME_ACK,
	.payload = 33,
};

static const struct frame_spec from_b1 = {
	.eth_dst = { MAC_INNER },
	.eth_src = { MAC_B1 },
	.src = B1,
	.dst = CLIENT,
	.sport = 8080,
	.dport = 40000,
	.flags = FRAME_ACK,
	.payload = 33,
};

/* What must come out of a frame to a VIP's service. */
static void rewrite_to_b1(struct frame_spec *s)
{
	memcpy(s->eth_dst, (uint8_t[]){ MAC_B1 }, 6);
	memcpy(s->eth_src, (uint8_t[]){ MAC_INNER }, 6);
	s->dport = s->dport == 53 ? 5353 : 8080;
	s->dst = B1;
	s->ttl = (uint8_t)((s->ttl ? s->ttl : 64) - 1);
}

static void rewrite_to_client(struct frame_spec *s)
{
	memcpy(s->eth_dst, (uint8_t[]){ MAC_CLIENT }, 6);
	memcpy(s->eth_src, (uint8_t[]){ MAC_GATEWAY }, 6);
	s->sport = s->sport == 5353 ? 53 : 80;
	s->src = VIP;
	s->ttl = (uint8_t)((s->ttl ? s->ttl : 64) - 1);
}

struct packet_case {
	const char *name;
	const struct frame_spec *base;
	void (*change)(struct frame_spec *s);
	enum sl_reason reason;
};

#define CHANGE(name, ...)                                                                          \
	static void name(struct frame_spec *s)                                                     \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}

CHANGE(same, (void)s)
CHANGE(syn, s->flags = FRAME_SYN; s->payload = 0)
CHANGE(fin, s->flags = FRAME_FIN | FRAME_ACK)
CHANGE(rst, s->flags = FRAME_RST)
CHANGE(vlan, s->tag_type[0] = 0x8100; s->tag[0] = 0x6123)
CHANGE(qinq, s->tag_type[0] = 0x88a8; s->tag[0] = 7; s->tag_type[1] = 0x8100; s->tag[1] = 9)
CHANGE(three_tags, qinq(s); s->tag_type[2] = 0x8100; s->tag[2] = 5)
CHANGE(options, s->options = 3)
CHANGE(all_options, s->options = 10; vlan(s))
CHANGE(udp, s->protocol = FRAME_UDP; if (s->src == B1) s->sport = 5353; else s->dport = 53)
CHANGE(udp_options, udp(s); s->options = 2; qinq(s))
CHANGE(udp_empty, udp(s); s->payload = 0)
CHANGE(udp_no_csum, udp(s); s->csum = FRAME_CSUM_NONE)
CHANGE(ttl_2, s->ttl = 2)
CHANGE(ttl_255, s->ttl = 255)
CHANGE(ttl_1, s->ttl = 1)
CHANGE(udp_ttl_1, udp(s); s->ttl = 1)
CHANGE(padded, s->payload = 0; s->trailer = 6)
CHANGE(dont_fragment, s->fragment = 0x4000)
CHANGE(reserved_bit, s->fragment = 0x8000)
CHANGE(first_fragment, s->fragment = 0x2000)
CHANGE(last_fragment, s->fragment = 185)
CHANGE(middle_fragment, s->fragment = 0x2000 | 185)
CHANGE(udp_fragment, udp(s); first_fragment(s))
CHANGE(longer, s->length_error = 1)
CHANGE(shorter, s->length_error = -40; s->payload = 33)
CHANGE(shorter_than_header, s->length_error = -60; s->payload = 33)
CHANGE(cut_in_tcp, s->payload = 0; s->length_error = -1)
CHANGE(cut_in_udp, udp(s); s->payload = 0; s->length_error = -1)
CHANGE(no_payload_counted, s->length_error = -33)
CHANGE(ihl_4, s->version_ihl = 0x44)
CHANGE(ihl_0, s->version_ihl = 0x40)
CHANGE(ihl_15, s->version_ihl = 0x4f; s->payload = 0)
CHANGE(version_6, s->version_ihl = 0x65)
CHANGE(ipv6, s->eth_type = 0x86dd)
CHANGE(ether_length, s->eth_type = 0x0026)
CHANGE(other_port, s->dport = 81)
CHANGE(udp_to_tcp_port, s->protocol = FRAME_UDP)
CHANGE(icmp, s->protocol = FRAME_ICMP)
CHANGE(gre, s->protocol = 47)
CHANGE(other_vip, s->dst = VIP + 1)
CHANGE(other_vip_fragment, s->dst = VIP + 1; first_fragment(s))
CHANGE(other_vip_longer, s->dst = VIP + 1; longer(s))
CHANGE(other_vip_ttl, s->dst = VIP + 1; s->ttl = 1)
CHANGE(multicast, s->dst = FRAME_IP(224, 0, 0, 5))
CHANGE(backend_other_port, s->sport = 8081)
CHANGE(backend_as_udp, s->protocol = FRAME_UDP)
CHANGE(to_gateway, s->dst = FRAME_IP(203, 0, 113, 1))
CHANGE(to_peer, s->dst = B2)
CHANGE(to_host, s->dst = HOST)
CHANGE(to_far, s->dst = FAR)
CHANGE(to_none, s->dst = FRAME_IP(100, 127, 255, 255))
CHANGE(to_nowhere, s->dst = FRAME_IP(8, 8, 8, 8))
CHANGE(to_none_ttl, to_none(s); s->ttl = 1)

#define CASE(base, change, why)                                                                    \
	{                                                                                          \
#base " " #change, &base, change, SL_REASON_##why                                  \
	}

static const struct packet_case packet_cases[] = {
	CASE(to_vip, same, to_backend),
	CASE(to_vip, syn, to_backend),
	CASE(to_vip, fin, to_backend),
	CASE(to_vip, rst, to_backend),
	CASE(to_vip, vlan, to_backend),
	CASE(to_vip, qinq, to_backend),
	CASE(to_vip, options, to_backend),
	CASE(to_vip, all_options, to_backend),
	CASE(to_vip, udp, to_backend),
	CASE(to_vip, udp_options, to_backend),
	CASE(to_vip, udp_empty, to_backend),
	CASE(to_vip, udp_no_csum, to_backend),
	CASE(to_vip, ttl_2, to_backend),
	CASE(to_vip, ttl_255, to_backend),
	CASE(to_vip, padded, to_backend),
	CASE(to_vip, dont_fragment, to_backend),
	CASE(to_vip, reserved_bit, to_backend),
	CASE(to_vip, ttl_1, ttl_exceeded),
	CASE(to_vip, udp_ttl_1, ttl_exceeded),
	CASE(to_vip, first_fragment, fragment_bad),
	CASE(to_vip, last_fragment, fragment),
	CASE(to_vip, middle_fragment, fragment_bad),
	CASE(to_vip, udp_fragment, fragment_bad),
	CASE(to_vip, longer, bad_header),
	CASE(to_vip, shorter, bad_header),
	CASE(to_vip, shorter_than_header, bad_header),
	CASE(to_vip, cut_in_tcp, bad_header),
	CASE(to_vip, cut_in_udp, bad_header),
	CASE(to_vip, ihl_4, bad_header),
	CASE(to_vip, ihl_0, bad_header),
	CASE(to_vip, ihl_15, bad_header),
	CASE(to_vip, other_port, no_service),
	CASE(to_vip, udp_to_tcp_port, no_service),
	CASE(to_vip, icmp, icmp_unknown),
	CASE(to_vip, gre, no_service),
	CASE(to_vip, three_tags, not_ours),
	CASE(to_vip, version_6, not_ours),
	CASE(to_vip, ipv6, not_ours),
	CASE(to_vip, ether_length, not_ours),
	CASE(to_vip, other_vip, not_ours),
	CASE(to_vip, other_vip_fragment, not_ours),
	CASE(to_vip, other_vip_longer, not_ours),
	CASE(to_vip, other_vip_ttl, not_ours),
	CASE(to_vip, multicast, not_ours),
	CASE(from_b1, same, to_client),
	CASE(from_b1, fin, to_client),
	CASE(from_b1, rst, to_client),
	CASE(from_b1, qinq, to_client),
	CASE(from_b1, all_options, to_client),
	CASE(from_b1, udp, to_client),
	CASE(from_b1, udp_no_csum, to_client),
	CASE(from_b1, padded, to_client),
	CASE(from_b1, ttl_2, to_client),
	CASE(from_b1, ttl_1, ttl_exceeded),
	CASE(from_b1, to_host, no_neighbour),
	CASE(from_b1, to_far, no_neighbour),
	CASE(from_b1, to_none, no_route),
	CASE(from_b1, to_nowhere, no_route),
	CASE(from_b1, to_none_ttl, ttl_exceeded),
	CASE(from_b1, to_gateway, not_ours),
	CASE(from_b1, to_peer, not_ours),
	CASE(from_b1, backend_other_port, not_ours),
	CASE(from_b1, backend_as_udp, not_ours),
	CASE(from_b1, icmp, not_ours),
	CASE(from_b1, first_fragment, not_ours),
	CASE(from_b1, longer, not_ours),
};

/* The next hops are in no VLAN. */
static void strip_tags(struct frame *f)
{
	uint32_t size = f->l3 - 14;

	memmove(f->bytes + 12, f->bytes + 12 + size, f->length - 12 - size);
	f->length -= size;
	f->l3 -= size;
	f->l4 -= size;
}

static void one_case(struct fixture *f, const struct packet_case *c)
{
	struct frame_spec spec = *c->base;
	enum sl_reason reason;

	c->change(&spec);
	frame_build(&f->in, &spec);
	reason = decide(f);
	if (reason != c->reason)
		print_error("%s: reason %d, expected %d\n", c->name, reason, c->reason);
	assert_int_equal(reason, c->reason);
	if (reason == SL_REASON_to_backend)
		rewrite_to_b1(&spec);
	else if (reason == SL_REASON_to_client)
		rewrite_to_client(&spec);
	frame_build(&f->want, &spec);
	if (reason == SL_REASON_to_backend || reason == SL_REASON_to_client)
		strip_tags(&f->want);
	assert_frame(&f->out, &f->want);
	if (reason != SL_REASON_to_backend && reason != SL_REASON_to_client) {
		assert_int_equal(f->egress == 0xdead || reason == SL_REASON_no_neighbour ||
					 reason == SL_REASON_no_route,
				 true);
		return;
	}
	assert_int_equal(f->egress, reason == SL_REASON_to_backend ? 1 : 0);
	assert_true(frame_ip_holds(&f->out));
	assert_true(frame_l4_holds(&f->out));
}

static void test_table(void **state)
{
	for (size_t i = 0; i < sizeof(packet_cases) / sizeof(*packet_cases); i++)
		one_case(*state, &packet_cases[i]);
}

/* The IP length may end before the frame does: the transport's checksum covers less. */
static void test_length_rules(void **state)
{
	struct fixture *f = *state;
	struct frame_spec spec = to_vip;

	no_payload_counted(&spec);
	frame_build(&f->in, &spec);
	assert_int_equal(decide(f), SL_REASON_to_backend);
	assert_true(frame_ip_holds(&f->out));
}

/* Addresses and ports that lead the sums through every carry, among them 0 and 0xffff. */
static void test_checksums(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;
	int zeros = 0;

	for (int i = 0; i < 400000; i++) {
		struct frame_spec spec = i & 1 ? to_vip : from_b1;

		if (i & 2)
			udp(&spec);
		spec.payload = i & 8 ? 0 : (uint16_t)(world_random(&seed) % 5);
		spec.ttl = (uint8_t)(2 + world_random(&seed) % 254);
		if (i & 1) {
			do
				spec.src = (uint32_t)world_random(&seed);
			while (spec.src >> 24 == 0 || spec.src >> 24 == 127 ||
			       spec.src >> 24 >= 224); /* martians */
			spec.sport = (uint16_t)world_random(&seed);
		} else {
			spec.dport = (uint16_t)world_random(&seed);
		}
		frame_build(&f->in, &spec);
		decide(f);
		if (i & 1)
			rewrite_to_b1(&spec);
		else
			rewrite_to_client(&spec);
		frame_build(&f->want, &spec);
		assert_frame(&f->out, &f->want);
		zeros += f->out.bytes[f->out.l4 + 6] == 0xff && f->out.bytes[f->out.l4 + 7] == 0xff;
	}
	assert_true(zeros > 0); /* some UDP sums did become 0, which stands as 0xffff */
}

/* What arrives with a wrong checksum leaves with one that is wrong by the same: nothing is made
 * valid on the way. A partial one is just that, unless whoever hands frames over completes it. */
static void test_wrong_checksums_stay_wrong(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 8; i++) {
		struct frame_spec spec = i & 1 ? to_vip : from_b1;
		uint16_t before;

		if (i & 2)
			udp(&spec);
		if (i & 4)
			spec.csum = FRAME_CSUM_PARTIAL;
		frame_build(&f->in, &spec);
		if (!(i & 4))
			f->in.bytes[f->in.l4 + (i & 2 ? 7 : 17)] ^= 0x5a;
		before = frame_l4_error(&f->in);
		assert_int_not_equal(before, 0);
		decide(f);
		assert_true(frame_ip_holds(&f->out));
		assert_int_equal(frame_l4_error(&f->out), before);
	}
}

/* A frame that ends where the next page can't be read. An odd length would leave the headers at odd
 * addresses, where no engine has them and UBSan would rightly complain: under a sanitizer they stay
 * even, and the byte that is left before the page is poisoned instead. */
struct edge {
	uint8_t *page;
	size_t size;
};

static uint8_t *edge_put(const struct edge *e, const struct frame *in, uint32_t length)
{
	uint8_t *at = e->page + e->size - length;

#ifdef __SANITIZE_ADDRESS__
	ASAN_UNPOISON_MEMORY_REGION(e->page, e->size);
	if (length & 1) {
		at--;
		ASAN_POISON_MEMORY_REGION(e->page + e->size - 1, 1);
	}
#endif
	memcpy(at, in->bytes, length);
	return at;
}

static void truncate_at(struct fixture *f, const struct edge *e, uint32_t length, bool arp)
{
	uint8_t *at = edge_put(e, &f->in, length);
	struct sl_packet p = { .data = at, .end = at + length, .length = length };
	uint32_t ip_whole = f->in.l3 + 20;
	uint16_t egress;
	enum sl_reason reason = world_decide(&f->w, 0, &p, &egress), want;

	if (length == f->in.length)
		want = arp				  ? SL_REASON_arp_reply
		       : f->in.bytes[f->in.l3 + 12] == 10 ? SL_REASON_to_client
							  : SL_REASON_to_backend;
	else
		want = arp || length < ip_whole || f->in.bytes[f->in.l3 + 12] == 10
			       ? SL_REASON_not_ours
			       : SL_REASON_bad_header;
	assert_int_equal(reason, want);
	if (length < f->in.length)
		assert_memory_equal(at, f->in.bytes, length);
}

static const struct frame_arp arp_request = {
	.eth_dst = { 255, 255, 255, 255, 255, 255 },
	.eth_src = { MAC_CLIENT },
	.sender_mac = { MAC_CLIENT },
	.sender = CLIENT,
	.target = VIP,
};

static void test_truncated(void **state)
{
	static void (*const changes[])(struct frame_spec * s) = { same,	       vlan, all_options,
								  udp_options, syn,  udp_empty };
	struct fixture *f = *state;
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct edge e = { .size = size };

	e.page = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(e.page, MAP_FAILED);
	assert_int_not_equal(mprotect(e.page + size, size, PROT_NONE), -1);
	for (size_t i = 0; i < 2 * sizeof(changes) / sizeof(*changes); i++) {
		struct frame_spec spec = i & 1 ? to_vip : from_b1;

		changes[i / 2](&spec);
		frame_build(&f->in, &spec);
		for (uint32_t length = 0; length <= f->in.length; length++)
			truncate_at(f, &e, length, false);
	}
	frame_build_arp(&f->in, &arp_request);
	for (uint32_t length = 0; length <= f->in.length; length++)
		truncate_at(f, &e, length, true);
#ifdef __SANITIZE_ADDRESS__
	ASAN_UNPOISON_MEMORY_REGION(e.page, size);
#endif
	munmap(e.page, 2 * size);
}

/* The wire carried more than the buffer holds: no byte beyond the buffer is touched. */
static void test_buffer_shorter_than_frame(void **state)
{
	struct fixture *f = *state;
	struct sl_packet p;

	frame_build(&f->in, &to_vip);
	for (uint32_t held = 0; held < f->in.l4 + 20; held++) {
		f->out = f->in;
		p = (struct sl_packet){ .data = f->out.bytes,
					.end = f->out.bytes + held,
					.length = f->in.length };
		assert_int_not_equal(world_decide(&f->w, 0, &p, &f->egress), SL_REASON_to_backend);
		assert_frame(&f->out, &f->in);
	}
}

static void test_arp(void **state)
{
	static const struct frame_arp refused[] = {
		{ .operation = 2 },	{ .operation = 3 },	{ .hardware = 6 },
		{ .protocol = 0x86dd }, { .hardware_size = 8 }, { .protocol_size = 16 },
		{ .target = VIP + 1 },	{ .target = CLIENT },
	};
	struct fixture *f = *state;
	struct frame_arp want = arp_request, spec;
	struct sl_neighbour_requests *wanted = f->w.store.base[SL_ARRAY_neigh_requests];

	frame_build_arp(&f->in, &arp_request);
	assert_int_equal(decide(f), SL_REASON_arp_reply);
	memcpy(want.eth_dst, arp_request.eth_src, 6);
	memcpy(want.eth_src, (uint8_t[]){ MAC_GATEWAY }, 6);
	want.operation = 2;
	memcpy(want.sender_mac, want.eth_src, 6);
	memcpy(want.target_mac, want.eth_dst, 6);
	want.sender = VIP;
	want.target = CLIENT;
	frame_build_arp(&f->want, &want);
	assert_frame(&f->out, &f->want);
	assert_int_equal(f->egress, 0);
	assert_int_equal(wanted->head, 1);
	assert_int_equal(wanted->addr[0].w[3], sl_htonl(CLIENT));

	spec = arp_request;
	spec.tag = want.tag = 12;
	frame_build_arp(&f->in, &spec);
	assert_int_equal(decide(f), SL_REASON_arp_reply);
	frame_build_arp(&f->want, &want);
	assert_frame(&f->out, &f->want);
	assert_int_equal(wanted->head, 1); /* the same wish once */

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		spec = refused[i];
		memcpy(spec.eth_dst, arp_request.eth_dst, 6);
		memcpy(spec.eth_src, arp_request.eth_src, 6);
		spec.sender = CLIENT;
		if (!spec.target)
			spec.target = VIP;
		frame_build_arp(&f->in, &spec);
		assert_int_equal(decide(f), SL_REASON_not_ours);
		assert_frame(&f->out, &f->in);
	}
	assert_int_equal(wanted->head, 1);
}

/* Of a next hop that isn't known, who is asked for: the gateway, else the host itself. */
static void test_wanted(void **state)
{
	struct fixture *f = *state;
	struct sl_neighbour_requests *wanted = f->w.store.base[SL_ARRAY_neigh_requests];
	struct frame_spec spec = from_b1;

	spec.dst = HOST;
	frame_build(&f->in, &spec);
	assert_int_equal(decide(f), SL_REASON_no_neighbour);
	assert_int_equal(wanted->head, 1);
	assert_int_equal(wanted->addr[0].w[3], sl_htonl(HOST));
	spec.dst = FAR;
	frame_build(&f->in, &spec);
	assert_int_equal(decide(f), SL_REASON_no_neighbour);
	assert_int_equal(wanted->head, 2);
	assert_int_equal(wanted->addr[1].w[3], sl_htonl(ROUTER));
	assert_frame(&f->out, &f->in);

	f->w.service[TCP].backend[0].flags &= (uint16_t)~SL_BACKEND_RESOLVED;
	world_publish(&f->w);
	world_snapshot_all(&f->w);
	frame_build(&f->in, &to_vip);
	assert_int_equal(decide(f), SL_REASON_no_neighbour);
	assert_frame(&f->out, &f->in);
	assert_int_equal(f->w.queue[0].service_counters[TCP + 1].no_neighbour, 1);
	f->w.service[TCP].backend[0].flags |= SL_BACKEND_NO_ROUTE;
	world_publish(&f->w);
	world_snapshot_all(&f->w);
	assert_int_equal(decide(f), SL_REASON_backend_no_route);
	assert_frame(&f->out, &f->in);
	assert_int_equal(f->w.queue[0].service_counters[TCP + 1].no_neighbour, 1);
}

/* What becomes of a packet of this source that came in by this port, both with the general path
 * alone and with the service in the cache. */
static enum sl_reason of_client(struct fixture *f, uint32_t src, uint16_t ingress, bool is_udp)
{
	struct frame_spec spec = to_vip;
	enum sl_reason reason;

	memcpy(spec.eth_dst, (uint8_t[]){ MAC_INNER }, 6); /* both ports take it */
	spec.src = src;
	spec.protocol = is_udp ? FRAME_UDP : FRAME_TCP;
	spec.dport = is_udp ? 53 : 80;
	spec.flags = FRAME_SYN;
	frame_build(&f->in, &spec);
	f->ingress = ingress;
	reason = decide(f);
	assert_int_equal(decide(f), reason);
	if (reason == SL_REASON_hairpin)
		assert_frame(&f->out, &f->in);
	f->ingress = 0;
	return reason;
}

/* A client on the backend's link, by the port that it would leave by. */
static void test_hairpin(void **state)
{
	static const struct {
		uint32_t src;
		uint8_t link_bits;
		uint16_t egress, ingress;
		enum sl_reason reason;
	} table[] = {
		{ B1, 0, 1, 1, SL_REASON_hairpin },
		{ B1, 0, 1, 0, SL_REASON_hairpin },
		{ B1, 8, 1, 0, SL_REASON_hairpin },
		{ B2, 0, 1, 1, SL_REASON_to_backend },
		{ B2, 1, 1, 1, SL_REASON_to_backend },
		{ B2, 2, 1, 1, SL_REASON_hairpin },
		{ B2, 2, 1, 0, SL_REASON_to_backend },
		{ B1 + 255 - 1, 8, 1, 1, SL_REASON_hairpin },
		{ B1 + 255, 8, 1, 1, SL_REASON_to_backend },
		{ FRAME_IP(127, 255, 255, 255) - 0x01000000, 31, 1, 1, SL_REASON_hairpin },
		{ FRAME_IP(128, 0, 0, 1), 31, 1, 1, SL_REASON_to_backend },
		/* A VLAN of port 1; there is no room for the tag of what is forwarded. */
		{ B2, 8, SL_PORT_VLANS, 1, SL_REASON_hairpin },
		{ B2, 8, SL_PORT_VLANS, 0, SL_REASON_no_room },
		{ B1, 8, 1, 1, SL_REASON_hairpin },
	};
	struct fixture *f = *state;
	struct frame_spec spec = to_vip;
	uint64_t refused = 0;

	memcpy(spec.eth_dst, (uint8_t[]){ MAC_INNER }, 6);
	spec.src = B2;

	f->w.port[SL_PORT_VLANS].parent = 1;
	f->w.port[SL_PORT_VLANS].vlan = 7;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (uint32_t s = TCP; s <= UDP; s++) {
			f->w.service[s].backend[0].link_bits = table[i].link_bits;
			f->w.service[s].backend[0].egress = table[i].egress;
		}
		world_publish(&f->w);
		world_snapshot_all(&f->w);
		for (int is_udp = 0; is_udp <= 1; is_udp++) {
			enum sl_reason is = of_client(f, table[i].src, table[i].ingress, is_udp);

			if (is != table[i].reason)
				fail_msg("case %zu: reason %d", i, (int)is);
		}
		refused += 2 * (table[i].reason == SL_REASON_hairpin);
		assert_int_equal(f->w.queue[0].service_counters[TCP + 1].hairpin, refused);
		assert_int_equal(f->w.queue[0].service_counters[UDP + 1].hairpin, refused);
	}
	f->ingress = 1;
	for (int is_ack = 0; is_ack <= 1; is_ack++) { /* of TCP only a SYN is looked at */
		spec.flags = is_ack ? FRAME_ACK : FRAME_SYN;
		frame_build(&f->in, &spec);
		assert_int_equal(decide(f), is_ack ? SL_REASON_to_backend : SL_REASON_hairpin);
	}
}

/* The same for IPv6, whose words are compared as two. */
static void test_hairpin_near6(void **state)
{
	static const struct {
		union sl_addr src;
		uint8_t link_bits;
		bool near;
	} table[] = {
		{ { .b = { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, 0, true },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [15] = 2 } }, 0, false },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [15] = 2 } }, 2, true },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [15] = 4 } }, 2, false },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [8] = 0x80 } }, 63, false },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [8] = 0x80 } }, 64, true },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [7] = 1 } }, 64, false },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [7] = 1, [8] = 0xff } }, 65, true },
		{ { .b = { 0x20, 1, 0xd, 0xb8, [7] = 2 } }, 65, false },
		{ { .b = { 0x20, 1, 0xd, 0xb9 } }, 96, false },
		{ { .b = { 0x20, 1, 0xd, 0xb9 } }, 97, true },
		{ { .b = { 0xa0 } }, 127, false },
		{ { .b = { 0x7f } }, 127, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct sl_backend b = { .addr = table[0].src, .link_bits = table[i].link_bits };
		struct sl_ip6 ip = { .version_class_flow = (sl_be32)0 };

		memcpy(ip.src, table[i].src.b, sizeof(ip.src));
		if (sl_hairpin_near(&b, &ip, true) != table[i].near)
			fail_msg("case %zu", i);
	}
}

/* Records that name what isn't there: never a byte outside the arrays (ASan looks on), never a
 * packet rewritten from what isn't a backend. */
static void test_bad_indices(void **state)
{
	struct fixture *f = *state;
	struct world *w = &f->w;
	struct sl_service *s = world_live_service(w, TCP), good = *s;
	uint32_t *slot = (uint32_t *)w->store.base[SL_ARRAY_table_blocks];
	static const uint32_t far[] = { 0x7fffffff, 0x80000000, 0xffffffff };

	frame_build(&f->in, &to_vip);
#define SPOILT(why)                                                                                \
	do {                                                                                       \
		assert_int_equal(decide(f), SL_REASON_##why);                                      \
		assert_frame(&f->out, &f->in);                                                     \
		*s = good;                                                                         \
	} while (0)
	for (uint32_t i = 0; i <= good.slot_mask; i++)
		slot[good.slots * SL_SLOTS_PER_BLOCK + i] = sl_slot(3, 0, SL_SLOT_CLOSED);
	SPOILT(bad_index);
	for (uint32_t i = 0; i <= good.slot_mask; i++)
		slot[good.slots * SL_SLOTS_PER_BLOCK + i] = sl_slot(0, 0, SL_SLOT_CLOSED);
	SPOILT(no_backend);
	for (uint32_t i = 0; i <= good.slot_mask; i++)
		slot[good.slots * SL_SLOTS_PER_BLOCK + i] = sl_slot(1, 0x3fff, SL_SLOT_OPEN);
	s->flags |= SL_SERVICE_LOOKUP;
	assert_int_equal(decide(f), SL_REASON_to_backend);
	*s = good;
	for (uint32_t i = 0; i <= good.slot_mask; i++)
		slot[good.slots * SL_SLOTS_PER_BLOCK + i] = sl_slot(1, 1, SL_SLOT_CLOSED);
	s->n_backends = 0;
	SPOILT(bad_index);
	for (int i = 0; i < 3; i++) {
		s->backends = far[i];
		SPOILT(bad_index);
		s->slots = far[i];
		SPOILT(no_backend);
	}
	s->backends = w->store.count[SL_ARRAY_backends];
	SPOILT(bad_index);
	s->slots = w->store.count[SL_ARRAY_table_blocks];
	SPOILT(no_backend);
	assert_int_equal(decide(f), SL_REASON_to_backend);
#undef SPOILT
}

/* Counters and ids beyond their arrays aren't counted, and the packet goes its way. */
static void test_bad_ids(void **state)
{
	struct fixture *f = *state;
	struct world *w = &f->w;
	struct sl_service *s = world_live_service(w, TCP);
	struct sl_backend *b = w->store.base[SL_ARRAY_backends];
	struct sl_reply_entry *r = world_live_reply(w, TCP, 1);
	uint16_t id = s->id;

	frame_build(&f->in, &to_vip);
	b[s->backends].counter_id = 0xfffffff0;
	assert_int_equal(decide(f), SL_REASON_to_backend);
	b[s->backends].egress = SL_PORT_VLANS - 1;
	assert_int_equal(decide(f), SL_REASON_to_backend);
	assert_int_equal(f->egress, SL_PORT_VLANS - 1); /* the engine's to refuse */
	b[s->backends].egress = SL_PORTS_MAX;
	assert_int_equal(decide(f), SL_REASON_bad_index);
	b[s->backends].egress = SL_EGRESS_GROUP | SL_HOP_GROUPS;
	assert_int_equal(decide(f), SL_REASON_bad_index);
	b[s->backends].egress = 0;
	s->id = 0x7fff;
	s->flags |= SL_SERVICE_LOOKUP | SL_SERVICE_TRACK;
	assert_int_equal(decide(f), SL_REASON_to_backend);
	s->id = id;
	r->counter_id = 0xfffffff0;
	r->service = 0xffff;
	r->flags |= SL_SERVICE_LOOKUP;
	frame_build(&f->in, &from_b1);
	f->in.bytes[f->in.l4 + 13] |= FRAME_FIN;
	assert_int_equal(decide(f), SL_REASON_to_client);
}

static void test_counters(void **state)
{
	struct fixture *f = *state;
	struct sl_backend_counters *counters = f->w.queue[0].backend_counters;
	struct frame_spec spec = to_vip;

	frame_build(&f->in, &spec);
	decide(f);
	spec.flags = FRAME_SYN;
	spec.payload = 0;
	frame_build(&f->in, &spec);
	decide(f);
	frame_build(&f->in, &from_b1);
	decide(f);
	assert_int_equal(counters[0].packets_in, 2);
	assert_int_equal(counters[0].bytes_in, 54 + 33 + 54);
	assert_int_equal(counters[0].connections, 1);
	assert_int_equal(counters[0].packets_out, 1);
	assert_int_equal(counters[0].bytes_out, 54 + 33);
	spec.ttl = 1;
	frame_build(&f->in, &spec);
	decide(f);
	assert_int_equal(f->w.queue[0].service_counters[TCP + 1].ttl_exceeded, 1);
	assert_int_equal(counters[0].packets_in, 2);
}

/* The bank was rewritten meanwhile: nothing is written, the packet is to be decided again. */
static void test_torn(void **state)
{
	struct fixture *f = *state;
	static _Thread_local struct sl_one_packet one_packet;
	struct sl_packet p;

	for (int reply = 0; reply < 2; reply++) {
		frame_build(&f->in, reply ? &from_b1 : &to_vip);
		f->out = f->in;
		p = (struct sl_packet){ .data = f->out.bytes,
					.end = f->out.bytes + f->in.length,
					.length = f->in.length };
		world_snapshot_all(&f->w);
		sl_one_packet_classify(&one_packet, &f->w.queue[0], &p);
		world_live_bank(&f->w)->seq += 2;
		assert_int_equal(sl_one_packet_route(&one_packet, &f->w.queue[0], &p, &f->egress),
				 SL_REASON_torn_table);
		assert_frame(&f->out, &f->in);
		world_snapshot_all(&f->w);
		assert_int_equal(world_decide(&f->w, 0, &p, &f->egress),
				 reply ? SL_REASON_to_client : SL_REASON_to_backend);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_table),	TEST(test_length_rules),
		TEST(test_checksums),	TEST(test_wrong_checksums_stay_wrong),
		TEST(test_truncated),	TEST(test_buffer_shorter_than_frame),
		TEST(test_arp),		TEST(test_wanted),
		TEST(test_hairpin),	cmocka_unit_test(test_hairpin_near6),
		TEST(test_bad_indices), TEST(test_bad_ids),
		TEST(test_counters),	TEST(test_torn),
	};

	return cmocka_run_group_tests_name("packets", tests, NULL, NULL);
}
