/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The XDP engine: redirects packets to a worker where one serves the queue, and decides them itself
 * where none does.
 *
 * Control attaches one instance of this program per port (control/xdp/link.c). Each has its own
 * xsks_map, because that map is indexed by the queue only; all other maps are shared. A worker on
 * AF_XDP can't give a packet back to the kernel, so this program decides what is left to the
 * kernel. A packet that is ours but can't be forwarded is dropped: the kernel would answer it with
 * a reset.
 *
 * If the tables change twice while one packet is decided (torn_table), this CPU stood still during
 * two publishes. Such a packet is dropped; a second attempt isn't worth its code.
 *
 * libxdp defines the names xsk_def_prog, xsks_map and xsk_prog_version. By them the worker's driver
 * recognises this program as the one that it would load itself, and enters its socket in the map.
 */
#include "../dataplane/abi/tails.h"
#include "owner.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SL_QUEUES_PER_PORT);
	__type(key, uint32_t);
	__type(value, uint32_t);
} xsks_map SEC(".maps");

/* Interfaces by the index of their port. All instances of the program share this map. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SL_PORTS_MAX);
	__type(key, uint32_t);
	__type(value, uint32_t);
} egress SEC(".maps");

__uint(xsk_prog_version, 1) SEC("xdp_metadata");

char sl_licence[] SEC("license") = "Dual BSD/GPL";

/* libbpf fills the map when it loads the programs, except those of full NAT
 * (control/xdp/program.c). The map is pinned (control/xdp/link.c), which keeps its programs
 * loaded. */
int sl_xdp_icmp(struct xdp_md *ctx);
int sl_xdp_first_fragment(struct xdp_md *ctx);
int sl_xdp_fragment(struct xdp_md *ctx);
int sl_xdp_extended(struct xdp_md *ctx);
int sl_xdp_ip6(struct xdp_md *ctx);
int sl_xdp_extended6(struct xdp_md *ctx);
int sl_xdp_icmp6(struct xdp_md *ctx);
int sl_xdp_first_fragment6(struct xdp_md *ctx);
int sl_xdp_fragment6(struct xdp_md *ctx);
int sl_xdp_answer(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SL_TAILS);
	__uint(key_size, sizeof(uint32_t));
	__array(values, int(void *));
} tails SEC(".maps") = {
	.values = { [SL_TAIL_IP6] = (void *)&sl_xdp_ip6,
		    [SL_TAIL_ICMP] = (void *)&sl_xdp_icmp,
		    [SL_TAIL_FIRST_FRAGMENT] = (void *)&sl_xdp_first_fragment,
		    [SL_TAIL_FRAGMENT] = (void *)&sl_xdp_fragment,
		    [SL_TAIL_EXTENDED] = (void *)&sl_xdp_extended,
		    [SL_TAIL_EXTENDED6] = (void *)&sl_xdp_extended6,
		    [SL_TAIL_ICMP6] = (void *)&sl_xdp_icmp6,
		    [SL_TAIL_FIRST_FRAGMENT6] = (void *)&sl_xdp_first_fragment6,
		    [SL_TAIL_FRAGMENT6] = (void *)&sl_xdp_fragment6,
		    [SL_TAIL_ANSWER] = (void *)&sl_xdp_answer },
};

/* Packets of full NAT continue in its own programs by a tail call from the point where they are
 * recognised. With a branch before that point, the verifier of Linux 6.1 would walk all that
 * follows twice. */
SL_INLINE enum sl_reason sl_fullnat(const struct sl_tables *t, struct sl_packet *p,
				    const struct sl_lookup *w, uint16_t *egress)
{
	(void)t, (void)egress;
	bpf_tail_call(p->frame, &tails,
		      w->packet_class == SL_CLASS_SERVICE6 ? SL_TAIL_FULLNAT6 : SL_TAIL_FULLNAT);
	return SL_REASON_no_port; /* the program isn't loaded */
}

SL_INLINE enum sl_reason sl_fullnat_reply(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress)
{
	(void)t, (void)egress;
	bpf_tail_call(p->frame, &tails,
		      w->packet_class == SL_CLASS_SNAT_REPLY6 ? SL_TAIL_SNAT_REPLY6
							      : SL_TAIL_SNAT_REPLY);
	return SL_REASON_no_port;
}

SL_INLINE enum sl_reason sl_fullnat_error(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress, bool is_ipv6)
{
	(void)t, (void)w, (void)egress;
	bpf_tail_call(p->frame, &tails, is_ipv6 ? SL_TAIL_SNAT_REPLY6 : SL_TAIL_SNAT_REPLY);
	return SL_REASON_no_port;
}

/* What a program passes to the next: the reason to answer with; in full NAT the result of the
 * search for a mapping, as mtu. */
struct handoff {
	uint32_t reason;
	uint32_t mtu;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct handoff);
} handoffs SEC(".maps");

/* Whether a worker takes packets of this queue: it serves the queue and has its socket in the
 * map. */
