/* SPDX-License-Identifier: BSD-2-Clause */
/* Results, for people.
 *
 * A table is an array of columns: a heading, the member of each row that it shows, and how. What a
 * daemon of another version doesn't send shows as "-"; what it sends and we don't know is not shown
 * (--json has it). Tables are never cut to the terminal: a figure that isn't there is worse than a
 * line that wraps.
 */
#include "print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <libsmartcols.h>

#define CELL_MAX 256
#define NONE	 "-"

/* Cells: each writes what `key` of the row says, or "-". */

typedef void cell_fn(const json_t *row, const char *key, char text[CELL_MAX]);

static void cell_text(const json_t *row, const char *key, char text[CELL_MAX])
{
	const char *value = json_string_value(json_object_get(row, key));

	snprintf(text, CELL_MAX, "%s", value ? value : NONE);
}

/* In full: identifiers, weights. */
static void cell_number(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_integer(value))
		snprintf(text, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(text, CELL_MAX, NONE);
}

/* Three digits and a unit, from 10,000 on. */
static void cell_count(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);
	const char *unit = "kMGTPE";
	double v = json_number_value(value) / 1000;

	if (!json_is_number(value) || v < 10) {
		cell_number(row, key, text);
		return;
	}
	for (; v >= 999.5 && unit[1]; unit++)
		v /= 1000;
	snprintf(text, CELL_MAX, "%.*f%c", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, *unit);
}

static void cell_percent(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		snprintf(text, CELL_MAX, "%.1f%%", json_number_value(value));
	else
		snprintf(text, CELL_MAX, NONE);
}

static void format_seconds(int64_t s, char text[CELL_MAX])
{
	if (s < 60)
		snprintf(text, CELL_MAX, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(text, CELL_MAX, "%" PRId64 "m %02ds", s / 60, (int)(s % 60));
	else if (s < 86400)
		snprintf(text, CELL_MAX, "%" PRId64 "h %02dm", s / 3600, (int)(s / 60 % 60));
	else
		snprintf(text, CELL_MAX, "%" PRId64 "d %02dh", s / 86400, (int)(s / 3600 % 24));
}

static void cell_seconds(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		format_seconds((int64_t)json_number_value(value), text);
	else
		snprintf(text, CELL_MAX, NONE);
}

static void cell_ms(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);
	int64_t ms = (int64_t)json_number_value(value);

	if (!json_is_number(value))
		snprintf(text, CELL_MAX, NONE);
	else if (ms < 1000 || (ms < 60000 && ms % 1000))
		snprintf(text, CELL_MAX, "%" PRId64 "ms", ms);
	else
		format_seconds(ms / 1000, text);
}

static void cell_length(const json_t *row, const char *key, char text[CELL_MAX])
{
	snprintf(text, CELL_MAX, "%zu", json_array_size(json_object_get(row, key)));
}

static void cell_up(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	snprintf(text, CELL_MAX, "%s",
		 json_is_boolean(value) ? (json_is_true(value) ? "up" : "down") : NONE);
}

/* key and "port": "192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1:8000-8099"; port 0: whichever the
 * service has. */
static void cell_endpoint(const json_t *row, const char *key, char text[CELL_MAX])
{
	json_int_t first = json_integer_value(json_object_get(row, "port"));
	json_int_t last = json_integer_value(json_object_get(row, "last_port"));
	char address[CELL_MAX], port[32];

	cell_text(row, key, address);
	if (!first)
		snprintf(port, sizeof(port), "any");
	else if (last > first)
		snprintf(port, sizeof(port), "%lld-%lld", (long long)first, (long long)last);
	else
		snprintf(port, sizeof(port), "%lld", (long long)first);
	snprintf(text, CELL_MAX, strchr(address, ':') ? "[%.99s]:%.99s" : "%.99s:%.99s", address,
		 port);
}

