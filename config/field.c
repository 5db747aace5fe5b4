/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a group of the file by the table of its fields, with readers for the common kinds of
 * values.
 *
 * Every error goes through fail(), which puts file, line and path before the message, and keeps the
 * message on one line whatever the file contains.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static const struct {
	unsigned int type;
	const char *text;
} types[] = {
	[CONFIG_TYPE_NONE] = { 0, "nothing" },
	[CONFIG_TYPE_GROUP] = { SL_GROUP, "a group { … }" },
	[CONFIG_TYPE_INT] = { SL_INTEGER, "an integer" },
	[CONFIG_TYPE_INT64] = { SL_INTEGER, "an integer" },
	[CONFIG_TYPE_FLOAT] = { 0, "a fraction" },
	[CONFIG_TYPE_STRING] = { SL_STRING, "a string" },
	[CONFIG_TYPE_BOOL] = { SL_BOOL, "true or false" },
	[CONFIG_TYPE_ARRAY] = { SL_ARRAY, "an array [ … ]" },
	[CONFIG_TYPE_LIST] = { SL_LIST, "a list ( … )" },
};

const char *sl_source_file(const struct sl_reader *r, const char *name, char path[SL_PATH_MAX])
{
	/* libconfig keeps the name of an included file as it is written in the directive. */
	if (!name)
		name = r->config->file;
	if (!strcmp(name, r->config->file) || !*r->dir)
		snprintf(path, SL_PATH_MAX, "%s", name);
	else if (snprintf(path, SL_PATH_MAX, "%s/%s", r->dir, name) >= SL_PATH_MAX)
		snprintf(path, SL_PATH_MAX, "%s", name);
	return path;
}

/* Writes a path such as services[0].backends[2].weight */
static size_t path_of(const config_setting_t *setting, char *text, size_t size)
{
	const config_setting_t *parent = config_setting_parent(setting);
	size_t len;

	if (!parent) {
		text[0] = '\0';
		return 0;
	}
	len = path_of(parent, text, size);
	if (len >= size)
		return len;
	if (!config_setting_name(setting))
		return len + (size_t)snprintf(text + len, size - len, "[%d]",
					      config_setting_index(setting));
	return len + (size_t)snprintf(text + len, size - len, "%s%s", len ? "." : "",
				      config_setting_name(setting));
}

static int fail(struct sl_reader *r, const config_setting_t *setting, const char *missing,
		const char *format, va_list args)
{
	char file[SL_PATH_MAX], path[128] = "";
	size_t len = setting ? path_of(setting, path, sizeof(path)) : 0;
	char *c;

	if (r->live || !setting)
		snprintf(r->error, SL_ERROR_MAX, "%s%s%s%s", path, missing && len ? "." : "",
			 missing ? missing : "", missing || len ? ": " : "");
	else
		snprintf(r->error, SL_ERROR_MAX, "%s:%u: %s%s%s: ",
			 sl_source_file(r, config_setting_source_file(setting), file),
			 setting->line ? setting->line : 1, /* the root has none */
			 path, missing && len ? "." : "", missing ? missing : "");
	len = strlen(r->error);
	vsnprintf(r->error + len, SL_ERROR_MAX - len, format, args);
	for (c = r->error; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return -EINVAL;
}

int sl_fail(struct sl_reader *r, const config_setting_t *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail(r, setting, NULL, format, args);
	va_end(args);
	return -EINVAL;
}

int sl_fail_in(struct sl_reader *r, const config_setting_t *group, const char *member,
	       const char *format, ...)
{
	const config_setting_t *setting = group ? config_setting_get_member(group, member) : NULL;
	va_list args;

	va_start(args, format);
	fail(r, setting ? setting : group, setting ? NULL : member, format, args);
	va_end(args);
	return -EINVAL;
}

const char *sl_where(const struct sl_reader *r, const config_setting_t *setting,
		     const config_setting_t *here, char text[SL_WHERE_TEXT])
{
	const char *file = setting ? config_setting_source_file(setting) : NULL;
	char path[SL_PATH_MAX];

	if (!setting)
		snprintf(text, SL_WHERE_TEXT, "the live configuration");
	else if (here && file == config_setting_source_file(here))
		snprintf(text, SL_WHERE_TEXT, "line %u", setting->line);
	else
		snprintf(text, SL_WHERE_TEXT, "%s:%u", sl_source_file(r, file, path),
			 setting->line);
	return text;
}

static int unknown(struct sl_reader *r, const struct sl_group *group, config_setting_t *setting)
{
	const char *name = config_setting_name(setting), *nearest = NULL;
	unsigned int distance, best = (unsigned int)strlen(name) / 3 + 2;
	char known[256] = "";
	size_t i, len = 0;

	for (i = 0; i < group->n_fields; i++) {
		distance = sl_text_distance(name, group->field[i].name);
		if (distance < best) {
			best = distance;
			nearest = group->field[i].name;
		}
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
						i ? ", " : "", group->field[i].name);
	}
	if (nearest)
		return sl_fail(r, setting, "unknown field; did you mean \"%s\"?", nearest);
	return sl_fail(r, setting, "unknown field; known here: %s", known);
}

