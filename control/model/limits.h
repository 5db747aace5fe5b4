/* SPDX-License-Identifier: BSD-2-Clause */
/* Queries about the limits in a model. */
#ifndef SL_CONTROL_MODEL_LIMITS_H
#define SL_CONTROL_MODEL_LIMITS_H

#include "model.h"

/* "per client /24 to backends". */
#define SL_LIMIT_NAME 64
const char *sl_limits_name(const struct sl_config_limit *l, char text[SL_LIMIT_NAME]);

/* The rate of its own that a subject (see sl_meter_key()) has under the limit of this id; NULL:
 * none. */
const struct sl_model_exception *sl_limits_exception(const struct sl_model_service *s,
						     uint16_t limit, uint64_t subject);

/* Limits, and subjects with a rate of their own, of all services. */
uint32_t sl_limits_count(const struct sl_model *m);
uint32_t sl_limits_count_exceptions(const struct sl_model *m);

#endif
