/* SPDX-License-Identifier: BSD-2-Clause */
/* What a backend's record says by its service's forwarding mode: deltas for NAT, the constant part
 * of an outer header for tunnels, and the largest packet that fits behind it. */
#ifndef SL_CONTROL_TABLES_MODES_H
#define SL_CONTROL_TABLES_MODES_H

#include "../model/model.h"

/* Whether packets can go there. A backend that leaves may be of a family that only the service's
 * last mode, or a source that is gone, brought them to. */
bool sl_mode_reaches(const struct sl_config_service *conf, const struct sl_model_backend *b);

void sl_mode_fill(struct sl_backend *record, const struct sl_config_service *conf,
		  const struct sl_model_backend *b);

/* What SYNs to and from it may say at most; 0: whatever they do. */
uint16_t sl_mode_mss(const struct sl_config_service *conf, const struct sl_model_backend *b);

#endif
