/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is rare, limited, IPv6, of full NAT or to be answered goes on in a program of its own, which
 * has a stack of its own and is verified apart; what isn't pays one comparison for that. These are
 * the places of such programs in the map of them. The first ones are in the order of enum sl_todo,
 * and so are those from ICMP6 on. Those of full NAT are there where an instance has room for pools
 * of addresses: they take long to verify.
 */
#ifndef SL_ABI_TAILS_H
#define SL_ABI_TAILS_H

enum {
	SL_TAIL_IP6,
	SL_TAIL_ICMP,
	SL_TAIL_FIRST,
	SL_TAIL_FRAGMENT,
	SL_TAIL_LIMITED,
	SL_TAIL_LIMITED6,
	SL_TAIL_ICMP6,
	SL_TAIL_FIRST6,
	SL_TAIL_FRAGMENT6,
	SL_TAIL_ANSWER,
	SL_TAIL_FULLNAT,
	SL_TAIL_FULLNAT6,
	SL_TAIL_BIND,
	SL_TAIL_BIND6,
	SL_TAIL_BOUND,
	SL_TAIL_BOUND6,
	SL_TAILS
};

/*        program       place */
#define SL_TAILS_FULLNAT(X)                                                                        \
	X(sl_xdp_fullnat, SL_TAIL_FULLNAT)                                                         \
	X(sl_xdp_fullnat6, SL_TAIL_FULLNAT6)                                                       \
	X(sl_xdp_bind, SL_TAIL_BIND)                                                               \
	X(sl_xdp_bind6, SL_TAIL_BIND6)                                                             \
	X(sl_xdp_bound, SL_TAIL_BOUND)                                                             \
	X(sl_xdp_bound6, SL_TAIL_BOUND6)

#endif
