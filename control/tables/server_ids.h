/* SPDX-License-Identifier: BSD-2-Clause */
/* Server ids as records (abi/server_id.h): from the model to what engines read, and back for a
 * control that was restarted.
 *
 * Who serves is named by its id, also while it drains or leaves: the connections that have such ids
 * are established. Who waits (model/shared_endpoints.h) isn't yet. The id is another's to have once
 * its backend is gone.
 */
#ifndef SL_CONTROL_TABLES_SERVER_IDS_H
#define SL_CONTROL_TABLES_SERVER_IDS_H

#include "../daemon.h"

/* The extent of a service that is being published, made anew if it differs. -ENOSPC with a message:
 * no room. */
int sl_server_ids_build(struct sl_control *c, struct sl_model_service *s, char error[SL_ERROR_MAX]);

/* What the record of a service that has any says of them: sl_server_ids_pack(). */
uint32_t sl_server_ids_record(const struct sl_model_service *s);

/* Whether engines are told to send connections to it by its server id. */
bool sl_servers_name(const struct sl_model_service *s, uint32_t number);

/* The ids of a service record. -EPROTO: they contradict it. */
int sl_server_ids_adopt(struct sl_control *c, struct sl_model_service *s,
			const struct sl_service *record);

#endif
