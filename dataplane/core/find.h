/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Finds the service of a packet, or the reply entry of the backend that sent it, by address,
 * protocol and port.
 *
 * A record for the address and the port themselves comes first. If there is none, a wide service
 * may have them: one with a range of ports, or with a prefix as VIP. The ranges of an address and
 * protocol are numbered and tried in turn. A prefix is tried after the address itself, the longer
 * one first, each with the port and then with its ranges. All of this happens only if the bank has
 * any wide service.
 */
#ifndef SL_CORE_FIND_H
#define SL_CORE_FIND_H

#include "../abi/cuckoo.h"
#include "seam.h"

/* The record with this key; *index: its index, if it was found. */
SL_INLINE const struct sl_service *sl_service_find_at(const struct sl_tables *t,
						      const union sl_addr *vip, uint32_t key,
						      uint32_t *index)
{
	uint64_t hash = sl_cuckoo_hash(vip, key, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_services(t);
	const struct sl_service *s;

	*index = sl_cuckoo_first(hash, size);
	s = sl_seam_service(t, *index);
	if (sl_likely(s && s->endpoint == key && sl_addr_equal(&s->vip, vip)))
		return s;
	*index = sl_cuckoo_second(hash, size);
	s = sl_seam_service(t, *index);
	return s && s->endpoint == key && sl_addr_equal(&s->vip, vip) ? s : NULL;
}

SL_INLINE const struct sl_reply_entry *sl_reply_entry_find_at(const struct sl_tables *t,
							      const union sl_addr *backend,
							      uint32_t key, uint32_t *index)
{
	uint64_t hash = sl_cuckoo_hash(backend, key, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_reply_entries(t);
	const struct sl_reply_entry *r;

	*index = sl_cuckoo_first(hash, size);
	r = sl_seam_reply_entry(t, *index);
	if (sl_likely(r && r->endpoint == key && sl_addr_equal(&r->backend, backend)))
		return r;
	*index = sl_cuckoo_second(hash, size);
	r = sl_seam_reply_entry(t, *index);
	return r && r->endpoint == key && sl_addr_equal(&r->backend, backend) ? r : NULL;
}

SL_INLINE const struct sl_service *sl_service_find(const struct sl_tables *t,
						   const union sl_addr *vip, uint32_t endpoint)
{
	uint32_t index;

	return sl_service_find_at(t, vip, endpoint, &index);
}

SL_INLINE const struct sl_reply_entry *
sl_reply_entry_find(const struct sl_tables *t, const union sl_addr *backend, uint32_t endpoint)
{
	uint32_t index;

	return sl_reply_entry_find_at(t, backend, endpoint, &index);
}

/* A mask for the first bits of half an address, as loaded. `bits` may be 0 or more than 64. */
SL_INLINE uint64_t sl_half_mask(uint32_t bits)
{
	return bits >= 64 ? ~0ull : bits ? __builtin_bswap64(~0ull << (64 - bits)) : 0;
}

/* A mask that clears the last `bits` (0 to 64) of half an address, as loaded. */
SL_INLINE uint64_t sl_half_clear(uint32_t bits)
{
	uint64_t mask = ~0ull << (bits >> 1);

	return __builtin_bswap64(mask << (bits - (bits >> 1)));
}

/* The address's prefix in the 16-byte form, whose length is at most 128. In this function and the
 * two below all is arithmetic: the verifier would walk what follows a branch once more, in each of
 * their many rounds. */
SL_INLINE union sl_addr sl_addr_prefix(const union sl_addr *addr, uint32_t length)
{
	uint32_t over = (64 - length) >> 31, first; /* 1: the prefix reaches into the second half */

	sl_opaque(over);
	first = (64 - length) & (over - 1);
	return (union sl_addr){ .q = { addr->q[0] & sl_half_clear(first),
				       addr->q[1] & sl_half_clear(128 - length - first) } };
}

/* 1 if the record has this key and, unless `any`, a range that includes the port; else 0. *here: 1
 * if it has the key. */
SL_INLINE uint32_t sl_service_has(const struct sl_service *s, const union sl_addr *vip,
				  uint32_t key, uint32_t port, uint32_t any, uint32_t *here)
{
	uint64_t other =
		(s->vip.q[0] ^ vip->q[0]) | (s->vip.q[1] ^ vip->q[1]) | (s->endpoint ^ key);
	uint32_t beyond = (port - s->first_port) | (s->last_port - port);

	*here = (uint32_t)((other | -other) >> 63) ^ 1;
	return *here & (any | (beyond >> 31 ^ 1));
}

/* The index of the service that has address and port, or ~0. Endpoint 0: of the record of the bare
 * VIP. `round` is the upper byte of the key that is tried: a prefix length's index, and the number
 * of a range or 0 for the port itself. */
SL_INLINE uint32_t sl_service_search_impl(const struct sl_tables *t, const union sl_addr *vip,
					  uint32_t endpoint)
{
	const struct sl_bank *bank = sl_seam_bank(t);
	uint64_t six = vip->q[0] | ((uint32_t)vip->w[2] ^ 0xffff0000u);
	union sl_addr addr = *vip;

	six = (six | -six) >> 63;
	for (uint32_t round = 0; round <= (SL_VIP_LENGTHS << 4 | SL_RANGES); round++) {
		uint32_t n = round & 15, key = round << 24 | (endpoint & (n ? 0xff0000 : ~0u));
		uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), has_a, has_b, is_a, is_b;
		const struct sl_service *a, *b;
		uint64_t hash;

		if (n > SL_RANGES)
			continue;
		if (round && !n) {
			uint32_t length = bank->vip_lengths[six][(round >> 4) - 1];

			if (length > 128)
				break; /* 0xff: no more lengths */
			addr = sl_addr_prefix(&addr, length);
		}
		hash = sl_cuckoo_hash(&addr, key, bank->seed);
		a = sl_seam_service(t, sl_cuckoo_first(hash, sl_seam_services(t)));
		b = sl_seam_service(t, sl_cuckoo_second(hash, sl_seam_services(t)));
		if (!a || !b)
			break;
		has_a = sl_service_has(a, &addr, key, port, !n, &is_a);
		has_b = sl_service_has(b, &addr, key, port, !n, &is_b);
		if (has_a | has_b)
			return sl_cuckoo_first(has_a ? hash : hash >> 32, sl_seam_services(t));
		if (n && !(is_a | is_b))
			round |= 15; /* no further range */
	}
	return ~0u;
}

/* The index of the reply entry whose range includes the port, or ~0. */
SL_INLINE uint32_t sl_reply_range_impl(const struct sl_tables *t, const union sl_addr *backend,
				       uint32_t endpoint)
{
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), index;

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, sl_endpoint_protocol(endpoint));
		const struct sl_reply_entry *r = sl_reply_entry_find_at(t, backend, key, &index);

		if (!r)
			break;
		if (port >= r->first_port && port <= r->last_port)
			return index;
	}
	return ~0u;
}

