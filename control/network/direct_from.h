/* SPDX-License-Identifier: BSD-2-Clause */
/* Prefixes that talk to backends directly (direct_from): what a backend sends there is the
 * kernel's, whatever its port, so that it isn't taken for a service's reply.
 *
 * To an engine that is a route of kind LOCAL. The longest prefix decides, so every route that lies
 * in an exempt prefix is one, and the prefix itself has a record even where no route is as long.
 * Only the records of clients' routes change: backends in there are reached as ever.
 */
#ifndef SL_CONTROL_NETWORK_DIRECT_FROM_H
#define SL_CONTROL_NETWORK_DIRECT_FROM_H

#include "../../config/config.h"
#include "../../dataplane/abi/service.h"

/* Over n routes, longest prefix first and then by address, with room for SL_DIRECT_FROM_MAX more;
 * in that order afterwards. Returns how many there are. */
size_t sl_direct_from_routes(const struct sl_config *config, struct sl_route *route, size_t n);

#endif
