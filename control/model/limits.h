/* SPDX-License-Identifier: BSD-2-Clause */
/* Queries about the limits in a model. */
#ifndef SL_CONTROL_MODEL_LIMITS_H
#define SL_CONTROL_MODEL_LIMITS_H

#include "model.h"

/* Writes the name of a limit to `text`, such as "per client /24 to backends", and returns
 * `text`. */
#define SL_LIMIT_NAME 64
const char *sl_limits_name(const struct sl_config_limit *l, char text[SL_LIMIT_NAME]);

/* Returns the exception by which a subject (see sl_meter_key()) has its own rate under the limit
 * with this id; NULL: it has none. */
const struct sl_model_exception *sl_limits_exception(const struct sl_model_service *s,
						     uint16_t limit, uint64_t subject);

/* These count the limits, and the subjects with their own rate, of all services. */
uint32_t sl_limits_count(const struct sl_model *m);
uint32_t sl_limits_count_exceptions(const struct sl_model *m);

#endif
