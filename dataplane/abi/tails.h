/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The tail programs: XDP programs in which the entry program continues by a tail call, for packets
 * that are rare, limited, IPv6, of full NAT or to be answered. Each has a stack of its own and is
 * verified on its own; the common path pays one comparison for them. All ports share them.
 *
 * Verifying one takes a tenth of a second, so control loads a program only when a generation needs
 * it, before it publishes that generation (control/xdp/programs.c).
 */
#ifndef SL_ABI_TAILS_H
#define SL_ABI_TAILS_H

/* What the services of a generation use beyond IPv4 without limits. */
enum sl_need {
	SL_NEED_NOTHING = 0,
	SL_NEED_IP6 = 1,
	SL_NEED_EXTENDED = 2, /* limits or QUIC connection ids: see sl_needs_extended_path() */
	SL_NEED_FULLNAT = 4,
};

/* X(NAME, needs): the program sl_xdp_NAME in bpf/. It is loaded once the services use all that it
 * needs. The order here is that of the map of programs. */
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
