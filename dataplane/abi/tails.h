/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is rare, limited, IPv6, of full NAT or to be answered goes on in a program of its own, which
 * has a stack of its own and is verified apart; what isn't pays one comparison for that. These are
 * the places of such programs in the map of them. The first ones are in the order of enum
 * sl_packet_class, and so are those from ICMP6 on. Those of full NAT are there where an instance
 * has room for pools of addresses: they take long to verify.
 */
#ifndef SL_ABI_TAILS_H
#define SL_ABI_TAILS_H

enum {
	SL_TAIL_IP6,
	SL_TAIL_ICMP,
	SL_TAIL_FIRST_FRAGMENT,
	SL_TAIL_FRAGMENT,
	SL_TAIL_EXTENDED,
	SL_TAIL_EXTENDED6,
	SL_TAIL_ICMP6,
	SL_TAIL_FIRST_FRAGMENT6,
	SL_TAIL_FRAGMENT6,
	SL_TAIL_ANSWER,
	SL_TAIL_FULLNAT,
	SL_TAIL_FULLNAT6,
	SL_TAIL_SNAT_NEW,
	SL_TAIL_SNAT_NEW6,
	SL_TAIL_SNAT_REPLY,
	SL_TAIL_SNAT_REPLY6,
	SL_TAILS
};

/*        program       place */
#define SL_TAILS_FULLNAT(X)                                                                        \
	X(sl_xdp_fullnat, SL_TAIL_FULLNAT)                                                         \
	X(sl_xdp_fullnat6, SL_TAIL_FULLNAT6)                                                       \
	X(sl_xdp_snat_new, SL_TAIL_SNAT_NEW)                                                       \
	X(sl_xdp_snat_new6, SL_TAIL_SNAT_NEW6)                                                     \
	X(sl_xdp_snat_reply, SL_TAIL_SNAT_REPLY)                                                   \
	X(sl_xdp_snat_reply6, SL_TAIL_SNAT_REPLY6)

#endif
