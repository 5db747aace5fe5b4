/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of sluicectl. A new command is one entry of COMMANDS, and a printer if its result
 * has a shape of its own: help, parsing and suggestions all use the array. The daemon checks
 * values, as it knows the rules; this file only checks their form.
 */
#include "commands.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

#define WORDS_MAX 64 /* size of a command's words together */

/* clang-format off */
static const struct sl_command COMMANDS[] = {
	{ "status", "", "how the instance is",
	  "status", false, sl_print_status, { { 0 } } },
	{ "service list", "", "all services, with their traffic",
	  "service.list", false, sl_print_services, { { 0 } } },
	{ "service show", "NAME", "one service and its backends",
	  "service.show", false, sl_print_service,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS } } },
	{ "service add", "NAME [FIELD=VALUE ...]",
	  "a new service, at once, with fields as in the file: vip=198.51.100.10 protocol=tcp "
	  "port=80;\n      without fields: takes back one of the file that was removed live",
	  "service.add", true, sl_print_reload,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "fields", SL_VALUE_FIELDS, SL_GIVEN_SOMETIMES } } },
	{ "service remove", "NAME", "takes a service away, and ends its connections",
	  "service.remove", true, sl_print_reload,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS } } },
	{ "service set", "NAME FIELD=VALUE ...",
	  "other values of its fields (idle_timeout=5m); FIELD= goes back to what the file says",
	  "service.set", true, sl_print_reload,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "fields", SL_VALUE_FIELDS, SL_GIVEN_ALWAYS } } },
	{ "backend list", "[SERVICE]", "backends, with their share and traffic",
	  "backend.list", false, sl_print_backends,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_SOMETIMES } } },
	{ "backend add", "SERVICE ADDRESS[:PORT] [--name NAME] [--weight WEIGHT] "
	  "[--server-id HEX]",
	  "a new backend, at once",
	  "backend.add", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "address", SL_VALUE_ENDPOINT, SL_GIVEN_ALWAYS },
	    { "name", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "weight", SL_VALUE_NUMBER, SL_GIVEN_OPTION },
	    { "server-id", SL_VALUE_TEXT, SL_GIVEN_OPTION } } },
	{ "backend remove", "SERVICE BACKEND [--now]",
	  "when its connections have ended; --now: cut them",
	  "backend.remove", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "backend", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "now", SL_VALUE_YES, SL_GIVEN_OPTION } } },
	{ "backend drain",
	  "[SERVICE] BACKEND | --all-on ADDRESS [--deadline TIME] [--then-remove] [--wait]",
	  "no new connections; those that are there stay. --all-on: every backend with that "
	  "address;\n      --then-remove: removes it when it is drained; --deadline: after that "
	  "time it is removed all the same,\n      or goes on draining; --wait: shows how far it is, "
	  "and returns when it can be switched off",
	  "backend.drain", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_BEFORE },
	    { "backend", SL_VALUE_TEXT, SL_GIVEN_SOMETIMES },
	    { "all-on", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "deadline", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "then-remove", SL_VALUE_YES, SL_GIVEN_OPTION },
	    { "wait", SL_VALUE_YES, SL_GIVEN_OPTION } } },
	{ "backend ready", "[SERVICE] BACKEND | --all-on ADDRESS [--force]",
	  "takes new connections again, when health allows; --force: whatever health says, until "
	  "the next `ready` or `drain`",
	  "backend.ready", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_BEFORE },
	    { "backend", SL_VALUE_TEXT, SL_GIVEN_SOMETIMES },
	    { "all-on", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "force", SL_VALUE_YES, SL_GIVEN_OPTION } } },
	{ "backend maintenance", "[SERVICE] BACKEND | --all-on ADDRESS",
	  "no packets at all, and no health checks, until `backend ready`: established connections "
	  "break",
	  "backend.maintenance", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_BEFORE },
	    { "backend", SL_VALUE_TEXT, SL_GIVEN_SOMETIMES },
	    { "all-on", SL_VALUE_TEXT, SL_GIVEN_OPTION } } },
	{ "backend weight", "SERVICE BACKEND WEIGHT", "its share of new connections",
	  "backend.weight", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "backend", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "weight", SL_VALUE_NUMBER, SL_GIVEN_ALWAYS } } },
	{ "drain list", "", "backends that drain, and how far they are",
	  "drain.list", false, sl_print_drains, { { 0 } } },
	{ "freeze", "", "lets health checks change nothing, until `unfreeze`; they go on",
	  "freeze", true, sl_print_reload, { { 0 } } },
	{ "unfreeze", "", "lets health checks count again",
	  "unfreeze", true, sl_print_reload, { { 0 } } },
	{ "batch", "FILE", "the changes in FILE (-: stdin), a command a line, as one generation or "
	  "none",
	  "batch", true, sl_print_reload,
	  { { "file", SL_VALUE_TEXT, SL_GIVEN_ALWAYS } } },
	{ "pool list", "", "pools of addresses, and how many of their ports are in use",
	  "pool.list", false, sl_print_pools, { { 0 } } },
	{ "limit list", "[SERVICE]", "limits, with what passed and what didn't",
	  "limit.list", false, sl_print_limits,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_SOMETIMES } } },
	{ "limit show", "SERVICE [--client ADDRESS[/LENGTH] | --flow ADDRESS:PORT]",
	  "the same and what is left of bursts; or what concerns this client or flow",
	  "limit.show", false, sl_print_limit_states,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "client", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "flow", SL_VALUE_TEXT, SL_GIVEN_OPTION } } },
	{ "limit set",
	  "SERVICE --per SCOPE | --client ADDRESS[/LENGTH] | --flow ADDRESS:PORT --rate RATE "
	  "[--burst BURST] [--direction to|from|both] [--action drop|mark|observe] "
	  "[--prefix4 LENGTH] [--prefix6 LENGTH] [--for TIME]",
	  "a new limit or another rate of one, per flow, client, backend or service; or a client's "
	  "or flow's\n      own rate, which may end by itself. Rates: 10mbit, 5kpps, 100cps; "
	  "bursts: 64kb, 100, 20ms; times: 10m",
	  "limit.set", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "per", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "client", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "flow", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "rate", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "burst", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "direction", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "action", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "prefix4", SL_VALUE_NUMBER, SL_GIVEN_OPTION },
	    { "prefix6", SL_VALUE_NUMBER, SL_GIVEN_OPTION },
	    { "for", SL_VALUE_TEXT, SL_GIVEN_OPTION } } },
	{ "limit clear",
	  "SERVICE --per SCOPE | --client ADDRESS[/LENGTH] | --flow ADDRESS:PORT "
	  "[--unit bits|packets|connections] [--direction to|from|both] [--prefix4 LENGTH] "
	  "[--prefix6 LENGTH]",
	  "takes one away; where several fit, says which",
	  "limit.clear", true, sl_print_change,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_ALWAYS },
	    { "per", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "client", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "flow", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "unit", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "direction", SL_VALUE_TEXT, SL_GIVEN_OPTION },
	    { "prefix4", SL_VALUE_NUMBER, SL_GIVEN_OPTION },
	    { "prefix6", SL_VALUE_NUMBER, SL_GIVEN_OPTION } } },
	{ "limit top", "[SERVICE]", "who is being limited right now",
	  "limit.top", false, sl_print_limit_top,
	  { { "service", SL_VALUE_TEXT, SL_GIVEN_SOMETIMES } } },
	{ "stats", "", "what became of all packets, and the workers' load",
	  "stats", false, sl_print_stats, { { 0 } } },
	{ "top", "[--once] [--interval SECONDS]", "rates, and what the workers could carry beyond",
	  "stats", false, sl_print_top,
	  { { "once", SL_VALUE_YES, SL_GIVEN_OPTION },
	    { "interval", SL_VALUE_NUMBER, SL_GIVEN_OPTION } } },
	{ "generation", "", "the live generation and who has acknowledged it",
	  "generation", false, sl_print_generation, { { 0 } } },
	{ "export", "", "the whole effective configuration, as a file that serves the same",
	  "export", false, sl_print_text, { { 0 } } },
	{ "reload", "", "read the configuration again and apply the difference",
	  "reload", true, sl_print_reload, { { 0 } } },
	{ "detach", "", "take XDP off all ports, remove every pin, end sluice-control",
	  "detach", true, sl_print_text, { { 0 } } },
};
/* clang-format on */
#define N_COMMANDS (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

