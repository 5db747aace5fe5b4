/* SPDX-License-Identifier: BSD-2-Clause */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../desired/changes.h"
#include "../desired/effective.h"
#include "../desired/fields.h"
#include "affinity_group.h"
#include "change.h"
#include "params.h"

static const struct sl_config_service *in_file(const struct sl_control *c, const char *name)
{
	for (size_t i = 0; i < c->config.n_services; i++)
		if (strcmp(c->config.service[i].name, name) == 0)
			return &c->config.service[i];
	return NULL;
}

/* Begins a transaction that changes this service. *overrides is set to the operators' record of it.
 */
static int begin(struct sl_control *c, struct sl_rpc_call *call, const char *what, const char *name,
		 struct sl_transaction **t, struct sl_operator_service **overrides)
{
	*t = sl_change_begin(c, call, what, NULL);
	*overrides = *t ? sl_operators_get((*t)->operators, name) : NULL;
	if (!*t)
		return -ENOMEM;
	if (!*overrides)
		return sl_change_drop(*t, -ENOMEM);
	snprintf((*t)->service, sizeof((*t)->service), "%s", name);
	(*t)->always = true;
	return 0;
}

/* Checks that the service is valid now and can exist beside the others. Messages name the field. */
static int check(const struct sl_transaction *t, char error[SL_ERROR_MAX])
{
	struct sl_layers layers = sl_layers_of(t->c);

	layers.operators = t->operators;
	return sl_effective_check(&layers, t->service, error);
}

static int check_known(const json_t *fields, char error[SL_ERROR_MAX])
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)fields, key, value) {
		if (!sl_config_service_field(key))
			return sl_refuse(
				error, -EINVAL,
				"%.64s: services have no such field; docs/configuration.md "
				"lists them",
				key);
	}
	return 0;
}

/* add */

static int set_added(struct sl_operator_service *overrides, const char *name, const json_t *fields)
{
	overrides->added = true;
	json_decref(overrides->fields);
	overrides->fields = fields ? json_deep_copy(fields) : json_object();
	if (!overrides->fields ||
	    json_object_set_new(overrides->fields, "name", json_string(name)) != 0)
		return -ENOMEM;
	return 0;
}

static int read_new(const struct sl_control *c, const json_t *params, const char **name,
		    const json_t **fields, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "fields", NULL };
	char ignored[SL_NAME_MAX], why[SL_ERROR_MAX];
	const char *inside;
	int err = sl_params_known(params, keys, error);

	if (err)
		return err;
	*name = sl_param_text(params, "service", error);
	*fields = json_object_get(params, "fields");
	if (!*name)
		return -EINVAL;
	if (sl_config_parse_name(*name, ignored, why) != 0)
		return sl_refuse(error, -EINVAL, "service: %.400s", why);
	if (*fields && !json_is_object(*fields))
		return sl_refuse(error, -EINVAL, "fields: must be an object");
	inside = json_string_value(json_object_get(*fields, "name"));
	if (inside && strcmp(inside, *name) != 0)
		return sl_refuse(error, -EINVAL, "name: the service is to be called %s", *name);
	if (sl_model_find(c->model, *name) >= 0)
		return sl_refuse(error, -EEXIST, "service: there is a service %s already", *name);
	return check_known(*fields, error);
}

int sl_service_add_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX])
{
	struct sl_operator_service *overrides;
	struct sl_control *c = context;
	struct sl_transaction *t;
	const json_t *fields;
	const char *name;
	int err = read_new(c, params, &name, &fields, error);

	if (!err && in_file(c, name) && json_object_size(fields))
		return sl_refuse(
			error, -EINVAL,
			"fields: the configuration has service %s; add it without fields, and "
			"change it by `service set`",
			name);
	if (!err)
		err = begin(c, call, "service.add", name, &t, &overrides);
	if (err)
		return err;
	if (in_file(c, name)) {
		overrides->removed = false;
		err = sl_affinity_group_join(t, in_file(c, name), error);
	} else {
		err = set_added(overrides, name, fields);
	}
	if (!err)
		err = check(t, error);
	return err ? sl_change_drop(t, err) : sl_change_run(t, result, error);
}

/* remove */

static bool is_added(const struct sl_control *c, const char *name)
{
	const struct sl_operator_service *overrides = sl_operators_find(c->operators, name);

	return overrides && overrides->added;
}

