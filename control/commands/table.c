/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"

#include <errno.h>
#include <stdlib.h>

#include "../report/drains.h"
#include "../report/export.h"
#include "../report/status.h"
#include "../tables/nat_pools.h"
#include "backend.h"
#include "backend_state.h"
#include "batch.h"
#include "detach.h"
#include "freeze.h"
#include "limit.h"
#include "params.h"
#include "reload.h"
#include "service.h"

static const char *const no_keys[] = { NULL };
static const char *const service_keys[] = { "service", NULL };

static int reload(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		  char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);

	return err ? err : sl_reload(context, call, "reload", result, error);
}

/* Methods that only read. They return at once, so `call` isn't used. */

static int status(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		  char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);

	(void)call;
	if (!err)
		*result = sl_report_status(context);
	return err;
}

static int service_list(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int err = sl_params_known(params, no_keys, error);
	json_t *list;

	(void)call;
	if (err)
		return err;
	list = json_array();
	for (size_t i = 0; i < c->model->n; i++)
		json_array_append_new(list, sl_report_service(c, c->model->service[i]));
	*result = json_pack("{s:o}", "services", list);
	return 0;
}

static int service_show(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int err = sl_params_known(params, service_keys, error);
	int at = err ? err : sl_param_service(c, params, error);
	json_t *list;

	(void)call;
	if (at < 0)
		return at;
	list = json_array();
	sl_report_backends(c, c->model->service[at], list);
	*result = sl_report_service(c, c->model->service[at]);
	json_object_set_new(*result, "backend_list", list);
	json_object_set_new(*result, "removed_live",
			    sl_report_removed(c, c->model->service[at]->conf.name));
	return 0;
}

static int backend_list(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX])
{
	const struct sl_control *c = context;
	int at, err = sl_param_any_service(c, params, &at, error);
	json_t *list;

	(void)call;
	if (err)
		return err;
	list = json_array();
	for (size_t i = 0; i < c->model->n; i++)
		if (at < 0 || (size_t)at == i)
			sl_report_backends(c, c->model->service[i], list);
	*result = json_pack("{s:o}", "backends", list);
	return 0;
}

static int drain_list(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);

	(void)call;
	if (!err)
		*result = json_pack("{s:o}", "drains", sl_report_drains(context));
	return err;
}

static int stats(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		 char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);

	(void)call;
	if (!err)
		*result = sl_report_stats(context);
	return err;
}

static int pool_list(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);

	(void)call;
	if (!err)
		*result = json_pack("{s:o}", "pools", sl_nat_pools_report(context));
	return err;
}

static int generation(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);

	(void)call;
	if (!err)
		*result = sl_report_generation(context);
	return err;
}

static int export(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		  char error[SL_ERROR_MAX])
{
	int err = sl_params_known(params, no_keys, error);
	char *text;

	(void)call;
	if (err)
		return err;
	text = sl_report_export(context, error);
	if (!text)
		return -ENOMEM;
	*result = json_pack("{s:s}", "text", text);
	free(text);
	return 0;
}

/* Answers, then ends the daemon, since nothing is left to serve. */
static int detach(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		  char error[SL_ERROR_MAX])
{
	static const struct timeval soon = { .tv_usec = 100000 };
	struct sl_control *c = context;
	int err = sl_params_known(params, no_keys, error);

	(void)call;
	if (!err)
		err = sl_detach(c, error);
	if (err)
		return err;
	sl_log("detached: the XDP programs are off, the pins are removed");
	event_base_loopexit(c->base, &soon);
	*result = json_pack("{s:s}", "text",
			    "detached: the XDP programs are off and the pins removed; "
			    "sluice-control ends");
	return 0;
}

const struct sl_rpc_method sl_commands[] = {
	{ "status", false, status },
	{ "service.list", false, service_list },
	{ "service.show", false, service_show },
	{ "service.add", true, sl_service_add_command },
	{ "service.remove", true, sl_service_remove_command },
	{ "service.set", true, sl_service_set_command },
	{ "backend.list", false, backend_list },
	{ "backend.add", true, sl_backend_add_command },
	{ "backend.remove", true, sl_backend_remove_command },
	{ "backend.drain", true, sl_backend_drain_command },
	{ "backend.ready", true, sl_backend_ready_command },
	{ "backend.maintenance", true, sl_backend_maintenance_command },
	{ "backend.weight", true, sl_backend_weight_command },
	{ "drain.list", false, drain_list },
	{ "freeze", true, sl_freeze_command },
	{ "unfreeze", true, sl_unfreeze_command },
	{ "batch", true, sl_batch_command },
	{ "limit.list", false, sl_limit_list_command },
	{ "limit.show", false, sl_limit_show_command },
	{ "limit.set", true, sl_limit_set_command },
	{ "limit.clear", true, sl_limit_clear_command },
	{ "limit.top", false, sl_limit_top_command },
	{ "pool.list", false, pool_list },
	{ "stats", false, stats },
	{ "generation", false, generation },
	{ "export", false, export },
	{ "reload", true, reload },
	{ "detach", true, detach },
};
const size_t sl_n_commands = sizeof(sl_commands) / sizeof(sl_commands[0]);
