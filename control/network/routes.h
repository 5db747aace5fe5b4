/* SPDX-License-Identifier: BSD-2-Clause */
/* Which routes are left out where not all fit.
 *
 * Without a record of its own a host on the link is asked for and gets nothing; the way to a prefix
 * becomes that of the next shorter one. So hosts go first, then prefixes, the longest first, since
 * they hold the fewest addresses. The default route and the gateway's own addresses stay.
 */
#ifndef SL_CONTROL_NETWORK_ROUTES_H
#define SL_CONTROL_NETWORK_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "../../dataplane/abi/service.h"

/* Makes of n records (longest prefix first) at most `max`, of at most `lengths` prefix lengths, in
 * the same order. Returns how many are left. */
/* A prefix of IPv4 addresses, however it is written. */
static inline bool sl_route_is4(const struct sl_route *r)
{
	return r->length >= 96 && sl_addr_is4(&r->prefix);
}

size_t sl_routes_fit(struct sl_route *route, size_t n, size_t max, size_t lengths);

#endif
