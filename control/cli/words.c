/* SPDX-License-Identifier: BSD-2-Clause */
#include "words.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Copies what is between quotes to `to`. Returns the new end; *from is set behind the closing
 * quote. NULL: there is none. */
static char *copy_quoted(const char **from, char *to)
{
	char quote = *(*from)++;
	const char *at = *from;

	for (; *at && *at != quote; at++) {
		if (quote == '"' && *at == '\\' && at[1] && strchr("\"\\$`", at[1]))
			at++;
		*to++ = *at;
	}
	*from = at + 1;
	return *at ? to : NULL;
}

/* Copies one word to `to`, which lies at or before `from`. Returns its end, as above. */
static char *copy_word(const char **from, char *to)
{
	while (**from && !is_blank(**from)) {
		if (**from == '\'' || **from == '"') {
			to = copy_quoted(from, to);
			if (!to)
				return NULL;
			continue;
		}
		if (**from == '\\' && (*from)[1])
			++*from;
		*to++ = *(*from)++;
	}
	return to;
}

int sl_words_split(char *line, char **word, size_t most, const char **why)
{
	const char *from = line;
	char *to = line;
	size_t n = 0;

	for (;;) {
		while (is_blank(*from))
			from++;
		if (!*from || *from == '#')
			return (int)n;
		if (n == most) {
			*why = "too many words";
			return -1;
		}
		word[n++] = to;
		to = copy_word(&from, to);
		if (!to) {
			*why = "a quote isn't closed";
			return -1;
		}
		if (*from) /* the word may end where the next one begins */
			from++;
		*to++ = '\0';
	}
}
