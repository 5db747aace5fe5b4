/* SPDX-License-Identifier: BSD-2-Clause */
/* sluicectl sends one command to the control socket and shows the answer to people or programs.
 *
 * Commands that only read use read.sock, and those that change something control.sock; so whoever
 * may only read needs no access to the other. Results go to stdout. An error is one line on stderr
 * that says what to do, or one object with --json. Exit statuses: enum sl_exit.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch.h"
#include "commands.h"
#include "drain.h"
#include "options.h"
#include "print.h"
#include "request.h"
#include "top.h"

#ifndef SL_VERSION
#define SL_VERSION "(not a release)"
#endif

static int print_help(const struct sl_command *only)
{
	const struct sl_command *command;

	if (only) {
		printf("usage: sluicectl [OPTION...] %s %s\n%s\n", only->words, only->usage,
		       only->help);
		return SL_EXIT_OK;
	}
	printf("usage: sluicectl [OPTION...] COMMAND\n\n"
	       "  -i, --instance NAME    which instance (main)\n"
	       "  -s, --socket PATH      its run directory, or a control socket (%s/NAME)\n"
	       "      --json             the result as JSON; errors too, on stderr\n"
	       "      --timeout SECONDS  how long to wait for the answer (%d)\n"
	       "  -h, --help\n"
	       "      --version\n\n",
	       SL_RUN_DIR, SL_TIMEOUT_DEFAULT_S);
	for (size_t i = 0; (command = sl_command_at(i)); i++)
		printf("  %s%s%s\n      %s\n", command->words, *command->usage ? " " : "",
		       command->usage, command->help);
	return SL_EXIT_OK;
}

/* An answer of `stats`; NULL, with the exit status in *rc. */
static json_t *ask_stats(const struct sl_settings *settings, const struct sl_command *command,
			 const char *path, int *rc)
{
	char error[SL_ERROR_MAX];
	json_t *answer = NULL, *result;

	*rc = sl_request_ask(settings, path, command->method, NULL, &answer, error);
	if (*rc) {
		*rc = sl_request_silence(settings, command, path, *rc, error);
		return NULL;
	}
	result = json_incref(json_object_get(answer, "result"));
	if (!result)
		*rc = sl_request_error(settings, json_object_get(answer, "error"));
	json_decref(answer);
	return result;
}

/* `top` asks periodically and shows the differences. */
static int watch(const struct sl_settings *settings, const struct sl_command *command,
		 const json_t *params)
{
	json_int_t interval = params && json_object_get(params, "interval")
				      ? json_integer_value(json_object_get(params, "interval"))
				      : 1;
	bool once = json_object_get(params, "once"), clear = !settings->json && !once;
	json_t *before, *after, *rates;
	char path[SL_PATH_MAX];
	int rc = sl_request_socket(settings, false, path);

	if (!rc && (interval < 1 || interval > SL_TIMEOUT_MAX_S))
		rc = sl_request_fail(settings, SL_EXIT_USAGE, "--interval: must be 1 to %d seconds",
				     SL_TIMEOUT_MAX_S);
	if (rc)
		return rc;
	before = ask_stats(settings, command, path, &rc);
	while (before) {
		sleep((unsigned)interval);
		after = ask_stats(settings, command, path, &rc);
		rates = after ? sl_top_between(before, after) : NULL;
		if (after && !rates)
			rc = sl_request_fail(
				settings, SL_EXIT_FAILED,
				"no time in the answer; is this control process older than "
				"sluicectl?");
		json_decref(before);
		before = after;
		if (rates && clear && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		if (rates)
			sl_request_print(settings, command, rates);
		json_decref(rates);
		fflush(stdout);
		if (ferror(stdout))
			rc = sl_request_fail(settings, SL_EXIT_FAILED,
					     "can't write the result: %m");
		if (once || rc)
			break;
	}
	json_decref(before);
	return rc;
}

int main(int argc, char **argv)
{
	struct sl_settings settings = { .instance = "main",
					.timeout_ms = SL_TIMEOUT_DEFAULT_S * 1000 };
	struct sl_given_words given = { 0 };
	const struct sl_command *command;
	char **seen = sl_options_words(argc, argv), error[SL_ERROR_MAX];
	json_t *params = NULL;
	int rc;

	if (!seen)
		return sl_request_fail(&settings, SL_EXIT_MACHINE, "out of memory");
	setlocale(LC_CTYPE, "");
	rc = sl_options_parse(&settings, argc, argv, seen, &given);
	if (rc)
		goto out;
	command = sl_command_find(&given, error);
	if (settings.version)
		puts("sluicectl " SL_VERSION);
	else if (settings.help)
		rc = print_help(command);
	else if (!command || sl_command_params(command, &given, &params, error))
		rc = sl_request_fail(&settings, SL_EXIT_USAGE, "%s", error);
	else if (strcmp(command->method, "batch") == 0)
		rc = sl_batch_run(&settings, command, params);
	else if (sl_drain_waits(params))
		rc = sl_drain_run(&settings, command, params);
	else if (command->print == sl_print_top)
		rc = watch(&settings, command, params);
	else
		rc = sl_request_run(&settings, command, params);
	json_decref(params);
out:
	free(seen);
	return rc;
}
