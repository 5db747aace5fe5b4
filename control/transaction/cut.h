/* SPDX-License-Identifier: BSD-2-Clause */
/* Removes backends at once, which ends their connections. (Otherwise a backend that was removed
 * leaves: it serves until its connections have ended.) */
#ifndef SL_CONTROL_TRANSACTION_CUT_H
#define SL_CONTROL_TRANSACTION_CUT_H

#include "transaction.h"

/* For sl_transaction.adjust: removes the backends whose override is `cut`. */
void sl_cut_removed(struct sl_transaction *t, struct sl_model *next);

#endif
