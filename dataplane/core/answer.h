/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Answers to the sender of a packet that can't go on. Every way through the decision ends here;
 * what does go on may have its next hop picked first (egress.h).
 *
 * too_big_answered: reports the MTU of the way on (RFC 1191, RFC 8201), which control computed as
 * the next hop's MTU less a tunnel's header. A router would fragment an IPv4 packet without DF; a
 * load balancer shouldn't, so it is dropped. Senders that care about speed set DF.
 *
 * ttl_answered: reports time exceeded as a router does, so that traceroute shows us.
 *
 * no_backend_answered, no_service_answered: a TCP reset or a port unreachable, so that the client
 * needn't wait. The first if the service asks for it, the second for ports of a VIP without a
 * service. no_flow_answered: a TCP reset for a segment of mode fullnat without a flow, if the
 * service asks for it.
 *
 * These verdicts become the corresponding drop if the packet must not be answered (RFC 1122, 3.2.2;
 * RFC 4443, 2.4), or if the writer's rate of answers is exceeded: at most SL_ICMP_BURST at once,
 * and then one per SL_ICMP_EVERY. The writer keeps one word for that, the time at which its next
 * answer is due. Each answer moves it on, and it may be ahead of the clock by the burst.
 *
 * An answer comes from the address that the packet was sent to, which is a VIP to clients. Only
 * time exceeded comes from the gateway's own address on the port, if control knows one.
 */
#ifndef SL_CORE_ANSWER_H
#define SL_CORE_ANSWER_H

#include "answer_frame.h"
#include "egress.h"

#define SL_ICMP_BURST 64
#define SL_ICMP_EVERY (1000000u >> SL_TICK_SHIFT) /* ticks: a millisecond */

SL_INLINE bool sl_answer_due(uint64_t *next_answer, uint64_t now)
{
	uint64_t due = *next_answer > now ? *next_answer : now;

	if (due - now >= (uint64_t)SL_ICMP_BURST * SL_ICMP_EVERY)
		return false;
	*next_answer = due + SL_ICMP_EVERY;
	return true;
}

/* Reads the packet to answer. False: it must not be answered. */
SL_INLINE bool sl_answer_read4(const struct sl_packet *p, struct sl_answer_to *a)
{
	const struct sl_icmp *icmp;
	const struct sl_ip4 *ip;
	struct sl_parsed o = { 0 };

	sl_parse(p, &o);
	ip = sl_packet_at(p, o.l3, sizeof(*ip));
	if (!ip || o.kind < SL_PARSED_IP4 || o.kind == SL_PARSED_FRAGMENT ||
	    o.kind == SL_PARSED_BAD || sl_martian4(o.src, o.dst))
		return false;
	a->l3 = (uint8_t)o.l3;
	a->l4 = (uint8_t)o.l4;
	a->end = o.l3 + sl_ntohs(ip->length);
	a->protocol = o.protocol;
	a->whole = o.kind != SL_PARSED_FIRST_FRAGMENT;
	a->src = sl_addr4(o.dst);
	a->dst = sl_addr4(o.src);
	if (o.protocol != SL_PROTO_ICMP)
		return true;
	icmp = sl_packet_at(p, o.l4, sizeof(*icmp));
	return icmp && icmp->type != SL_ICMP_UNREACHABLE && icmp->type != SL_ICMP_QUENCH &&
	       icmp->type != SL_ICMP_REDIRECT && icmp->type != SL_ICMP_TIME_EXCEEDED &&
	       icmp->type != SL_ICMP_PARAMETER;
}

SL_INLINE bool sl_answer_read6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3,
			       struct sl_answer_to *a)
{
	uint32_t layout = sl_layout6(t, p, l3);
	const struct sl_ip6 *ip = sl_packet_at(p, l3, sizeof(*ip));
	uint32_t kind = sl_layout_kind(layout);
	const struct sl_ip6_extension *e;
	const struct sl_icmp *icmp;

	if (!ip ||
	    (kind != SL_PARSED_FLOW && kind != SL_PARSED_IP6 && kind != SL_PARSED_FIRST_FRAGMENT))
		return false;
	a->l3 = (uint8_t)l3;
	a->l4 = (uint8_t)sl_layout_l4(layout);
	a->end = l3 + (uint32_t)sizeof(*ip) + sl_ntohs(ip->length);
	a->protocol = sl_layout_protocol(layout);
	a->whole = kind != SL_PARSED_FIRST_FRAGMENT;
	a->src = sl_addr_load(ip->dst);
	a->dst = sl_addr_load(ip->src);
	if (sl_martian6(&a->dst, &a->src))
		return false;
	if (!a->whole) {
		e = sl_packet_at(p, a->l4, sizeof(*e));
		return e && e->next != SL_PROTO_ICMP6;
	}
	if (a->protocol != SL_PROTO_ICMP6)
		return true;
	icmp = sl_packet_at(p, a->l4, sizeof(*icmp));
	return icmp && icmp->type >= SL_ICMP6_ECHO; /* the other types are errors */
}

