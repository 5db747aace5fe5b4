/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Headers as on the wire, and the means to access them under two compilers.
 *
 * The structures are packed and aligned to 2, because an Ethernet header shifts everything after it
 * by 14 bytes; and they may alias the buffer. sl_u32_any and sl_u64_any are words at any address.
 * gcc is told that they may be unaligned. clang -target bpf is not told, because it would then use
 * byte loads, and x86 loads them at any address anyway.
 */
#ifndef SL_CORE_WIRE_H
#define SL_CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "../abi/address.h"

#define SL_WIRE __attribute__((packed, aligned(2), may_alias))

#ifdef __bpf__
typedef uint32_t __attribute__((may_alias)) sl_u32_any;
typedef uint64_t __attribute__((may_alias)) sl_u64_any;
#else
typedef uint32_t __attribute__((may_alias, aligned(1))) sl_u32_any;
typedef uint64_t __attribute__((may_alias, aligned(1))) sl_u64_any;
#endif

/* clang may use a value before the branch that bounds it, or turn arithmetic into a branch; then
 * the verifier refuses the program or walks both ways. Through this macro the compiler loses what
 * it knew about the value. */
#ifdef __bpf__
#define sl_opaque(x) asm volatile("" : "+r"(x))
#else
#define sl_opaque(x) ((void)(x))
#endif

#define SL_INLINE static inline __attribute__((always_inline))
#ifdef __bpf__
#define SL_COLD SL_INLINE
#else
#define SL_COLD static __attribute__((noinline, cold, unused))
#endif
#define sl_likely(x)   __builtin_expect(!!(x), 1)
#define sl_unlikely(x) __builtin_expect(!!(x), 0)

enum {
	SL_ETH_IP4 = 0x0800,
	SL_ETH_ARP = 0x0806,
	SL_ETH_VLAN = 0x8100,
	SL_ETH_QINQ = 0x88a8,
	SL_ETH_IP6 = 0x86dd,
};

struct sl_eth {
	uint8_t dst[6];
	uint8_t src[6];
	sl_be16 type;
} SL_WIRE;

struct sl_vlan {
	sl_be16 tag;
	sl_be16 type;
} SL_WIRE;

/* The longest link header in 16-bit words: MAC addresses, type and two VLAN tags. */
struct sl_link_words {
	uint16_t word[11];
} SL_WIRE;

struct sl_arp { /* RFC 826, Ethernet and IPv4 */
	sl_be16 hardware;
	sl_be16 protocol;
	uint8_t hardware_size;
	uint8_t protocol_size;
	sl_be16 operation;
	uint8_t sender_mac[6];
	sl_be32 sender;
	uint8_t target_mac[6];
	sl_be32 target;
} SL_WIRE;

struct sl_ip4 { /* RFC 791 */
	uint8_t version_ihl;
	uint8_t tos;
	sl_be16 length;
	sl_be16 id;
	sl_be16 fragment;
	uint8_t ttl;
	uint8_t protocol;
	uint16_t csum;
	sl_be32 src;
	sl_be32 dst;
} SL_WIRE;

#define SL_IP4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define SL_IP4_OFFSET	0x1fff
#define SL_IP4_MORE	0x2000
#define SL_IP4_DF	0x4000 /* don't fragment */

enum { /* types of options */
       SL_IP4_OPTIONS_END = 0,
       SL_IP4_NO_OPERATION = 1,
       SL_IP4_LOOSE_ROUTE = 131,
       SL_IP4_STRICT_ROUTE = 137,
};

struct sl_ip6 { /* RFC 8200 */
	sl_be32 version_class_flow;
	sl_be16 length; /* length of what follows */
	uint8_t next;
	uint8_t hops;
	uint8_t src[16];
	uint8_t dst[16];
} SL_WIRE;

/* The first eight bytes of an extension header, which is also the shortest one. */
struct sl_ip6_extension {
	uint8_t next;
	uint8_t length; /* in units of eight bytes, after these eight; AH: of four bytes */
	uint8_t type;	/* of a routing header */
	uint8_t left;	/* of a routing header: segments left */
	sl_be32 data;
} SL_WIRE;

/* A fragment header's offset and flag: type and left, read as one word. */
#define SL_IP6_FRAGMENT 0xfff9 /* an offset, or more fragments follow */
#define SL_IP6_OFFSET	0xfff8 /* in bytes, as in the header */
#define SL_IP6_MORE	0x0001

struct sl_tcp { /* RFC 9293 */
	sl_be16 src;
	sl_be16 dst;
	sl_be32 seq;
	sl_be32 ack;
	uint8_t offset;
	uint8_t flags;
	sl_be16 window;
	uint16_t csum;
	sl_be16 urgent;
} SL_WIRE;

