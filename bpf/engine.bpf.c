/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The XDP engine: steers to a worker where one serves, and makes the whole decision where none
 * does.
 *
 * One instance of this program per port, attached by control (control/xdp/link.c), with an xsks_map
 * of its own, since that is keyed by the queue alone; all other maps are shared. On AF_XDP a worker
 * can't give a packet back to the kernel, so every punt is decided here. What is ours is dropped
 * where it can't go on: passed to the kernel, it would be answered with a reset.
 *
 * Tables that move twice while one packet is decided (torn_table) take a CPU that stood still in
 * here for as long as two publishes: that packet is dropped, a second attempt isn't worth its code.
 *
 * The names xsk_def_prog, xsks_map and xsk_prog_version are libxdp's: by them the worker's driver
 * takes this program for the one that it would load itself, and enters its socket in the map.
 */
#include "../dataplane/abi/tails.h"
#include "owner.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SL_QUEUES_PER_PORT);
	__type(key, uint32_t);
	__type(value, uint32_t);
} xsks_map SEC(".maps");

/* Interfaces by the index of their port. One map for all instances of the program. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SL_PORTS_MAX);
	__type(key, uint32_t);
	__type(value, uint32_t);
} egress SEC(".maps");

__uint(xsk_prog_version, 1) SEC("xdp_metadata");

char sl_licence[] SEC("license") = "Dual BSD/GPL";

/* Sockets of all ports, for the programs that ports share: each port's xsks_map by its index. */
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

/* Filled by whoever loads (control/xdp/program.c); a pin of the map keeps the programs in it. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SL_TAIL_COUNT);
	__type(key, uint32_t);
	__type(value, uint32_t);
} tails SEC(".maps");

/* What a program leaves to the one that it goes on in. */
struct handover {
	uint32_t reason; /* that a sender is to be told of; of full NAT see bind_first() */
	uint32_t mtu;
	uint16_t port; /* the index of the port in ports, and */
	uint16_t veth; /* whether it is one: the entry program alone knows these by itself */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct handover);
} handover SEC(".maps");

/* What is of full NAT goes on in its programs from where it's found out: a branch before that would
 * have the verifier of Linux 6.1 walk all that follows twice. */
SL_INLINE enum sl_reason sl_fullnat(const struct sl_tables *t, struct sl_packet *p,
				    const struct sl_work *w, uint16_t *egress)
{
	(void)t, (void)egress;
	bpf_tail_call(p->frame, &tails,
		      w->todo == SL_TODO_SERVICE6 ? SL_TAIL_fullnat6 : SL_TAIL_fullnat);
	return SL_REASON_no_port; /* no such program */
}

SL_INLINE enum sl_reason sl_fullnat_back(const struct sl_tables *t, struct sl_packet *p,
					 const struct sl_work *w, uint16_t *egress)
{
	(void)t, (void)egress;
	bpf_tail_call(p->frame, &tails, w->todo == SL_TODO_BOUND6 ? SL_TAIL_bound6 : SL_TAIL_bound);
	return SL_REASON_no_port;
}

SL_INLINE enum sl_reason sl_fullnat_error(const struct sl_tables *t, struct sl_packet *p,
					  const struct sl_work *w, uint16_t *egress, bool six)
{
	(void)t, (void)w, (void)egress;
	bpf_tail_call(p->frame, &tails, six ? SL_TAIL_bound6 : SL_TAIL_bound);
	return SL_REASON_no_port;
}

/* Goes on in another program; comes back where there is none. */
SL_INLINE void go_on(struct xdp_md *ctx, const struct sl_packet *p, uint32_t reason, uint32_t tail,
		     bool entry)
{
	struct handover *h = sl_map_at(handover, 0);

	if (!h)
		return;
	if (entry) {
		*h = (struct handover){ reason, p->mtu, (uint16_t)sl_port, sl_veth };
	} else {
		h->reason = reason;
		h->mtu = p->mtu;
	}
	bpf_tail_call(ctx, &tails, tail);
}

enum { NO_WORKER = -1 };