/* Takes the gateway's own address as the source, if the port has one. */
SL_INLINE void sl_answer_from_gateway(const struct sl_tables *t, const struct sl_packet *p,
				      struct sl_answer_to *a)
{
	const struct sl_port *port = sl_seam_port(t, p->ingress);
	union sl_addr self;

	if (!port)
		return;
	self = a->is_ipv6 ? port->addr6 : port->addr4;
	if (self.q[0] | self.q[1])
		a->src = self;
}

/* Type, code and MTU of the ICMP error; `mtu` only counts if the packet is too big. */
SL_INLINE uint32_t sl_answer_icmp(uint32_t reason, uint32_t mtu, bool is_ipv6)
{
	switch (reason) {
	case SL_REASON_too_big_answered:
		return mtu << 16 | (is_ipv6 ? SL_ICMP6_TOO_BIG
					    : SL_ICMP_UNREACHABLE | SL_ICMP_FRAG_NEEDED << 8);
	case SL_REASON_ttl_answered:
		return is_ipv6 ? SL_ICMP6_TIME_EXCEEDED : SL_ICMP_TIME_EXCEEDED;
	default:
		return is_ipv6 ? SL_ICMP6_UNREACHABLE | SL_ICMP6_NO_PORT << 8
			       : SL_ICMP_UNREACHABLE | SL_ICMP_NO_PORT << 8;
	}
}

SL_INLINE bool sl_answer_build(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			       uint32_t mtu, uint64_t *next_answer)
{
	bool rejects = reason == SL_REASON_no_backend_answered ||
		       reason == SL_REASON_no_service_answered ||
		       reason == SL_REASON_no_flow_answered;
	struct sl_answer_to a = { 0 };
	const struct sl_ip4 *ip;
	uint16_t type;
	uint32_t l3;

	l3 = sl_parse_link(p, &type);
	a.is_ipv6 = type == SL_ETH_IP6;
	if (!(a.is_ipv6 ? sl_answer_read6(t, p, l3, &a) : sl_answer_read4(p, &a)))
		return false;
	if (reason == SL_REASON_too_big_answered && !a.is_ipv6) {
		ip = sl_packet_at(p, a.l3, sizeof(*ip));
		if (!ip || !(sl_ntohs(ip->fragment) & SL_IP4_DF))
			return false;
	}
	if (reason == SL_REASON_ttl_answered)
		sl_answer_from_gateway(t, p, &a);
	if (rejects && a.protocol != SL_PROTO_TCP && a.protocol != SL_PROTO_UDP)
		return false;
	if (!sl_answer_due(next_answer, sl_seam_now(t)))
		return false;
	return rejects && a.protocol == SL_PROTO_TCP
		       ? sl_frame_reset(p, &a)
		       : sl_frame_error(p, &a, sl_answer_icmp(reason, mtu, a.is_ipv6));
}

/* Turns the frame into the answer, or leaves it as it is and returns the silent reason. */
SL_INLINE uint32_t sl_answer_impl(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
				  uint32_t mtu)
{
	uint64_t *next_answer = sl_seam_next_answer(t);

	return next_answer && sl_answer_build(t, p, reason, mtu, next_answer)
		       ? reason
		       : (uint32_t)sl_reason_silent(reason);
}

/* Large and rare. An engine defines this, like the functions in seam.h. */
static uint32_t sl_answer(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			  uint32_t mtu);

/* The same: makes a port of an egress that isn't one yet (egress.h). */
static uint32_t sl_egress(const struct sl_tables *t, struct sl_packet *p, uint32_t reason,
			  uint16_t *egress);

/* The final verdict: picks one of several next hops and its VLAN, or answers the sender if the
 * reason asks for it. */
SL_INLINE enum sl_reason sl_decide_end(const struct sl_tables *t, struct sl_packet *p,
				       enum sl_reason reason, uint16_t *egress)
{
	const struct sl_eth *eth = sl_packet_at(p, 0, sizeof(*eth));
	bool tagged =
		eth && (eth->type == sl_htons(SL_ETH_VLAN) || eth->type == sl_htons(SL_ETH_QINQ));

	if (sl_unlikely(sl_egress_open(reason, *egress, tagged ? 0 : sizeof(*eth))))
		return (enum sl_reason)sl_egress(t, p, reason, egress);
	if (sl_likely(!sl_reason_is_answered(reason)))
		return reason;
	reason = (enum sl_reason)sl_answer(t, p, reason, p->mtu);
	if (sl_reason_is_answered(reason))
		*egress = p->ingress;
	return reason;
}

#endif
