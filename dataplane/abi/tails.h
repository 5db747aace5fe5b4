/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The programs that XDP goes on in, by tail calls, for what is rare, limited, IPv6, of full NAT or
 * to be answered: each has a stack of its own and is verified by itself, and the common path pays
 * one comparison. All ports of an instance share them. Each is loaded when the first generation
 * that needs it is published, before it is (control/xdp/programs.c), since verifying takes a tenth
 * of a second.
 */
#ifndef SL_ABI_TAILS_H
#define SL_ABI_TAILS_H

/* What is among the services of a generation, apart from IPv4 without limits. */
enum sl_need {
	SL_NEED_NOTHING = 0,
	SL_NEED_IP6 = 1,
	SL_NEED_EXTENDED = 2, /* or QUIC connection ids: what sl_needs_extended_path() says */
	SL_NEED_FULLNAT = 4,
};

/* sl_xdp_NAME in bpf/, and what there must be for a packet to get there: all of these. The order
 * means nothing but their places in the map. */
#define SL_TAILS(X)                                                                                \
	X(fragment, SL_NEED_NOTHING)                                                               \
	X(first_fragment, SL_NEED_NOTHING)                                                         \
	X(icmp, SL_NEED_NOTHING)                                                                   \
	X(answer, SL_NEED_NOTHING)                                                                 \
	X(extended, SL_NEED_EXTENDED)                                                              \
	X(first_fragment6, SL_NEED_IP6)                                                            \
	X(ip6, SL_NEED_IP6)                                                                        \
	X(fragment6, SL_NEED_IP6)                                                                  \
	X(icmp6, SL_NEED_IP6)                                                                      \
	X(extended6, SL_NEED_IP6 | SL_NEED_EXTENDED)                                               \
	X(snat_reply, SL_NEED_FULLNAT)                                                             \
	X(fullnat, SL_NEED_FULLNAT)                                                                \
	X(snat_new, SL_NEED_FULLNAT)                                                               \
	X(fullnat6, SL_NEED_IP6 | SL_NEED_FULLNAT)                                                 \
	X(snat_reply6, SL_NEED_IP6 | SL_NEED_FULLNAT)                                              \
	X(snat_new6, SL_NEED_IP6 | SL_NEED_FULLNAT)

#define SL_TAIL_PLACE(name, needs) SL_TAIL_##name,
enum sl_tail { SL_TAILS(SL_TAIL_PLACE) SL_TAIL_COUNT };
#undef SL_TAIL_PLACE

#endif
