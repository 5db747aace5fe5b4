/* SPDX-License-Identifier: BSD-2-Clause */
/* For the client's end of a veth. On Linux 6.1 what XDP sends back by XDP_TX stays in the peer's
 * ring until another packet wakes the peer, unless a program stands there: veth_xdp_flush() asks
 * for that, where all else asks whether NAPI is on. */
__attribute__((section("xdp"), used)) int pass(void *ctx)
{
	(void)ctx;
	return 2; /* XDP_PASS */
}
