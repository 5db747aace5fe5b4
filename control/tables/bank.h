/* SPDX-License-Identifier: BSD-2-Clause */
/* The small records of a bank: services, replies, routes, ports, clients and flows with a rate of
 * their own.
 *
 * They are gathered in arrays beside their keys, placed (place.h), and copied to their places, all
 * of them for each generation, which costs less than finding out which are the same. The extents
 * that they name stand already (records.h).
 */
#ifndef SL_CONTROL_TABLES_BANK_H
#define SL_CONTROL_TABLES_BANK_H

#include "../daemon.h"

/* Fills the bank of `generation`. -ENOSPC with a message: it has no place for all. */
int sl_bank_build(struct sl_control *c, const struct sl_model *m, uint64_t generation,
		  char error[SL_ERROR_MAX]);

#endif
