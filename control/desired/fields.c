/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"

#include <errno.h>
#include <stdio.h>

json_t *sl_fields_read(const config_setting_t *setting)
{
	bool group = config_setting_is_group(setting);
	json_t *json;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(setting));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(setting));
	case CONFIG_TYPE_STRING:
		return json_string(config_setting_get_string(setting));
	case CONFIG_TYPE_GROUP:
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		break;
	default:
		return json_null();
	}
	json = group ? json_object() : json_array();
	for (int i = 0; json && i < config_setting_length(setting); i++) {
		const config_setting_t *one = config_setting_get_elem(setting, (unsigned int)i);

		if (group)
			json_object_set_new(json, config_setting_name(one), sl_fields_read(one));
		else
			json_array_append_new(json, sl_fields_read(one));
	}
	return json;
}

static int type_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return CONFIG_TYPE_STRING;
	case JSON_INTEGER:
		return json_integer_value(value) == (int)json_integer_value(value)
			       ? CONFIG_TYPE_INT
			       : CONFIG_TYPE_INT64;
	case JSON_TRUE:
	case JSON_FALSE:
		return CONFIG_TYPE_BOOL;
	case JSON_OBJECT:
		return CONFIG_TYPE_GROUP;
	case JSON_ARRAY:
		return !json_array_size(value) || json_is_object(json_array_get(value, 0))
			       ? CONFIG_TYPE_LIST
			       : CONFIG_TYPE_ARRAY;
	default:
		return CONFIG_TYPE_NONE;
	}
}

static int refuse(const char *name, const char *why, char error[SL_ERROR_MAX])
{
	snprintf(error, SL_ERROR_MAX, "%.64s: %s", name ? name : "fields", why);
	return -EINVAL;
}

static int write_members(config_setting_t *to, const char *name, const json_t *value,
			 char error[SL_ERROR_MAX])
{
	json_t *one;
	const char *key;
	size_t i;
	int err = 0;

	if (json_is_array(value)) {
		json_array_foreach (value, i, one) {
			if (!err)
				err = sl_fields_write(to, NULL, one, error);
		}
		return err == -EINVAL && name ? refuse(name, "values of one kind are wanted", error)
					      : err;
	}
	json_object_foreach ((json_t *)(uintptr_t)value, key, one) {
		if (!err)
			err = sl_fields_write(to, key, one, error);
	}
	return err;
}

int sl_fields_write(config_setting_t *parent, const char *name, const json_t *value,
		    char error[SL_ERROR_MAX])
{
	int type = type_of(value);
	config_setting_t *to;

	if (type == CONFIG_TYPE_NONE)
		return refuse(name, "must be a string, an integer, true or false, or a list",
			      error);
	to = config_setting_add(parent, name, type);
	if (!to)
		return refuse(name, "is no name of a field, is given twice, or is of another kind",
			      error);
	switch (type) {
	case CONFIG_TYPE_STRING:
		return config_setting_set_string(to, json_string_value(value)) ? 0 : -ENOMEM;
	case CONFIG_TYPE_INT:
		return config_setting_set_int(to, (int)json_integer_value(value)) ? 0 : -ENOMEM;
	case CONFIG_TYPE_INT64:
		return config_setting_set_int64(to, json_integer_value(value)) ? 0 : -ENOMEM;
	case CONFIG_TYPE_BOOL:
		return config_setting_set_bool(to, json_is_true(value)) ? 0 : -ENOMEM;
	default:
		return write_members(to, name, value, error);
	}
}

json_t *sl_fields_in_file(const struct sl_config_service *conf, const char *field)
{
	config_setting_t *setting = conf->setting;

	if (setting)
		setting = config_setting_get_member(setting, field);
	return setting ? sl_fields_read(setting) : json_null();
}

static int copy_value(config_setting_t *to, const config_setting_t *from)
{
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_INT:
		return config_setting_set_int(to, config_setting_get_int(from));
	case CONFIG_TYPE_INT64:
		return config_setting_set_int64(to, config_setting_get_int64(from));
	case CONFIG_TYPE_BOOL:
		return config_setting_set_bool(to, config_setting_get_bool(from));
	case CONFIG_TYPE_STRING:
		return config_setting_set_string(to, config_setting_get_string(from));
	default:
		return config_setting_set_float(to, config_setting_get_float(from));
	}
}

int sl_fields_copy(config_setting_t *parent, const config_setting_t *from)
{
	config_setting_t *to =
		config_setting_add(parent, config_setting_name(from), config_setting_type(from));
	int err = 0;

	if (!to)
		return -ENOMEM;
	if (!config_setting_is_aggregate(from))
		return copy_value(to, from) ? 0 : -ENOMEM;
	for (int i = 0; i < config_setting_length(from) && !err; i++)
		err = sl_fields_copy(to, config_setting_get_elem(from, (unsigned int)i));
	return err;
}
