/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of sluicectl: their words, and how arguments become a method and its params. */
#ifndef SL_CLI_COMMANDS_H
#define SL_CLI_COMMANDS_H

#include <stdio.h>

#include <jansson.h>

#include "../../config/config.h"

#define SL_PARAMETERS_MAX 12
#define SL_GIVEN_MAX	  16

enum sl_value {
	SL_VALUE_TEXT,
	SL_VALUE_NUMBER,
	SL_VALUE_ENDPOINT, /* ADDRESS[:PORT], [ADDRESS]:PORT: two members, "address" and "port" */
	SL_VALUE_YES,	   /* an option without a value */
	SL_VALUE_FIELDS,   /* any number of FIELD=VALUE; together they are one object */
};

enum sl_given {
	SL_GIVEN_ALWAYS,    /* found by its position */
	SL_GIVEN_SOMETIMES, /* the same, but optional */
	SL_GIVEN_BEFORE,    /* the first one, left out if there is only one word */
	SL_GIVEN_OPTION,    /* --name VALUE */
};

struct sl_parameter {
	const char *name; /* name of the option; in the member's name _ replaces - */
	enum sl_value value;
	enum sl_given given;
};

struct sl_command {
	const char *words;
	const char *usage;
	const char *help;
	const char *method;
	bool changes;
	void (*print)(const json_t *result);
	struct sl_parameter parameters[SL_PARAMETERS_MAX]; /* positional ones first */
};

/* What the command line has besides sluicectl's own options. */
struct sl_given_words {
	char **word;
	size_t n_words;
	struct {
		const char *name;
		const char *value;
	} option[SL_GIVEN_MAX];
	size_t n_options;
};

/* The n-th command in the order of the help; NULL after the last. */
const struct sl_command *sl_command_at(size_t i);

/* The command that these words begin with. NULL, with a message that suggests a similar one. */
const struct sl_command *sl_command_find(const struct sl_given_words *given,
					 char error[SL_ERROR_MAX]);

/* The params of a request. 0, with a new reference or NULL for none; -EINVAL with a message. */
int sl_command_params(const struct sl_command *command, const struct sl_given_words *given,
		      json_t **params, char error[SL_ERROR_MAX]);

#endif
