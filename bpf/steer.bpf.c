/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Steering: what is ours goes to the worker that serves the queue, the rest to the kernel.
 *
 * One instance of this program per port, attached by control (control/xdp.c), with an xsks_map of
 * its own, since that is keyed by the queue alone; all other maps are shared. On AF_XDP a worker
 * can't give a packet back to the kernel, so every punt is decided here. What is ours is dropped
 * where it can't go on: passed to the kernel, it would be answered with a reset.
 *
 * The names xsk_def_prog, xsks_map and xsk_prog_version are libxdp's: by them the worker's driver
 * takes this program for the one that it would load itself, and enters its socket in the map.
 */
#include "seam.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SL_QUEUES_PER_PORT);
	__type(key, uint32_t);
	__type(value, uint32_t);
} xsks_map SEC(".maps");

__uint(xsk_prog_version, 1) SEC("xdp_metadata");

char sl_licence[] SEC("license") = "Dual BSD/GPL";

enum { TORN = -1 }; /* no verdict yet: the tables moved meanwhile */

/* Ours, and to be decided by the worker of its queue. */
SL_INLINE int redirect(const struct sl_tables *t, uint32_t queue)
{
	if (bpf_map_lookup_elem(&xsks_map, &queue))
		return (int)bpf_redirect_map(&xsks_map, queue, XDP_DROP);
	sl_tables_count(t, SL_REASON_no_worker);
	return XDP_DROP;
}

/* One attempt. A global function, so that the verifier looks at it once and alone, and not again
 * after every way in which a first attempt can have ended. */
__attribute__((noinline)) int sl_steer(struct xdp_md *ctx)
{
	struct sl_packet p = {
		.data = (uint8_t *)(uintptr_t)ctx->data,
		.end = (uint8_t *)(uintptr_t)ctx->data_end,
		.length = ctx->data_end - ctx->data,
		.ingress = (uint16_t)sl_port,
	};
	/* Set as a whole: clang copies words that a branch has left unset, the verifier won't. */
	struct sl_work w = { 0 };
	struct sl_tables t;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	sl_classify(&t, &p, &w);
	if (sl_unlikely(!sl_seam_current(&t)))
		return TORN;
	if (sl_likely(w.todo != SL_TODO_NOTHING))
		return redirect(&t, ctx->rx_queue_index);
	sl_tables_count(&t, w.reason);
	return w.reason == SL_REASON_not_ours ? XDP_PASS : XDP_DROP;
}

/* The second attempt was torn too: whose the packet is can't be told. */
SL_INLINE int give_up(void)
{
	struct sl_tables t;

	if (sl_tables_look(&t))
		sl_tables_count(&t, SL_REASON_torn_table);
	return XDP_DROP;
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	int verdict = sl_steer(ctx);

	if (sl_unlikely(verdict == TORN))
		verdict = sl_steer(ctx);
	return verdict == TORN ? give_up() : verdict;
}
