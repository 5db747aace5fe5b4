/* SPDX-License-Identifier: BSD-2-Clause */
#include "overrides.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apply.h"
#include "limit_overrides.h"

static void path_of(const struct sl_control *c, const char *suffix, char path[SL_PATH_MAX + 32])
{
	snprintf(path, SL_PATH_MAX + 32, "%s/overrides.json%s", c->config.state_dir, suffix);
}

/* ---- what may stand there ---- */

static int check_member(const char *key, const json_t *value, char why[SL_ERROR_MAX])
{
	struct sl_server_id id;
	char name[SL_NAME_MAX];
	uint32_t weight;

	if (strcmp(key, "added") == 0 || strcmp(key, "removed") == 0)
		return json_is_true(value) ? 0 : snprintf(why, SL_ERROR_MAX, "must be true");
	if (strcmp(key, "state") == 0)
		return json_is_string(value) && strcmp(json_string_value(value), "draining") == 0
			       ? 0
			       : snprintf(why, SL_ERROR_MAX, "must be \"draining\"");
	if (strcmp(key, "weight") == 0 || strcmp(key, "file_weight") == 0)
		return json_is_integer(value)
			       ? sl_config_parse_weight(json_integer_value(value), &weight, why)
			       : snprintf(why, SL_ERROR_MAX, "must be a number");
	if (strcmp(key, "name") == 0)
		return json_is_string(value)
			       ? sl_config_parse_name(json_string_value(value), name, why)
			       : snprintf(why, SL_ERROR_MAX, "must be a string");
	if (strcmp(key, "server_id") == 0)
		return json_is_string(value)
			       ? sl_config_parse_server_id(json_string_value(value), &id, why)
			       : snprintf(why, SL_ERROR_MAX, "must be a string");
	return snprintf(why, SL_ERROR_MAX, "unknown field");
}

static int refuse(char error[SL_ERROR_MAX], const char *path, const char *field, const char *why)
{
	snprintf(error, SL_ERROR_MAX,
		 "%s: %s: %s; it holds what operators set live: mend it, or move it away to serve "
		 "what the configuration says",
		 path, field, why);
	return -EINVAL;
}

static int check_backend(const char *path, const char *service, const char *endpoint,
			 const json_t *override, char error[SL_ERROR_MAX])
{
	char field[SL_PATH_MAX], why[SL_ERROR_MAX];
	union sl_addr addr;
	const json_t *value;
	const char *key;
	uint16_t port;

	snprintf(field, sizeof(field), "services.%.64s.%.64s", service, endpoint);
	if (sl_backend_parse(endpoint, &addr, &port, why) != 0)
		return refuse(error, path, field, why);
	if (!json_is_object(override))
		return refuse(error, path, field, "must be an object");
	json_object_foreach ((json_t *)(uintptr_t) override, key, value) {
		if (check_member(key, value, why) == 0)
			continue;
		snprintf(field, sizeof(field), "services.%.64s.%.64s.%.64s", service, endpoint,
			 key);
		return refuse(error, path, field, why);
	}
	if (json_object_get(override, "added") &&
	    (!json_object_get(override, "name") || !json_object_get(override, "weight")))
		return refuse(error, path, field, "added, but without name or weight");
	return 0;
}

static int check_all(const char *path, const json_t *overrides, char error[SL_ERROR_MAX])
{
	const json_t *services = json_object_get(overrides, "services"), *of_service, *override;
	const char *service, *endpoint;
	char field[SL_PATH_MAX], why[SL_ERROR_MAX];

	if (json_integer_value(json_object_get(overrides, "version")) != 1)
		return refuse(error, path, "version", "must be 1");
	if (!json_is_object(services))
		return refuse(error, path, "services", "must be an object");
	json_object_foreach ((json_t *)(uintptr_t)services, service, of_service) {
		if (!json_is_object(of_service))
			return refuse(error, path, service, "must be an object");
		json_object_foreach ((json_t *)(uintptr_t)of_service, endpoint, override)
			if (check_backend(path, service, endpoint, override, error) != 0)
				return -EINVAL;
	}
	if (sl_live_limits_check(overrides, field, why) != 0)
		return refuse(error, path, field, why);
	return 0;
}

/* ---- the file ---- */

