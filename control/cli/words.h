/* SPDX-License-Identifier: BSD-2-Clause */
/* Splits a line into words as a shell does: at blanks, outside of quotes. '...' is taken as it is;
 * in "..." a backslash stands before " \ $ or `; elsewhere before any character. # at the beginning
 * of a word begins a comment. Nothing is expanded. */
#ifndef SL_CLI_WORDS_H
#define SL_CLI_WORDS_H

#include <stddef.h>

/* Splits `line`, in place; the words point into it. Returns how many there are, or -1 with *why: a
 * quote isn't closed, or there are more than `most`. */
int sl_words_split(char *line, char **word, size_t most, const char **why);

#endif