/* What the verdict is where a worker takes it: one serves the queue, and its socket is there. */
SL_INLINE int worker_takes(struct xdp_md *ctx)
{
	uint32_t queue = ctx->rx_queue_index;

	if (!sl_owner_serves((uint16_t)sl_port, queue) || !bpf_map_lookup_elem(&xsks_map, &queue))
		return NO_WORKER;
	return (int)bpf_redirect_map(&xsks_map, queue, XDP_DROP);
}

/* The same in programs that ports share. */
__attribute__((noinline)) int sl_worker_takes_alone(struct xdp_md *ctx)
{
	const struct handover *h = sl_map_at(handover, 0);
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

/* Whether a frame that leaves by this port goes back to where it came from, but for a veth: XDP_TX
 * into one leaves the frame in the peer's ring on kernels before 6.9, unless the peer has a program
 * of its own; a redirect wakes it. */
SL_INLINE bool turns_back(uint16_t port, bool entry)
{
	const struct handover *h;

	if (entry)
		return port == sl_port && !sl_veth;
	h = sl_map_at(handover, 0); /* no word of the stack need keep the port */
	return h && port == h->port && !h->veth;
}

/* Out by the port that the verdict names. */
SL_INLINE int send(uint16_t port, bool entry)
{
	if (turns_back(port, entry))
		return XDP_TX;
	return (int)bpf_redirect_map(&egress, port, XDP_DROP);
}

/* What classify found: not ours, or a worker's, or to be decided here (-1), as all that is to be
 * answered without a look at a service. */
SL_INLINE int steer(struct xdp_md *ctx, const struct sl_tables *t, struct sl_work *w, bool entry)
{
	uint32_t engine = t->bank->engine;

	if (sl_unlikely(!sl_seam_current(t)))
		sl_work_end(w, SL_REASON_torn_table);
	if (w->todo == SL_TODO_NOTHING) {
		if (sl_unlikely(sl_reason_told(w->reason)))
			return -1;
		sl_tables_count(t, w->reason);
		return w->reason == SL_REASON_not_ours ? XDP_PASS : XDP_DROP;
	}
	if (engine != SL_ENGINE_XDP) {
		int verdict = entry ? worker_takes(ctx) : sl_worker_takes_alone(ctx);

		if (verdict != NO_WORKER)
			return verdict;
	}
	if (engine == SL_ENGINE_DPDK) {
		sl_tables_count(t, SL_REASON_no_worker);
		return XDP_DROP;
	}
	return -1;
}

SL_INLINE int leave(const struct sl_tables *t, enum sl_reason reason, uint16_t port, bool entry)
{
	int verdict = XDP_DROP;

	if (sl_likely(sl_reason_leaves(reason))) {
		verdict = send(port, entry);
		if (sl_unlikely(verdict == XDP_DROP))
			reason = SL_REASON_no_port;
	}
	sl_tables_count(t, reason);
	return verdict;
}

/* The end of a packet that was decided here. */
SL_INLINE int finish(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
		     enum sl_reason reason, uint16_t port, bool entry)
{
	if (sl_unlikely(sl_reason_told(reason))) {
		go_on(ctx, p, reason, SL_TAIL_answer, entry);
		reason = sl_reason_untold(reason);
	}
	return leave(t, reason, port, entry);
}

/* Goes on in the program for it where full NAT is its service's mode or has sent it; else false. */
SL_INLINE bool to_fullnat(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
			  const struct sl_work *w, bool six, bool entry)
{
	if (w->todo == (six ? SL_TODO_BOUND6 : SL_TODO_BOUND))
		go_on(ctx, p, 0, six ? SL_TAIL_bound6 : SL_TAIL_bound, entry);
	else if (sl_work_fullnat(w))
		go_on(ctx, p, 0, six ? SL_TAIL_fullnat6 : SL_TAIL_fullnat, entry);
	else
		return false;
	sl_tables_count(t, SL_REASON_no_port); /* no such program */
	return true;
}

/* The same for limits, without which nothing passes. */
SL_INLINE bool to_limited(struct xdp_md *ctx, const struct sl_tables *t, const struct sl_packet *p,
			  const struct sl_work *w, bool six, bool entry)
{
	if (sl_likely(!sl_work_limited(w)))
		return false;
	go_on(ctx, p, 0, six ? SL_TAIL_limited6 : SL_TAIL_limited, entry);
	sl_tables_count(t, SL_REASON_no_port);
	return true;
}

/* To the program for a class of packets that has one. Comes back where there is none, because no
 * service needs it. */
SL_INLINE void to_class(struct xdp_md *ctx, const struct sl_packet *p, uint8_t todo, bool entry)
{
	switch (todo) {
	case SL_TODO_IP6:
		return go_on(ctx, p, 0, SL_TAIL_ip6, entry);
	case SL_TODO_ICMP:
		return go_on(ctx, p, 0, SL_TAIL_icmp, entry);
	case SL_TODO_FIRST:
		return go_on(ctx, p, 0, SL_TAIL_first, entry);
	case SL_TODO_FRAGMENT:
		return go_on(ctx, p, 0, SL_TAIL_fragment, entry);
	case SL_TODO_ICMP6:
		return go_on(ctx, p, 0, SL_TAIL_icmp6, entry);
	case SL_TODO_FIRST6:
		return go_on(ctx, p, 0, SL_TAIL_first6, entry);
	case SL_TODO_FRAGMENT6:
		return go_on(ctx, p, 0, SL_TAIL_fragment6, entry);
	}
}

/* The entry program: by one instance at each port. */
SL_INLINE int sl_engine(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, (uint16_t)sl_port);
	/* Set as a whole: clang copies words that a branch has left unset, the verifier won't. */
	struct sl_work w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	sl_classify(&t, &p, &w);
	if (sl_unlikely(w.todo >= SL_TODO_IP6)) {
		to_class(ctx, &p, w.todo, true);
		sl_work_end(&w, SL_REASON_not_ours);
	}
	verdict = steer(ctx, &t, &w, true);
	if (verdict >= 0)
		return verdict;
	if (to_fullnat(ctx, &t, &p, &w, false, true) || to_limited(ctx, &t, &p, &w, false, true))
		return XDP_DROP;
	t.peeks = true;
	reason = sl_route(&t, &p, &w, &port);
	return finish(ctx, &t, &p, reason, port, true);
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	return sl_engine(ctx);
}

