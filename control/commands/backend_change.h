/* SPDX-License-Identifier: BSD-2-Clause */
/* What commands that change backends have in common: they find a backend, and edit the operators'
 * override of it (desired/operators.h) in a transaction (transaction/transaction.h). */
#ifndef SL_CONTROL_COMMANDS_BACKEND_CHANGE_H
#define SL_CONTROL_COMMANDS_BACKEND_CHANGE_H

#include "../transaction/transaction.h"

struct sl_rpc_call;

/* A change of a backend that has begun, with what operators have set of it so far. */
struct sl_backend_change {
	struct sl_transaction *t;
	const struct sl_model_service *service; /* as published */
	const struct sl_model_backend *backend; /* NULL: it is being added */
	const struct sl_config_backend *file;	/* the file's; NULL: it has none */
	/* Of its service, and of the backend itself. Both are valid until overrides are added. */
	struct sl_operator_service *overrides;
	struct sl_operator_backend *override;
};

/* Finds a backend by its name or as ADDRESS:PORT. A backend that is leaving is only returned if no
 * other fits, since a new one may have its name. NULL: there is none. */
struct sl_model_backend *sl_backend_named(const struct sl_model_service *s, const char *name);

/* Begins a transaction that changes the service that params name; the second one also finds the
 * backend that they name. Return 0, or -errno with a message. */
int sl_backend_change_begin(struct sl_backend_change *x, struct sl_control *c,
			    struct sl_rpc_call *call, const char *what, const json_t *params,
			    char error[SL_ERROR_MAX]);
int sl_backend_change_begin_named(struct sl_backend_change *x, struct sl_control *c,
				  struct sl_rpc_call *call, const char *what, const json_t *params,
				  char error[SL_ERROR_MAX]);

/* Finds the file's backend of this endpoint in x->service, and the override, which it adds if
 * necessary. Returns 0 or -ENOMEM. */
int sl_backend_change_find(struct sl_backend_change *x, const union sl_addr *addr, uint16_t port);

/* Shares the override and the drain in an affinity group (affinity_group.h), and runs the
 * transaction as sl_change_run(). */
int sl_backend_change_run(struct sl_backend_change *x, json_t **result, char error[SL_ERROR_MAX]);

#endif
