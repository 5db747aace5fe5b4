/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 40

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

static int set_timeout(struct sl_settings *settings, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.001) || seconds > SL_TIMEOUT_MAX_S)
		return sl_request_fail(settings, SL_EXIT_USAGE,
				       "--timeout: \"%.64s\" isn't a number of seconds up to %d",
				       text, SL_TIMEOUT_MAX_S);
	settings->timeout_ms = (int)(seconds * 1000 + 0.5);
	return 0;
}

/* After a long option, getopt has advanced past it, but not past the rest of a word such as
 * "-xyz". */
static int report_option(const struct sl_settings *settings, const char *last)
{
	if (optopt > 0 && optopt < 256)
		return sl_request_fail(settings, SL_EXIT_USAGE,
				       "unknown option \"-%c\"; see: sluicectl --help", optopt);
	if (optopt)
		return sl_request_fail(settings, SL_EXIT_USAGE, "%s: takes no value", last);
	return sl_request_fail(settings, SL_EXIT_USAGE,
			       "unknown option \"%s\"; see: sluicectl --help", last);
}

static bool is_negative(const char *word)
{
	return word[0] == '-' && word[1] >= '0' && word[1] <= '9';
}

char **sl_options_words(int argc, char **argv)
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

int sl_options_parse(struct sl_settings *settings, int argc, char **argv, char **seen,
		     struct sl_given_words *given)
{
	struct option options[OPTIONS_MAX];
	int option, index = 0, rc = 0;

	gather_options(options);
	/* looked for first, so that errors in the options before it are JSON too */
	for (int i = 1; i < argc; i++)
		settings->json |= !strcmp(argv[i], "--json");
	opterr = 0;
	optind = 0; /* lets getopt begin anew */
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
				return sl_request_fail(settings, SL_EXIT_USAGE, "too many options");
			given->option[given->n_options].name = options[index].name;
			given->option[given->n_options++].value =
				optarg ? with_sign(argc, argv, optarg) : NULL;
			break;
		case ':':
			rc = sl_request_fail(settings, SL_EXIT_USAGE, "%s: wants a value",
					     seen[optind - 1]);
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