SL_INLINE bool worker_takes(uint32_t queue)
{
	return sl_owner_serves(queue) && bpf_map_lookup_elem(&xsks_map, &queue);
}

/* Transmits by a port. XDP_TX on a veth leaves the frame in the peer's ring on kernels before 6.9,
 * unless the peer has a program too; a redirect wakes the peer. */
SL_INLINE int send(uint16_t port, uint16_t ingress)
{
	if (port == ingress && !sl_veth)
		return XDP_TX;
	return (int)bpf_redirect_map(&egress, port, XDP_DROP);
}

/* What to do with a classified packet: an XDP action if it isn't ours or a worker takes it, or -1
 * if it is decided here. Packets that are answered without a service are always decided here. */
SL_INLINE int steer(const struct sl_tables *t, struct sl_lookup *w, uint32_t engine, uint32_t queue)
{
	if (sl_unlikely(!sl_seam_current(t)))
		sl_lookup_decided(w, SL_REASON_torn_table);
	if (w->packet_class == SL_CLASS_DECIDED) {
		if (sl_unlikely(sl_reason_is_answered(w->reason)))
			return -1;
		sl_tables_count(t, w->reason);
		return sl_reason_punts(w->reason) ? XDP_PASS : XDP_DROP;
	}
	if (engine != SL_ENGINE_XDP && worker_takes(queue))
		return (int)bpf_redirect_map(&xsks_map, queue, XDP_DROP);
	if (engine == SL_ENGINE_DPDK) {
		sl_tables_count(t, SL_REASON_no_worker);
		return XDP_DROP;
	}
	return -1;
}

SL_INLINE int leave(const struct sl_tables *t, enum sl_reason reason, uint16_t port,
		    uint16_t ingress)
{
	int verdict = XDP_DROP;

	if (sl_likely(sl_reason_leaves(reason))) {
		verdict = send(port, ingress);
		if (sl_unlikely(verdict == XDP_DROP))
			reason = SL_REASON_no_port;
	}
	sl_tables_count(t, reason);
	return verdict;
}

SL_INLINE void hand_over(struct xdp_md *ctx, const struct sl_packet *p, uint32_t reason,
			 uint32_t tail)
{
	uint32_t first = 0;
	struct handoff *handoff = bpf_map_lookup_elem(&handoffs, &first);

	if (!handoff)
		return;
	*handoff = (struct handoff){ reason, p->mtu };
	bpf_tail_call(ctx, &tails, tail);
}

/* Ends a packet that was decided here: transmits, answers or drops it. */
SL_INLINE int finish(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
		     enum sl_reason reason, uint16_t port)
{
	if (sl_unlikely(sl_reason_is_answered(reason))) {
		hand_over(ctx, p, reason, SL_TAIL_ANSWER);
		reason = sl_reason_silent(reason);
	}
	return leave(t, reason, port, p->ingress);
}

/* Continues in the program for full NAT if the packet belongs to it; otherwise returns false. */
SL_INLINE bool to_fullnat(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_lookup *w,
			  bool is_ipv6)
{
	if (w->packet_class == (is_ipv6 ? SL_CLASS_SNAT_REPLY6 : SL_CLASS_SNAT_REPLY))
		bpf_tail_call(ctx, &tails, is_ipv6 ? SL_TAIL_SNAT_REPLY6 : SL_TAIL_SNAT_REPLY);
	else if (sl_lookup_is_fullnat(w))
		bpf_tail_call(ctx, &tails, is_ipv6 ? SL_TAIL_FULLNAT6 : SL_TAIL_FULLNAT);
	else
		return false;
	sl_tables_count(t, SL_REASON_no_port); /* the program isn't loaded */
	return true;
}

/* Continues on the extended path if the packet needs it; otherwise returns false. Without that
 * program such packets are dropped, since limits must hold. */
SL_INLINE bool to_extended(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_lookup *w,
			   bool is_ipv6)
{
	if (sl_likely(!sl_needs_extended_path(w)))
		return false;
	bpf_tail_call(ctx, &tails, is_ipv6 ? SL_TAIL_EXTENDED6 : SL_TAIL_EXTENDED);
	sl_tables_count(t, SL_REASON_no_port);
	return true;
}

SL_INLINE int sl_engine(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	/* Initialised as a whole: clang copies words that one branch left unset, and the verifier
	 * refuses that. */
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint32_t engine;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	engine = t.bank->engine;
	sl_classify(&t, &p, &w);
	if (sl_unlikely(w.packet_class >= SL_CLASS_IP6)) {
		bpf_tail_call(ctx, &tails, w.packet_class - SL_CLASS_IP6);
		sl_lookup_decided(
			&w, SL_REASON_not_ours); /* the program isn't loaded: left to the kernel */
	}
	verdict = steer(&t, &w, engine, ctx->rx_queue_index);
	if (verdict >= 0)
		return verdict;
	if (to_fullnat(ctx, &t, &w, false) || to_extended(ctx, &t, &w, false))
		return XDP_DROP;
	t.inline_lookup = true;
	reason = sl_route(&t, &p, &w, &port);
	return finish(ctx, &t, &p, reason, port);
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	return sl_engine(ctx);
}