int sl_overrides_load(struct sl_control *c, char error[SL_ERROR_MAX])
{
	char path[SL_PATH_MAX + 32];
	json_error_t where;
	char line[32];

	path_of(c, "", path);
	if (access(path, F_OK) != 0) {
		c->overrides = json_pack("{s:i,s:{}}", "version", 1, "services");
		return c->overrides ? 0 : -ENOMEM;
	}
	c->overrides = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (c->overrides)
		return check_all(path, c->overrides, error);
	snprintf(line, sizeof(line), "line %d", where.line);
	return refuse(error, path, line, where.text);
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

int sl_overrides_save(const struct sl_control *c, char error[SL_ERROR_MAX])
{
	char path[SL_PATH_MAX + 32], temporary[SL_PATH_MAX + 32];
	/* In one piece: json_dumpfd() makes a system call for each token. */
	char *text = json_dumps(c->overrides, JSON_INDENT(2) | JSON_SORT_KEYS);
	int fd, err = 0;

	path_of(c, "", path);
	path_of(c, ".new", temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		err = -errno;
	else if (!text)
		err = -ENOMEM;
	else if (write_all(fd, text, strlen(text)) != 0)
		err = -errno;
	else if (fsync(fd) != 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	free(text);
	if (!err && rename(temporary, path) != 0)
		err = -errno;
	if (err)
		snprintf(error, SL_ERROR_MAX,
			 "%s: %s; the change is live but would not survive a restart", path,
			 strerror(-err));
	return err;
}

/* ---- one backend's ---- */

json_t *sl_override_find(const json_t *overrides, const char *service, const char *endpoint)
{
	return json_object_get(json_object_get(json_object_get(overrides, "services"), service),
			       endpoint);
}

static json_t *child(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value && json_object_set_new(object, key, json_object()) == 0)
		value = json_object_get(object, key);
	return value;
}

json_t *sl_override_get(json_t *overrides, const char *service, const char *endpoint)
{
	json_t *of_service = child(json_object_get(overrides, "services"), service);

	return of_service ? child(of_service, endpoint) : NULL;
}

void sl_override_drop(json_t *overrides, const char *service, const char *endpoint)
{
	json_t *services = json_object_get(overrides, "services");
	json_t *of_service = json_object_get(services, service);

	json_object_del(of_service, endpoint);
	if (of_service && json_object_size(of_service) == 0)
		json_object_del(services, service);
}

/* ---- when the file changes ---- */

/* The name that the file gives to what was service `name`; NULL: it has no such VIP and port. */
static const char *new_name(const struct sl_control *c, const struct sl_config *config,
			    const char *name)
{
	int at = sl_model_find(c->model, name);
	const struct sl_config_service *was = at < 0 ? NULL : &c->model->service[at]->conf;

	for (size_t i = 0; was && i < config->n_services; i++) {
		const struct sl_config_service *is = &config->service[i];

		if (sl_config_same_service(is, was))
			return is->name;
	}
	return NULL;
}

/* The members of a group, under new names. */
static int rename_group(const struct sl_control *c, const struct sl_config *config, json_t *copy,
			const char *group)
{
	json_t *renamed = json_object(), *value;
	const char *name, *to;

	if (!renamed)
		return -ENOMEM;
	json_object_foreach (json_object_get(copy, group), name, value) {
		to = new_name(c, config, name);
		if (to && json_object_set(renamed, to, value) != 0)
			goto fail;
	}
	json_object_foreach (json_object_get(copy, group), name, value) {
		if (!new_name(c, config, name) && !json_object_get(renamed, name) &&
		    json_object_set(renamed, name, value) != 0)
			goto fail;
	}
	return json_object_set_new(copy, group, renamed) == 0 ? 0 : -ENOMEM;
fail:
	json_decref(renamed);
	return -ENOMEM;
}

json_t *sl_overrides_renamed(const struct sl_control *c, const struct sl_config *config)
{
	json_t *copy = json_deep_copy(c->overrides);

	if (copy &&
	    (rename_group(c, config, copy, "services") != 0 ||
	     (json_object_get(copy, "limits") && rename_group(c, config, copy, "limits") != 0))) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* What is left of an override under this file; false: nothing. */
static bool prune(json_t *override, const struct sl_config_backend *conf)
{
	const json_t *file_weight = json_object_get(override, "file_weight");

	if (!conf)
		return json_object_get(override, "added") != NULL;
	if (json_object_get(override, "added") ||
	    json_integer_value(file_weight) != (json_int_t)conf->weight) {
		json_object_del(override, "weight");
		json_object_del(override, "file_weight");
	}
	json_object_del(override, "added");
	json_object_del(override, "name");
	json_object_del(override, "server_id");
	return json_object_size(override) != 0;
}

static const struct sl_config_backend *in_file(const struct sl_control *c, const char *service,
					       const char *endpoint)
{
	char ignored[SL_ERROR_MAX];
	union sl_addr addr;
	uint16_t port;

	return sl_backend_parse(endpoint, &addr, &port, ignored) == 0
		       ? sl_config_find_backend(&c->config, service, &addr, port)
		       : NULL;
}

void sl_overrides_prune(struct sl_control *c)
{
	for (size_t i = 0; i < c->config.n_services; i++) {
		const char *service = c->config.service[i].name, *endpoint;
		json_t *all = json_object_get(json_object_get(c->overrides, "services"), service);
		json_t *override;
		void *next;

		json_object_foreach_safe(all, next, endpoint, override)
		{
			if (!prune(override, in_file(c, service, endpoint)))
				json_object_del(all, endpoint);
		}
		if (all && json_object_size(all) == 0)
			json_object_del(json_object_get(c->overrides, "services"), service);
		sl_live_limits_prune(c->overrides, &c->config.service[i]);
	}
}

json_t *sl_overrides_removed(const struct sl_control *c, const char *service)
{
	json_t *list = json_array(), *override;
	const char *endpoint;

	json_object_foreach (json_object_get(json_object_get(c->overrides, "services"), service),
			     endpoint, override) {
		const struct sl_config_backend *conf = in_file(c, service, endpoint);
		char addr[SL_ADDR_TEXT];

		if (conf && json_object_get(override, "removed"))
			json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "name", conf->name,
							      "address",
							      sl_addr_format(&conf->addr, addr),
							      "port", (int)conf->port));
	}
	return list;
}
