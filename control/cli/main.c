/* SPDX-License-Identifier: BSD-2-Clause */
/* sluicectl sends one command to the control socket and shows the answer to people or programs.
 *
 * Commands that only read use read.sock, and those that change something control.sock; so whoever
 * may only read needs no access to the other. Results go to stdout. An error is one line on stderr
 * that says what to do, or one object with --json. Exit statuses: enum sl_exit.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "connection.h"
#include "print.h"
#include "starting.h"
#include "top.h"

#ifndef SL_VERSION
#define SL_VERSION "(not a release)"
#endif

#define TIMEOUT_DEFAULT_S 10
#define TIMEOUT_MAX_S	  3600
#define STARTING_MS	  10000 /* that a control process may take to start */
#define LOOK_MS		  20
#define RUN_DIR		  "/run/sluice"
#define OPTIONS_MAX	  32

struct settings {
	const char *instance;
	const char *socket; /* as given; NULL: the instance's default */
	bool json;
	bool help;
	bool version;
	int timeout_ms;
};

enum { OPTION_JSON = 256, OPTION_TIMEOUT, OPTION_VERSION, OPTION_OF_COMMAND };

static const struct option OPTIONS[] = {
	{ "instance", required_argument, NULL, 'i' },
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPTION_VERSION },
};
#define N_OPTIONS (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

/* Prints an error. object: the daemon's error object, or NULL. */
static int report(const struct settings *settings, enum sl_exit status, const json_t *object,
		  const char *message)
{
	json_t *error;

	if (!settings->json) {
		fprintf(stderr, "sluicectl: %s\n", message);
		return (int)status;
	}
	error = json_pack("{s:o*, s:s, s:o*}", "code", json_incref(json_object_get(object, "code")),
			  "message", message, "data", json_incref(json_object_get(object, "data")));
	error = json_pack("{s:o}", "error", error);
	if (!error || json_dumpf(error, stderr, JSON_COMPACT))
		fputs("{\"error\":{\"message\":\"not UTF-8\"}}", stderr);
	fputc('\n', stderr);
	json_decref(error);
	return (int)status;
}

static int fail(const struct settings *settings, enum sl_exit status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(const struct settings *settings, enum sl_exit status, const char *format, ...)
{
	char message[2 * SL_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return report(settings, status, NULL, message);
}

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
	       RUN_DIR, TIMEOUT_DEFAULT_S);
	for (size_t i = 0; (command = sl_command_at(i)); i++)
		printf("  %s%s%s\n      %s\n", command->words, *command->usage ? " " : "",
		       command->usage, command->help);
	return SL_EXIT_OK;
}

static bool has_option(const struct option *options, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(options[i].name, name) == 0)
			return true;
	return false;
}

/* Our own options, then those of all commands. Whether an option belongs to the command is checked
 * later. */
static void gather_options(struct option options[OPTIONS_MAX])
{
	const struct sl_command *command;
	size_t n = N_OPTIONS;

	memcpy(options, OPTIONS, sizeof(OPTIONS));
	for (size_t i = 0; (command = sl_command_at(i)); i++) {
		for (const struct sl_parameter *p = command->parameters; p->name; p++) {
			if (p->given == SL_GIVEN_OPTION && n < OPTIONS_MAX - 1 &&
			    !has_option(options, n, p->name))
				options[n++] = (struct option){
					.name = p->name,
					.has_arg = p->value == SL_VALUE_YES ? no_argument
									    : required_argument,
					.val = OPTION_OF_COMMAND,
				};
		}
	}
	options[n] = (struct option){ 0 };
}

static int set_timeout(struct settings *settings, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.001) || seconds > TIMEOUT_MAX_S)
		return fail(settings, SL_EXIT_USAGE,
			    "--timeout: \"%.64s\" isn't a number of seconds up to %d", text,
			    TIMEOUT_MAX_S);
	settings->timeout_ms = (int)(seconds * 1000 + 0.5);
	return 0;
}

