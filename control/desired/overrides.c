/* SPDX-License-Identifier: BSD-2-Clause */
#include "overrides.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit_overrides.h"
#include "state_file.h"

enum { VERSION = 2 };
#define FILE_NAME "overrides.json"

/* One backend */

static int wrong(char why[SL_ERROR_MAX], const char *text)
{
	snprintf(why, SL_ERROR_MAX, "%s", text);
	return -EINVAL;
}

static int read_weight(const json_t *value, uint32_t *weight, char why[SL_ERROR_MAX])
{
	return json_is_integer(value)
		       ? sl_config_parse_weight(json_integer_value(value), weight, why)
		       : wrong(why, "must be a number");
}

static int read_state(const char *text, enum sl_operator_state *state, char why[SL_ERROR_MAX])
{
	for (*state = SL_OPERATOR_READY; *state <= SL_OPERATOR_MAINTENANCE; (*state)++)
		if (strcmp(text, sl_operator_state_text(*state)) == 0)
			return 0;
	return wrong(why, "must be \"ready\", \"draining\" or \"maintenance\"");
}

static int read_member(struct sl_operator_backend *b, const char *key, const json_t *value,
		       char why[SL_ERROR_MAX])
{
	const char *text = json_string_value(value);

	if (strcmp(key, "added") == 0 || strcmp(key, "removed") == 0) {
		*(key[0] == 'a' ? &b->added : &b->removed) = true;
		return json_is_true(value) ? 0 : wrong(why, "must be true");
	}
	if (strcmp(key, "forced") == 0) {
		b->forced = true;
		return json_is_true(value) ? 0 : wrong(why, "must be true");
	}
	if (strcmp(key, "weight") == 0)
		return read_weight(value, &b->weight, why);
	if (strcmp(key, "file_weight") == 0)
		return read_weight(value, &b->file_weight, why);
	if (strcmp(key, "state") != 0 && strcmp(key, "name") != 0 && strcmp(key, "server_id") != 0)
		return wrong(why, "unknown field");
	if (!text)
		return wrong(why, "must be a string");
	if (strcmp(key, "state") == 0)
		return read_state(text, &b->state, why);
	if (strcmp(key, "name") == 0)
		return sl_config_parse_name(text, b->name, why);
	return sl_config_parse_server_id(text, &b->server_id, why);
}

static int read_backend(struct sl_operator_service *s, const char *endpoint, const json_t *json,
			char field[SL_PATH_MAX], char why[SL_ERROR_MAX])
{
	struct sl_operator_backend *b;
	union sl_addr addr;
	const json_t *value;
	const char *key;
	uint16_t port;

	snprintf(field, SL_PATH_MAX, "services.%.64s.%.64s", s->name, endpoint);
	if (sl_backend_parse(endpoint, &addr, &port, why) != 0)
		return -EINVAL;
	if (!json_is_object(json))
		return wrong(why, "must be an object");
	b = sl_operator_backend_get(s, &addr, port);
	if (!b)
		return -ENOMEM;
	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		if (read_member(b, key, value, why) == 0)
			continue;
		snprintf(field, SL_PATH_MAX, "services.%.64s.%.64s.%.64s", s->name, endpoint, key);
		return -EINVAL;
	}
	if (b->added && (!b->name[0] || !b->weight))
		return wrong(why, "added, but without name or weight");
	return 0;
}

static json_t *write_backend(const struct sl_operator_backend *b)
{
	json_t *json = json_object();
	char id[SL_SERVER_ID_TEXT];

	if (b->added) {
		json_object_set_new(json, "added", json_true());
		json_object_set_new(json, "name", json_string(b->name));
	}
	if (b->added && b->server_id.bytes)
		json_object_set_new(json, "server_id",
				    json_string(sl_server_id_format(&b->server_id, id)));
	if (b->removed)
		json_object_set_new(json, "removed", json_true());
	if (b->forced)
		json_object_set_new(json, "forced", json_true());
	if (b->state != SL_OPERATOR_SILENT)
		json_object_set_new(json, "state", json_string(sl_operator_state_text(b->state)));
	if (b->weight)
		json_object_set_new(json, "weight", json_integer(b->weight));
	if (b->file_weight)
		json_object_set_new(json, "file_weight", json_integer(b->file_weight));
	return json;
}

/* One service */

