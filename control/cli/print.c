/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints results for people.
 *
 * A table is an array of columns: a heading, the member of each row that it shows, and the format
 * of a cell (cell.h). Members that this version doesn't know aren't shown; --json has them. Tables
 * aren't cut to the terminal's width: a missing number is worse than a wrapped line.
 */
#include "print.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libsmartcols.h>

#include "cell.h"

/* Tables. */

enum column_flags {
	RIGHT = 1,  /* numbers */
	DETAIL = 2, /* only where a single row is shown */
	RARE = 4,   /* in tables only if some row has the member */
};

struct column {
	const char *heading; /* ends with a column whose heading is NULL */
	const char *key;
	sl_cell_fn *cell;
	int flags;
};

static const struct column QUEUES[] = { { "PORT", "port", sl_cell_text, 0 },
					{ "QUEUE", "queue", sl_cell_number, RIGHT },
					{ "ENGINE", "engine", sl_cell_text, 0 },
					{ "WORKER", "worker", sl_cell_number, RIGHT },
					{ "SINCE", "since_s", sl_cell_seconds, RIGHT },
					{ "WHY", "why", sl_cell_text, 0 },
					{ 0 } };

static const struct column WORKERS[] = {
	{ "WORKER", "worker", sl_cell_number, RIGHT },
	{ "CPU", "cpu", sl_cell_number, RIGHT },
	{ "GENERATION", "generation", sl_cell_number, RIGHT },
	{ "HEARTBEAT", "heartbeat_age_ms", sl_cell_ms, RIGHT },
	{ "PACKETS", "packets", sl_cell_count, RIGHT },
	{ 0 },
};

static const struct column WORKER_LOADS[] = {
	{ "WORKER", "worker", sl_cell_number, RIGHT },
	{ "CPU", "cpu", sl_cell_number, RIGHT },
	{ "PACKETS", "packets", sl_cell_count, RIGHT },
	{ "BURSTS", "bursts", sl_cell_count, RIGHT },
	{ "PER-BURST", "bursts", sl_cell_burst, RIGHT },
	{ "BUSY", "cycles_busy", sl_cell_busy, RIGHT },
	{ "RESTARTS", "restarts", sl_cell_count, RIGHT },
	{ 0 },
};

static const struct column WORKER_RATES[] = {
	{ "WORKER", "worker", sl_cell_number, RIGHT },
	{ "CPU", "cpu", sl_cell_number, RIGHT },
	{ "PACKETS/S", "pps", sl_cell_count, RIGHT },
	{ "BITS/S", "bps", sl_cell_count, RIGHT },
	{ "CYCLES/PACKET", "cycles_per_packet", sl_cell_decimal, RIGHT },
	{ "PER-BURST", "per_burst", sl_cell_decimal, RIGHT },
	{ "BUSY", "busy_percent", sl_cell_percent, RIGHT },
	{ "HEADROOM", "headroom_pps", sl_cell_count, RIGHT },
	{ 0 },
};

static const struct column WORKER_GENERATIONS[] = {
	{ "WORKER", "worker", sl_cell_number, RIGHT },
	{ "GENERATION", "generation", sl_cell_number, RIGHT },
	{ 0 },
};

static const struct column PORTS[] = {
	{ "PORT", "name", sl_cell_text, 0 },	 { "DEVICE", "device", sl_cell_text, 0 },
	{ "MAC", "mac", sl_cell_text, 0 },	 { "LINK", "up", sl_cell_up, 0 },
	{ "MTU", "mtu", sl_cell_number, RIGHT }, { 0 },
};

static const struct column SERVICE_SUMMARIES[] = {
	{ "SERVICE", "name", sl_cell_text, 0 },
	{ "VIP", "vip", sl_cell_endpoint, 0 },
	{ "PROTOCOL", "protocol", sl_cell_text, 0 },
	{ "BACKENDS", "backends", sl_cell_number, RIGHT },
	{ "READY", "ready", sl_cell_number, RIGHT },
	{ 0 },
};

