/* SPDX-License-Identifier: BSD-2-Clause */
/* Computes the fields of a backend's record that depend on the service's forwarding mode: checksum
 * deltas for NAT, the constant part of the outer header for tunnels, and the largest packet that
 * fits. */
#ifndef SL_CONTROL_TABLES_MODES_H
#define SL_CONTROL_TABLES_MODES_H

#include "../model/model.h"

/* Whether packets can be sent to the backend in the present mode. A backend that is leaving may be
 * of an address family that only the service's former mode could reach, or that needs a tunnel
 * source that was removed. */
bool sl_mode_reaches(const struct sl_config_service *conf, const struct sl_model_backend *b);

void sl_mode_fill(struct sl_backend *record, const struct sl_config_service *conf,
		  const struct sl_model_backend *b);

/* The upper bound on the MSS of SYNs to and from the backend; 0: leave it. */
uint16_t sl_mode_mss(const struct sl_config_service *conf, const struct sl_model_backend *b);

#endif
