/* SPDX-License-Identifier: BSD-2-Clause */
/* How a line of `sluicectl batch` becomes words (control/cli/words.c), as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../control/cli/words.h"

static const struct {
	const char *line;
	const char *words; /* each followed by |; what is wrong, if there is no | */
} TABLE[] = {
	{ "", "|" },
	{ " \t\r", "|" },
	{ "# all of it is 'a comment", "|" },
	{ "backend drain web b1", "backend|drain|web|b1|" },
	{ "  backend\t drain  ", "backend|drain|" },
	{ "a # b", "a|" },
	{ "a#b c", "a#b|c|" },
	{ "'a b' c", "a b|c|" },
	{ "'' \"\"", "||" },
	{ "'a\\b\"c'", "a\\b\"c|" },
	{ "\"a b\\\"c\\\\d\\e\"", "a b\"c\\d\\e|" },
	{ "health='{\"type\": \"tcp\"}' x", "health={\"type\": \"tcp\"}|x|" },
	{ "a\\ b \\# \\'", "a b|#|'|" },
	{ "a'b'\"c\"d", "abcd|" },
	{ "a\\", "a\\|" },
	{ "1 2 3 4 5", "too many words" },
	{ "1 2 3 4 # 5", "1|2|3|4|" },
	{ "a 'b", "a quote isn't closed" },
	{ "a \"b\\\"", "a quote isn't closed" },
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		char line[128], said[128] = "", *word[4];
		const char *why = "";
		int n;

		snprintf(line, sizeof(line), "%s", TABLE[i].line);
		n = sl_words_split(line, word, 4, &why);
		for (int k = 0; k < n; k++) {
			size_t used = strlen(said);

			snprintf(said + used, sizeof(said) - used, "%s|", word[k]);
		}
		if (n < 0)
			snprintf(said, sizeof(said), "%s", why);
		if (n == 0)
			snprintf(said, sizeof(said), "|");
		if (strcmp(said, TABLE[i].words) != 0)
			fail_msg("%s: %s", TABLE[i].line, said);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
