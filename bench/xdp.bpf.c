/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The XDP engine under BPF_PROG_TEST_RUN: the program as it is, behind one that makes the packet.
 *
 * Test runs start with the bytes that the last run left, so each run writes its packet anew: an
 * IPv4 TCP frame of 60 bytes from one of sl_flows_n flows, in random order. `empty` only does that,
 * and its time is subtracted. Fields are stored in the widths in which the engine loads them, as a
 * NIC's cache line would offer them; other widths would cost 10 ns of stalls that no real packet
 * has.
 */
#include "../bpf/engine.bpf.c"

const volatile uint32_t bench_flows = 1; /* a power of two */
const volatile uint32_t bench_vip;	 /* in network order */
const volatile uint16_t bench_port;
const volatile uint8_t bench_tcp_flags = SL_TCP_ACK;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} bench_state SEC(".maps");

/* A flow's number in random order, and from it a random address and port. */
SL_INLINE uint64_t next_tuple(void)
{
	uint64_t *state = sl_map_at(bench_state, 0), x;

	if (!state)
		return 0;
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	x = *state >> 33 & (bench_flows - 1);
	x = (x + 1) * 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

SL_INLINE bool make_packet(struct xdp_md *ctx)
{
	uint8_t *data = (uint8_t *)(uintptr_t)ctx->data;
	uint8_t *end = (uint8_t *)(uintptr_t)ctx->data_end;
	struct sl_eth *eth = (void *)data;
	struct sl_ip4 *ip = (void *)(data + sizeof(*eth));
	struct sl_tcp *tcp = (void *)(data + sizeof(*eth) + sizeof(*ip));
	uint64_t tuple = next_tuple();

	if (data + 54 > end)
		return false;
	*(sl_u64_any *)data = 0x0002000000000002ull;
	eth->type = sl_htons(SL_ETH_IP4);
	ip->version_ihl = 0x45;
	ip->tos = 0;
	ip->length = sl_htons(46);
	ip->fragment = 0;
	ip->ttl = 64;
	ip->protocol = SL_PROTO_TCP;
	ip->csum = 0;
	ip->src = (uint32_t)tuple;
	ip->dst = bench_vip;
	tcp->src = (uint16_t)(tuple >> 32);
	tcp->dst = bench_port;
	tcp->offset = 0x50;
	tcp->flags = bench_tcp_flags;
	tcp->csum = 0;
	return true;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return make_packet(ctx) ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int engine_once(struct xdp_md *ctx)
{
	return make_packet(ctx) ? sl_engine(ctx) : XDP_ABORTED;
}
