/* SPDX-License-Identifier: BSD-2-Clause */
#include "overrides.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *sl_endpoint_format(const union sl_addr *addr, uint16_t port,
			       char text[SL_ENDPOINT_TEXT])
{
	char bare[SL_ADDR_TEXT];

	snprintf(text, SL_ENDPOINT_TEXT, sl_addr_is4(addr) ? "%s:%u" : "[%s]:%u",
		 sl_addr_format(addr, bare), port);
	return text;
}

static void path_of(const struct sl_control *c, const char *suffix, char path[SL_PATH_MAX + 32])
{
	snprintf(path, SL_PATH_MAX + 32, "%s/overrides.json%s", c->config.state_dir, suffix);
}

int sl_overrides_load(struct sl_control *c, char error[SL_ERROR_MAX])
{
	char path[SL_PATH_MAX + 32];
	json_error_t where;

	path_of(c, "", path);
	if (access(path, F_OK) != 0) {
		c->overrides = json_pack("{s:i,s:{}}", "version", 1, "services");
		return c->overrides ? 0 : -ENOMEM;
	}
	c->overrides = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (c->overrides && json_integer_value(json_object_get(c->overrides, "version")) == 1 &&
	    json_is_object(json_object_get(c->overrides, "services")))
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "%s:%d: %s; it holds what operators set live: mend it, or move it away to serve "
		 "what the configuration says",
		 path, c->overrides ? 1 : where.line,
		 c->overrides ? "not of version 1" : where.text);
	return -EINVAL;
}

int sl_overrides_save(const struct sl_control *c, char error[SL_ERROR_MAX])
{
	char path[SL_PATH_MAX + 32], temporary[SL_PATH_MAX + 32];
	int fd, err = 0;

	path_of(c, "", path);
	path_of(c, ".new", temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		err = -errno;
	else if (json_dumpfd(c->overrides, fd, JSON_INDENT(2) | JSON_SORT_KEYS) != 0)
		err = -EIO;
	else if (fsync(fd) != 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (!err && rename(temporary, path) != 0)
		err = -errno;
	if (err)
		snprintf(error, SL_ERROR_MAX,
			 "%s: %s; the change is live but would not survive a restart", path,
			 strerror(-err));
	return err;
}

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
