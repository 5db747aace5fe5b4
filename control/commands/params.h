/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands read of their parameters, with messages that begin with the member's name. */
#ifndef SL_CONTROL_COMMANDS_PARAMS_H
#define SL_CONTROL_COMMANDS_PARAMS_H

#include "../daemon.h"

/* NULL with a message: missing, or not a string. */
const char *sl_param_text(const json_t *params, const char *key, char error[SL_ERROR_MAX]);

/* -EINVAL where there is a member that isn't among `keys`, which NULL ends. */
int sl_params_known(const json_t *params, const char *const *keys, char error[SL_ERROR_MAX]);

/* For methods that may be asked of one service alone, and know no other parameter: its index in
 * c->model in *at, -1 where none is named. 0 or -errno. */
int sl_param_any_service(const struct sl_control *c, const json_t *params, int *at,
			 char error[SL_ERROR_MAX]);

/* True or false, in *value, which stays where it is missing; -EINVAL with a message otherwise. */
int sl_param_bool(const json_t *params, const char *key, bool *value, char error[SL_ERROR_MAX]);

/* The index in c->model of the service that "service" names, or -errno. */
int sl_param_service(const struct sl_control *c, const json_t *params, char error[SL_ERROR_MAX]);

#endif