static int fail(char error[SL_ERROR_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static int fail(char error[SL_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

const struct sl_command *sl_command_at(size_t i)
{
	return i < N_COMMANDS ? &COMMANDS[i] : NULL;
}

static int misuse(const struct sl_command *command, const char *what, char error[SL_ERROR_MAX])
{
	return fail(error, "%s; usage: sluicectl %s%s%s", what, command->words,
		    *command->usage ? " " : "", command->usage);
}

static size_t count_words(const char *words)
{
	return strchr(words, ' ') ? 2 : 1;
}

/* The first n words, joined as in COMMANDS. */
static void join(const struct sl_given_words *given, size_t n, char text[WORDS_MAX])
{
	text[0] = 0;
	for (size_t i = 0; i < n && i < given->n_words; i++) {
		size_t used = strlen(text);

		snprintf(text + used, WORDS_MAX - used, "%s%s", i ? " " : "", given->word[i]);
	}
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance: letters to add, drop, change or swap with the next to turn a into b. */
static size_t distance(const char *a, const char *b)
{
	size_t d[WORDS_MAX][WORDS_MAX];
	size_t m = least(strlen(a), WORDS_MAX - 1), n = least(strlen(b), WORDS_MAX - 1);

	for (size_t i = 0; i <= m; i++) {
		for (size_t j = 0; j <= n; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[m][n];
}

static const struct sl_command *nearest(const struct sl_given_words *given)
{
	const struct sl_command *best = NULL;
	size_t best_distance = SIZE_MAX;
	char text[WORDS_MAX];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		size_t far;

		join(given, count_words(COMMANDS[i].words), text);
		far = distance(text, COMMANDS[i].words);
		if (far < best_distance && far <= strlen(COMMANDS[i].words) / 3) {
			best = &COMMANDS[i];
			best_distance = far;
		}
	}
	return best;
}

/* For an incomplete command such as "backend": the words that may follow. False if no command
 * begins so. */
static bool name_next_words(const struct sl_given_words *given, char error[SL_ERROR_MAX])
{
	const char *first = given->word[0], *before = "";
	size_t used, length = strlen(first);

	if (given->n_words > 1)
		return false;
	fail(error, "\"%.64s\" wants one word more: ", first);
	used = strlen(error);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strncmp(COMMANDS[i].words, first, length) || COMMANDS[i].words[length] != ' ')
			continue;
		used += (size_t)snprintf(error + used, SL_ERROR_MAX - used, "%s%s", before,
					 COMMANDS[i].words + length + 1);
		before = ", ";
	}
	return *before;
}

const struct sl_command *sl_command_find(const struct sl_given_words *given,
					 char error[SL_ERROR_MAX])
{
	const struct sl_command *near;
	char text[WORDS_MAX];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		join(given, count_words(COMMANDS[i].words), text);
		if (!strcmp(text, COMMANDS[i].words))
			return &COMMANDS[i];
	}
	if (given->n_words == 0) {
		fail(error, "no command; see: sluicectl --help");
		return NULL;
	}
	if (name_next_words(given, error))
		return NULL;
	near = nearest(given);
	join(given, 2, text);
	if (near)
		fail(error, "unknown command \"%s\"; did you mean \"%s\"?", text, near->words);
	else
		fail(error, "unknown command \"%s\"; see: sluicectl --help", text);
	return NULL;
}

static int set_number(json_t *params, const char *name, const char *text, char error[SL_ERROR_MAX])
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return fail(error, "%s: \"%.64s\" is no whole number", name, text);
	return json_object_set_new(params, name, json_integer(value));
}

static int set_text(json_t *params, const char *name, const char *text, char error[SL_ERROR_MAX])
{
	if (json_object_set_new(params, name, json_string(text)))
		return fail(error, "%s: not UTF-8", name);
	return 0;
}

static int set_endpoint(json_t *params, const char *text, char error[SL_ERROR_MAX])
{
	const char *colon = strrchr(text, ':');
	char address[SL_ADDR_TEXT];
	size_t length = strlen(text);

	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return fail(error, "address: \"%.64s\" isn't [ADDRESS]:PORT", text);
		colon = end[1] ? end + 1 : NULL;
		length = (size_t)(end - ++text);
	} else if (colon && colon == strchr(text, ':')) {
		length = (size_t)(colon - text);
	} else {
		colon = NULL; /* an IPv6 address without brackets has no port */
	}
	if (length >= sizeof(address))
		return fail(error, "address: \"%.64s\" is too long for one", text);
	memcpy(address, text, length);
	address[length] = 0;
	if (colon && set_number(params, "port", colon + 1, error))
		return -EINVAL;
	return set_text(params, "address", address, error);
}

/* A group as JSON: health={"type":"tcp"}. */
static json_t *read_group(const char *name, const char *text, char error[SL_ERROR_MAX])
{
	json_error_t why;
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &why);

	if (!value)
		fail(error, "%s: is no JSON: %.128s, at character %d", name, why.text,
		     why.position);
	return value;
}

