/* SPDX-License-Identifier: BSD-2-Clause */
#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drain.h"
#include "options.h"
#include "words.h"

enum { WORDS_MAX = 64 };

static bool has_json(int argc, char **argv)
{
	bool has = false;

	for (int i = 1; i < argc; i++)
		has |= strcmp(argv[i], "--json") == 0;
	return has;
}

/* Makes the request of a line. Returns 0 or an exit status, after an error was printed. */
static int make_request(const struct sl_settings *settings, int argc, char **argv, int number,
			json_t *requests)
{
	struct sl_settings own = { .json = settings->json, .line = number };
	struct sl_given_words given = { 0 };
	const struct sl_command *command;
	char **seen = sl_options_words(argc, argv), error[SL_ERROR_MAX];
	json_t *params = NULL;
	int rc;

	if (!seen)
		return sl_request_fail(settings, SL_EXIT_MACHINE, "out of memory");
	rc = sl_options_parse(&own, argc, argv, seen, &given);
	if (!rc && (own.instance || own.socket || own.help || own.version || own.timeout_ms ||
		    has_json(argc, argv)))
		rc = sl_request_fail(&own, SL_EXIT_USAGE,
				     "the options of sluicectl itself stand before `batch`");
	command = rc ? NULL : sl_command_find(&given, error);
	if (!rc && (!command || sl_command_params(command, &given, &params, error)))
		rc = sl_request_fail(&own, SL_EXIT_USAGE, "%s", error);
	if (!rc && sl_drain_waits(params))
		rc = sl_request_fail(&own, SL_EXIT_USAGE,
				     "--wait: a batch doesn't wait; give the same drain with "
				     "--wait afterwards");
	if (!rc)
		json_array_append_new(requests,
				      json_pack("{s:s, s:O*, s:i}", "method", command->method,
						"params", params, "line", number));
	json_decref(params);
	free(seen);
	return rc;
}

static int read_line(const struct sl_settings *settings, char *line, size_t length, int number,
		     json_t *requests)
{
	char name[] = "sluicectl", *argv[WORDS_MAX + 2] = { name };
	const char *why = "a NUL";
	int n = -1;

	line[strcspn(line, "\n")] = '\0';
	if (strlen(line) + 1 >= length)
		n = sl_words_split(line, argv + 1, WORDS_MAX, &why);
	if (n < 0)
		return sl_request_fail(settings, SL_EXIT_USAGE, "line %d: %s", number, why);
	return n ? make_request(settings, n + 1, argv, number, requests) : 0;
}

static int read_file(const struct sl_settings *settings, FILE *file, json_t *requests)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int rc = 0;

	for (int number = 1; !rc && (length = getline(&line, &size, file)) > 0; number++)
		rc = read_line(settings, line, (size_t)length, number, requests);
	free(line);
	return rc;
}

int sl_batch_run(const struct sl_settings *settings, const struct sl_command *command,
		 const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "file"));
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(name, "re");
	json_t *requests = json_array(), *all;
	int rc;

	if (!file) {
		json_decref(requests);
		return sl_request_fail(settings, SL_EXIT_USAGE, "%s: %m", name);
	}
	rc = read_file(settings, file, requests);
	if (!rc && ferror(file))
		rc = sl_request_fail(settings, SL_EXIT_FAILED, "%s: %m", name);
	if (!rc && !json_array_size(requests))
		rc = sl_request_fail(settings, SL_EXIT_USAGE, "%s: there is no command in it",
				     name);
	if (!is_stdin)
		fclose(file);
	if (!rc) {
		all = json_pack("{s:O}", "requests", requests);
		rc = sl_request_run(settings, command, all);
		json_decref(all);
	}
	json_decref(requests);
	return rc;
}