/* After a long option, getopt has advanced past it, but not past the rest of a word such as
 * "-xyz". */
static int report_option(const struct settings *settings, const char *last)
{
	if (optopt > 0 && optopt < 256)
		return fail(settings, SL_EXIT_USAGE,
			    "unknown option \"-%c\"; see: sluicectl --help", optopt);
	if (optopt)
		return fail(settings, SL_EXIT_USAGE, "%s: takes no value", last);
	return fail(settings, SL_EXIT_USAGE, "unknown option \"%s\"; see: sluicectl --help", last);
}

static bool is_negative(const char *word)
{
	return word[0] == '-' && word[1] >= '0' && word[1] <= '9';
}

/* "-1" is a number, not an option: getopt gets such a word without its sign. NULL: no memory. */
static char **hide_negatives(int argc, char **argv)
{
	char **seen = calloc((size_t)argc + 1, sizeof(*seen));

	for (int i = 0; seen && i < argc; i++)
		seen[i] = is_negative(argv[i]) ? argv[i] + 1 : argv[i];
	return seen;
}

static char *with_sign(int argc, char **argv, char *word)
{
	for (int i = 0; i < argc; i++)
		if (is_negative(argv[i]) && argv[i] + 1 == word)
			return argv[i];
	return word;
}

/* 0 or an exit status. `seen` are the words for getopt, which reorders them. */
static int parse_options(struct settings *settings, int argc, char **argv, char **seen,
			 struct sl_given_words *given)
{
	struct option options[OPTIONS_MAX];
	int option, index = 0, rc = 0;

	gather_options(options);
	/* looked for first, so that errors in the options before it are JSON too */
	for (int i = 1; i < argc; i++)
		settings->json |= !strcmp(argv[i], "--json");
	opterr = 0;
	while (!rc && (option = getopt_long(argc, seen, ":i:s:h", options, &index)) != -1) {
		switch (option) {
		case 'i':
			settings->instance = optarg;
			break;
		case 's':
			settings->socket = optarg;
			break;
		case 'h':
			settings->help = true;
			break;
		case OPTION_JSON:
			break;
		case OPTION_VERSION:
			settings->version = true;
			break;
		case OPTION_TIMEOUT:
			rc = set_timeout(settings, optarg);
			break;
		case OPTION_OF_COMMAND:
			if (given->n_options == SL_GIVEN_MAX)
				return fail(settings, SL_EXIT_USAGE, "too many options");
			given->option[given->n_options].name = options[index].name;
			given->option[given->n_options++].value =
				optarg ? with_sign(argc, argv, optarg) : NULL;
			break;
		case ':':
			rc = fail(settings, SL_EXIT_USAGE, "%s: wants a value", seen[optind - 1]);
			break;
		default:
			rc = report_option(settings, seen[optind - 1]);
		}
	}
	for (int i = optind; i < argc; i++)
		seen[i] = with_sign(argc, argv, seen[i]);
	given->word = seen + optind;
	given->n_words = (size_t)(argc - optind);
	return rc;
}

/* The socket of a command. 0 or an exit status. */
static int find_socket(const struct settings *settings, bool changes, char path[SL_PATH_MAX])
{
	const char *file = changes ? "control.sock" : "read.sock";
	const char *name = settings->instance;
	struct stat st;
	int length;

	if (!settings->socket) {
		if (!*name || strlen(name) >= SL_NAME_MAX || strchr(name, '/') || *name == '.')
			return fail(settings, SL_EXIT_USAGE,
				    "--instance: \"%.64s\" can't be the name of one", name);
		length = snprintf(path, SL_PATH_MAX, RUN_DIR "/%s/%s", name, file);
	} else if (stat(settings->socket, &st) == 0 && S_ISDIR(st.st_mode)) {
		length = snprintf(path, SL_PATH_MAX, "%s/%s", settings->socket, file);
	} else {
		length = snprintf(path, SL_PATH_MAX, "%s", settings->socket);
	}
	if (length >= SL_PATH_MAX)
		return fail(settings, SL_EXIT_USAGE, "--socket: the path is too long");
	return 0;
}

