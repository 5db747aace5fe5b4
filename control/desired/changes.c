/* SPDX-License-Identifier: BSD-2-Clause */
#include "changes.h"

#include <stdarg.h>
#include <stdio.h>

#include "../../config/config.h"

void sl_note(json_t *changes, const char *format, ...)
{
	char text[SL_ERROR_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (changes)
		json_array_append_new(changes, json_string(text));
}
