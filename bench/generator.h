/* SPDX-License-Identifier: BSD-2-Clause */
/* The traffic of a benchmark: a receive callback that writes a frame into every buffer that a
 * net_null port hands out, on the core that is measured.
 *
 * Frames have 64 bytes (60 without FCS), IPv4 and TCP, to one VIP and port, with correct IP and TCP
 * checksums. Frames to an IPv6 VIP have 78 bytes, the shortest possible. UDP is only IPv4. The
 * source of flow i is a bijection of i onto 28 bits of address (16.0.0.0/4) and 15 bits of port
 * (32768 and up), so no two flows share a tuple, and they follow no pattern that suits a linear
 * hash. Nothing is looked up, so the generator uses none of the measured code's cache. enum
 * sl_order lists the orders in which flows come.
 *
 * A frame is written by four 16-byte stores, cut so that no header field straddles two of them: a
 * load right after them isn't delayed by store forwarding. The generator's cost is measured with
 * the same callback in front of a bare receive and transmit loop, and subtracted.
 */
#ifndef SL_BENCH_GENERATOR_H
#define SL_BENCH_GENERATOR_H

#include <stdatomic.h>

#include <emmintrin.h>
#include <rte_mbuf.h>

#include "../dataplane/abi/address.h"

enum { SL_FRAME = 60, SL_FRAME6 = 74 };

#define SL_STRANGERS (1ull << 42) /* flows from this number on are used for strangers */

enum sl_order {
	SL_ORDER_RANDOM, /* random among `flows` */
	SL_ORDER_ONCE,	 /* one after the other, also beyond `flows` */
	SL_ORDER_CHURN,	 /* for each flow a SYN, two ACKs and a FIN, with many flows open at once */
	SL_ORDER_FLOOD,	 /* random, with SYNs of unknown flows at a rate */
	SL_ORDER_REPLIES,   /* random, in the other direction: from what else is the VIP */
	SL_ORDER_DATAGRAMS, /* random UDP; the first word of the payload is the flow's number */
};

enum {
	SL_CHURN_PACKETS = 4,	  /* packets of a connection */
	SL_CHURN_APART = 1 << 14, /* connections between two packets of one connection */
};

/* The part of a frame that depends on its TCP flags. */
struct sl_frame_kind {
	uint32_t flags_window;
	uint32_t sum; /* sum of the constant words, in memory order */
};

struct sl_generator {
	enum sl_order order;
	uint32_t flows;
	uint64_t left;	      /* packets before *stop is set */
	atomic_bool *stop;    /* of the receiver */
	uint64_t random;      /* state of the random numbers */
	uint64_t next;	      /* SL_ORDER_ONCE: next flow; SL_ORDER_CHURN: next packet */
	uint64_t strangers;   /* SL_ORDER_FLOOD: SYNs so far */
	uint64_t flood_every; /* TSC cycles between two SYNs; 0: none */
	uint64_t flood_next;  /* TSC of the next one */
	/* The same in every frame: */
	__m128i link;
	uint64_t ip_head;
	uint16_t ttl_protocol;
	uint32_t ip_sum; /* sum of the constant words, in memory order */
	uint32_t udp_sum;
	sl_be32 vip; /* of IPv4; the rest is for IPv6: */
	bool is_ipv6;
	__m128i vip6;
	uint64_t ip6_head; /* flow label to hop limit */
	uint64_t source6;  /* first half of all source addresses */
	sl_be16 port;
	/* IPv4: the ports after the first belong to further services; their number - 1, a power of
	 * two. With several services the first two bytes of the sequence number say which one it
	 * is. */
	uint16_t more_ports;
	struct sl_frame_kind syn, ack, fin;
	struct sl_frame_kind usual; /* for SL_ORDER_RANDOM and SL_ORDER_ONCE */
};

/* syn: frames are SYNs, else ACKs of existing connections. datagrams: UDP instead of TCP. */
void sl_generator_init(struct sl_generator *g, const union sl_addr *vip, sl_be16 port,
		       const uint8_t mac[6], bool syn, bool datagrams);

/* Writes n frames, whatever `left` is. */
void sl_generator_write(struct sl_generator *g, struct rte_mbuf **frame, uint16_t n);

/* The callback for rte_eth_add_rx_callback(). user: the generator. */
uint16_t sl_generator_fill(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			   uint16_t room, void *user);

#endif
