/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Services and backends by what a packet says: its address, protocol and port.
 *
 * A port's own record comes first. Where there is none it may be of a range: those of an address
 * and a protocol are numbered, and asked in turn, where the bank has any at all.
 */
#ifndef SL_CORE_FIND_H
#define SL_CORE_FIND_H

#include "../abi/place.h"
#include "seam.h"

/* The record under this key; *place: where it is. */
SL_INLINE const struct sl_service *sl_service_placed(const struct sl_tables *t,
						     const union sl_addr *vip, uint32_t key,
						     uint32_t *place)
{
	uint64_t hash = sl_place_hash(vip, key, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_services(t);
	const struct sl_service *s;

	*place = sl_place_first(hash, size);
	s = sl_seam_service(t, *place);
	if (sl_likely(s && s->endpoint == key && sl_addr_equal(&s->vip, vip)))
		return s;
	*place = sl_place_second(hash, size);
	s = sl_seam_service(t, *place);
	return s && s->endpoint == key && sl_addr_equal(&s->vip, vip) ? s : NULL;
}

SL_INLINE const struct sl_reverse *sl_reverse_placed(const struct sl_tables *t,
						     const union sl_addr *backend, uint32_t key,
						     uint32_t *place)
{
	uint64_t hash = sl_place_hash(backend, key, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_reverses(t);
	const struct sl_reverse *r;

	*place = sl_place_first(hash, size);
	r = sl_seam_reverse(t, *place);
	if (sl_likely(r && r->endpoint == key && sl_addr_equal(&r->backend, backend)))
		return r;
	*place = sl_place_second(hash, size);
	r = sl_seam_reverse(t, *place);
	return r && r->endpoint == key && sl_addr_equal(&r->backend, backend) ? r : NULL;
}

SL_INLINE const struct sl_service *sl_service_find(const struct sl_tables *t,
						   const union sl_addr *vip, uint32_t endpoint)
{
	uint32_t place;

	return sl_service_placed(t, vip, endpoint, &place);
}

SL_INLINE const struct sl_reverse *sl_reverse_find(const struct sl_tables *t,
						   const union sl_addr *backend, uint32_t endpoint)
{
	uint32_t place;

	return sl_reverse_placed(t, backend, endpoint, &place);
}

/* The place of the service whose range has the port, or ~0. */
SL_INLINE uint32_t sl_service_range_with(const struct sl_tables *t, const union sl_addr *vip,
					 uint32_t endpoint)
{
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), place;

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, (uint8_t)(endpoint >> 16));
		const struct sl_service *s = sl_service_placed(t, vip, key, &place);

		if (!s)
			break;
		if (port >= s->first_port && port <= s->last_port)
			return place;
	}
	return ~0u;
}

/* The same of the backends of such services. */
SL_INLINE uint32_t sl_reverse_range_with(const struct sl_tables *t, const union sl_addr *backend,
					 uint32_t endpoint)
{
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), place;

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, (uint8_t)(endpoint >> 16));
		const struct sl_reverse *r = sl_reverse_placed(t, backend, key, &place);

		if (!r)
			break;
		if (port >= r->first_port && port <= r->last_port)
			return place;
	}
	return ~0u;
}

/* The service of a port, of its own or of a range. */
SL_INLINE const struct sl_service *sl_service_of(const struct sl_tables *t,
						 const union sl_addr *vip, uint32_t endpoint)
{
	const struct sl_service *s = sl_service_find(t, vip, endpoint);

	if (s || sl_likely(!sl_seam_bank(t)->ranges))
		return s;
	return sl_seam_service(t, sl_service_range(t, vip, endpoint));
}

/* The record of a backend's port, likewise. */
SL_INLINE const struct sl_reverse *sl_reverse_of(const struct sl_tables *t,
						 const union sl_addr *backend, uint32_t endpoint)
{
	const struct sl_reverse *r = sl_reverse_find(t, backend, endpoint);

	if (r || sl_likely(!sl_seam_bank(t)->ranges))
		return r;
	return sl_seam_reverse(t, sl_reverse_range(t, backend, endpoint));
}

#endif
