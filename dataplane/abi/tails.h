/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The tail calls of the XDP engine: indices in the map of programs.
 *
 * The program that is attached handles the common case. It continues by a tail call in another
 * program for ICMP, fragments, IPv6, limits, full NAT and answers to the sender. Each of these has
 * a stack of its own and is verified on its own, so the common case only pays one comparison.
 *
 * The first four indices are in the order of enum sl_packet_class from SL_CLASS_IP6 on, and those
 * from SL_TAIL_ICMP6 on in its order from SL_CLASS_ICMP6 on. The programs of full NAT are loaded
 * only for an instance with room for SNAT pools, because they take long to verify.
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