/* The service of an address and a port. */
SL_INLINE const struct sl_service *sl_service_of(const struct sl_tables *t,
						 const union sl_addr *vip, uint32_t endpoint)
{
	const struct sl_service *s = sl_service_find(t, vip, endpoint);

	if (s || sl_likely(!sl_seam_bank(t)->wide))
		return s;
	return sl_seam_service(t, sl_service_search(t, vip, endpoint));
}

/* The record of the bare VIP that an address is, or is in. */
SL_INLINE const struct sl_service *sl_vip_of(const struct sl_tables *t, const union sl_addr *addr)
{
	return sl_seam_service(t, sl_service_search(t, addr, 0));
}

SL_INLINE bool sl_is_vip(const struct sl_tables *t, const union sl_addr *addr)
{
	return sl_service_search(t, addr, 0) != ~0u;
}

/* The reply entry of a port, likewise. */
SL_INLINE const struct sl_reply_entry *
sl_reply_entry_of(const struct sl_tables *t, const union sl_addr *backend, uint32_t endpoint)
{
	const struct sl_reply_entry *r = sl_reply_entry_find(t, backend, endpoint);

	if (r || sl_likely(!sl_seam_bank(t)->wide))
		return r;
	return sl_seam_reply_entry(t, sl_reply_range(t, backend, endpoint));
}

#endif