static const struct column POOLS[] = {
	{ "POOL", "name", sl_cell_text, 0 },
	{ "ADDRESSES", "addresses", sl_cell_length, RIGHT },
	{ "PORTS", "ports", sl_cell_count, RIGHT },
	{ "IN-USE", "used", sl_cell_count, RIGHT },
	{ "SERVICES", "services", sl_cell_length, RIGHT },
	{ 0 },
};

static const struct column SERVICES[] = {
	{ "SERVICE", "name", sl_cell_text, 0 },
	{ "VIP", "vip", sl_cell_endpoint, 0 },
	{ "PROTOCOL", "protocol", sl_cell_text, 0 },
	{ "SCHEDULER", "scheduler", sl_cell_text, 0 },
	{ "MODE", "mode", sl_cell_text, 0 },
	{ "TUNNEL-SOURCE", "tunnel_source", sl_cell_text, DETAIL },
	{ "TUNNEL-SOURCE6", "tunnel_source6", sl_cell_text, DETAIL },
	{ "MSS", "mss", sl_cell_text, DETAIL },
	{ "GUE-PORT", "gue_port", sl_cell_number, RIGHT | DETAIL },
	{ "GUE-VARIANT", "gue_variant", sl_cell_number, RIGHT | DETAIL },
	{ "TABLE-SIZE", "table_size", sl_cell_number, RIGHT | DETAIL },
	{ "IDLE-TIMEOUT", "idle_timeout_ms", sl_cell_ms, RIGHT | DETAIL },
	{ "BACKENDS", "backends", sl_cell_number, RIGHT },
	{ "READY", "ready", sl_cell_number, RIGHT },
	{ "SOURCE", "source", sl_cell_text, 0 },
	{ "ROWS-OPEN", "rows_open", sl_cell_number, RIGHT },
	{ "ROWS-MIXED", "rows_mixed", sl_cell_number, RIGHT | DETAIL },
	{ "CONNECTIONS", "connections", sl_cell_count, RIGHT },
	{ "PACKETS-IN", "packets_in", sl_cell_count, RIGHT },
	{ "BYTES-IN", "bytes_in", sl_cell_count, RIGHT },
	{ "PACKETS-OUT", "packets_out", sl_cell_count, RIGHT },
	{ "BYTES-OUT", "bytes_out", sl_cell_count, RIGHT },
	{ "TRACKED", "tracked", sl_cell_count, RIGHT | DETAIL },
	{ "UNTRACKABLE", "untrackable", sl_cell_count, RIGHT | DETAIL },
	{ 0 },
};

static const struct column BACKENDS[] = {
	{ "SERVICE", "service", sl_cell_text, 0 },
	{ "BACKEND", "name", sl_cell_text, 0 },
	{ "ADDRESS", "address", sl_cell_endpoint, 0 },
	{ "WEIGHT", "weight", sl_cell_number, RIGHT },
	{ "STATE", "state", sl_cell_text, 0 },
	{ "HEALTH", "health", sl_cell_health, RARE },
	{ "SINCE", "health_since_s", sl_cell_seconds, RIGHT | RARE },
	{ "SHARE", "share", sl_cell_percent, RIGHT },
	{ "CONNECTIONS", "connections", sl_cell_count, RIGHT },
	{ "PACKETS-IN", "packets_in", sl_cell_count, RIGHT },
	{ "BYTES-IN", "bytes_in", sl_cell_count, RIGHT },
	{ "PACKETS-OUT", "packets_out", sl_cell_count, RIGHT },
	{ "BYTES-OUT", "bytes_out", sl_cell_count, RIGHT },
	{ "SOURCE", "source", sl_cell_text, 0 },
	{ "NEXT-HOP", "next_hop", sl_cell_text, 0 },
	{ "SERVER-ID", "server_id", sl_cell_text, RARE },
	{ "CAUSE", "health_cause", sl_cell_text, RARE },
	{ 0 },
};

