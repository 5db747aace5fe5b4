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

/* The xsks_map of each port, by its index: for the programs that all ports share. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SL_PORTS_MAX);
	__type(key, uint32_t);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_XSKMAP);
			__uint(max_entries, SL_QUEUES_PER_PORT);
			__type(key, uint32_t);
			__type(value, uint32_t);
		});
} sockets SEC(".maps");

/* The programs for tail calls (abi/tails.h). Control fills the map (control/xdp/programs.c); it is
 * pinned, which keeps its programs loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SL_TAIL_COUNT);
	__type(key, uint32_t);
	__type(value, uint32_t);
} tails SEC(".maps");

/* What a program passes to the next. */
struct handoff {
	uint32_t reason; /* to answer with */
	uint32_t mtu;	 /* in full NAT the result of the search for a mapping */
	uint16_t port;	 /* index in ports of the port by which the packet came in */
	uint16_t veth;	 /* whether that is a veth */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct handoff);
} handoffs SEC(".maps");

/* Packets of full NAT continue in its own programs by a tail call from the point where they are
 * recognised. With a branch before that point, the verifier of Linux 6.1 would walk all that
 * follows twice. */
SL_INLINE enum sl_reason sl_fullnat(const struct sl_tables *t, struct sl_packet *p,
				    const struct sl_lookup *w, uint16_t *egress)
{
	(void)t, (void)egress;
	bpf_tail_call(p->frame, &tails,
		      w->packet_class == SL_CLASS_SERVICE6 ? SL_TAIL_fullnat6 : SL_TAIL_fullnat);
	return SL_REASON_no_port; /* the program isn't loaded */
}

SL_INLINE enum sl_reason sl_fullnat_reply(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress)
{
	(void)t, (void)egress;
	bpf_tail_call(p->frame, &tails,
		      w->packet_class == SL_CLASS_SNAT_REPLY6 ? SL_TAIL_snat_reply6
							      : SL_TAIL_snat_reply);
	return SL_REASON_no_port;
}

SL_INLINE enum sl_reason sl_fullnat_error(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_lookup *w, uint16_t *egress, bool is_ipv6)
{
	(void)t, (void)w, (void)egress;
	bpf_tail_call(p->frame, &tails, is_ipv6 ? SL_TAIL_snat_reply6 : SL_TAIL_snat_reply);
	return SL_REASON_no_port;
}

/* Continues in another program by a tail call. Returns if that program isn't loaded. `entry`: this
 * is the program that is attached, which knows its port; others leave that as it is. */
SL_INLINE void hand_over(struct xdp_md *ctx, const struct sl_packet *p, uint32_t reason,
			 uint32_t tail, bool entry)
{
	struct handoff *h = sl_map_at(handoffs, 0);

	if (!h)
		return;
	if (entry) {
		*h = (struct handoff){ reason, p->mtu, (uint16_t)sl_port, sl_veth };
	} else {
		h->reason = reason;
		h->mtu = p->mtu;
	}
	bpf_tail_call(ctx, &tails, tail);
}

enum { NO_WORKER = -1 };

/* Redirects to the worker of this queue: it has to serve the queue and to have its socket in the
 * map. */
SL_INLINE int worker_takes(struct xdp_md *ctx)
{
	uint32_t queue = ctx->rx_queue_index;

	if (!sl_owner_serves((uint16_t)sl_port, queue) || !bpf_map_lookup_elem(&xsks_map, &queue))
		return NO_WORKER;
	return (int)bpf_redirect_map(&xsks_map, queue, XDP_DROP);
}

/* The same in the programs that all ports share. */
__attribute__((noinline)) int sl_worker_takes_global(struct xdp_md *ctx)
{
	const struct handoff *h = sl_map_at(handoffs, 0);
	uint32_t queue = ctx->rx_queue_index, port;
	void *own;

	if (!h)
		return NO_WORKER;
	port = h->port;
	own = bpf_map_lookup_elem(&sockets, &port);
	if (!own || !sl_owner_serves((uint16_t)port, queue) || !bpf_map_lookup_elem(own, &queue))
		return NO_WORKER;
	return (int)bpf_redirect_map(own, queue, XDP_DROP);
}

/* Whether XDP_TX sends by this port: the packet came in by it, and it isn't a veth. XDP_TX on a
 * veth leaves the frame in the peer's ring on kernels before 6.9, unless the peer has a program
 * too; a redirect wakes the peer. */
