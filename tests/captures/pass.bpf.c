/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes every frame. A veth with a program takes what its peer redirects to it, without GRO, which
 * would make one large frame of several in the capture. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char licence[] SEC("license") = "Dual BSD/GPL";
