/* SPDX-License-Identifier: BSD-2-Clause */
/* The traffic of a bench: a receive callback that writes a frame into every buffer that a net_null
 * port hands out, on the core that is measured.
 *
 * Frames are of 64 bytes (60 without FCS), IPv4 and TCP, to one VIP and port, with correct IP and
 * TCP checksums; to a VIP of IPv6, of 78 bytes, which is the shortest there. UDP is IPv4 alone. The
 * source of flow i is a bijection of i onto 28 bits of address (16.0.0.0/4) and 15 of port (32768
 * and up), so flows never share a tuple and follow no pattern that a linear hash would like;
 * nothing is looked up, so traffic takes no cache from who is measured. Flows come in uniformly
 * random order; or one after the other, each once; or as connections that begin, go on and end; or
 * in random order with SYNs of flows that nobody knows among them, at a rate.
 *
 * A frame is four 16-byte stores, cut so that no header field straddles two of them: who loads one
 * right after is not held up by store forwarding. Its cost is measured with the same callback in
 * front of a bare receive and transmit loop, and subtracted.
 */
#ifndef SL_BENCH_GENERATOR_H
#define SL_BENCH_GENERATOR_H

#include <stdatomic.h>

#include <emmintrin.h>
#include <rte_mbuf.h>

#include "../dataplane/abi/address.h"

enum { SL_FRAME = 60, SL_FRAME6 = 74 };

#define SL_STRANGERS (1ull << 42) /* flows from here on belong to nobody */

enum sl_order {
	SL_ORDER_RANDOM,    /* of `flows`, again and again */
	SL_ORDER_ONCE,	    /* one after the other, and beyond `flows` on and on */
	SL_ORDER_CHURN,	    /* of each flow a SYN, two ACKs and a FIN, with many open at a time */
	SL_ORDER_FLOOD,	    /* random, and SYNs of strangers as often as flood_every says */
	SL_ORDER_REPLIES,   /* random, and the other way round: from what is the VIP otherwise */
	SL_ORDER_DATAGRAMS, /* random, and UDP: the flow's number is the first word of the payload
			     */
};

enum {
	SL_CHURN_PACKETS = 4,	  /* of a connection */
	SL_CHURN_APART = 1 << 14, /* connections between one packet of a connection and its next */
};

/* What of a frame depends on its TCP flags. */
struct sl_frame_kind {
	uint32_t flags_window;
	uint32_t sum; /* of the words that don't change, as they lie in memory */
};

struct sl_generator {
	enum sl_order order;
	uint32_t flows;
	uint64_t left;	      /* packets until *stop is set */
	atomic_bool *stop;    /* of whoever receives */
	uint64_t random;      /* state */
	uint64_t next;	      /* flow, of SL_ORDER_ONCE; packet, of SL_ORDER_CHURN */
	uint64_t strangers;   /* SYNs of SL_ORDER_FLOOD so far */
	uint64_t flood_every; /* TSC between two of them; 0: none */
	uint64_t flood_next;  /* TSC of the next */
	/* Of every frame the same: */
	__m128i link;
	uint64_t ip_head;
	uint16_t ttl_protocol;
	uint32_t ip_sum; /* of the words that don't change, as they lie in memory */
	uint32_t udp_sum;
	sl_be32 vip; /* of IPv4, or else: */
	bool is_ipv6;
	__m128i vip6;
	uint64_t ip6_head; /* flow label to hop limit */
	uint64_t source6;  /* first half of all sources */
	sl_be16 port;
	/* Of IPv4 to VIPs: so many ports behind that one are other services', a power of two - 1.
	 * Where there are any the first two bytes of the sequence number say which it was. */
	uint16_t more_ports;
	struct sl_frame_kind syn, ack, fin;
	struct sl_frame_kind usual; /* of SL_ORDER_RANDOM and SL_ORDER_ONCE */
};

/* syn: the usual frame is a SYN, else an ACK of a connection that stands; datagrams: UDP instead.
 */
void sl_generator_init(struct sl_generator *g, const union sl_addr *vip, sl_be16 port,
		       const uint8_t mac[6], bool syn, bool datagrams);

/* Writes n frames, whatever is left. */
void sl_generator_write(struct sl_generator *g, struct rte_mbuf **frame, uint16_t n);

/* A function for rte_eth_add_rx_callback(); user: the generator. */
uint16_t sl_generator_fill(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			   uint16_t room, void *user);

#endif
