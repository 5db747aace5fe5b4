/* SPDX-License-Identifier: BSD-2-Clause */
#include "direct_from.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "routes.h"

/* Whether prefix r lies in prefix `in`. Both must be of one family, since in the 16-byte form all
 * of IPv4 is a /96. */
static bool lies_in(const struct sl_route *r, const struct sl_config_prefix *in)
{
	uint32_t bytes = in->length / 8, mask = 0xff00u >> in->length % 8 & 0xff;

	if (r->length < in->length ||
	    sl_route_is4(r) != (sl_addr_is4(&in->addr) && in->length >= 96))
		return false;
	return memcmp(&r->prefix, &in->addr, bytes) == 0 &&
	       (bytes == sizeof(in->addr) || !((r->prefix.b[bytes] ^ in->addr.b[bytes]) & mask));
}

static int compare(const void *left, const void *right)
{
	const struct sl_route *a = left, *b = right;

	if (a->length != b->length)
		return a->length > b->length ? -1 : 1;
	return memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));
}

size_t sl_direct_from_routes(const struct sl_config *config, struct sl_route *route, size_t n)
{
	size_t known = n;

	for (size_t i = 0; i < config->n_direct_from; i++) {
		const struct sl_config_prefix *in = &config->direct_from[i];
		bool there = false;

		for (size_t k = 0; k < n; k++) {
			if (!lies_in(&route[k], in))
				continue;
			there |= route[k].length == in->length;
			route[k] = (struct sl_route){ .prefix = route[k].prefix,
						      .length = route[k].length,
						      .kind = SL_ROUTE_LOCAL };
		}
		if (!there)
			route[n++] = (struct sl_route){ .prefix = in->addr,
							.length = in->length,
							.kind = SL_ROUTE_LOCAL };
	}
	if (n != known)
		qsort(route, n, sizeof(*route), compare);
	return n;
}
