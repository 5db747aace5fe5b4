/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames built byte by byte from a test's description.
 *
 * Nothing of core or abi is used here: headers are written as bytes, and checksums are summed over
 * the whole packet. So a test compares two independent ways to the same frame. The expected frame
 * after a rewrite is built from the same description with other addresses. Addresses, ports and
 * lengths are in host order.
 */
#ifndef SL_TEST_FRAMES_H
#define SL_TEST_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 512

enum frame_csum {
	FRAME_CSUM_FULL,
	FRAME_CSUM_NONE,    /* 0 */
	FRAME_CSUM_PARTIAL, /* only the pseudo header's sum, as Linux leaves it for offload */
};

/* A member that isn't set is 0, which means the usual. */
struct frame_spec {
	uint8_t eth_dst[6];
	uint8_t eth_src[6];
	uint16_t tag[3];      /* VLAN tags, outermost first */
	uint16_t tag_type[3]; /* 0: no more tags */
	uint16_t eth_type;    /* 0: IPv4 */
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t protocol; /* 0: TCP */
	uint8_t flags;	  /* for TCP */
	uint8_t ttl;	  /* 0: 64 */
	uint8_t ecn;	  /* low bits of TOS */
	uint8_t options;  /* words of IP options */
	uint16_t id;	  /* 0: a default size */
	uint16_t fragment;
	uint16_t payload;     /* bytes */
	uint16_t trailer;     /* bytes of Ethernet padding after the packet */
	int16_t length_error; /* added to the IP total length */
	uint8_t version_ihl;  /* instead of the right one */
	enum frame_csum csum;
};

struct frame_arp {
	uint8_t eth_dst[6];
	uint8_t eth_src[6];
	uint16_t tag;
	uint16_t hardware, protocol; /* 0: the usual */
	uint8_t hardware_size, protocol_size;
	uint16_t operation; /* 0: request */
	uint8_t sender_mac[6];
	uint32_t sender;
	uint8_t target_mac[6];
	uint32_t target;
};

struct frame {
	uint8_t bytes[FRAME_MAX] __attribute__((aligned(8)));
	uint32_t length;
	uint32_t l3, l4;
};

#define FRAME_IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

enum { FRAME_TCP = 6, FRAME_UDP = 17, FRAME_ICMP = 1 };
enum { FRAME_FIN = 1, FRAME_SYN = 2, FRAME_RST = 4, FRAME_ACK = 16 };

/* An ICMP message; replaces spec.protocol. An error quotes the first bytes of another packet, from
 * its IP header on; an echo has spec.payload bytes. */
struct frame_icmp {
	uint8_t type, code;
	uint16_t rest[2];
	const struct frame *quoted; /* NULL: none */
	uint16_t quote;		    /* bytes of it */
};

void frame_build(struct frame *f, const struct frame_spec *spec);
void frame_build_icmp(struct frame *f, const struct frame_spec *spec, const struct frame_icmp *m);
void frame_build_arp(struct frame *f, const struct frame_arp *arp);

/* Sums everything again: whether the checksums of the IP header and of the transport are right. */
bool frame_ip_holds(const struct frame *f);
bool frame_l4_holds(const struct frame *f);

/* The error of the transport's checksum in one's complement; 0 and 0xffff are the same. */
uint16_t frame_l4_error(const struct frame *f);

#endif
