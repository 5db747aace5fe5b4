/* SPDX-License-Identifier: BSD-2-Clause */
/* One table cell: how a value of a result is shown to people. A cell reads its row by member name.
 * It shows "-" for a member that a daemon of another version doesn't send, or sends with another
 * type.
 */
#include "cell.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void sl_cell_text(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const char *value = json_string_value(json_object_get(row, key));

	snprintf(text, SL_CELL_MAX, "%s", value ? value : SL_CELL_NONE);
}

void sl_cell_number(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_integer(value))
		snprintf(text, SL_CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
}

void sl_cell_count(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);
	const char *unit = "kMGTPE";
	double v = json_number_value(value) / 1000;

	if (!json_is_number(value) || v < 10) {
		sl_cell_number(row, key, text);
		return;
	}
	for (; v >= 999.5 && unit[1]; unit++)
		v /= 1000;
	snprintf(text, SL_CELL_MAX, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, *unit);
}

void sl_cell_percent(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		snprintf(text, SL_CELL_MAX, "%.1f%%", json_number_value(value));
	else
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
}

static void format_seconds(int64_t s, char text[SL_CELL_MAX])
{
	if (s < 60)
		snprintf(text, SL_CELL_MAX, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(text, SL_CELL_MAX, "%" PRId64 "m %02ds", s / 60, (int)(s % 60));
	else if (s < 86400)
		snprintf(text, SL_CELL_MAX, "%" PRId64 "h %02dm", s / 3600, (int)(s / 60 % 60));
	else
		snprintf(text, SL_CELL_MAX, "%" PRId64 "d %02dh", s / 86400, (int)(s / 3600 % 24));
}

void sl_cell_seconds(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		format_seconds((int64_t)json_number_value(value), text);
	else
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
}

void sl_cell_health(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const char *by = json_string_value(json_object_get(row, "health_overruled_by"));
	const char *slow = json_string_value(json_object_get(row, "slow_start"));
	char state[SL_CELL_MAX];

	sl_cell_text(row, key, state);
	snprintf(text, SL_CELL_MAX, by || slow ? "%.99s (%.99s)" : "%.99s", state, by ? by : slow);
}

void sl_cell_ms(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);
	int64_t ms = (int64_t)json_number_value(value);

	if (!json_is_number(value))
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
	else if (ms < 1000 || (ms < 60000 && ms % 1000))
		snprintf(text, SL_CELL_MAX, "%" PRId64 "ms", ms);
	else
		format_seconds(ms / 1000, text);
}

void sl_cell_length(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	snprintf(text, SL_CELL_MAX, "%zu", json_array_size(json_object_get(row, key)));
}

void sl_cell_up(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	snprintf(text, SL_CELL_MAX, "%s",
		 json_is_boolean(value) ? (json_is_true(value) ? "up" : "down") : SL_CELL_NONE);
}

void sl_cell_endpoint(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	json_int_t first = json_integer_value(json_object_get(row, "port"));
	json_int_t last = json_integer_value(json_object_get(row, "last_port"));
	char address[SL_CELL_MAX], port[32];

	sl_cell_text(row, key, address);
	if (!first)
		snprintf(port, sizeof(port), "any");
	else if (last > first)
		snprintf(port, sizeof(port), "%lld-%lld", (long long)first, (long long)last);
	else
		snprintf(port, sizeof(port), "%lld", (long long)first);
	snprintf(text, SL_CELL_MAX, strchr(address, ':') ? "[%.99s]:%.99s" : "%.99s:%.99s", address,
		 port);
}

void sl_cell_busy(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	double all = json_number_value(json_object_get(row, "cycles_all"));

	if (all > 0)
		snprintf(text, SL_CELL_MAX, "%.1f%%",
			 100 * json_number_value(json_object_get(row, key)) / all);
	else
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
}

void sl_cell_burst(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	double bursts = json_number_value(json_object_get(row, key));

	if (bursts > 0)
		snprintf(text, SL_CELL_MAX, "%.1f",
			 json_number_value(json_object_get(row, "packets")) / bursts);
	else
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
}

void sl_cell_decimal(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		snprintf(text, SL_CELL_MAX, "%.1f", json_number_value(value));
	else
		snprintf(text, SL_CELL_MAX, SL_CELL_NONE);
}

void sl_cell_per(const json_t *row, const char *key, char text[SL_CELL_MAX])
{
	const char *client = json_string_value(json_object_get(row, "client"));
	const char *flow = json_string_value(json_object_get(row, "flow"));
	const char *backend = json_string_value(json_object_get(row, "backend"));
	const json_t *prefix4 = json_object_get(row, "prefix4");
	const json_t *prefix6 = json_object_get(row, "prefix6");
	char per[SL_CELL_MAX];

	sl_cell_text(row, key, per);
	if (client || flow || backend)
		snprintf(text, SL_CELL_MAX, "%.32s %.128s", per,
			 client ? client
			 : flow ? flow
				: backend);
	else if (prefix4 &&
		 (json_integer_value(prefix4) != 32 || json_integer_value(prefix6) != 128))
		snprintf(text, SL_CELL_MAX, "%.32s /%d,/%d", per, (int)json_integer_value(prefix4),
			 (int)json_integer_value(prefix6));
	else
		snprintf(text, SL_CELL_MAX, "%s", per);
}
