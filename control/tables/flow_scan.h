/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the whole flow table. */
#ifndef SL_CONTROL_TABLES_FLOW_SCAN_H
#define SL_CONTROL_TABLES_FLOW_SCAN_H

#include "../daemon.h"

/* Sets the bit of each service id below `n` that an entry names, whether the entry is alive or
 * expired. */
void sl_flow_scan_services(const struct sl_control *c, uint64_t *ids, uint32_t n);

#endif