/* The port by which the packet came in, as the entry program has left it. Asked for late, and where
 * it matters: kept from the beginning it would take a word of the stack. */
SL_INLINE uint16_t ingress(void)
{
	const struct handover *h = sl_map_at(handover, 0);

	return h ? h->port : 0;
}

SL_INLINE void shape6(struct xdp_md *ctx, struct sl_tables *t, struct sl_work *w)
{
	t->shape = sl_shape6_alone(ctx);
	w->l3 = (uint8_t)(t->shape >> 24);
	w->l4 = (uint8_t)sl_shape_l4(t->shape);
}

SL_INLINE void classify_as(struct xdp_md *ctx, struct sl_tables *t, const struct sl_packet *p,
			   uint8_t todo, struct sl_work *w, sl_be16 *client)
{
	switch (todo) {
	case SL_TODO_IP6:
		shape6(ctx, t, w);
		return sl_classify6_with(t, p, w);
	case SL_TODO_FIRST6:
		return sl_first6_classify(t, p, sl_shape6_first_alone(ctx), w);
	case SL_TODO_FRAGMENT6:
		*client = sl_fragment6_classify(t, p, sl_shape6_alone(ctx), w);
		return;
	default:
		return sl_rare_classify(t, p, todo, w);
	}
}

SL_INLINE enum sl_reason route_as(const struct sl_tables *t, struct sl_packet *p, uint8_t todo,
				  const struct sl_work *w, sl_be16 client, uint16_t *port)
{
	switch (todo) {
	case SL_TODO_IP6:
		return sl_route6_with(t, p, w, port);
	case SL_TODO_FIRST6:
		return sl_first6_route(t, p, w, port);
	case SL_TODO_FRAGMENT6:
		return sl_fragment6_route(t, p, w, client, port);
	default:
		return sl_rare_route(t, p, todo, w, port);
	}
}

