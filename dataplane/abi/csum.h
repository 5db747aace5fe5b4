/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Internet checksum arithmetic (RFC 1071, RFC 1624) on 16-bit words as they lie in memory.
 *
 * One's complement sums don't depend on byte order, so nothing is ever swapped. A delta is the
 * amount by which a header's sum grows when some of its words are replaced. Control computes the
 * delta once per backend; the engines add it to the checksum of each packet:
 *
 *     HC' = ~(~HC + ~m + m')        (RFC 1624, equation 3)
 */
#ifndef SL_ABI_CSUM_H
#define SL_ABI_CSUM_H

#include <stdbool.h>

#include "address.h"

static inline uint16_t sl_csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

/* The sum of an address's words. Of an IPv4 address only the last four bytes count. */
static inline uint32_t sl_csum_addr(const union sl_addr *a)
{
	uint32_t sum = 0;

	for (int i = sl_addr_is4(a) ? 3 : 0; i < 4; i++)
		sum += ((uint32_t)a->w[i] & 0xffff) + ((uint32_t)a->w[i] >> 16);
	return sum;
}

/* The delta for replacing `from` by `to`. */
static inline uint16_t sl_csum_delta_addr(const union sl_addr *from, const union sl_addr *to)
{
	return sl_csum_fold((uint16_t)~sl_csum_fold(sl_csum_addr(from)) + sl_csum_addr(to));
}

/* The same for address and port together, as the TCP and UDP checksums need it. */
static inline uint16_t sl_csum_delta_endpoint(const union sl_addr *from, sl_be16 from_port,
					      const union sl_addr *to, sl_be16 to_port)
{
	return sl_csum_fold((uint32_t)sl_csum_delta_addr(from, to) + (uint16_t)~from_port +
			    to_port);
}

/* The new value of a checksum field whose header's sum grew by `delta` (up to 32 bits of
 * addends). */
static inline uint16_t sl_csum_apply(uint16_t field, uint32_t delta)
{
	return (uint16_t)~sl_csum_fold((uint16_t)~field + delta);
}

/* The same for a delta that is already folded: at most one carry occurs. */
static inline uint16_t sl_csum_add(uint16_t field, uint16_t delta)
{
	uint16_t sum;
	bool carry = __builtin_add_overflow((uint16_t)~field, delta, &sum);

	return (uint16_t) ~(uint16_t)(sum + carry);
}

#endif
