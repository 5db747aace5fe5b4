/* SPDX-License-Identifier: BSD-2-Clause */
/* The far end of tunnels, for backends whose kernel has neither ipip nor fou: takes outer headers
 * off and hands what was inside to the stack. IPv4 in IPv4, and GUE of both variants on port 6080.
 * Anything else passes as it is. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GUE_PORT 6080

/* How many bytes stand between Ethernet and the inner packet; 0: it is no tunnel. */
static __always_inline int outer_size(void *data, void *end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u8 *inner = (void *)(udp + 1);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return 0;
	if (ip->protocol == IPPROTO_IPIP)
		return sizeof(*ip);
	if (ip->protocol != IPPROTO_UDP || (void *)(inner + 4) > end ||
	    udp->dest != bpf_htons(GUE_PORT))
		return 0;
	if (*inner >> 4 == 4)
		return sizeof(*ip) + sizeof(*udp);
	return inner[0] == 0 && inner[1] == IPPROTO_IPIP ? sizeof(*ip) + sizeof(*udp) + 4 : 0;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int size = outer_size(data, end);
	struct ethhdr eth;

	if (!size)
		return XDP_PASS;
	__builtin_memcpy(&eth, data, sizeof(eth));
	if (bpf_xdp_adjust_head(ctx, size))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + sizeof(eth) > end)
		return XDP_DROP;
	__builtin_memcpy(data, &eth, sizeof(eth));
	return XDP_PASS;
}

char licence[] SEC("license") = "Dual BSD/GPL";