/* As sl_connection_ask(), but waits for a control process that is starting. -EINPROGRESS: it still
 * is. */
static int ask(const struct settings *settings, const char *path, const char *method,
	       json_t *params, json_t **answer, char error[SL_ERROR_MAX])
{
	for (int waited_ms = 0;; waited_ms += LOOK_MS) {
		int rc = sl_connection_ask(path, method, params, settings->timeout_ms, answer,
					   error);

		if ((rc != -ENOENT && rc != -ECONNREFUSED) || !sl_control_is_starting(path))
			return rc;
		if (waited_ms >= STARTING_MS)
			return -EINPROGRESS;
		if (!waited_ms)
			fputs("sluicectl: sluice-control is starting\n", stderr);
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000 }, NULL);
	}
}

static int report_silence(const struct settings *settings, const struct sl_command *command,
			  const char *path, int rc, const char *error)
{
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -ENOTDIR)
		return settings->socket
			       ? fail(settings, SL_EXIT_FAILED,
				      "no control process at %s; start: sluice-control -c FILE",
				      path)
			       : fail(settings, SL_EXIT_FAILED,
				      "no control process for instance %s at %s; start: "
				      "sluice-control -c FILE",
				      settings->instance, path);
	if (rc == -EINPROGRESS)
		return fail(settings, SL_EXIT_FAILED,
			    "sluice-control has been starting for %d s; see its log",
			    STARTING_MS / 1000);
	if (rc == -EACCES || rc == -EPERM)
		return fail(settings, SL_EXIT_MACHINE,
			    "no right to %s; run as root, or as who may write to that socket",
			    path);
	if (rc == -ETIMEDOUT && command->changes)
		return fail(settings, SL_EXIT_FAILED,
			    "%s; the change may have happened, see: sluicectl generation", error);
	if (rc == -ENAMETOOLONG)
		return fail(settings, SL_EXIT_USAGE, "%s", error);
	return fail(settings, SL_EXIT_FAILED, "%s (at %s)", error, path);
}

/* The daemon's message is written for people. Adds what the daemon can't know. */
static int report_error(const struct settings *settings, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));
	json_int_t code = json_integer_value(json_object_get(error, "code"));
	char message[2 * SL_ERROR_MAX];

	snprintf(message, sizeof(message), "%s%s", text ? text : "an error without a message",
		 code == -32601	  ? "; is this control process older than sluicectl?"
		 : code == -32001 ? "; use the control.sock beside it"
				  : "");
	return report(settings, code == -32602 ? SL_EXIT_USAGE : SL_EXIT_FAILED, error, message);
}

static void print_result(const struct settings *settings, const struct sl_command *command,
			 const json_t *result)
{
	if (!settings->json) {
		command->print(result);
		return;
	}
	json_dumpf(result, stdout,
		   JSON_ENCODE_ANY | JSON_REAL_PRECISION(9) |
			   (isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT));
	putchar('\n');
}

/* A change that is live but would be lost on a restart, or that not all workers have acknowledged
 * yet, is no success: programs shouldn't rely on it. */
static int check_change(const struct settings *settings, const struct sl_command *command,
			const json_t *result)
{
	if (json_is_false(json_object_get(result, "saved")))
		return SL_EXIT_UNSAVED; /* the text says why */
	if (!command->changes || !json_is_false(json_object_get(result, "acknowledged")) ||
	    json_integer_value(json_object_get(result, "workers")) == 0)
		return SL_EXIT_OK;
	return fail(settings, SL_EXIT_FAILED,
		    "published, but not acknowledged by all workers; see: sluicectl generation");
}

