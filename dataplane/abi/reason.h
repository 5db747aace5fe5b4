/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Reasons: why a packet was forwarded, answered, dropped or left to the kernel.
 *
 * One line here makes the enum value, the counter, the metric, the help text and the word that
 * `sluicectl` prints. Lines are only appended: the position is part of the contract.
 */
#ifndef SL_ABI_REASON_H
#define SL_ABI_REASON_H

enum sl_verdict {
	SL_PUNT,    /* not for us: left to the kernel */
	SL_FORWARD, /* rewritten, leaves by the verdict's egress port */
	SL_REPLY,   /* answered: leaves by the port it came in on */
	SL_DROP,
};

/*        name             verdict     meaning */
#define SL_REASONS(X)                                                                              \
	X(not_ours, SL_PUNT, "neither to a VIP nor a backend's reply: the kernel's")               \
	X(to_backend, SL_FORWARD, "sent to a backend")                                             \
	X(to_client, SL_FORWARD, "a backend's reply, sent to its client")                          \
	X(arp_reply, SL_REPLY, "ARP request for a VIP, answered")                                  \
	X(no_service, SL_DROP, "to a VIP, but to no service of it")                                \
	X(no_backend, SL_DROP, "the service has no backend that could take it")                    \
	X(no_neighbour, SL_DROP, "the next hop's MAC address isn't known yet; it is being asked")  \
	X(no_route, SL_DROP, "no route leads to the client")                                       \
	X(ttl_exceeded, SL_DROP, "TTL would reach zero here")                                      \
	X(fragment, SL_DROP, "an IP fragment to a VIP whose first one has not come by")            \
	X(bad_header, SL_DROP, "cut off, or a length field that contradicts the packet")           \
	X(bad_index, SL_DROP, "a table named a record outside its array")                          \
	X(torn_table, SL_DROP, "the tables moved twice while one packet was decided")              \
	X(no_worker, SL_DROP, "ours, but no worker serves this queue")                             \
	X(no_port, SL_DROP, "the egress port isn't up in this engine")                             \
	X(tx_full, SL_DROP, "the egress port took no more frames")                                 \
	X(stale, SL_DROP, "decided by a worker that had lost its queue to XDP meanwhile")          \
	X(limit_flow, SL_DROP, "over a limit of the flow")                                         \
	X(limit_client, SL_DROP, "over a limit of the client")                                     \
	X(limit_backend, SL_DROP, "over a limit of the backend")                                   \
	X(limit_service, SL_DROP, "over a limit of the service")                                   \
	X(martian, SL_DROP, "to a VIP, from an address that no host has")                          \
	X(echo_reply, SL_REPLY, "ICMP echo request (ping) for a VIP, answered")                    \
	X(icmp_to_backend, SL_FORWARD, "an ICMP error about a flow, sent to its backend")          \
	X(icmp_to_client, SL_FORWARD, "an ICMP error about a flow, sent to its client")            \
	X(icmp_unknown, SL_DROP, "ICMP to a VIP: of another kind, or about no flow of ours")       \
	X(nd_reply, SL_REPLY, "IPv6 neighbour solicitation for a VIP, answered")                   \
	X(header_chain, SL_DROP,                                                                   \
	  "IPv6 extension headers that can't be followed, or a source route")                      \
	X(fragment_bad, SL_DROP, "a tiny or overlapping IP fragment, or one of a wrong length")    \
	X(too_big_answered, SL_REPLY, "didn't fit the way on: answered with the MTU by ICMP")      \
	X(too_big, SL_DROP, "didn't fit the way on, and an ICMP answer isn't due or in order")     \
	X(no_room, SL_DROP, "no room in front of the frame for what a tunnel adds")                \
	X(ttl_answered, SL_REPLY,                                                                  \
	  "TTL would reach zero here: answered with time exceeded by ICMP")                        \
	X(no_backend_answered, SL_REPLY, "the service has no backend: refused, as it is to be")    \
	X(no_service_answered, SL_REPLY,                                                           \
	  "to a VIP, but to no service of it: refused, as it is to be")                            \
	X(pool_full, SL_DROP, "full NAT: the pool has no port that is free for the flow")          \
	X(no_entry, SL_DROP, "full NAT: the flow table has no room for the flow")                  \
	X(not_bound, SL_DROP, "to an address of a pool, but of no flow that is bound there")       \
	X(missed, SL_DROP, "no worker got it: larger than its buffers, or none of them was free")  \
	X(other_host, SL_PUNT, "a frame for another host's MAC address, as a switch floods them")  \
	X(backend_no_route, SL_DROP, "no route through a port of ours leads to the backend")       \
	X(no_flow, SL_DROP, "full NAT: TCP of no flow that is known, and no SYN to begin one")     \
	X(no_flow_answered, SL_REPLY, "full NAT: the same, refused by a reset, as it is to be")    \
	X(neighbour_failed, SL_DROP, "waited for the next hop's MAC address, and nobody told it")  \
	X(neighbour_queue_full, SL_DROP, "too many packets wait for the next hop's MAC address")   \
	X(next_hop_changed, SL_DROP, "the next hops of a multipath route changed meanwhile")       \
	X(hairpin, SL_DROP, "mode nat: the client is the backend, or a host on the backend's link")

