/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts QUIC server ids from the model to the records that engines read (abi/server_id.h), and
 * back when control was restarted.
 *
 * A backend that serves has its id in the table, also while it drains or leaves, because
 * connections with such ids are established. A backend that waits (model/shared_endpoints.h)
 * doesn't have it there yet. Once a backend is gone, another one may have its id.
 */
#ifndef SL_CONTROL_TABLES_SERVER_IDS_H
#define SL_CONTROL_TABLES_SERVER_IDS_H

#include "../daemon.h"

/* Writes the server ids of a service that is being published to a new extent, or keeps the present
 * one if nothing changed. Returns 0, -ENOMEM, or -ENOSPC with a message. */
int sl_server_ids_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX]);

/* Returns the field server_ids of the service's record, see sl_server_ids_pack(). The service must
 * have server ids. */
uint32_t sl_server_ids_record(const struct sl_model_service *s);

/* Whether engines send connections to the backend by its server id. */
bool sl_servers_name(const struct sl_model_service *s, uint32_t number);

/* Rebuilds the server ids of a service from its record. Returns 0, or -EPROTO if they contradict
 * it. */
int sl_server_ids_adopt(struct sl_control *c, struct sl_model_service *s,
			const struct sl_service *record);

#endif