static int read_backends(struct sl_operator_service *s, const json_t *json, char field[SL_PATH_MAX],
			 char why[SL_ERROR_MAX])
{
	const char *endpoint;
	json_t *one;

	snprintf(field, SL_PATH_MAX, "services.%.64s", s->name);
	if (!json_is_object(json))
		return wrong(why, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)json, endpoint, one) {
		int err = read_backend(s, endpoint, one, field, why);

		if (err)
			return err;
	}
	return 0;
}

static int read_limits(struct sl_operator_service *s, const json_t *json, const char *path,
		       char field[SL_PATH_MAX], char why[SL_ERROR_MAX])
{
	struct sl_live_limit l;
	json_t *one;
	size_t i;

	snprintf(field, SL_PATH_MAX, "%s", path);
	if (!json_is_array(json))
		return wrong(why, "must be an array");
	json_array_foreach (json, i, one) {
		snprintf(field, SL_PATH_MAX, "%.160s[%zu]", path, i);
		if (sl_live_limit_read(one, &l, why) != 0)
			return -EINVAL;
		if (sl_operator_limit_set(s, &l) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_fields(json_t **to, const json_t *json, char why[SL_ERROR_MAX])
{
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return wrong(why, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		if (!sl_config_service_field(key)) {
			snprintf(why, SL_ERROR_MAX, "%.64s: services have no such field", key);
			return -EINVAL;
		}
	}
	*to = json_deep_copy(json);
	return *to ? 0 : -ENOMEM;
}

static int read_service(struct sl_operator_service *s, const json_t *json, char field[SL_PATH_MAX],
			char why[SL_ERROR_MAX])
{
	char path[SL_PATH_MAX];
	const char *key;
	json_t *value;
	int err = 0;

	snprintf(field, SL_PATH_MAX, "services.%.64s", s->name);
	if (!json_is_object(json))
		return wrong(why, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)json, key, value) {
		snprintf(path, sizeof(path), "services.%.64s.%.64s", s->name, key);
		snprintf(field, SL_PATH_MAX, "%s", path);
		if (strcmp(key, "added") == 0 || strcmp(key, "removed") == 0) {
			*(key[0] == 'a' ? &s->added : &s->removed) = true;
			err = json_is_true(value) ? 0 : wrong(why, "must be true");
		} else if (strcmp(key, "fields") == 0) {
			err = read_fields(&s->fields, value, why);
		} else if (strcmp(key, "file") == 0) {
			err = read_fields(&s->file, value, why);
		} else if (strcmp(key, "backends") == 0) {
			err = read_backends(s, value, field, why);
		} else if (strcmp(key, "limits") == 0) {
			err = read_limits(s, value, path, field, why);
		} else if (strcmp(key, "drains") == 0) {
			err = sl_drains_read(s, value, why);
		} else {
			err = wrong(why, "unknown field");
		}
		if (err)
			return err;
	}
	if (s->added && !s->fields)
		return wrong(why, "added, but without fields");
	return 0;
}

static json_t *write_service(const struct sl_operator_service *s)
{
	json_t *json = json_object(), *backends = json_object(), *limits = json_array();
	char endpoint[SL_ENDPOINT_TEXT];

	if (s->added)
		json_object_set_new(json, "added", json_true());
	if (s->removed)
		json_object_set_new(json, "removed", json_true());
	if (json_object_size(s->fields))
		json_object_set(json, "fields", s->fields);
	if (json_object_size(s->file))
		json_object_set(json, "file", s->file);
	for (size_t i = 0; i < s->n_backends; i++)
		json_object_set_new(
			backends,
			sl_endpoint_format(&s->backend[i].addr, s->backend[i].port, endpoint),
			write_backend(&s->backend[i]));
	for (size_t i = 0; i < s->n_limits; i++)
		json_array_append_new(limits, sl_live_limit_write(&s->limit[i]));
	if (s->n_backends)
		json_object_set(json, "backends", backends);
	if (s->n_limits)
		json_object_set(json, "limits", limits);
	if (s->n_drains)
		json_object_set_new(json, "drains", sl_drains_write(s));
	json_decref(backends);
	json_decref(limits);
	return json;
}

/* The layer */

/* Version 1 has backends directly below their service's name, and limits beside the services. */
static int read_version_1(struct sl_operators *o, const json_t *json, char field[SL_PATH_MAX],
			  char why[SL_ERROR_MAX])
{
	const json_t *limits = json_object_get(json, "limits");
	char path[SL_PATH_MAX];
	const char *name;
	json_t *one;
	int err = 0;

	json_object_foreach (json_object_get(json, "services"), name, one) {
		struct sl_operator_service *s = sl_operators_get(o, name);

		err = s ? read_backends(s, one, field, why) : -ENOMEM;
		if (err)
			return err;
	}
	snprintf(field, SL_PATH_MAX, "limits");
	if (limits && !json_is_object(limits))
		return wrong(why, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)limits, name, one) {
		struct sl_operator_service *s = sl_operators_get(o, name);

		snprintf(path, sizeof(path), "limits.%.64s", name);
		err = s ? read_limits(s, one, path, field, why) : -ENOMEM;
		if (err)
			return err;
	}
	return 0;
}

static int read_version_2(struct sl_operators *o, const json_t *json, char field[SL_PATH_MAX],
			  char why[SL_ERROR_MAX])
{
	const char *name;
	json_t *one;

	json_object_foreach (json_object_get(json, "services"), name, one) {
		struct sl_operator_service *s = sl_operators_get(o, name);
		int err = s ? read_service(s, one, field, why) : -ENOMEM;

		if (err)
			return err;
	}
	return 0;
}

struct sl_operators *sl_overrides_read(const json_t *json, char field[SL_PATH_MAX],
				       char why[SL_ERROR_MAX])
{
	json_int_t version = json_integer_value(json_object_get(json, "version"));
	struct sl_operators *o = sl_operators_new();
	int err = o ? 0 : -ENOMEM;

	snprintf(field, SL_PATH_MAX, "version");
	if (version > VERSION)
		err = wrong(why, "is of a later release than this one");
	else if (version < 1)
		err = wrong(why, "must be 1 or 2");
	if (!err) {
		snprintf(field, SL_PATH_MAX, "services");
		if (!json_is_object(json_object_get(json, "services")))
			err = wrong(why, "must be an object");
	}
	if (!err && json_object_get(json, "frozen")) {
		snprintf(field, SL_PATH_MAX, "frozen");
		o->frozen = (uint64_t)json_integer_value(json_object_get(json, "frozen"));
		if (json_integer_value(json_object_get(json, "frozen")) <= 0)
			err = wrong(why, "must be a time in seconds since 1970");
	}
	if (!err)
		err = version == 1 ? read_version_1(o, json, field, why)
				   : read_version_2(o, json, field, why);
	if (!err)
		return o;
	if (err == -ENOMEM)
		snprintf(why, SL_ERROR_MAX, "out of memory");
	sl_operators_free(o);
	return NULL;
}

json_t *sl_overrides_write(const struct sl_operators *o)
{
	json_t *services = json_object();

	for (size_t i = 0; i < o->n; i++)
		json_object_set_new(services, o->service[i].name, write_service(&o->service[i]));
	return json_pack("{s:i, s:o*, s:o}", "version", VERSION, "frozen",
			 o->frozen ? json_integer((json_int_t)o->frozen) : NULL, "services",
			 services);
}

/* The file */

static int refuse(char error[SL_ERROR_MAX], const char *path, const char *field, const char *why)
{
	snprintf(error, SL_ERROR_MAX,
		 "%s: %s: %s; it holds what operators set live: mend it, or move it away to serve "
		 "what the configuration says",
		 path, field, why);
	return -EINVAL;
}

int sl_overrides_load(const char *state_dir, struct sl_operators **o, char error[SL_ERROR_MAX])
{
	int fd = sl_state_file_open(state_dir, FILE_NAME, error);
	char path[SL_PATH_MAX + 32], field[SL_PATH_MAX], why[SL_ERROR_MAX];
	json_error_t where;
	json_t *json;

	if (fd == -ENOENT) {
		*o = sl_operators_new();
		return *o ? 0 : -ENOMEM;
	}
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	json = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
	close(fd);
	if (!json) {
		snprintf(field, sizeof(field), "line %d", where.line);
		return refuse(error, path, field, where.text);
	}
	*o = sl_overrides_read(json, field, why);
	json_decref(json);
	return *o ? 0 : refuse(error, path, field, why);
}

int sl_overrides_save(const char *state_dir, const struct sl_operators *o, char error[SL_ERROR_MAX])
{
	json_t *json = sl_overrides_write(o);
	/* Write it in one piece: json_dumpfd() makes a system call for each token. */
	char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
	int err = text ? 0 : -ENOMEM;

	error[0] = '\0';
	if (err)
		snprintf(error, SL_ERROR_MAX, "%s/" FILE_NAME ": %s", state_dir, strerror(-err));
	else
		err = sl_state_file_write(state_dir, FILE_NAME, text, true, error);
	free(text);
	json_decref(json);
	return err;
}