/* A class of packets, whose program this is: a constant of each. */
SL_INLINE int class(struct xdp_md *ctx, uint8_t todo)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_work w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	sl_be16 client = 0;
	int verdict;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	t.peeks = todo == SL_TODO_IP6 || todo == SL_TODO_ICMP;
	classify_as(ctx, &t, &p, todo, &w, &client);
	if (todo == SL_TODO_IP6 && sl_unlikely(w.todo >= SL_TODO_ICMP6)) {
		to_class(ctx, &p, w.todo, false);
		sl_work_end(&w, SL_REASON_not_ours);
	}
	verdict = steer(ctx, &t, &w, false);
	if (verdict >= 0)
		return verdict;
	if (todo == SL_TODO_IP6 &&
	    (to_fullnat(ctx, &t, &p, &w, true, false) || to_limited(ctx, &t, &p, &w, true, false)))
		return XDP_DROP;
	p.ingress = ingress();
	reason = route_as(&t, &p, todo, &w, client, &port);
	if (todo == SL_TODO_FRAGMENT6) /* whose sender is told nothing */
		return leave(&t, reason, port, false);
	return finish(ctx, &t, &p, reason, port, false);
}

/* Of ICMPv6, which has no stack left for what is common to others. */
SL_INLINE int icmp6(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_work w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;
	int verdict;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	t.peeks = false;
	shape6(ctx, &t, &w);
	sl_icmp6_classify(&t, &p, &w);
	verdict = steer(ctx, &t, &w, false);
	if (verdict >= 0)
		return verdict;
	p.ingress = ingress();
	reason = sl_icmp6_route(&t, &p, &w, &port);
	return leave(&t, reason, port, false);
}

/* What the program before found limited, and that it is to be decided here. */
SL_INLINE int limited(struct xdp_md *ctx, bool six)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_work w = { 0 };
	struct sl_tables t;
	enum sl_reason reason;
	uint16_t port = 0;

	if (!sl_tables_look(&t))
		return XDP_PASS;
	t.peeks = false;
	if (six)
		classify_as(ctx, &t, &p, SL_TODO_IP6, &w, NULL);
	else
		sl_classify(&t, &p, &w);
	if (sl_unlikely(!sl_work_limited(&w))) { /* a publish came between */
		sl_tables_count(&t, SL_REASON_torn_table);
		return XDP_DROP;
	}
	reason = sl_limited_with(&t, &p, &w, &port, six);
	return finish(ctx, &t, &p, reason, port, false);
}

SL_INLINE int answer(struct xdp_md *ctx)
{
	const struct handover *h = sl_map_at(handover, 0);
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;
	uint32_t reason;

	if (!h || !sl_tables_look(&t))
		return XDP_DROP;
	p.ingress = h->port;
	reason = sl_answer_with(&t, &p, h->reason, h->mtu);
	return leave(&t, (enum sl_reason)reason, p.ingress, false);
}

#define PROGRAM(name, decides)                                                                     \
	SEC("xdp") int sl_xdp_##name(struct xdp_md *ctx)                                           \
	{                                                                                          \
		return decides;                                                                    \
	}
PROGRAM(ip6, class(ctx, SL_TODO_IP6))
PROGRAM(icmp, class(ctx, SL_TODO_ICMP))
PROGRAM(first, class(ctx, SL_TODO_FIRST))
PROGRAM(fragment, class(ctx, SL_TODO_FRAGMENT))
PROGRAM(icmp6, icmp6(ctx))
PROGRAM(first6, class(ctx, SL_TODO_FIRST6))
PROGRAM(fragment6, class(ctx, SL_TODO_FRAGMENT6))
PROGRAM(limited, limited(ctx, false))
PROGRAM(limited6, limited(ctx, true))
PROGRAM(answer, answer(ctx))

#include "fullnat.h"

PROGRAM(fullnat, fullnat(ctx, false))
PROGRAM(fullnat6, fullnat(ctx, true))
PROGRAM(bind, bind_first(ctx, false))
PROGRAM(bind6, bind_first(ctx, true))
PROGRAM(bound, bound_back(ctx, false))
PROGRAM(bound6, bound_back(ctx, true))
