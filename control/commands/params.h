/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the parameters of commands. Messages begin with the member's name. */
#ifndef SL_CONTROL_COMMANDS_PARAMS_H
#define SL_CONTROL_COMMANDS_PARAMS_H

#include "../daemon.h"

/* Returns a string; NULL with a message if it is missing or not a string. */
const char *sl_param_text(const json_t *params, const char *key, char error[SL_ERROR_MAX]);

/* Returns -EINVAL with a message if there is a member that isn't among `keys`, a list that ends
 * with NULL; else 0. */
int sl_params_known(const json_t *params, const char *const *keys, char error[SL_ERROR_MAX]);

/* Reads "service", for methods that have it as their only parameter and don't require it. *at is
 * its index in c->model, or -1 if it is missing. Returns 0, or -errno with a message. */
int sl_param_any_service(const struct sl_control *c, const json_t *params, int *at,
			 char error[SL_ERROR_MAX]);

/* Reads true or false. *value stays as it is if the member is missing. Returns 0, or -EINVAL with a
 * message. */
int sl_param_bool(const json_t *params, const char *key, bool *value, char error[SL_ERROR_MAX]);

/* Returns the index in c->model of the service that "service" names, or -errno with a message. */
int sl_param_service(const struct sl_control *c, const json_t *params, char error[SL_ERROR_MAX]);

/* Writes the message of an error. Returns err. */
__attribute__((format(printf, 3, 4))) int sl_refuse(char error[SL_ERROR_MAX], int err,
						    const char *format, ...);

#endif
