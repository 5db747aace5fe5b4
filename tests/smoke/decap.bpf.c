/* SPDX-License-Identifier: BSD-2-Clause */
/* The far end of tunnels, for backends whose kernel has neither ipip nor fou: takes outer headers
 * off and hands what was inside to the stack. IP in IP, and GUE of both variants on port 6080, with
 * either family in front and inside. Anything else passes as it is. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define GUE_PORT 6080

/* What stands between Ethernet and the inner packet; no size: it is no tunnel. */
struct outer {
	int size;
	__u16 type; /* Ethernet's, of what is inside */
};

static __always_inline __u16 type_of(__u8 protocol)
{
	return protocol == IPPROTO_IPIP ? ETH_P_IP : protocol == IPPROTO_IPV6 ? ETH_P_IPV6 : 0;
}

static __always_inline __u16 gue_type(const __u8 *inner, int *size)
{
	if (*inner >> 4)
		return *inner >> 4 == 4 ? ETH_P_IP : *inner >> 4 == 6 ? ETH_P_IPV6 : 0;
	*size += 4;
	return inner[0] == 0 ? type_of(inner[1]) : 0;
}

/* What follows an IP header that ends at `udp`. */
static __always_inline struct outer behind(__u8 protocol, struct udphdr *udp, int size, void *end)
{
	__u8 *inner = (void *)(udp + 1);
	struct outer o = { .size = size, .type = type_of(protocol) };

	if (protocol == IPPROTO_UDP && (void *)(inner + 4) <= end &&
	    udp->dest == bpf_htons(GUE_PORT)) {
		o.size += sizeof(*udp);
		o.type = gue_type(inner, &o.size);
	}
	if (!o.type)
		o.size = 0;
	return o;
}

static __always_inline struct outer find(void *data, void *end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);

	if ((void *)(ip + 1) <= end && eth->h_proto == bpf_htons(ETH_P_IP) && ip->ihl == 5)
		return behind(ip->protocol, (void *)(ip + 1), sizeof(*ip), end);
	if ((void *)(ip6 + 1) <= end && eth->h_proto == bpf_htons(ETH_P_IPV6))
		return behind(ip6->nexthdr, (void *)(ip6 + 1), sizeof(*ip6), end);
	return (struct outer){ 0 };
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct outer o = find(data, end);
	struct ethhdr eth;

	if (!o.size)
		return XDP_PASS;
	__builtin_memcpy(&eth, data, sizeof(eth));
	eth.h_proto = bpf_htons(o.type);
	if (bpf_xdp_adjust_head(ctx, o.size))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + sizeof(eth) > end)
		return XDP_DROP;
	__builtin_memcpy(data, &eth, sizeof(eth));
	return XDP_PASS;
}

char licence[] SEC("license") = "Dual BSD/GPL";