/* An answer of `stats`; NULL, with the exit status in *rc. */
static json_t *ask_stats(const struct settings *settings, const struct sl_command *command,
			 const char *path, int *rc)
{
	char error[SL_ERROR_MAX];
	json_t *answer = NULL, *result;

	*rc = ask(settings, path, command->method, NULL, &answer, error);
	if (*rc) {
		*rc = report_silence(settings, command, path, *rc, error);
		return NULL;
	}
	result = json_incref(json_object_get(answer, "result"));
	if (!result)
		*rc = report_error(settings, json_object_get(answer, "error"));
	json_decref(answer);
	return result;
}

/* `top` asks periodically and shows the differences. */
static int watch(const struct settings *settings, const struct sl_command *command,
		 const json_t *params)
{
	json_int_t interval = params && json_object_get(params, "interval")
				      ? json_integer_value(json_object_get(params, "interval"))
				      : 1;
	bool once = json_object_get(params, "once"), clear = !settings->json && !once;
	json_t *before, *after, *rates;
	char path[SL_PATH_MAX];
	int rc = find_socket(settings, false, path);

	if (!rc && (interval < 1 || interval > TIMEOUT_MAX_S))
		rc = fail(settings, SL_EXIT_USAGE, "--interval: must be 1 to %d seconds",
			  TIMEOUT_MAX_S);
	if (rc)
		return rc;
	before = ask_stats(settings, command, path, &rc);
	while (before) {
		sleep((unsigned)interval);
		after = ask_stats(settings, command, path, &rc);
		rates = after ? sl_top_between(before, after) : NULL;
		if (after && !rates)
			rc = fail(settings, SL_EXIT_FAILED,
				  "no time in the answer; is this control process older than "
				  "sluicectl?");
		json_decref(before);
		before = after;
		if (rates && clear && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		if (rates)
			print_result(settings, command, rates);
		json_decref(rates);
		fflush(stdout);
		if (ferror(stdout))
			rc = fail(settings, SL_EXIT_FAILED, "can't write the result: %m");
		if (once || rc)
			break;
	}
	json_decref(before);
	return rc;
}

static int run(const struct settings *settings, const struct sl_command *command, json_t *params)
{
	char path[SL_PATH_MAX], error[SL_ERROR_MAX];
	json_t *answer = NULL, *result;
	int rc = find_socket(settings, command->changes, path);

	if (rc)
		return rc;
	rc = ask(settings, path, command->method, params, &answer, error);
	if (rc)
		return report_silence(settings, command, path, rc, error);

	result = json_object_get(answer, "result");
	if (result) {
		print_result(settings, command, result);
		fflush(stdout);
		rc = check_change(settings, command, result);
	} else {
		rc = report_error(settings, json_object_get(answer, "error"));
	}
	json_decref(answer);
	if (ferror(stdout))
		rc = fail(settings, SL_EXIT_FAILED, "can't write the result: %m");
	return rc;
}

int main(int argc, char **argv)
{
	struct settings settings = { .instance = "main", .timeout_ms = TIMEOUT_DEFAULT_S * 1000 };
	struct sl_given_words given = { 0 };
	const struct sl_command *command;
	char **seen = hide_negatives(argc, argv), error[SL_ERROR_MAX];
	json_t *params = NULL;
	int rc;

	if (!seen)
		return fail(&settings, SL_EXIT_MACHINE, "out of memory");
	setlocale(LC_CTYPE, "");
	rc = parse_options(&settings, argc, argv, seen, &given);
	if (rc)
		goto out;
	command = sl_command_find(&given, error);
	if (settings.version)
		puts("sluicectl " SL_VERSION);
	else if (settings.help)
		rc = print_help(command);
	else if (!command || sl_command_params(command, &given, &params, error))
		rc = fail(&settings, SL_EXIT_USAGE, "%s", error);
	else if (command->print == sl_print_top)
		rc = watch(&settings, command, params);
	else
		rc = run(&settings, command, params);
	json_decref(params);
out:
	free(seen);
	return rc;
}
