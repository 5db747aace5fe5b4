/* SPDX-License-Identifier: BSD-2-Clause */
#include "routes.h"

#include <stdbool.h>
#include <stdint.h>

enum { LENGTH_MAX = 128, LENGTH_DEFAULT4 = 96 };

static bool is_default(const struct sl_route *r)
{
	return r->length == 0 ||
	       (r->length == LENGTH_DEFAULT4 && sl_addr_is4(&r->prefix) && !r->prefix.w[3]);
}

/* The order in which routes are dropped. OWN and DEFAULT go only if nothing else is left. */
enum rank { HOST, PREFIX, OWN, DEFAULT };

static enum rank rank_of(const struct sl_route *r)
{
	if (is_default(r))
		return DEFAULT;
	if (r->kind == SL_ROUTE_LOCAL)
		return OWN;
	return r->length == LENGTH_MAX && r->kind >= SL_ROUTE_LINK && !r->gateway.q[0] &&
			       !r->gateway.q[1]
		       ? HOST
		       : PREFIX;
}

/* Drops `excess` routes, lowest rank first. Within a rank the first go: hosts are all alike, and
 * prefixes are sorted by length, the longest first. */
static size_t drop(struct sl_route *route, size_t n, size_t excess)
{
	for (int rank = HOST; rank <= DEFAULT && excess; rank++) {
		size_t kept = 0;

		for (size_t i = 0; i < n; i++) {
			if (excess && rank_of(&route[i]) == (enum rank)rank)
				excess--;
			else
				route[kept++] = route[i];
		}
		n = kept;
	}
	return n;
}

/* Returns a prefix length of one family whose records may all be dropped: the one with the fewest
 * records, or LENGTH_MAX + 1 if there is none. A length stays if it includes an own address or a
 * default route. With links_stay it also stays if it includes a connected prefix, whose hosts would
 * be lost. */
static uint32_t least_length(const struct sl_route *route, size_t n, bool four, bool links_stay)
{
	size_t count[LENGTH_MAX + 1] = { 0 };
	bool stays[LENGTH_MAX + 1] = { false };
	uint32_t least = LENGTH_MAX + 1;

	for (size_t i = 0; i < n; i++) {
		const struct sl_route *r = &route[i];

		if (r->length > LENGTH_MAX || sl_route_is4(r) != four)
			continue;
		count[r->length]++;
		stays[r->length] |= rank_of(r) >= OWN || (links_stay && r->kind == SL_ROUTE_LINK);
	}
	for (uint32_t length = LENGTH_MAX + 1; length-- > 0;)
		if (count[length] && !stays[length] &&
		    (least > LENGTH_MAX || count[length] < count[least]))
			least = length;
	return least;
}

static size_t lengths_of(const struct sl_route *route, size_t n, bool four)
{
	uint32_t last = LENGTH_MAX + 1;
	size_t lengths = 0;

	for (size_t i = 0; i < n; i++) {
		if (sl_route_is4(&route[i]) != four)
			continue;
		lengths += route[i].length != last;
		last = route[i].length;
	}
	return lengths;
}

static size_t fit_lengths(struct sl_route *route, size_t n, bool four, size_t lengths)
{
	while (lengths_of(route, n, four) > lengths) {
		uint32_t least = least_length(route, n, four, true);
		size_t kept = 0;

		if (least > LENGTH_MAX)
			least = least_length(route, n, four, false);
		if (least > LENGTH_MAX)
			break;
		for (size_t i = 0; i < n; i++)
			if (route[i].length != least || sl_route_is4(&route[i]) != four)
				route[kept++] = route[i];
		n = kept;
	}
	return n;
}

size_t sl_routes_fit(struct sl_route *route, size_t n, size_t max, size_t lengths)
{
	n = fit_lengths(route, n, true, lengths);
	n = fit_lengths(route, n, false, lengths);
	return n > max ? drop(route, n, n - max) : n;
}
