/* SPDX-License-Identifier: BSD-2-Clause */
/* Chooses the routes that are left out if not all fit.
 *
 * A host on the link without a record of its own gets no packets, although engines request its
 * resolution. A prefix that is left out is reached by the next shorter one. So hosts go first, then
 * prefixes, the longest first, since they hold the fewest addresses. The default route and the
 * gateway's own addresses stay.
 */
#ifndef SL_CONTROL_NETWORK_ROUTES_H
#define SL_CONTROL_NETWORK_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "../../dataplane/abi/service.h"

/* Whether the prefix is one of IPv4 addresses. */
static inline bool sl_route_is4(const struct sl_route *r)
{
	return r->length >= 96 && sl_addr_is4(&r->prefix);
}

/* Reduces n records (longest prefix first) to at most `max`, with at most `lengths` prefix lengths
 * of each family, in the same order. Returns how many are left. */
size_t sl_routes_fit(struct sl_route *route, size_t n, size_t max, size_t lengths);

#endif
