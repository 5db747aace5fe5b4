/* SPDX-License-Identifier: BSD-2-Clause */
#include "affinity_group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../desired/drains.h"

static bool same_group(const struct sl_config_service *a, const struct sl_config_service *b)
{
	return *a->affinity_group && strcmp(a->affinity_group, b->affinity_group) == 0 &&
	       strcmp(a->name, b->name) != 0;
}

static const struct sl_config_service *in_file(const struct sl_config *file, const char *name)
{
	for (size_t i = 0; i < file->n_services; i++)
		if (strcmp(file->service[i].name, name) == 0)
			return &file->service[i];
	return NULL;
}

/* Finds the host's port in `to`: as it serves there, as the file has it, or as `from` has it. */
static uint16_t port_of(const struct sl_control *c, const struct sl_config_service *from,
			const struct sl_config_service *to,
			const struct sl_operator_backend *override)
{
	const struct sl_config_service *file = in_file(&c->config, to->name);
	int at = sl_model_find(c->model, to->name);

	for (uint32_t i = 0; at >= 0 && i < c->model->service[at]->n; i++) {
		const struct sl_model_backend *b = &c->model->service[at]->backend[i];

		if (b->state != SL_STATE_FREE && b->state != SL_STATE_GONE &&
		    sl_addr_equal(&b->addr, &override->addr))
			return b->port;
	}
	for (size_t i = 0; file && i < file->n_backends; i++)
		if (sl_addr_equal(&file->backend[i].addr, &override->addr))
			return file->backend[i].port;
	return override->port == sl_config_backend_port(from) ? sl_config_backend_port(to)
							      : override->port;
}

/* Makes the override in `to` that says what `override` says in `from`. Both are differences to what
 * the file has of the host in that service; a service that was added live has nothing in the file,
 * so there the host is an added one. */
static struct sl_operator_backend translate(const struct sl_config_backend *from,
					    const struct sl_config_backend *to,
					    const struct sl_operator_backend *override,
					    const struct sl_operator_backend *before, uint16_t port)
{
	struct sl_operator_backend made = { .addr = override->addr, .port = port };
	uint32_t weight = override->weight ? override->weight : from ? from->weight : 1;
	bool maintenance = override->state == SL_OPERATOR_MAINTENANCE;
	bool draining = override->state == SL_OPERATOR_DRAINING ||
			(from && from->draining && override->state != SL_OPERATOR_READY);

	const char *name = before->added     ? before->name
			   : override->added ? override->name
			   : from	     ? from->name
					     : NULL;

	made.removed = override->removed;
	made.cut = override->cut;
	if (override->removed || (!to && !name)) /* NULL: nobody has the host any more */
		return made;
	made.forced = override->forced;
	if (!to) {
		made.added = true;
		snprintf(made.name, sizeof(made.name), "%s", name);
		made.server_id = before->added ? before->server_id : override->server_id;
		made.weight = weight;
		made.state = maintenance ? SL_OPERATOR_MAINTENANCE
			     : draining	 ? SL_OPERATOR_DRAINING
					 : SL_OPERATOR_SILENT;
		return made;
	}
	if (maintenance)
		made.state = SL_OPERATOR_MAINTENANCE;
	else if (draining != to->draining)
		made.state = draining ? SL_OPERATOR_DRAINING : SL_OPERATOR_READY;
	if (weight != to->weight) {
		made.weight = weight;
		made.file_weight = to->weight;
	}
	return made;
}

/* Copies the drain of a backend, or that it has none. name: the host's in that service. */
static int copy_drain(struct sl_operator_service *to, const struct sl_drain *drain,
		      const struct sl_operator_backend *backend, const char *name)
{
	struct sl_drain made;

	sl_drain_drop(to, &backend->addr, backend->port);
	if (!drain)
		return 0;
	made = *drain;
	made.port = backend->port;
	if (name)
		snprintf(made.name, sizeof(made.name), "%s", name);
	return sl_drain_set(to, &made);
}

/* Copies the override of a backend of `from`, and its drain, to the same host in `to`. drain: NULL
 * if there is none. */
static int copy(struct sl_transaction *t, const struct sl_config_service *from,
		const struct sl_config_service *to, const struct sl_operator_backend *override,
		const struct sl_drain *drain, char error[SL_ERROR_MAX])
{
	const struct sl_config *file = &t->c->config;
	uint16_t port = port_of(t->c, from, to, override);
	struct sl_operator_service *service;
	const struct sl_config_backend *there;
	struct sl_operator_backend *backend;
	char why[SL_ERROR_MAX];

	if (sl_mode_check_port(to, port, why) != 0) {
		snprintf(error, SL_ERROR_MAX,
			 "port: of service %s, which is in the same affinity_group: %.*s", to->name,
			 SL_ERROR_MAX - 128, why);
		return -EINVAL;
	}
	service = sl_operators_get(t->operators, to->name);
	backend = service ? sl_operator_backend_get(service, &override->addr, port) : NULL;
	if (!backend)
		return -ENOMEM;
	there = sl_config_find_backend(file, to->name, &override->addr, port);
	*backend =
		translate(sl_config_find_backend(file, from->name, &override->addr, override->port),
			  there, override, backend, port);
	return copy_drain(service, drain, backend,
			  there		   ? there->name
			  : backend->added ? backend->name
					   : NULL);
}

int sl_affinity_group_share(struct sl_transaction *t, const struct sl_model_service *service,
			    const struct sl_operator_service *overrides,
			    const struct sl_operator_backend *override, char error[SL_ERROR_MAX])
{
	const struct sl_operator_backend shared = *override; /* copy() may move it, */
	const struct sl_drain *found = sl_drain_find(overrides, &shared.addr, shared.port);
	const struct sl_drain drain = found ? *found : (struct sl_drain){ 0 }; /* and this */
	const struct sl_model *model = t->c->model;

	for (size_t i = 0; i < model->n; i++) {
		const struct sl_model_service *s = model->service[i];
		int err;

		if (!same_group(&s->conf, &service->conf))
			continue;
		err = copy(t, &service->conf, &s->conf, &shared, found ? &drain : NULL, error);
		if (err)
			return err;
		t->service[0] = '\0'; /* more than one service changes */
	}
	return 0;
}

/* Finds another service of the group that serves, if possible one of the file: its overrides are
 * all that differs from the file. */
static const struct sl_config_service *find_other(const struct sl_control *c,
						  const struct sl_config_service *service)
{
	const struct sl_config_service *found = NULL;

	for (size_t i = 0; i < c->model->n; i++) {
		const struct sl_config_service *other = &c->model->service[i]->conf;

		if (!same_group(other, service))
			continue;
		if (in_file(&c->config, other->name))
			return other;
		found = found ? found : other;
	}
	return found;
}

int sl_affinity_group_join(struct sl_transaction *t, const struct sl_config_service *service,
			   char error[SL_ERROR_MAX])
{
	const struct sl_config_service *other = find_other(t->c, service);
	const struct sl_operator_service *overrides;
	int err = 0;

	/* They are looked up each time, since copy() may move them. */
	for (size_t i = 0; other && !err; i++) {
		struct sl_operator_backend shared;
		const struct sl_drain *found;
		struct sl_drain drain;

		overrides = sl_operators_find(t->operators, other->name);
		if (!overrides || i >= overrides->n_backends)
			break;
		shared = overrides->backend[i];
		found = sl_drain_find(overrides, &shared.addr, shared.port);
		drain = found ? *found : (struct sl_drain){ 0 };
		err = copy(t, other, service, &shared, found ? &drain : NULL, error);
	}
	return err;
}
