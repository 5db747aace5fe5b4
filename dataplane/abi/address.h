/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Addresses and endpoints, as every record of the contract holds them.
 *
 * Both address families have one form: 16 bytes in network order, with IPv4 as ::ffff:a.b.c.d (RFC
 * 4291, 2.5.5.2). So a key is compared as two 64-bit words, whatever its family. The rest of an
 * endpoint (port and protocol) is packed into one 32-bit word and compared as one.
 */
#ifndef SL_ABI_ADDRESS_H
#define SL_ABI_ADDRESS_H

#include <stdint.h>

#ifdef __CHECKER__
#define SL_BITWISE __attribute__((bitwise))
#else
#define SL_BITWISE
#endif

typedef uint16_t SL_BITWISE sl_be16; /* network byte order */
typedef uint32_t SL_BITWISE sl_be32; /* network byte order */

union sl_addr {
	uint8_t b[16];
	sl_be32 w[4];
	uint64_t q[2]; /* for comparing and hashing only, not for arithmetic */
};

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "x86-64 first: the packed words below are little-endian"
#endif

static inline sl_be16 sl_htons(uint16_t v)
{
	return (sl_be16)__builtin_bswap16(v);
}

static inline uint16_t sl_ntohs(sl_be16 v)
{
	return __builtin_bswap16((uint16_t)v);
}

static inline sl_be32 sl_htonl(uint32_t v)
{
	return (sl_be32)__builtin_bswap32(v);
}

static inline uint32_t sl_ntohl(sl_be32 v)
{
	return __builtin_bswap32((uint32_t)v);
}

/* The second half of the 16-byte form of an IPv4 address. The first half is 0. */
static inline uint64_t sl_addr4_q(sl_be32 v4)
{
	return (uint64_t)(uint32_t)v4 << 32 | 0xffff0000u;
}

static inline union sl_addr sl_addr4(sl_be32 v4)
{
	return (union sl_addr){ .q = { 0, sl_addr4_q(v4) } };
}

static inline int sl_addr_is4(const union sl_addr *a)
{
	return a->q[0] == 0 && (uint32_t)a->w[2] == 0xffff0000u;
}

static inline int sl_addr_equal(const union sl_addr *a, const union sl_addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* Packs port (network order) and IP protocol into one word. (0, 0) stands for the bare address. */
static inline uint32_t sl_endpoint(sl_be16 port, uint8_t protocol)
{
	return (uint32_t)(uint16_t)port | (uint32_t)protocol << 16;
}

static inline uint8_t sl_endpoint_protocol(uint32_t endpoint)
{
	return (uint8_t)(endpoint >> 16);
}

/* The most port ranges that an address may have for one protocol. They are numbered from 0 without
 * gaps, and the number takes the port's place in the key. */
#define SL_RANGES 8

static inline uint32_t sl_endpoint_range(uint32_t n, uint8_t protocol)
{
	return (n + 1) << 24 | (uint32_t)protocol << 16;
}

/* A VIP may be a prefix. The bank lists the prefix lengths of VIPs (root.h); the index of the
 * length in that list is part of the key, beside port or range. */
#define SL_VIP_LENGTHS 4 /* distinct ones, per family */

static inline uint32_t sl_endpoint_prefix(uint32_t endpoint, uint32_t index)
{
	return endpoint | (index + 1) << 28;
}

/* The index in an endpoint + 1; 0: the VIP is one address. */
static inline uint32_t sl_endpoint_prefix_index(uint32_t endpoint)
{
	return endpoint >> 28 & 7;
}

/* The endpoint of a key whose address isn't an address but a service id. No packet has this
 * protocol. */
#define SL_ENDPOINT_ID 0xffff0000u

#endif