SL_INLINE int rare(struct xdp_md *ctx, uint8_t packet_class)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.inline_lookup = packet_class == SL_CLASS_ICMP;
	sl_rare_classify(&t, &p, packet_class, &w);
	verdict = steer(&t, &w, t.bank->engine, ctx->rx_queue_index);
	if (verdict >= 0)
		return verdict;
	reason = sl_rare_route(&t, &p, packet_class, &w, &port);
	return finish(ctx, &t, &p, reason, port);
}

/* The extended path: packets that the first program found to need it, and to be decided by XDP. */
SEC("xdp")
int sl_xdp_extended(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	sl_classify(&t, &p, &w);
	if (sl_unlikely(!sl_needs_extended_path(&w))) { /* a publish came in between */
		sl_tables_count(&t, SL_REASON_torn_table);
		return XDP_DROP;
	}
	t.inline_lookup = false;
	reason = sl_extended_impl(&t, &p, &w, &port, false);
	return finish(ctx, &t, &p, reason, port);
}

SEC("xdp")
int sl_xdp_ip6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.layout = sl_layout6_global(ctx);
	w.l3 = (uint8_t)(t.layout >> 24);
	sl_classify6_impl(&t, &p, &w);
	if (sl_unlikely(w.packet_class >= SL_CLASS_ICMP6)) {
		bpf_tail_call(ctx, &tails, SL_TAIL_ICMP6 + w.packet_class - SL_CLASS_ICMP6);
		sl_lookup_decided(&w, SL_REASON_not_ours);
	}
	verdict = steer(&t, &w, t.bank->engine, ctx->rx_queue_index);
	if (verdict >= 0)
		return verdict;
	if (to_fullnat(ctx, &t, &w, true) || to_extended(ctx, &t, &w, true))
		return XDP_DROP;
	t.inline_lookup = true;
	reason = sl_route6_impl(&t, &p, &w, &port);
	return finish(ctx, &t, &p, reason, port);
}

SEC("xdp")
int sl_xdp_extended6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.layout = sl_layout6_global(ctx);
	w.l3 = (uint8_t)(t.layout >> 24);
	sl_classify6_impl(&t, &p, &w);
	if (sl_unlikely(!sl_needs_extended_path(&w))) {
		sl_tables_count(&t, SL_REASON_torn_table);
		return XDP_DROP;
	}
	t.inline_lookup = false;
	reason = sl_extended_impl(&t, &p, &w, &port, true);
	return finish(ctx, &t, &p, reason, port);
}

SEC("xdp")
int sl_xdp_icmp(struct xdp_md *ctx)
{
	return rare(ctx, SL_CLASS_ICMP);
}

SEC("xdp")
int sl_xdp_first_fragment(struct xdp_md *ctx)
{
	return rare(ctx, SL_CLASS_FIRST_FRAGMENT);
}

SEC("xdp")
int sl_xdp_fragment(struct xdp_md *ctx)
{
	return rare(ctx, SL_CLASS_FRAGMENT);
}

SEC("xdp")
int sl_xdp_icmp6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.layout = sl_layout6_global(ctx);
	w.l3 = (uint8_t)(t.layout >> 24);
	w.l4 = (uint8_t)sl_layout_l4(t.layout);
	sl_icmp6_classify(&t, &p, &w);
	verdict = steer(&t, &w, t.bank->engine, ctx->rx_queue_index);
	if (verdict >= 0)
		return verdict;
	reason = sl_icmp6_route(&t, &p, &w, &port);
	return leave(&t, reason, port, p.ingress);
}

SEC("xdp")
int sl_xdp_answer(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	uint32_t first = 0, reason;
	struct handoff *handoff = bpf_map_lookup_elem(&handoffs, &first);
	struct sl_tables t;

	if (!handoff || !sl_tables_snapshot(&t))
		return XDP_DROP;
	reason = sl_answer_impl(&t, &p, handoff->reason, handoff->mtu);
	return leave(&t, (enum sl_reason)reason, p.ingress, p.ingress);
}

SEC("xdp")
int sl_xdp_first_fragment6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.inline_lookup = false;
	sl_first_fragment6_classify(&t, &p, sl_layout6_first_fragment_global(ctx), &w);
	verdict = steer(&t, &w, t.bank->engine, ctx->rx_queue_index);
	if (verdict >= 0)
		return verdict;
	reason = sl_first_fragment6_route(&t, &p, &w, &port);
	return finish(ctx, &t, &p, reason, port);
}

SEC("xdp")
int sl_xdp_fragment6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	sl_be16 client;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	client = sl_fragment6_classify(&t, &p, sl_layout6_global(ctx), &w);
	verdict = steer(&t, &w, t.bank->engine, ctx->rx_queue_index);
	if (verdict >= 0)
		return verdict;
	reason = sl_fragment6_route(&t, &p, &w, client, &port);
	return leave(&t, reason, port, p.ingress);
}

#include "fullnat.h"
