/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "affinity_group.h"
#include "change.h"
#include "params.h"

struct sl_model_backend *sl_backend_named(const struct sl_model_service *s, const char *name)
{
	struct sl_model_backend *leaving = NULL;
	char endpoint[SL_ENDPOINT_TEXT];

	for (uint32_t i = 0; i < s->n; i++) {
		struct sl_model_backend *b = &s->backend[i];

		if (b->state == SL_STATE_FREE || b->state == SL_STATE_GONE ||
		    (strcmp(b->name, name) != 0 &&
		     strcmp(sl_endpoint_format(&b->addr, b->port, endpoint), name) != 0))
			continue;
		if (b->state != SL_STATE_LEAVING)
			return b;
		leaving = b;
	}
	return leaving;
}

int sl_backend_change_run(struct sl_backend_change *x, json_t **result, char error[SL_ERROR_MAX])
{
	int err = sl_affinity_group_share(x->t, x->service, x->overrides, x->override, error);

	return err ? sl_change_drop(x->t, err) : sl_change_run(x->t, result, error);
}

int sl_backend_change_begin(struct sl_backend_change *x, struct sl_control *c,
			    struct sl_rpc_call *call, const char *what, const json_t *params,
			    char error[SL_ERROR_MAX])
{
	int at = sl_param_service(c, params, error);

	*x = (struct sl_backend_change){ 0 };
	if (at < 0)
		return at;
	x->service = c->model->service[at];
	x->t = sl_change_begin(c, call, what, NULL);
	if (!x->t)
		return -ENOMEM;
	memcpy(x->t->service, x->service->conf.name, sizeof(x->t->service));
	x->t->always = true;
	return 0;
}

int sl_backend_change_find(struct sl_backend_change *x, const union sl_addr *addr, uint16_t port)
{
	struct sl_transaction *t = x->t;
	const char *service = x->service->conf.name;

	x->overrides = sl_operators_get(t->operators, service);
	x->file = sl_config_find_backend(&t->c->config, service, addr, port);
	x->override = x->overrides ? sl_operator_backend_get(x->overrides, addr, port) : NULL;
	return x->override ? 0 : -ENOMEM;
}

int sl_backend_change_begin_named(struct sl_backend_change *x, struct sl_control *c,
				  struct sl_rpc_call *call, const char *what, const json_t *params,
				  char error[SL_ERROR_MAX])
{
	const char *name = sl_param_text(params, "backend", error);
	int err = name ? sl_backend_change_begin(x, c, call, what, params, error) : -EINVAL;

	if (err)
		return err;
	x->backend = sl_backend_named(x->service, name);
	if (!x->backend) {
		snprintf(error, SL_ERROR_MAX, "backend: service %s has no backend %s",
			 x->service->conf.name, name);
		err = -ENOENT;
	} else {
		err = sl_backend_change_find(x, &x->backend->addr, x->backend->port);
	}
	return err ? sl_change_drop(x->t, err) : 0;
}