SL_INLINE bool turns_back(uint16_t port, bool entry)
{
	const struct handoff *h;

	if (entry)
		return port == sl_port && !sl_veth;
	h = sl_map_at(handoffs, 0);
	return h && port == h->port && !h->veth;
}

/* Transmits by a port. */
SL_INLINE int send(uint16_t port, bool entry)
{
	if (turns_back(port, entry))
		return XDP_TX;
	return (int)bpf_redirect_map(&egress, port, XDP_DROP);
}

/* What to do with a classified packet: an XDP action if it isn't ours or a worker takes it, or -1
 * if it is decided here. Packets that are answered without a service are always decided here. */
SL_INLINE int steer(struct xdp_md *ctx, const struct sl_tables *t, struct sl_lookup *w, bool entry)
{
	uint32_t engine = t->bank->engine;

	if (sl_unlikely(!sl_seam_current(t)))
		sl_lookup_decided(w, SL_REASON_torn_table);
	if (w->packet_class == SL_CLASS_DECIDED) {
		if (sl_unlikely(sl_reason_is_answered(w->reason)))
			return -1;
		sl_tables_count(t, w->reason);
		return sl_reason_punts(w->reason) ? XDP_PASS : XDP_DROP;
	}
	if (engine != SL_ENGINE_XDP) {
		int verdict = entry ? worker_takes(ctx) : sl_worker_takes_global(ctx);

		if (verdict != NO_WORKER)
			return verdict;
	}
	if (engine == SL_ENGINE_DPDK) {
		sl_tables_count(t, SL_REASON_no_worker);
		return XDP_DROP;
	}
	return -1;
}

/* Counts the reason and transmits or drops the packet. l3: where its network header is. */
SL_INLINE int leave(const struct sl_tables *t, struct sl_packet *p, uint32_t l3,
		    enum sl_reason reason, uint16_t port, bool entry)
{
	int verdict = XDP_DROP;

	if (sl_unlikely(sl_egress_open(reason, port, l3)))
		reason = (enum sl_reason)sl_egress(t, p, reason, &port);
	if (sl_likely(sl_reason_leaves(reason))) {
		verdict = send(port, entry);
		if (sl_unlikely(verdict == XDP_DROP))
			reason = SL_REASON_no_port;
	}
	sl_tables_count(t, reason);
	return verdict;
}

/* Ends a packet that was decided here: transmits, answers or drops it. */
SL_INLINE int finish(struct xdp_md *ctx, const struct sl_tables *t, struct sl_packet *p,
		     uint32_t l3, enum sl_reason reason, uint16_t port, bool entry)
{
	if (sl_unlikely(sl_reason_is_answered(reason))) {
		hand_over(ctx, p, reason, SL_TAIL_answer, entry);
		reason = sl_reason_silent(reason);
	}
	return leave(t, p, l3, reason, port, entry);
}

/* Before a frame is decided here; none but ours is changed. */
SL_INLINE void complete_checksum(struct xdp_md *ctx, const struct sl_tables *t, bool entry)
{
	uint64_t partial = *(const volatile uint64_t *)&t->root->partial;
	const struct handoff *h;
	uint32_t port;

	if (sl_likely(!partial))
		return;
	if (entry) {
		port = sl_port;
	} else {
		h = sl_map_at(handoffs, 0);
		port = h ? h->port : 0;
	}
	sl_partial_complete_global(ctx, port, partial, t->root->generic);
}

/* Continues in the program for full NAT if the packet belongs to it; otherwise returns false. */
SL_INLINE bool to_fullnat(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
			  const struct sl_lookup *w, bool is_ipv6, bool entry)
{
	if (w->packet_class == (is_ipv6 ? SL_CLASS_SNAT_REPLY6 : SL_CLASS_SNAT_REPLY))
		hand_over(ctx, p, 0, is_ipv6 ? SL_TAIL_snat_reply6 : SL_TAIL_snat_reply, entry);
	else if (sl_lookup_is_fullnat(w))
		hand_over(ctx, p, 0, is_ipv6 ? SL_TAIL_fullnat6 : SL_TAIL_fullnat, entry);
	else
		return false;
	sl_tables_count(t, SL_REASON_no_port); /* the program isn't loaded */
	return true;
}

/* Continues on the extended path if the packet needs it; otherwise returns false. Without that
 * program such packets are dropped, since limits must hold. */
SL_INLINE bool to_extended(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
			   const struct sl_lookup *w, bool is_ipv6, bool entry)
{
	if (sl_likely(!sl_needs_extended_path(w)))
		return false;
	hand_over(ctx, p, 0, is_ipv6 ? SL_TAIL_extended6 : SL_TAIL_extended, entry);
	sl_tables_count(t, SL_REASON_no_port);
	return true;
}

