/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds integers that libconfig has truncated.
 *
 * libconfig 1.5 reads an integer without the suffix L into 32 bits and drops the rest, so that
 * 4294967306 would become a weight of 10. Only the text still has the whole number. So this walks
 * the text, skips comments, strings and names, and refuses such a number with the path of its
 * field.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

struct cursor {
	const char *at;
	unsigned int line;
};

static void step(struct cursor *c)
{
	c->line += *c->at++ == '\n';
}

/* Skips a comment or a string, if one begins here. */
static bool skip_quiet(struct cursor *c)
{
	const char *end = NULL;

	if (*c->at == '#' || !strncmp(c->at, "//", 2))
		end = "\n";
	else if (!strncmp(c->at, "/*", 2))
		end = "*/";
	else if (*c->at == '"')
		end = "\"";
	if (!end)
		return false;
	if (*end == '*') /* the star of the opening doesn't close it */
		step(c);
	do {
		if (*end == '"' && *c->at == '\\' && c->at[1])
			step(c);
		step(c);
	} while (*c->at && strncmp(c->at, end, strlen(end)));
	for (; *end && *c->at; end++)
		step(c);
	return true;
}

static bool in_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

struct number {
	const char *end;
	int kept; /* as libconfig cut it */
	bool wide;
};

static struct number read_number(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	unsigned long long most = *text == '-' ? 1ull + INT_MAX : INT_MAX, value;
	struct number number;
	char *end;

	errno = 0;
	value = strtoull(digits, &end, hex ? 16 : 10);
	number.wide = (errno || value > most) && (!*end || !strchr("L.eE", *end));
	number.kept = (int)(hex ? value : (unsigned long long)strtol(text, NULL, 10));
	while (isalnum((unsigned char)*end) || *end == '.')
		end++;
	number.end = end;
	return number;
}

/* The setting on that line whose value is the truncated number. */
static const config_setting_t *find(const config_setting_t *setting, const char *file,
				    unsigned int line, int value)
{
	const config_setting_t *found = NULL;
	int i;

	if (config_setting_type(setting) == CONFIG_TYPE_INT)
		return setting->line == line && setting->value.ival == value &&
				       !strcmp(config_setting_source_file(setting), file)
			       ? setting
			       : NULL;
	for (i = 0;
	     config_setting_is_aggregate(setting) && !found && i < config_setting_length(setting);
	     i++)
		found = find(config_setting_get_elem(setting, (unsigned int)i), file, line, value);
	return found;
}

static int check_text(struct sl_reader *r, const config_t *config, const char *file,
		      const char *text)
{
	struct cursor c = { text, 1 };
	const config_setting_t *setting;
	struct number number;

	while (*c.at) {
		if (skip_quiet(&c))
			continue;
		if (isalpha((unsigned char)*c.at) || *c.at == '*') {
			while (in_name(*c.at))
				c.at++;
			continue;
		}
		if (!isdigit((unsigned char)*c.at) &&
		    !((*c.at == '-' || *c.at == '+') && isdigit((unsigned char)c.at[1]))) {
			step(&c);
			continue;
		}
		number = read_number(c.at);
		if (number.wide) {
			setting = find(config_root_setting(config), file, c.line, number.kept);
			return sl_fail(
				r, setting ? setting : config_root_setting(config),
				"%.*s is beyond 32 bits; end it with an L if it has to be so large",
				(int)(number.end - c.at), c.at);
		}
		c.at = number.end;
	}
	return 0;
}

static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	/* libconfig would have refused a file with a 0 byte. */
	if (file && getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	if (file)
		fclose(file);
	return text;
}

int sl_wide_check(struct sl_reader *r, const config_t *config)
{
	char path[SL_PATH_MAX];
	unsigned int i;
	char *text;
	int err;

	for (i = 0; i < config->num_filenames; i++) {
		text = read_text(sl_source_file(r, config->filenames[i], path));
		if (!text)
			return -errno;
		err = check_text(r, config, config->filenames[i], text);
		free(text);
		if (err)
			return err;
	}
	return 0;
}
