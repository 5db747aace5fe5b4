/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The tail calls of the XDP engine: its programs by name, and their indices in the map of programs.
 *
 * The program that is attached handles the common case. It continues by a tail call in another
 * program for ICMP, fragments, IPv6, limits, full NAT and answers to the sender. Each of these has
 * a stack of its own and is verified on its own, so the common case only pays one comparison. All
 * ports of an instance share them.
 *
 * Verifying one takes a tenth of a second, so control loads a program when the first generation
 * that needs it is about to be published (control/xdp/programs.c).
 */
#ifndef SL_ABI_TAILS_H
#define SL_ABI_TAILS_H

/* What services of a generation have that plain IPv4 doesn't need. */
enum sl_need {
	SL_NEED_NOTHING = 0,
	SL_NEED_IP6 = 1,
	SL_NEED_EXTENDED = 2, /* limits, or ids of QUIC connections: sl_needs_extended_path() */
	SL_NEED_FULLNAT = 4,
};

/* The program sl_xdp_NAME, and what a generation must have for a packet to get there: all of these.
 * The order has no meaning. Those that take longest to verify come first. */
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
