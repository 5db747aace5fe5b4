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

SL_INLINE const struct sl_service *sl_service_find(const struct sl_tables *t,
						   const union sl_addr *vip, uint32_t endpoint)
{
	const struct sl_service *s = sl_seam_recent(t);
	uint32_t size = sl_seam_services(t);
	uint64_t hash;

	if (s && s->endpoint == endpoint && sl_addr_equal(&s->vip, vip))
		return s;
	hash = sl_place_hash(vip, endpoint, sl_seam_bank(t)->seed);
	s = sl_seam_service(t, sl_place_first(hash, size));
	if (sl_likely(s && s->endpoint == endpoint && sl_addr_equal(&s->vip, vip)))
		return s;
	s = sl_seam_service(t, sl_place_second(hash, size));
	return s && s->endpoint == endpoint && sl_addr_equal(&s->vip, vip) ? s : NULL;
}

SL_INLINE const struct sl_reverse *sl_reverse_find(const struct sl_tables *t,
						   const union sl_addr *backend, uint32_t endpoint)
{
	uint64_t hash = sl_place_hash(backend, endpoint, sl_seam_bank(t)->seed);
	uint32_t size = sl_seam_reverses(t);
	const struct sl_reverse *r = sl_seam_reverse(t, sl_place_first(hash, size));

	if (sl_likely(r && r->endpoint == endpoint && sl_addr_equal(&r->backend, backend)))
		return r;
	r = sl_seam_reverse(t, sl_place_second(hash, size));
	return r && r->endpoint == endpoint && sl_addr_equal(&r->backend, backend) ? r : NULL;
}

/* The place of the service whose range has the port, or ~0. */
SL_INLINE uint32_t sl_service_range_with(const struct sl_tables *t, const union sl_addr *vip,
					 uint32_t endpoint)
{
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), size = sl_seam_services(t);

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, (uint8_t)(endpoint >> 16));
		uint64_t hash = sl_place_hash(vip, key, sl_seam_bank(t)->seed);
		uint32_t place = sl_place_first(hash, size);
		const struct sl_service *s = sl_seam_service(t, place);

		if (!s || s->endpoint != key || !sl_addr_equal(&s->vip, vip)) {
			place = sl_place_second(hash, size);
			s = sl_seam_service(t, place);
		}
		if (!s || s->endpoint != key || !sl_addr_equal(&s->vip, vip))
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
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), size = sl_seam_reverses(t);

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, (uint8_t)(endpoint >> 16));
		uint64_t hash = sl_place_hash(backend, key, sl_seam_bank(t)->seed);
		uint32_t place = sl_place_first(hash, size);
		const struct sl_reverse *r = sl_seam_reverse(t, place);

		if (!r || r->endpoint != key || !sl_addr_equal(&r->backend, backend)) {
			place = sl_place_second(hash, size);
			r = sl_seam_reverse(t, place);
		}
		if (!r || r->endpoint != key || !sl_addr_equal(&r->backend, backend))
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