/* cycles_busy of cycles_all. */
static void cell_busy(const json_t *row, const char *key, char text[CELL_MAX])
{
	double all = json_number_value(json_object_get(row, "cycles_all"));

	if (all > 0)
		snprintf(text, CELL_MAX, "%.1f%%",
			 100 * json_number_value(json_object_get(row, key)) / all);
	else
		snprintf(text, CELL_MAX, NONE);
}

/* Packets a burst: how much work comes at once. */
static void cell_burst(const json_t *row, const char *key, char text[CELL_MAX])
{
	double bursts = json_number_value(json_object_get(row, key));

	if (bursts > 0)
		snprintf(text, CELL_MAX, "%.1f",
			 json_number_value(json_object_get(row, "packets")) / bursts);
	else
		snprintf(text, CELL_MAX, NONE);
}

/* With one decimal. */
static void cell_decimal(const json_t *row, const char *key, char text[CELL_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (json_is_number(value))
		snprintf(text, CELL_MAX, "%.1f", json_number_value(value));
	else
		snprintf(text, CELL_MAX, NONE);
}

/* Tables. */

enum column_flags {
	RIGHT = 1,  /* figures */
	DETAIL = 2, /* only where one row is shown by itself */
	RARE = 4,   /* in tables only where some row has it */
};

struct column {
	const char *heading; /* NULL ends the table */
	const char *key;
	cell_fn *cell;
	int flags;
};

static const struct column QUEUES[] = { { "PORT", "port", cell_text, 0 },
					{ "QUEUE", "queue", cell_number, RIGHT },
					{ "ENGINE", "engine", cell_text, 0 },
					{ "WORKER", "worker", cell_number, RIGHT },
					{ "SINCE", "since_s", cell_seconds, RIGHT },
					{ "WHY", "why", cell_text, 0 },
					{ 0 } };

static const struct column WORKERS[] = {
	{ "WORKER", "worker", cell_number, RIGHT },
	{ "CPU", "cpu", cell_number, RIGHT },
	{ "GENERATION", "generation", cell_number, RIGHT },
	{ "HEARTBEAT", "heartbeat_age_ms", cell_ms, RIGHT },
	{ "PACKETS", "packets", cell_count, RIGHT },
	{ 0 },
};

static const struct column WORKER_LOADS[] = {
	{ "WORKER", "worker", cell_number, RIGHT },    { "CPU", "cpu", cell_number, RIGHT },
	{ "PACKETS", "packets", cell_count, RIGHT },   { "BURSTS", "bursts", cell_count, RIGHT },
	{ "PER-BURST", "bursts", cell_burst, RIGHT },  { "BUSY", "cycles_busy", cell_busy, RIGHT },
	{ "RESTARTS", "restarts", cell_count, RIGHT }, { 0 },
};

static const struct column WORKER_RATES[] = {
	{ "WORKER", "worker", cell_number, RIGHT },
	{ "CPU", "cpu", cell_number, RIGHT },
	{ "PACKETS/S", "pps", cell_count, RIGHT },
	{ "BITS/S", "bps", cell_count, RIGHT },
	{ "CYCLES/PACKET", "cycles_per_packet", cell_decimal, RIGHT },
	{ "PER-BURST", "per_burst", cell_decimal, RIGHT },
	{ "BUSY", "busy_percent", cell_percent, RIGHT },
	{ "HEADROOM", "headroom_pps", cell_count, RIGHT },
	{ 0 },
};

static const struct column WORKER_GENERATIONS[] = {
	{ "WORKER", "worker", cell_number, RIGHT },
	{ "GENERATION", "generation", cell_number, RIGHT },
	{ 0 },
};

static const struct column PORTS[] = {
	{ "PORT", "name", cell_text, 0 },     { "DEVICE", "device", cell_text, 0 },
	{ "MAC", "mac", cell_text, 0 },	      { "LINK", "up", cell_up, 0 },
	{ "MTU", "mtu", cell_number, RIGHT }, { 0 },
};

static const struct column SERVICE_SUMMARIES[] = {
	{ "SERVICE", "name", cell_text, 0 },	  { "VIP", "vip", cell_endpoint, 0 },
	{ "PROTOCOL", "protocol", cell_text, 0 }, { "BACKENDS", "backends", cell_number, RIGHT },
	{ "READY", "ready", cell_number, RIGHT }, { 0 },
};

static const struct column POOLS[] = {
	{ "POOL", "name", cell_text, 0 },
	{ "ADDRESSES", "addresses", cell_length, RIGHT },
	{ "PORTS", "ports", cell_count, RIGHT },
	{ "IN-USE", "used", cell_count, RIGHT },
	{ "SERVICES", "services", cell_length, RIGHT },
	{ 0 },
};

static const struct column SERVICES[] = {
	{ "SERVICE", "name", cell_text, 0 },
	{ "VIP", "vip", cell_endpoint, 0 },
	{ "PROTOCOL", "protocol", cell_text, 0 },
	{ "SCHEDULER", "scheduler", cell_text, 0 },
	{ "MODE", "mode", cell_text, 0 },
	{ "TUNNEL-SOURCE", "tunnel_source", cell_text, DETAIL },
	{ "TUNNEL-SOURCE6", "tunnel_source6", cell_text, DETAIL },
	{ "MSS", "mss", cell_text, DETAIL },
	{ "GUE-PORT", "gue_port", cell_number, RIGHT | DETAIL },
	{ "GUE-VARIANT", "gue_variant", cell_number, RIGHT | DETAIL },
	{ "TABLE-SIZE", "table_size", cell_number, RIGHT | DETAIL },
	{ "IDLE-TIMEOUT", "idle_timeout_ms", cell_ms, RIGHT | DETAIL },
	{ "BACKENDS", "backends", cell_number, RIGHT },
	{ "READY", "ready", cell_number, RIGHT },
	{ "ROWS-OPEN", "rows_open", cell_number, RIGHT },
	{ "ROWS-MIXED", "rows_mixed", cell_number, RIGHT | DETAIL },
	{ "CONNECTIONS", "connections", cell_count, RIGHT },
	{ "PACKETS-IN", "packets_in", cell_count, RIGHT },
	{ "BYTES-IN", "bytes_in", cell_count, RIGHT },
	{ "PACKETS-OUT", "packets_out", cell_count, RIGHT },
	{ "BYTES-OUT", "bytes_out", cell_count, RIGHT },
	{ "TRACKED", "tracked", cell_count, RIGHT | DETAIL },
	{ "UNTRACKABLE", "untrackable", cell_count, RIGHT | DETAIL },
	{ 0 },
};

static const struct column BACKENDS[] = {
	{ "SERVICE", "service", cell_text, 0 },
	{ "BACKEND", "name", cell_text, 0 },
	{ "ADDRESS", "address", cell_endpoint, 0 },
	{ "WEIGHT", "weight", cell_number, RIGHT },
	{ "STATE", "state", cell_text, 0 },
	{ "SHARE", "share", cell_percent, RIGHT },
	{ "CONNECTIONS", "connections", cell_count, RIGHT },
	{ "PACKETS-IN", "packets_in", cell_count, RIGHT },
	{ "BYTES-IN", "bytes_in", cell_count, RIGHT },
	{ "PACKETS-OUT", "packets_out", cell_count, RIGHT },
	{ "BYTES-OUT", "bytes_out", cell_count, RIGHT },
	{ "NEXT-HOP", "next_hop", cell_text, 0 },
	{ "SERVER-ID", "server_id", cell_text, RARE },
	{ 0 },
};

/* The scope, with the prefix length where that isn't an address, or whose it is. */
static void cell_per(const json_t *row, const char *key, char text[CELL_MAX])
{
	const char *client = json_string_value(json_object_get(row, "client"));
	const char *flow = json_string_value(json_object_get(row, "flow"));
	const char *backend = json_string_value(json_object_get(row, "backend"));
	const json_t *prefix4 = json_object_get(row, "prefix4");
	const json_t *prefix6 = json_object_get(row, "prefix6");
	char per[CELL_MAX];

	cell_text(row, key, per);
	if (client || flow || backend)
		snprintf(text, CELL_MAX, "%.32s %.128s", per,
			 client ? client
			 : flow ? flow
				: backend);
	else if (prefix4 &&
		 (json_integer_value(prefix4) != 32 || json_integer_value(prefix6) != 128))
		snprintf(text, CELL_MAX, "%.32s /%d,/%d", per, (int)json_integer_value(prefix4),
			 (int)json_integer_value(prefix6));
	else
		snprintf(text, CELL_MAX, "%s", per);
}

static const struct column LIMITS[] = {
	{ "SERVICE", "service", cell_text, 0 },
	{ "PER", "per", cell_per, 0 },
	{ "DIRECTION", "direction", cell_text, 0 },
	{ "RATE", "rate_text", cell_text, RIGHT },
	{ "BURST", "burst_text", cell_text, RIGHT },
	{ "ACTION", "action", cell_text, 0 },
	{ "PASSED", "passed", cell_count, RIGHT },
	{ "DROPPED", "dropped", cell_count, RIGHT },
	{ "MARKED", "marked", cell_count, RIGHT },
	{ "OBSERVED", "observed", cell_count, RIGHT },
	{ "SOURCE", "source", cell_text, 0 },
	{ "EXPIRES", "expires_s", cell_seconds, RIGHT },
	{ 0 },
};

static const struct column LIMIT_STATES[] = {
	{ "PER", "per", cell_per, 0 },
	{ "DIRECTION", "direction", cell_text, 0 },
	{ "RATE", "rate_text", cell_text, RIGHT },
	{ "BURST", "burst_text", cell_text, RIGHT },
	{ "LEFT", "left_percent", cell_percent, RIGHT },
	{ "ACTION", "action", cell_text, 0 },
	{ "PASSED", "passed", cell_count, RIGHT },
	{ "DROPPED", "dropped", cell_count, RIGHT },
	{ "DROPPED-BYTES", "dropped_bytes", cell_count, RIGHT },
	{ "MARKED", "marked", cell_count, RIGHT },
	{ "OBSERVED", "observed", cell_count, RIGHT },
	{ "OBSERVED-BYTES", "observed_bytes", cell_count, RIGHT },
	{ "EVICTED", "evicted", cell_count, RIGHT },
	{ "SOURCE", "source", cell_text, 0 },
	{ "EXPIRES", "expires_s", cell_seconds, RIGHT },
	{ 0 },
};

static const struct column LIMIT_TOP[] = {
	{ "SERVICE", "service", cell_text, 0 },
	{ "PER", "per", cell_per, 0 },
	{ "DIRECTION", "direction", cell_text, 0 },
	{ "RATE", "rate_text", cell_text, RIGHT },
	{ "ACTION", "action", cell_text, 0 },
	{ "PACKETS/S", "packets_per_s", cell_count, RIGHT },
	{ "BITS/S", "bits_per_s", cell_count, RIGHT },
	{ "PACKETS", "packets", cell_count, RIGHT },
	{ "BYTES", "bytes", cell_count, RIGHT },
	{ "LAST", "last_ms", cell_ms, RIGHT },
	{ 0 },
};

static const struct column REASONS[] = {
	{ "REASON", "name", cell_text, 0 },
	{ "VERDICT", "verdict", cell_text, 0 },
	{ "PACKETS", "packets", cell_count, RIGHT },
	{ "MEANING", "help", cell_text, 0 },
	{ 0 },
};

/* Whether a table of these rows has the column. */
static bool has_column(const struct column *c, const json_t *rows)
{
	bool has = !(c->flags & (DETAIL | RARE));
	const json_t *row;
	size_t i;

	if (c->flags & RARE)
		json_array_foreach (rows, i, row)
			has |= json_object_get(row, c->key) != NULL;
	return has;
}

static int fill_line(struct libscols_line *line, const struct column *columns, const json_t *rows,
		     const json_t *row)
{
	char text[CELL_MAX];
	size_t at = 0;
	int rc = 0;

	for (const struct column *c = columns; c->heading && !rc; c++) {
		if (!has_column(c, rows))
			continue;
		c->cell(row, c->key, text);
		rc = scols_line_set_data(line, at++, text);
	}
	return rc;
}

/* One line a row; `empty` where there is none. */
static void print_table(const struct column *columns, const json_t *rows, const char *empty)
{
	struct libscols_table *table;
	struct libscols_line *line;
	const json_t *row;
	size_t i;

	if (json_array_size(rows) == 0) {
		puts(empty);
		return;
	}
	table = scols_new_table();
	if (!table)
		goto out_of_memory;
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	for (const struct column *c = columns; c->heading; c++) {
		if (has_column(c, rows) &&
		    !scols_table_new_column(table, c->heading, 0,
					    c->flags & RIGHT ? SCOLS_FL_RIGHT : 0))
			goto out_of_memory;
	}
	json_array_foreach (rows, i, row) {
		line = scols_table_new_line(table, NULL);
		if (!line || fill_line(line, columns, rows, row))
			goto out_of_memory;
	}
	scols_print_table(table);
	scols_unref_table(table);
	return;

out_of_memory:
	scols_unref_table(table);
	fputs("sluicectl: out of memory\n", stderr);
}

/* "packets in    1234", from PACKETS-IN. */
static void print_row(const struct column *columns, const json_t *row)
{
	char label[32], text[CELL_MAX];

	for (const struct column *c = columns; c->heading; c++) {
		snprintf(label, sizeof(label), "%s", c->heading);
		for (char *l = label; *l; l++)
			*l = *l == '-' ? ' ' : (char)tolower((unsigned char)*l);
		c->cell(row, c->key, text);
		printf("%-13s %s\n", label, text);
	}
}

static void print_texts(const char *before, const json_t *texts)
{
	const json_t *text;
	size_t i;

	json_array_foreach (texts, i, text)
		printf("%s%s\n", before, json_is_string(text) ? json_string_value(text) : NONE);
}

/* The shapes. */

/* "12, acknowledged": by `workers`, the array of them. */
static void format_generation(const json_t *result, const json_t *workers, char text[CELL_MAX])
{
	const json_t *acknowledged = json_object_get(result, "acknowledged");
	size_t used;

	cell_number(result, "generation", text);
	used = strlen(text);
	if (json_is_array(workers) && json_array_size(workers) == 0)
		snprintf(text + used, CELL_MAX - used, ", no worker runs");
	else if (json_is_boolean(acknowledged))
		snprintf(text + used, CELL_MAX - used, ", %sacknowledged",
			 json_is_true(acknowledged) ? "" : "not yet ");
}

/* "running, pid 71, up 3m 05s" */
static void print_process(const char *label, const char *state, const json_t *process)
{
	char pid[CELL_MAX], uptime[CELL_MAX];

	cell_number(process, "pid", pid);
	cell_seconds(process, "uptime_s", uptime);
	printf("%-13s %s, pid %s, up %s\n", label, state, pid, uptime);
}

void sl_print_status(const json_t *result)
{
	const json_t *dataplane = json_object_get(result, "dataplane");
	const json_t *workers = json_object_get(dataplane, "workers");
	char text[CELL_MAX];

	cell_text(result, "instance", text);
	printf("%-13s %s\n", "instance", text);
	format_generation(result, workers, text);
	printf("%-13s %s\n", "generation", text);
	cell_text(result, "tables", text);
	printf("%-13s %s\n", "tables", text);
	print_process("control", "running", json_object_get(result, "control"));
	cell_text(dataplane, "state", text);
	if (json_is_integer(json_object_get(dataplane, "pid")))
		print_process("dataplane", text, dataplane);
	else
		printf("%-13s %s\n", "dataplane", text);
	print_texts("problem       ", json_object_get(result, "problems"));

	putchar('\n');
	print_table(WORKERS, workers, "no workers");
	putchar('\n');
	print_table(PORTS, json_object_get(result, "ports"), "no ports");
	putchar('\n');
	print_table(QUEUES, json_object_get(result, "queues"), "no queues");
	putchar('\n');
	print_table(SERVICE_SUMMARIES, json_object_get(result, "services"), "no services");
}

void sl_print_services(const json_t *result)
{
	print_table(SERVICES, json_object_get(result, "services"), "no services");
}

void sl_print_service(const json_t *result)
{
	const json_t *removed = json_object_get(result, "removed_live"), *row;
	char name[CELL_MAX], endpoint[CELL_MAX];
	size_t i;

	print_row(SERVICES, result);
	json_array_foreach (removed, i, row) {
		cell_text(row, "name", name);
		cell_endpoint(row, "address", endpoint);
		printf("%-13s %s, %s: the configuration has it, `backend add` takes it back\n",
		       "removed live", name, endpoint);
	}
	putchar('\n');
	print_table(BACKENDS, json_object_get(result, "backend_list"), "no backends");
}

void sl_print_pools(const json_t *result)
{
	print_table(POOLS, json_object_get(result, "pools"), "no pools");
}

void sl_print_backends(const json_t *result)
{
	print_table(BACKENDS, json_object_get(result, "backends"), "no backends");
}

void sl_print_limits(const json_t *result)
{
	print_table(LIMITS, json_object_get(result, "limits"), "no limits");
}

void sl_print_limit_states(const json_t *result)
{
	print_table(LIMIT_STATES, json_object_get(result, "limits"), "nothing limits it");
}

void sl_print_limit_top(const json_t *result)
{
	print_table(LIMIT_TOP, json_object_get(result, "top"), "nobody is being limited");
}

void sl_print_change(const json_t *result)
{
	const json_t *text = json_object_get(result, "text");
	const json_t *workers = json_object_get(result, "workers");
	char generation[CELL_MAX], all[CELL_MAX], acknowledged[CELL_MAX];

	cell_number(result, "generation", generation);
	cell_number(result, "workers", all);
	cell_number(result, "workers_acknowledged", acknowledged);
	if (json_is_integer(workers) && json_integer_value(workers) == 0)
		printf("generation %s, no worker runs\n", generation);
	else
		printf("generation %s, acknowledged by %s of %s workers\n", generation,
		       acknowledged, all);
	if (json_is_string(text))
		puts(json_string_value(text));
}

void sl_print_stats(const json_t *result)
{
	print_table(REASONS, json_object_get(result, "reasons"), "no packets");
	putchar('\n');
	print_table(WORKER_LOADS, json_object_get(result, "workers"), "no workers");
	if (json_array_size(json_object_get(result, "limits")) == 0)
		return;
	putchar('\n');
	print_table(LIMITS, json_object_get(result, "limits"), "no limits");
}

void sl_print_top(const json_t *result)
{
	const json_t *xdp = json_object_get(result, "xdp");
	char pps[CELL_MAX], bps[CELL_MAX];

	print_table(WORKER_RATES, json_object_get(result, "workers"), "no workers");
	cell_count(xdp, "pps", pps);
	cell_count(xdp, "bps", bps);
	printf("\nXDP: %s packets/s, %s bits/s\n", pps, bps);
}

void sl_print_generation(const json_t *result)
{
	char text[CELL_MAX];

	format_generation(result, json_object_get(result, "workers"), text);
	printf("generation %s\n", text);
	print_table(WORKER_GENERATIONS, json_object_get(result, "workers"), "no workers");
}

void sl_print_reload(const json_t *result)
{
	const json_t *changes = json_object_get(result, "changes");

	if (json_array_size(changes) == 0)
		puts("nothing changed");
	print_texts("", changes);
	sl_print_change(result);
}

void sl_print_text(const json_t *result)
{
	char text[CELL_MAX];

	cell_text(result, "text", text);
	puts(text);
}
