/* SPDX-License-Identifier: BSD-2-Clause */
/* Table cells: how a value of a result is shown to people (numbers, times, addresses). */
#ifndef SL_CLI_CELL_H
#define SL_CLI_CELL_H

#include <jansson.h>

#define SL_CELL_MAX  256
#define SL_CELL_NONE "-"

/* Writes the member `key` of the row as text. */
typedef void sl_cell_fn(const json_t *row, const char *key, char text[SL_CELL_MAX]);

sl_cell_fn sl_cell_text;
sl_cell_fn sl_cell_number;  /* all digits: identifiers, weights */
sl_cell_fn sl_cell_count;   /* from 10,000 on as three digits and a unit */
sl_cell_fn sl_cell_decimal; /* with one decimal */
sl_cell_fn sl_cell_percent;
sl_cell_fn sl_cell_seconds;
sl_cell_fn sl_cell_ms;
sl_cell_fn sl_cell_up;
sl_cell_fn sl_cell_length; /* the length of an array */

/* key and "port": "192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:8000-8099"; port 0: whatever port
 * the service has. */
sl_cell_fn sl_cell_endpoint;

/* cycles_busy as a share of cycles_all. */
sl_cell_fn sl_cell_busy;

/* Packets per burst: how many packets the worker finds at once. */
sl_cell_fn sl_cell_burst;

/* With who overrules it: "down (live)". */
sl_cell_fn sl_cell_health;

/* A limit's scope with its prefix length, if that is shorter than an address; or its subject. */
sl_cell_fn sl_cell_per;

#endif