static const struct column DRAINS[] = {
	{ "SERVICE", "service", sl_cell_text, 0 },
	{ "BACKEND", "name", sl_cell_text, 0 },
	{ "ADDRESS", "address", sl_cell_endpoint, 0 },
	{ "STATE", "state", sl_cell_text, 0 },
	{ "CONNECTIONS-LEFT", "connections_left", sl_cell_number, RIGHT },
	{ "UNKNOWN-FOR", "unknown_for_ms", sl_cell_ms, RIGHT },
	{ "DEADLINE", "deadline_s", sl_cell_seconds, RIGHT },
	{ "DRAIN", "end", sl_cell_text, 0 },
	{ 0 },
};

static const struct column LIMITS[] = {
	{ "SERVICE", "service", sl_cell_text, 0 },
	{ "PER", "per", sl_cell_per, 0 },
	{ "DIRECTION", "direction", sl_cell_text, 0 },
	{ "RATE", "rate_text", sl_cell_text, RIGHT },
	{ "BURST", "burst_text", sl_cell_text, RIGHT },
	{ "ACTION", "action", sl_cell_text, 0 },
	{ "PASSED", "passed", sl_cell_count, RIGHT },
	{ "DROPPED", "dropped", sl_cell_count, RIGHT },
	{ "MARKED", "marked", sl_cell_count, RIGHT },
	{ "OBSERVED", "observed", sl_cell_count, RIGHT },
	{ "SOURCE", "source", sl_cell_text, 0 },
	{ "EXPIRES", "expires_s", sl_cell_seconds, RIGHT },
	{ 0 },
};

static const struct column LIMIT_STATES[] = {
	{ "PER", "per", sl_cell_per, 0 },
	{ "DIRECTION", "direction", sl_cell_text, 0 },
	{ "RATE", "rate_text", sl_cell_text, RIGHT },
	{ "BURST", "burst_text", sl_cell_text, RIGHT },
	{ "LEFT", "left_percent", sl_cell_percent, RIGHT },
	{ "ACTION", "action", sl_cell_text, 0 },
	{ "PASSED", "passed", sl_cell_count, RIGHT },
	{ "DROPPED", "dropped", sl_cell_count, RIGHT },
	{ "DROPPED-BYTES", "dropped_bytes", sl_cell_count, RIGHT },
	{ "MARKED", "marked", sl_cell_count, RIGHT },
	{ "OBSERVED", "observed", sl_cell_count, RIGHT },
	{ "OBSERVED-BYTES", "observed_bytes", sl_cell_count, RIGHT },
	{ "EVICTED", "evicted", sl_cell_count, RIGHT },
	{ "SOURCE", "source", sl_cell_text, 0 },
	{ "EXPIRES", "expires_s", sl_cell_seconds, RIGHT },
	{ 0 },
};

static const struct column LIMIT_TOP[] = {
	{ "SERVICE", "service", sl_cell_text, 0 },
	{ "PER", "per", sl_cell_per, 0 },
	{ "DIRECTION", "direction", sl_cell_text, 0 },
	{ "RATE", "rate_text", sl_cell_text, RIGHT },
	{ "ACTION", "action", sl_cell_text, 0 },
	{ "PACKETS/S", "packets_per_s", sl_cell_count, RIGHT },
	{ "BITS/S", "bits_per_s", sl_cell_count, RIGHT },
	{ "PACKETS", "packets", sl_cell_count, RIGHT },
	{ "BYTES", "bytes", sl_cell_count, RIGHT },
	{ "LAST", "last_ms", sl_cell_ms, RIGHT },
	{ 0 },
};

