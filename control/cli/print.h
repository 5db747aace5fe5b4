/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints results for people. One function for each shape of result (docs/control-socket.md). */
#ifndef SL_CLI_PRINT_H
#define SL_CLI_PRINT_H

#include <jansson.h>

void sl_print_status(const json_t *result);
void sl_print_services(const json_t *result);
void sl_print_service(const json_t *result);
void sl_print_backends(const json_t *result);
void sl_print_pools(const json_t *result);
void sl_print_drains(const json_t *result);
void sl_print_limits(const json_t *result);
void sl_print_limit_states(const json_t *result);
void sl_print_limit_top(const json_t *result);
void sl_print_change(const json_t *result);
void sl_print_stats(const json_t *result);
void sl_print_top(const json_t *result);
void sl_print_generation(const json_t *result);
void sl_print_reload(const json_t *result);
void sl_print_text(const json_t *result);

#endif
