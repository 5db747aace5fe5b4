/* SPDX-License-Identifier: BSD-2-Clause */
/* Prefixes that talk to backends directly (direct_from). What a backend sends there belongs to the
 * kernel, whatever its port, so that the engines don't take it for a service's reply.
 *
 * To an engine such a prefix is a route of kind LOCAL. The longest prefix decides, so every route
 * that lies in an exempt prefix becomes LOCAL, and the prefix itself gets a record even if no route
 * has its length. Only the routes by which clients are looked up change: backends in such a prefix
 * stay reachable.
 */
#ifndef SL_CONTROL_NETWORK_DIRECT_FROM_H
#define SL_CONTROL_NETWORK_DIRECT_FROM_H

#include "../../config/config.h"
#include "../../dataplane/abi/service.h"

/* Applies direct_from to n routes, which are sorted by longest prefix and then by address. The
 * array has room for SL_DIRECT_FROM_MAX more, and is in the same order afterwards. Returns the
 * number of routes. */
size_t sl_direct_from_routes(const struct sl_config *config, struct sl_route *route, size_t n);

#endif