/* "idle_timeout=5m": the value is a number, true, false, a group, or else text. There is no null.
 */
static int set_field(json_t *params, const char *member, const char *text, char error[SL_ERROR_MAX])
{
	json_t *fields = json_object_get(params, member);
	const char *equals = strchr(text, '=');
	char name[WORDS_MAX], *end;
	json_int_t number;
	json_t *value;

	if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name))
		return fail(error, "\"%.64s\" isn't FIELD=VALUE", text);
	memcpy(name, text, (size_t)(equals - text));
	name[equals - text] = 0;
	errno = 0;
	number = strtoll(++equals, &end, 10);
	if (!*equals)
		value = json_null();
	else if (!*end && !errno)
		value = json_integer(number);
	else if (!strcmp(equals, "true") || !strcmp(equals, "false"))
		value = json_boolean(*equals == 't');
	else if (*equals == '{' && !(value = read_group(name, equals, error)))
		return -EINVAL;
	else if (*equals != '{')
		value = json_string(equals);
	if (!fields && json_object_set_new(params, member, json_object()) == 0)
		fields = json_object_get(params, member);
	if (json_object_get(fields, name)) {
		json_decref(value);
		return fail(error, "%s: given twice", name);
	}
	if (!value || json_object_set_new(fields, name, value))
		return fail(error, "%s: not UTF-8", name);
	return 0;
}

