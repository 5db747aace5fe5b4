/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Finds the service of a packet, or the reply entry of the backend that sent it, by address,
 * protocol and port.
 *
 * A record for the port itself comes first. If there is none, a service with a range of ports may
 * have it. The ranges of an address and protocol are numbered and tried in turn, but only if the
 * bank has any range.
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

/* The index of the service whose range includes the port, or ~0. */
SL_INLINE uint32_t sl_service_range_impl(const struct sl_tables *t, const union sl_addr *vip,
					 uint32_t endpoint)
{
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), index;

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, (uint8_t)(endpoint >> 16));
		const struct sl_service *s = sl_service_find_at(t, vip, key, &index);

		if (!s)
			break;
		if (port >= s->first_port && port <= s->last_port)
			return index;
	}
	return ~0u;
}

/* The same for reply entries. */
SL_INLINE uint32_t sl_reply_range_impl(const struct sl_tables *t, const union sl_addr *backend,
				       uint32_t endpoint)
{
	uint32_t port = sl_ntohs((sl_be16)(uint16_t)endpoint), index;

	for (uint32_t n = 0; n < SL_RANGES; n++) {
		uint32_t key = sl_endpoint_range(n, (uint8_t)(endpoint >> 16));
		const struct sl_reply_entry *r = sl_reply_entry_find_at(t, backend, key, &index);

		if (!r)
			break;
		if (port >= r->first_port && port <= r->last_port)
			return index;
	}
	return ~0u;
}

/* The service of a port, whether it has the port or a range. */
SL_INLINE const struct sl_service *sl_service_of(const struct sl_tables *t,
						 const union sl_addr *vip, uint32_t endpoint)
{
	const struct sl_service *s = sl_service_find(t, vip, endpoint);

	if (s || sl_likely(!sl_seam_bank(t)->ranges))
		return s;
	return sl_seam_service(t, sl_service_range(t, vip, endpoint));
}

/* The reply entry of a port, likewise. */
SL_INLINE const struct sl_reply_entry *
sl_reply_entry_of(const struct sl_tables *t, const union sl_addr *backend, uint32_t endpoint)
{
	const struct sl_reply_entry *r = sl_reply_entry_find(t, backend, endpoint);

	if (r || sl_likely(!sl_seam_bank(t)->ranges))
		return r;
	return sl_seam_reply_entry(t, sl_reply_range(t, backend, endpoint));
}

#endif
