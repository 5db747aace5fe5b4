/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_overrides.h"

#include "../../dataplane/abi/limit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static int wrong(char why[SL_ERROR_MAX], const char *format,
						       ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, SL_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static uint8_t prefix_of(const struct sl_live_limit *l)
{
	return sl_addr_is4(&l->addr) ? l->limit.prefix4 : l->limit.prefix6;
}

static int read_word(const json_t *object, const char *key, const struct sl_word *words,
		     uint8_t *value, char why[SL_ERROR_MAX])
{
	const char *text = json_string_value(json_object_get(object, key));
	const struct sl_word *word = text ? sl_word_find(words, text) : NULL;

	if (!word)
		return wrong(why, "%s: missing, or not a word for it", key);
	*value = (uint8_t)word->value;
	return 0;
}

static int read_count(const json_t *object, const char *key, uint64_t most, uint64_t *value,
		      char why[SL_ERROR_MAX])
{
	const json_t *number = json_object_get(object, key);

	*value = 0;
	if (!number)
		return 0;
	if (!json_is_integer(number) || json_integer_value(number) < 0 ||
	    (uint64_t)json_integer_value(number) > most)
		return wrong(why, "%s: must be a number from 0 to %llu", key,
			     (unsigned long long)most);
	*value = (uint64_t)json_integer_value(number);
	return 0;
}

static int read_pace(const json_t *object, struct sl_config_limit *l, char why[SL_ERROR_MAX])
{
	int err = read_count(object, "rate", INT64_MAX, &l->rate, why);

	if (!err)
		err = read_count(object, "burst", INT64_MAX, &l->burst, why);
	if (!err)
		err = read_word(object, "action", sl_limit_actions, &l->action, why);
	return err;
}

static int read_subject(const json_t *object, struct sl_live_limit *l, char why[SL_ERROR_MAX])
{
	const char *client = json_string_value(json_object_get(object, "client"));
	const char *flow = json_string_value(json_object_get(object, "flow"));
	char text[SL_ERROR_MAX];
	uint8_t length;

	l->exception = true;
	l->limit.scope = flow ? SL_SCOPE_FLOW : SL_SCOPE_CLIENT;
	if (!client == !flow)
		return wrong(why, "one of per, client and flow is wanted");
	if (flow && sl_endpoint_parse(flow, &l->addr, &l->port, text) != 0)
		return wrong(why, "flow: %.400s", text);
	if (flow)
		return 0;
	if (sl_prefix_parse(client, &l->addr, &length, text) != 0)
		return wrong(why, "client: %.400s", text);
	l->limit.prefix4 = sl_addr_is4(&l->addr) ? length : 32;
	l->limit.prefix6 = sl_addr_is4(&l->addr) ? 128 : length;
	return 0;
}

static int read_scope(const json_t *object, struct sl_live_limit *l, char why[SL_ERROR_MAX])
{
	uint64_t prefix4, prefix6;

	if (!json_object_get(object, "per"))
		return read_subject(object, l, why);
	if (read_word(object, "per", sl_limit_scopes, &l->limit.scope, why) != 0 ||
	    read_count(object, "prefix4", 32, &prefix4, why) != 0 ||
	    read_count(object, "prefix6", 128, &prefix6, why) != 0)
		return -EINVAL;
	l->limit.prefix4 = (uint8_t)prefix4;
	l->limit.prefix6 = (uint8_t)prefix6;
	return 0;
}

static int known(const json_t *object, char why[SL_ERROR_MAX])
{
	static const char *const keys[] = { "per",     "client",  "flow", "unit",  "direction",
					    "prefix4", "prefix6", "rate", "burst", "action",
					    "file",    "removed", "until" };
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		size_t i = 0;

		while (i < sizeof(keys) / sizeof(keys[0]) && strcmp(keys[i], key) != 0)
			i++;
		if (i == sizeof(keys) / sizeof(keys[0]))
			return wrong(why, "%.64s: unknown field", key);
	}
	return 0;
}

int sl_live_limit_read(const json_t *object, struct sl_live_limit *l, char why[SL_ERROR_MAX])
{
	const json_t *file = json_object_get(object, "file");
	const json_t *removed = json_object_get(object, "removed");
	struct sl_config_limit check;

	*l = (struct sl_live_limit){ .removed = removed != NULL, .of_file = file != NULL };
	if (!json_is_object(object))
		return wrong(why, "must be an object");
	if (known(object, why) != 0 || read_scope(object, l, why) != 0 ||
	    read_word(object, "unit", sl_limit_units, &l->limit.unit, why) != 0 ||
	    read_word(object, "direction", sl_limit_directions, &l->limit.direction, why) != 0 ||
	    read_count(object, "until", INT64_MAX, &l->until, why) != 0)
		return -EINVAL;
	if (removed && (!json_is_true(removed) || l->exception))
		return wrong(why, "removed: must be true, and of a limit");
	if (removed)
		return 0;
	if (read_pace(object, &l->limit, why) != 0)
		return -EINVAL;
	if (!l->limit.rate)
		return wrong(why, "rate: missing");
	l->file = l->limit;
	if (file && (l->exception || read_pace(file, &l->file, why) != 0))
		return wrong(why, "file: must be an object of a limit's rate, burst and action");
	check = l->limit;
	return sl_config_check_limit(&check, false, why);
}

static void write_pace(json_t *object, const struct sl_config_limit *l)
{
	json_object_set_new(object, "rate", json_integer((json_int_t)l->rate));
	if (l->burst)
		json_object_set_new(object, "burst", json_integer((json_int_t)l->burst));
	json_object_set_new(object, "action",
			    json_string(sl_word_text(sl_limit_actions, l->action)));
}

static void write_scope(json_t *object, const struct sl_live_limit *l)
{
	char text[SL_ENDPOINT_TEXT > SL_PREFIX_TEXT ? SL_ENDPOINT_TEXT : SL_PREFIX_TEXT];

	if (l->exception && l->limit.scope == SL_SCOPE_FLOW) {
		sl_endpoint_format(&l->addr, l->port, text);
		json_object_set_new(object, "flow", json_string(text));
		return;
	}
	if (l->exception) {
		sl_prefix_format(&l->addr, prefix_of(l), text);
		json_object_set_new(object, "client", json_string(text));
		return;
	}
	json_object_set_new(object, "per",
			    json_string(sl_word_text(sl_limit_scopes, l->limit.scope)));
	if (l->limit.scope != SL_SCOPE_CLIENT)
		return;
	json_object_set_new(object, "prefix4", json_integer(l->limit.prefix4));
	json_object_set_new(object, "prefix6", json_integer(l->limit.prefix6));
}

json_t *sl_live_limit_write(const struct sl_live_limit *l)
{
	json_t *object = json_object(), *file;

	write_scope(object, l);
	json_object_set_new(object, "unit",
			    json_string(sl_word_text(sl_limit_units, l->limit.unit)));
	json_object_set_new(object, "direction",
			    json_string(sl_word_text(sl_limit_directions, l->limit.direction)));
	if (l->removed) {
		json_object_set_new(object, "removed", json_true());
		return object;
	}
	write_pace(object, &l->limit);
	if (l->until)
		json_object_set_new(object, "until", json_integer((json_int_t)l->until));
	if (l->of_file) {
		file = json_object();
		write_pace(file, &l->file);
		json_object_set_new(object, "file", file);
	}
	return object;
}