enum { SL_TCP_FIN = 1, SL_TCP_SYN = 2, SL_TCP_RST = 4, SL_TCP_ACK = 16 };

struct sl_udp { /* RFC 768 */
	sl_be16 src;
	sl_be16 dst;
	sl_be16 length;
	uint16_t csum;
} SL_WIRE;

struct sl_icmp { /* RFC 792; RFC 1191 has the MTU */
	uint8_t type;
	uint8_t code;
	uint16_t csum;
	sl_be16 unused;
	sl_be16 mtu;
} SL_WIRE;

enum {
	SL_ICMP_ECHO_REPLY = 0,
	SL_ICMP_UNREACHABLE = 3,
	SL_ICMP_QUENCH = 4,
	SL_ICMP_REDIRECT = 5,
	SL_ICMP_ECHO = 8,
	SL_ICMP_TIME_EXCEEDED = 11,
	SL_ICMP_PARAMETER = 12,
};
/* Codes of unreachable. */
enum { SL_ICMP_NO_PORT = 3, SL_ICMP_FRAG_NEEDED = 4, SL_ICMP6_NO_PORT = 4 };

enum {
	SL_ICMP6_UNREACHABLE = 1,
	SL_ICMP6_TOO_BIG = 2,
	SL_ICMP6_TIME_EXCEEDED = 3,
	SL_ICMP6_PARAMETER = 4,
	SL_ICMP6_ECHO = 128,
	SL_ICMP6_ECHO_REPLY = 129,
};

/* A neighbour solicitation or advertisement (RFC 4861), and the option that may follow it. */
struct sl_nd {
	uint8_t type;
	uint8_t code;
	uint16_t csum;
	sl_be32 flags; /* of an advertisement */
	uint8_t target[16];
} SL_WIRE;

struct sl_nd_link {
	uint8_t type;
	uint8_t length; /* length of the option, in units of eight bytes */
	uint8_t mac[6];
} SL_WIRE;

enum {
	SL_ND_SOLICIT = 135,
	SL_ND_ADVERTISE = 136,
	SL_ND_LINK_SOURCE = 1, /* options */
	SL_ND_LINK_TARGET = 2,
};

enum {
	SL_PROTO_ICMP = 1,
	SL_PROTO_IPIP = 4,
	SL_PROTO_TCP = 6,
	SL_PROTO_UDP = 17,
	SL_PROTO_IP6 = 41,
	SL_PROTO_HOP_BY_HOP = 0,
	SL_PROTO_ROUTING = 43,
	SL_PROTO_FRAGMENT = 44,
	SL_PROTO_AH = 51,
	SL_PROTO_ICMP6 = 58,
	SL_PROTO_DESTINATION = 60,
};

/* A frame in memory. [data, end) are the bytes that are here; `length` is the length on the wire.
 * When a verdict makes the frame longer or shorter (sl_seam_grow(), sl_seam_cut()) these change,
 * and the owner of the buffer has to follow. */
struct sl_packet {
	uint8_t *data;
	uint8_t *end;
	void *frame; /* the buffer, as the engine's seam needs it; NULL: can't grow */
	uint32_t length;
	uint16_t ingress; /* index in ports */
	uint16_t mtu;	  /* too_big_answered: the MTU to report */
};

/* Loads an address from an IPv6 header. */
SL_INLINE union sl_addr sl_addr_load(const void *at)
{
	const sl_u64_any *from = at;

	return (union sl_addr){ .q = { from[0], from[1] } };
}

SL_INLINE void sl_addr_store(void *at, const union sl_addr *addr)
{
	sl_u64_any *to = at;

	to[0] = addr->q[0];
	to[1] = addr->q[1];
}

/* n bytes at offset, or NULL if the frame ends before. */
SL_INLINE void *sl_packet_at(const struct sl_packet *p, uint32_t offset, uint32_t n)
{
	uint8_t *at = p->data + offset;

	return sl_likely(at + n <= p->end) ? at : NULL;
}

/* Copies VLAN tags and type of a link header that ends at l3. */
SL_INLINE void sl_link_tags(struct sl_link_words *to, const struct sl_link_words *from, uint32_t l3)
{
	for (uint32_t i = 6; i < 11; i++)
		if (2 * i < l3)
			to->word[i] = from->word[i];
}

/* As sl_packet_at(), for bytes that were checked when the packet was parsed. The verifier needs the
 * check again; gcc skips it. */
SL_INLINE void *sl_packet_at_parsed(const struct sl_packet *p, uint32_t offset, uint32_t n)
{
#ifdef __bpf__
	return sl_packet_at(p, offset, n);
#else
	(void)n;
	return p->data + offset;
#endif
}

#endif