static const struct column REASONS[] = {
	{ "REASON", "name", sl_cell_text, 0 },
	{ "VERDICT", "verdict", sl_cell_text, 0 },
	{ "PACKETS", "packets", sl_cell_count, RIGHT },
	{ "MEANING", "help", sl_cell_text, 0 },
	{ 0 },
};

/* Whether a table of these rows shows the column. */
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
	char text[SL_CELL_MAX];
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

/* One line per row; if there are none, the text `empty`. */
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

/* Prints "packets in    1234" for the heading PACKETS-IN. */
static void print_row(const struct column *columns, const json_t *row)
{
	char label[32], text[SL_CELL_MAX];

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
		printf("%s%s\n", before,
		       json_is_string(text) ? json_string_value(text) : SL_CELL_NONE);
}

/* One function for each shape of result. */

/* "12, acknowledged", by the answer's array `workers`. */
static void format_generation(const json_t *result, const json_t *workers, char text[SL_CELL_MAX])
{
	const json_t *acknowledged = json_object_get(result, "acknowledged");
	size_t used;

	sl_cell_number(result, "generation", text);
	used = strlen(text);
	if (json_is_array(workers) && json_array_size(workers) == 0)
		snprintf(text + used, SL_CELL_MAX - used, ", no worker runs");
	else if (json_is_boolean(acknowledged))
		snprintf(text + used, SL_CELL_MAX - used, ", %sacknowledged",
			 json_is_true(acknowledged) ? "" : "not yet ");
}

/* "running, pid 71, up 3m 05s" */
static void print_process(const char *label, const char *state, const json_t *process)
{
	char pid[SL_CELL_MAX], uptime[SL_CELL_MAX];

	sl_cell_number(process, "pid", pid);
	sl_cell_seconds(process, "uptime_s", uptime);
	printf("%-13s %s, pid %s, up %s\n", label, state, pid, uptime);
}

void sl_print_status(const json_t *result)
{
	const json_t *dataplane = json_object_get(result, "dataplane");
	const json_t *workers = json_object_get(dataplane, "workers");
	char text[SL_CELL_MAX];

	sl_cell_text(result, "instance", text);
	printf("%-13s %s\n", "instance", text);
	format_generation(result, workers, text);
	printf("%-13s %s\n", "generation", text);
	sl_cell_text(result, "tables", text);
	printf("%-13s %s\n", "tables", text);
	print_process("control", "running", json_object_get(result, "control"));
	sl_cell_text(dataplane, "state", text);
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
	char name[SL_CELL_MAX], endpoint[SL_CELL_MAX];
	size_t i;

	print_row(SERVICES, result);
	json_array_foreach (removed, i, row) {
		sl_cell_text(row, "name", name);
		sl_cell_endpoint(row, "address", endpoint);
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

void sl_print_drains(const json_t *result)
{
	print_table(DRAINS, json_object_get(result, "drains"), "no backend drains");
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
	char generation[SL_CELL_MAX], all[SL_CELL_MAX], acknowledged[SL_CELL_MAX];

	sl_cell_number(result, "generation", generation);
	sl_cell_number(result, "workers", all);
	sl_cell_number(result, "workers_acknowledged", acknowledged);
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
	char pps[SL_CELL_MAX], bps[SL_CELL_MAX];

	print_table(WORKER_RATES, json_object_get(result, "workers"), "no workers");
	sl_cell_count(xdp, "pps", pps);
	sl_cell_count(xdp, "bps", bps);
	printf("\nXDP: %s packets/s, %s bits/s\n", pps, bps);
}

void sl_print_generation(const json_t *result)
{
	char text[SL_CELL_MAX];

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
	print_texts("live: ", json_object_get(result, "live"));
	sl_print_change(result);
}

void sl_print_text(const json_t *result)
{
	const char *text = json_string_value(json_object_get(result, "text"));
	size_t length = text ? strlen(text) : 0;

	if (length)
		fwrite(text, 1, length, stdout);
	if (!length || text[length - 1] != '\n')
		putchar('\n');
}