int sl_service_remove_command(void *context, struct sl_rpc_call *call, const json_t *params,
			      json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", NULL };
	struct sl_operator_service *overrides;
	struct sl_control *c = context;
	struct sl_transaction *t;
	const char *name;
	int err = sl_params_known(params, keys, error), at;

	at = err ? err : sl_param_service(c, params, error);
	name = json_string_value(json_object_get(params, "service"));
	/* A service that was added live and is left out, since it is invalid, can be removed
	 * too. */
	if (at < 0 && (err || !name || !is_added(c, name)))
		return at;
	err = begin(c, call, "service.remove", name, &t, &overrides);
	if (err)
		return err;
	/* Drop all overrides of the service: if it is added again, it is as the file has it. */
	json_decref(overrides->fields);
	json_decref(overrides->file);
	overrides->fields = overrides->file = NULL;
	overrides->n_backends = overrides->n_limits = overrides->n_drains = 0;
	overrides->added = false;
	overrides->removed = in_file(c, name) != NULL;
	return sl_change_run(t, result, error);
}

/* set */

static const char *const identity[] = { "name", "vip", "protocol", "port" };

static int check_settable(const json_t *fields, char error[SL_ERROR_MAX])
{
	int err = check_known(fields, error);

	if (err)
		return err;
	if (!json_object_size(fields))
		return sl_refuse(error, -EINVAL, "fields: missing; give at least one FIELD=VALUE");
	for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++)
		if (json_object_get(fields, identity[i]))
			return sl_refuse(error, -EINVAL,
					 "%s: is what tells a service from others; add another "
					 "service and remove this one",
					 identity[i]);
	if (json_object_get(fields, "backends"))
		return sl_refuse(error, -EINVAL,
				 "backends: are changed by `backend add` and its like");
	if (json_object_get(fields, "limits"))
		return sl_refuse(error, -EINVAL,
				 "limits: are changed by `limit set` and `limit clear`");
	return 0;
}

/* Refuses to clear an affinity_group that the file has: that would change nothing, and isn't what
 * was meant. */
static int check_leaves_group(const struct sl_control *c,
			      const struct sl_operator_service *overrides,
			      const struct sl_config_service *file, const json_t *fields,
			      char error[SL_ERROR_MAX])
{
	if (!json_is_null(json_object_get(fields, "affinity_group")) || !file ||
	    !*file->affinity_group || json_object_get(overrides->fields, "affinity_group"))
		return 0;
	return sl_refuse(
		error, -EINVAL,
		"affinity_group: without a value it is as in the file, and %s:%d has service "
		"%s in group \"%s\"; to leave the group, take the field out of the file and "
		"reload",
		c->file, file->line, file->name, file->affinity_group);
}

static int set_field(struct sl_operator_service *overrides, const struct sl_config_service *file,
		     const char *key, json_t *value, json_t *changes)
{
	json_t *was = json_incref(json_object_get(overrides->fields, key));
	json_t *in_file = file ? sl_fields_in_file(file, key) : json_null();
	char *from, *to;

	if (!overrides->fields)
		overrides->fields = json_object();
	if (file && !overrides->file)
		overrides->file = json_object();
	if (json_is_null(value) || (file && json_equal(value, in_file))) {
		json_object_del(overrides->fields, key);
		json_object_del(overrides->file, key);
	} else {
		json_object_set(overrides->fields, key, value);
		if (file)
			json_object_set(overrides->file, key, in_file);
	}
	from = json_dumps(was ? was : in_file, JSON_ENCODE_ANY | JSON_COMPACT);
	to = json_dumps(json_is_null(value) ? in_file : value, JSON_ENCODE_ANY | JSON_COMPACT);
	sl_note(changes, "service %s: %s: %.160s -> %.160s", overrides->name, key,
		from ? from : "?", to ? to : "?");
	free(from);
	free(to);
	json_decref(was);
	json_decref(in_file);
	return overrides->fields && (!file || overrides->file) ? 0 : -ENOMEM;
}

int sl_service_set_command(void *context, struct sl_rpc_call *call, const json_t *params,
			   json_t **result, char error[SL_ERROR_MAX])
{
	static const char *const keys[] = { "service", "fields", NULL };
	json_t *fields = json_object_get(params, "fields"), *value;
	struct sl_operator_service *overrides;
	struct sl_control *c = context;
	struct sl_transaction *t;
	const char *name, *key;
	int err = sl_params_known(params, keys, error), at;

	at = err ? err : sl_param_service(c, params, error);
	if (at < 0)
		return at;
	if (fields && !json_is_object(fields))
		return sl_refuse(error, -EINVAL, "fields: must be an object");
	name = c->model->service[at]->conf.name;
	err = check_settable(fields, error);
	if (!err)
		err = begin(c, call, "service.set", name, &t, &overrides);
	if (err)
		return err;
	err = check_leaves_group(c, overrides, in_file(c, name), fields, error);
	json_object_foreach (fields, key, value) {
		if (!err)
			err = set_field(overrides, in_file(c, name), key, value, t->changes);
	}
	if (!err)
		err = check(t, error);
	return err ? sl_change_drop(t, err) : sl_change_run(t, result, error);
}
