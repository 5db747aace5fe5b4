/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds the small records of a bank: services, reply entries, routes, ports, and exceptions
 * (clients and flows with their own rate).
 *
 * The records are gathered in arrays beside their keys. Each one is given an index in its table
 * (place.h) and is copied there. Every generation writes all records, which costs less than finding
 * out which of them changed. The extents that they name must be complete before (records.h).
 */
#ifndef SL_CONTROL_TABLES_BANK_H
#define SL_CONTROL_TABLES_BANK_H

#include "../daemon.h"

/* Fills the bank of `generation`. Returns 0 or -errno. There is a message with -ENOSPC (the records
 * don't fit), -E2BIG (a backend is in too many services with a range of ports) and -EMLINK (the
 * prefixes of VIPs have too many different lengths). */
int sl_bank_build(struct sl_control *c, const struct sl_model *m, uint64_t generation,
		  char error[SL_ERROR_MAX]);

#endif
