/* SPDX-License-Identifier: BSD-2-Clause */
/* What one value of a result looks like to people: figures, times, addresses as text. */
#ifndef SL_CLI_CELL_H
#define SL_CLI_CELL_H

#include <jansson.h>

#define SL_CELL_MAX  256
#define SL_CELL_NONE "-"

/* Writes what `key` of the row says. */
typedef void sl_cell_fn(const json_t *row, const char *key, char text[SL_CELL_MAX]);

sl_cell_fn sl_cell_text;
sl_cell_fn sl_cell_number;  /* in full: identifiers, weights */
sl_cell_fn sl_cell_count;   /* three digits and a unit, from 10,000 on */
sl_cell_fn sl_cell_decimal; /* with one decimal */
sl_cell_fn sl_cell_percent;
sl_cell_fn sl_cell_seconds;
sl_cell_fn sl_cell_ms;
sl_cell_fn sl_cell_up;
sl_cell_fn sl_cell_length; /* how many there are in a list */

/* key and "port": "192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:8000-8099"; port 0: whichever the
 * service has. */
sl_cell_fn sl_cell_endpoint;

/* cycles_busy of cycles_all. */
sl_cell_fn sl_cell_busy;

/* Packets a burst: how much work comes at once. */
sl_cell_fn sl_cell_burst;

/* A limit's scope, with the prefix length where that isn't an address, or whose it is. */
sl_cell_fn sl_cell_per;

#endif