static int wrong_type(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting)
{
	char wanted[128] = "";
	size_t i, len = 0;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (i != CONFIG_TYPE_INT64 && (types[i].type & field->types))
			len += (size_t)snprintf(wanted + len, sizeof(wanted) - len, "%s%s",
						len ? " or " : "", types[i].text);
	return sl_fail(r, setting, "is %s; give %s, such as: %s",
		       types[config_setting_type(setting)].text, wanted, field->example);
}

int sl_group_read(struct sl_reader *r, const struct sl_group *group, config_setting_t *setting,
		  void *record)
{
	const struct sl_field *field = group->field, *end = field + group->n_fields;
	config_setting_t *member;
	int i, err, n;

	if (!config_setting_is_group(setting))
		return sl_fail(r, setting, "is %s; give a group { … }",
			       types[config_setting_type(setting)].text);
	n = config_setting_length(setting);
	for (i = 0; i < n; i++) {
		member = config_setting_get_elem(setting, (unsigned int)i);
		for (field = group->field; field < end; field++)
			if (!strcmp(field->name, config_setting_name(member)))
				break;
		if (field == end)
			return unknown(r, group, member);
	}
	for (field = group->field; field < end; field++) {
		member = config_setting_get_member(setting, field->name);
		if (!member && field->required)
			return sl_fail_in(r, setting, field->name, "missing; add it, such as: %s",
					  field->example);
		if (!member)
			continue;
		if (!(types[config_setting_type(member)].type & field->types))
			return wrong_type(r, field, member);
		err = field->read(r, field, member, record);
		if (err)
			return err;
	}
	return 0;
}

static void store(const struct sl_field *field, void *record, long long value)
{
	uint8_t narrow = (uint8_t)value;
	uint16_t half = (uint16_t)value;
	uint32_t word = (uint32_t)value;

	memcpy((char *)record + field->at,
	       field->size == 1	  ? (void *)&narrow
	       : field->size == 2 ? (void *)&half
				  : (void *)&word,
	       field->size);
}

int sl_read_integer(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		    void *record)
{
	long long value = config_setting_get_int64(setting);

	if (value < field->min || value > field->max)
		return sl_fail(r, setting, "%lld is out of range; give %lld to %lld", value,
			       field->min, field->max);
	store(field, record, value);
	return 0;
}

int sl_read_bool(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		 void *record)
{
	(void)r;
	store(field, record, config_setting_get_bool(setting));
	return 0;
}

int sl_read_name(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		 void *record)
{
	char why[SL_ERROR_MAX];

	if (sl_config_parse_name(config_setting_get_string(setting), (char *)record + field->at,
				 why))
		return sl_fail(r, setting, "%s", why);
	return 0;
}

