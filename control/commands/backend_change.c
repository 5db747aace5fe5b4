/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int sl_backend_change_share(struct sl_backend_change *x, char error[SL_ERROR_MAX])
{
	const struct sl_config_service *conf = &x->service->conf;
	struct sl_transaction *t = x->t;
	struct sl_control *c = t->c;
	const struct sl_operator_backend said = *x->override;
	const struct sl_drain *drain = sl_drain_find(x->overrides, &said.addr, said.port);
	struct sl_drain shared = drain ? *drain : (struct sl_drain){ 0 };
	char why[SL_ERROR_MAX];

	for (size_t i = 0; *conf->affinity_group && i < c->model->n; i++) {
		const struct sl_model_service *s = c->model->service[i];
		uint16_t port = said.port == sl_config_backend_port(conf)
					? sl_config_backend_port(&s->conf)
					: said.port;
		const struct sl_model_backend *there = NULL;
		struct sl_operator_service *o;
		struct sl_operator_backend *w;

		if (s == x->service || strcmp(s->conf.affinity_group, conf->affinity_group) != 0)
			continue;
		for (uint32_t k = 0; k < s->n && !there; k++)
			if (s->backend[k].state != SL_STATE_FREE &&
			    s->backend[k].state != SL_STATE_GONE &&
			    sl_addr_equal(&s->backend[k].addr, &said.addr))
				there = &s->backend[k];
		if (there)
			port = there->port;
		if (sl_mode_check_port(&s->conf, port, why) != 0) {
			snprintf(error, SL_ERROR_MAX,
				 "port: of service %s, which is in the same affinity_group: %.*s",
				 s->conf.name, SL_ERROR_MAX - 128, why);
			return -EINVAL;
		}
		o = sl_operators_get(t->operators, s->conf.name);
		w = o ? sl_operator_backend_get(o, &said.addr, port) : NULL;
		if (!w)
			return -ENOMEM;
		*w = said;
		w->port = port;
		sl_drain_drop(o, &said.addr, port);
		shared.port = port;
		if (there)
			memcpy(shared.name, there->name, sizeof(shared.name));
		if (drain && there && sl_drain_set(o, &shared) != 0)
			return -ENOMEM;
		t->service[0] = '\0'; /* more than one service changes */
	}
	return 0;
}

int sl_backend_change_run(struct sl_backend_change *x, json_t **result, char error[SL_ERROR_MAX])
{
	int err = sl_backend_change_share(x, error);

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
