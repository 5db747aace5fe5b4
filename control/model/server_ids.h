/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks that the server ids of a service can be told apart. QUIC connections name their backends
 * by these ids. */
#ifndef SL_CONTROL_MODEL_SERVER_IDS_H
#define SL_CONTROL_MODEL_SERVER_IDS_H

#include "model.h"

/* Checks whether a backend may have this id beside the ids of the others. `but`: the backend
 * itself, or NULL. Returns 0, or -EINVAL with a message. */
int sl_service_id_clash(const struct sl_model_service *s, const struct sl_model_backend *but,
			const struct sl_server_id *id, char error[SL_ERROR_MAX]);

/* Checks all ids of a service against each other, including those of backends that leave. Returns
 * 0, -ENOMEM, or -EINVAL with a message. */
int sl_service_check_ids(const struct sl_model_service *s, char error[SL_ERROR_MAX]);

#endif