/* `max`: the largest distance that counts as similar. */
int sl_read_path(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		 void *record)
{
	const char *path = config_setting_get_string(setting);
	size_t len = strlen(path);

	if (path[0] != '/')
		return sl_fail(r, setting,
			       "\"%.64s\" is not an absolute path; give one, such as: %s", path,
			       field->example);
	if (len > (size_t)field->max)
		return sl_fail(r, setting, "has %zu characters; give a path of at most %lld", len,
			       field->max);
	memcpy((char *)record + field->at, path, len + 1);
	return 0;
}

int sl_read_address(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		    void *record)
{
	char why[SL_ERROR_MAX];
	union sl_addr addr;

	if (sl_config_parse_addr(config_setting_get_string(setting), &addr, why))
		return sl_fail(r, setting, "%s", why);
	memcpy((char *)record + field->at, &addr, sizeof(addr));
	return 0;
}

int sl_read_duration(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		     void *record)
{
	const char *text = config_setting_get_string(setting);
	long long seconds = config_setting_get_int64(setting);
	uint64_t ms;

	if (!text)
		ms = seconds < 0 || seconds > UINT32_MAX ? 0 : (uint64_t)seconds * 1000;
	else if (sl_text_duration(text, &ms))
		return sl_fail(r, setting,
			       "\"%.64s\" is not a duration; write a number with ms, s, m or h, "
			       "such as \"30s\"",
			       text);
	if (ms < (uint64_t)field->min || ms > (uint64_t)field->max)
		return sl_fail(r, setting, "is out of range; give %lldms to %lldh", field->min,
			       field->max / 3600000);
	store(field, record, (long long)ms);
	return 0;
}

static const struct sl_word *find_word(struct sl_reader *r, const struct sl_field *field,
				       config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);
	const struct sl_word *word;
	char known[128] = "";
	size_t len = 0;

	for (word = field->words; word->text; word++) {
		if (!strcmp(word->text, text))
			return word;
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s\"%s\"",
						len ? " or " : "", word->text);
	}
	sl_fail(r, setting, "\"%.64s\" is not known; give %s", text, known);
	return NULL;
}

/* Stores a word's value. */
int sl_read_word(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		 void *record)
{
	const struct sl_word *word = find_word(r, field, setting);

	if (!word)
		return -EINVAL;
	store(field, record, word->value);
	return 0;
}

/* Stores the word itself. */
int sl_read_choice(struct sl_reader *r, const struct sl_field *field, config_setting_t *setting,
		   void *record)
{
	const struct sl_word *word = find_word(r, field, setting);

	if (!word)
		return -EINVAL;
	snprintf((char *)record + field->at, field->size, "%s", word->text);
	return 0;
}

struct order {
	int (*compare)(const void *, const void *);
};

static int by_record(const void *a, const void *b, void *order)
{
	const char *left = *(const char *const *)a, *right = *(const char *const *)b;
	int sign = ((const struct order *)order)->compare(left, right);

	return sign ? sign : (left > right) - (left < right);
}

int sl_duplicate(const void *records, size_t n, size_t size,
		 int (*compare)(const void *, const void *), size_t *first, size_t *second)
{
	struct order order = { compare };
	const char **sorted;
	size_t i, at;

	if (n < 2)
		return 0;
	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		sorted[i] = (const char *)records + i * size;
	qsort_r(sorted, n, sizeof(*sorted), by_record, &order);
	*second = n;
	for (i = 1; i < n; i++) {
		at = (size_t)(sorted[i] - (const char *)records) / size;
		if (at < *second && compare(sorted[i - 1], sorted[i]) == 0) {
			*second = at;
			*first = (size_t)(sorted[i - 1] - (const char *)records) / size;
		}
	}
	free(sorted);
	return *second < n;
}
