/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the server ids of a service, by which QUIC connections name their backends, can be told
 * apart. */
#ifndef SL_CONTROL_MODEL_SERVER_IDS_H
#define SL_CONTROL_MODEL_SERVER_IDS_H

#include "model.h"

/* Whether a backend may have this id beside those of the others; `but`: the one that it is of, or
 * NULL. 0 or -EINVAL with a message. */
int sl_service_id_clash(const struct sl_model_service *s, const struct sl_model_backend *but,
			const struct sl_server_id *id, char error[SL_ERROR_MAX]);

/* Whether all ids of the service stand beside each other, those of backends that leave included. 0
 * or -EINVAL with a message. */
int sl_service_check_ids(const struct sl_model_service *s, char error[SL_ERROR_MAX]);

#endif