static int set_value(json_t *params, const struct sl_parameter *parameter, const char *text,
		     char error[SL_ERROR_MAX])
{
	char member[WORDS_MAX];

	snprintf(member, sizeof(member), "%s", parameter->name);
	for (char *dash; (dash = strchr(member, '-'));)
		*dash = '_';
	switch (parameter->value) {
	case SL_VALUE_TEXT:
		return set_text(params, member, text, error);
	case SL_VALUE_NUMBER:
		return set_number(params, member, text, error);
	case SL_VALUE_ENDPOINT:
		return set_endpoint(params, text, error);
	case SL_VALUE_YES:
		return json_object_set_new(params, member, json_true());
	case SL_VALUE_FIELDS:
		return set_field(params, member, text, error);
	}
	return -EINVAL;
}

static int set_words(const struct sl_command *command, const struct sl_given_words *given,
		     json_t *params, char error[SL_ERROR_MAX])
{
	const struct sl_parameter *parameter = command->parameters;
	size_t word = count_words(command->words);
	char what[128];

	if (parameter->given == SL_GIVEN_BEFORE && word + 2 > given->n_words)
		parameter++;
	for (; parameter->name && parameter->given != SL_GIVEN_OPTION; parameter++, word++) {
		if (word >= given->n_words && parameter->given == SL_GIVEN_SOMETIMES)
			return 0;
		if (word >= given->n_words)
			return misuse(command, "too few words", error);
		if (set_value(params, parameter, given->word[word], error))
			return -EINVAL;
		while (parameter->value == SL_VALUE_FIELDS && word + 1 < given->n_words)
			if (set_value(params, parameter, given->word[++word], error))
				return -EINVAL;
	}
	if (word < given->n_words) {
		snprintf(what, sizeof(what), "\"%.64s\" is too much", given->word[word]);
		return misuse(command, what, error);
	}
	return 0;
}

static int set_options(const struct sl_command *command, const struct sl_given_words *given,
		       json_t *params, char error[SL_ERROR_MAX])
{
	char what[128];

	for (size_t i = 0; i < given->n_options; i++) {
		const struct sl_parameter *parameter = command->parameters;

		while (parameter->name && (parameter->given != SL_GIVEN_OPTION ||
					   strcmp(parameter->name, given->option[i].name)))
			parameter++;
		if (!parameter->name) {
			snprintf(what, sizeof(what), "--%s: not an option of \"%s\"",
				 given->option[i].name, command->words);
			return misuse(command, what, error);
		}
		if (set_value(params, parameter, given->option[i].value, error))
			return -EINVAL;
	}
	return 0;
}

int sl_command_params(const struct sl_command *command, const struct sl_given_words *given,
		      json_t **out, char error[SL_ERROR_MAX])
{
	json_t *params = json_object();

	if (set_words(command, given, params, error) ||
	    set_options(command, given, params, error)) {
		json_decref(params);
		return -EINVAL;
	}
	*out = params;
	if (json_object_size(params) == 0) {
		json_decref(params);
		*out = NULL;
	}
	return 0;
}