/* Continues in the program for a class of packets. Returns if that program isn't loaded, because no
 * service needs it. */
SL_INLINE void to_class(struct xdp_md *ctx, const struct sl_packet *p, uint8_t packet_class,
			bool entry)
{
	switch (packet_class) {
	case SL_CLASS_IP6:
		return hand_over(ctx, p, 0, SL_TAIL_ip6, entry);
	case SL_CLASS_ICMP:
		return hand_over(ctx, p, 0, SL_TAIL_icmp, entry);
	case SL_CLASS_FIRST_FRAGMENT:
		return hand_over(ctx, p, 0, SL_TAIL_first_fragment, entry);
	case SL_CLASS_FRAGMENT:
		return hand_over(ctx, p, 0, SL_TAIL_fragment, entry);
	case SL_CLASS_ICMP6:
		return hand_over(ctx, p, 0, SL_TAIL_icmp6, entry);
	case SL_CLASS_FIRST_FRAGMENT6:
		return hand_over(ctx, p, 0, SL_TAIL_first_fragment6, entry);
	case SL_CLASS_FRAGMENT6:
		return hand_over(ctx, p, 0, SL_TAIL_fragment6, entry);
	}
}

/* The program that is attached, an instance of it for each port. */
SL_INLINE int sl_engine(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, (uint16_t)sl_port);
	/* Initialised as a whole: clang copies words that one branch left unset, and the verifier
	 * refuses that. */
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	sl_classify(&t, &p, &w);
	if (sl_unlikely(w.packet_class >= SL_CLASS_IP6)) {
		to_class(ctx, &p, w.packet_class, true);
		sl_lookup_decided(&w, SL_REASON_not_ours); /* it isn't loaded: left to the kernel */
	}
	verdict = steer(ctx, &t, &w, true);
	if (verdict >= 0)
		return verdict;
	complete_checksum(ctx, &t, true);
	if (to_fullnat(ctx, &t, &p, &w, false, true) || to_extended(ctx, &t, &p, &w, false, true))
		return XDP_DROP;
	t.inline_lookup = true;
	reason = sl_route(&t, &p, &w, &port);
	return finish(ctx, &t, &p, w.l3, reason, port, true);
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	return sl_engine(ctx);
}

/* The port by which the packet came in. Looked up where it is needed: kept from the beginning it
 * would take a word of the stack. */
SL_INLINE uint16_t ingress(void)
{
	const struct handoff *h = sl_map_at(handoffs, 0);

	return h ? h->port : 0;
}

SL_INLINE void layout6(struct xdp_md *ctx, struct sl_tables *t, struct sl_lookup *w)
{
	t->layout = sl_layout6_global(ctx);
	w->l3 = (uint8_t)(t->layout >> 24);
	w->l4 = (uint8_t)sl_layout_l4(t->layout);
}

SL_INLINE void classify_as(struct xdp_md *ctx, struct sl_tables *t, const struct sl_packet *p,
			   uint8_t packet_class, struct sl_lookup *w, sl_be16 *client)
{
	switch (packet_class) {
	case SL_CLASS_IP6:
		layout6(ctx, t, w);
		return sl_classify6_impl(t, p, w);
	case SL_CLASS_FIRST_FRAGMENT6:
		return sl_first_fragment6_classify(t, p, sl_layout6_first_fragment_global(ctx), w);
	case SL_CLASS_FRAGMENT6:
		*client = sl_fragment6_classify(t, p, sl_layout6_global(ctx), w);
		return;
	default:
		return sl_rare_classify(t, p, packet_class, w);
	}
}

SL_INLINE enum sl_reason route_as(const struct sl_tables *t, struct sl_packet *p,
				  uint8_t packet_class, const struct sl_lookup *w, sl_be16 client,
				  uint16_t *port)
{
	switch (packet_class) {
	case SL_CLASS_IP6:
		return sl_route6_impl(t, p, w, port);
	case SL_CLASS_FIRST_FRAGMENT6:
		return sl_first_fragment6_route(t, p, w, port);
	case SL_CLASS_FRAGMENT6:
		return sl_fragment6_route(t, p, w, client, port);
	default:
		return sl_rare_route(t, p, packet_class, w, port);
	}
}