#define SL_REASON_ENUM(name, verdict, help) SL_REASON_##name,
enum sl_reason { SL_REASONS(SL_REASON_ENUM) SL_REASON_COUNT };
#undef SL_REASON_ENUM

#define SL_REASON_MAX 64 /* size of the counters' record */

/* Whether a packet with this verdict leaves by a port. */
static inline int sl_reason_leaves(unsigned int reason)
{
#define SL_REASON_LEAVES(name, verdict, help)                                                      \
	| (unsigned long long)((verdict) == SL_FORWARD || (verdict) == SL_REPLY) << SL_REASON_##name
	return (0ull SL_REASONS(SL_REASON_LEAVES)) >> (reason & (SL_REASON_MAX - 1)) & 1;
#undef SL_REASON_LEAVES
}

/* Whether it goes on to a backend or a client, rather than back to its sender. */
static inline int sl_reason_forwards(unsigned int reason)
{
#define SL_REASON_FORWARDS(name, verdict, help)                                                    \
	| (unsigned long long)((verdict) == SL_FORWARD) << SL_REASON_##name
	return (0ull SL_REASONS(SL_REASON_FORWARDS)) >> (reason & (SL_REASON_MAX - 1)) & 1;
#undef SL_REASON_FORWARDS
}

/* Whether the packet is left to the kernel, unchanged. */
static inline int sl_reason_punts(unsigned int reason)
{
#define SL_REASON_PUNTS(name, verdict, help)                                                       \
	| (unsigned long long)((verdict) == SL_PUNT) << SL_REASON_##name
	return (0ull SL_REASONS(SL_REASON_PUNTS)) >> (reason & (SL_REASON_MAX - 1)) & 1;
#undef SL_REASON_PUNTS
}

/* Reasons whose packet is answered to its sender (core/answer.h), each with the reason that it
 * becomes where no answer is sent. */
#define SL_REASONS_ANSWERED(X)                                                                     \
	X(too_big_answered, too_big)                                                               \
	X(ttl_answered, ttl_exceeded)                                                              \
	X(no_backend_answered, no_backend)                                                         \
	X(no_service_answered, no_service)                                                         \
	X(no_flow_answered, no_flow)

static inline int sl_reason_is_answered(unsigned int reason)
{
#define SL_REASON_ANSWERED(answered, silent) | 1ull << SL_REASON_##answered
	return (0ull SL_REASONS_ANSWERED(SL_REASON_ANSWERED)) >> (reason & (SL_REASON_MAX - 1)) & 1;
#undef SL_REASON_ANSWERED
}

static inline enum sl_reason sl_reason_silent(unsigned int reason)
{
	switch (reason) {
#define SL_REASON_SILENT(answered, silent)                                                         \
	case SL_REASON_##answered:                                                                 \
		return SL_REASON_##silent;
		SL_REASONS_ANSWERED(SL_REASON_SILENT)
#undef SL_REASON_SILENT
	default:
		return (enum sl_reason)reason;
	}
}

#endif