/* Decides packets of one class, which is a constant in each program. */
SL_INLINE int class(struct xdp_md *ctx, uint8_t packet_class)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	sl_be16 client = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.inline_lookup = packet_class == SL_CLASS_IP6 || packet_class == SL_CLASS_ICMP;
	classify_as(ctx, &t, &p, packet_class, &w, &client);
	if (packet_class == SL_CLASS_IP6 && sl_unlikely(w.packet_class >= SL_CLASS_ICMP6)) {
		to_class(ctx, &p, w.packet_class, false);
		sl_lookup_decided(&w, SL_REASON_not_ours);
	}
	verdict = steer(ctx, &t, &w, false);
	if (verdict >= 0)
		return verdict;
	if (packet_class == SL_CLASS_IP6)
		complete_checksum(ctx, &t, false);
	if (packet_class == SL_CLASS_IP6 &&
	    (to_fullnat(ctx, &t, &p, &w, true, false) || to_extended(ctx, &t, &p, &w, true, false)))
		return XDP_DROP;
	p.ingress = ingress();
	reason = route_as(&t, &p, packet_class, &w, client, &port);
	if (packet_class == SL_CLASS_FRAGMENT6) /* never answered: no stack for it */
		return leave(&t, &p, w.l3, reason, port, false);
	return finish(ctx, &t, &p, w.l3, reason, port, false);
}

/* Decides ICMPv6. Written out, because as class() it takes 32 bytes of stack too many. */
SL_INLINE int icmp6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.inline_lookup = false;
	layout6(ctx, &t, &w);
	sl_icmp6_classify(&t, &p, &w);
	verdict = steer(ctx, &t, &w, false);
	if (verdict >= 0)
		return verdict;
	p.ingress = ingress();
	reason = sl_icmp6_route(&t, &p, &w, &port);
	return leave(&t, &p, w.l3, reason, port, false);
}

/* The extended path: packets that another program found to need it, and to be decided by XDP. */
SL_INLINE int extended(struct xdp_md *ctx, bool is_ipv6)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_lookup w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;

	if (!sl_tables_snapshot(&t))
		return XDP_PASS;
	t.inline_lookup = false;
	p.ingress = ingress();
	if (is_ipv6)
		classify_as(ctx, &t, &p, SL_CLASS_IP6, &w, NULL);
	else
		sl_classify(&t, &p, &w);
	if (sl_unlikely(!sl_needs_extended_path(&w))) { /* a publish came in between */
		sl_tables_count(&t, SL_REASON_torn_table);
		return XDP_DROP;
	}
	reason = sl_extended_impl(&t, &p, &w, &port, is_ipv6);
	return finish(ctx, &t, &p, w.l3, reason, port, false);
}

/* Answers a packet with the reason that the program before passed on. */
SL_INLINE int answer(struct xdp_md *ctx)
{
	const struct handoff *h = sl_map_at(handoffs, 0);
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;
	uint32_t reason;

	if (!h || !sl_tables_snapshot(&t))
		return XDP_DROP;
	p.ingress = h->port;
	t.layout = sl_layout6_global(ctx);
	reason = sl_answer_impl(&t, &p, h->reason, h->mtu);
	return leave(&t, &p, sizeof(struct sl_eth), (enum sl_reason)reason, p.ingress, false);
}

#define PROGRAM(name, decides)                                                                     \
	SEC("xdp") int sl_xdp_##name(struct xdp_md *ctx)                                           \
	{                                                                                          \
		return decides;                                                                    \
	}
PROGRAM(ip6, class(ctx, SL_CLASS_IP6))
PROGRAM(icmp, class(ctx, SL_CLASS_ICMP))
PROGRAM(first_fragment, class(ctx, SL_CLASS_FIRST_FRAGMENT))
PROGRAM(fragment, class(ctx, SL_CLASS_FRAGMENT))
PROGRAM(icmp6, icmp6(ctx))
PROGRAM(first_fragment6, class(ctx, SL_CLASS_FIRST_FRAGMENT6))
PROGRAM(fragment6, class(ctx, SL_CLASS_FRAGMENT6))
PROGRAM(extended, extended(ctx, false))
PROGRAM(extended6, extended(ctx, true))
PROGRAM(answer, answer(ctx))

#include "fullnat.h"

PROGRAM(fullnat, fullnat(ctx, false))
PROGRAM(fullnat6, fullnat(ctx, true))
PROGRAM(snat_new, snat_new(ctx, false))
PROGRAM(snat_new6, snat_new(ctx, true))
PROGRAM(snat_reply, snat_reply(ctx, false))
PROGRAM(snat_reply6, snat_reply(ctx, true))
