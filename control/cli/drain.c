/* SPDX-License-Identifier: BSD-2-Clause */
#include "drain.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_MS = 250,	 /* between looks */
	SHOW_MS = 1000,	 /* between looks at progress on a terminal, */
	TELL_MS = 5000,	 /* and between lines of it elsewhere */
	AWAY_MS = 60000, /* that control may be away */
	INTERRUPTED = 130,
};

enum end { RUNS, SAFE, EXPIRED, LOST };

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

/* Whether a failed request may succeed later, since control is being restarted. */
static bool is_away(int rc)
{
	return rc == -ECONNRESET || rc == -ECONNREFUSED || rc == -ENOENT || rc == -EINPROGRESS ||
	       rc == -ETIMEDOUT;
}

/* As sl_request_ask(), but goes on until control has been away for AWAY_MS. *met: it has answered
 * before, or at least taken a request; if not, one that isn't there is an error at once. */
static int ask(const struct sl_settings *settings, const char *path, const char *method,
	       json_t *params, bool *met, json_t **answer, char error[SL_ERROR_MAX])
{
	int64_t began = now_ms();
	bool told = false;

	for (;;) {
		int rc = sl_request_ask(settings, path, method, params, answer, error);

		*met |= !rc || rc == -ECONNRESET;
		if (!rc || !*met || !is_away(rc) || interrupted || now_ms() - began > AWAY_MS)
			return rc;
		if (!told)
			fputs("sluicectl: control is away; the drain goes on once it is back\n",
			      stderr);
		told = true;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000 }, NULL);
	}
}

/* Progress */

static const json_t *find_row(const json_t *rows, const json_t *backend)
{
	static const char *const keys[] = { "service", "address", "port" };
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		bool same = true;

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			same &= json_equal(json_object_get(row, keys[k]),
					   json_object_get(backend, keys[k]));
		if (same)
			return row;
	}
	return NULL;
}

static enum end end_of(const json_t *row, const json_t *before)
{
	const char *state = text_of(row, "state"), *end = text_of(row, "end");

	if (!row) /* a row of one that was leaving goes when it has left */
		return strcmp(text_of(before, "state"), "leaving") ? LOST : SAFE;
	if (!strcmp(end, "expired"))
		return strcmp(state, "drained") ? EXPIRED : SAFE;
	if (!strcmp(end, "removed") || !strcmp(end, "cut"))
		return SAFE;
	if (!strcmp(state, "maintenance"))
		return SAFE;
	return !strcmp(state, "drained") && !json_is_true(json_object_get(row, "then_remove"))
		       ? SAFE
		       : RUNS;
}

static void say_progress(const json_t *row)
{
	const json_t *left = json_object_get(row, "connections_left");
	const json_t *unknown = json_object_get(row, "unknown_for_ms");
	const json_t *deadline = json_object_get(row, "deadline_s");

	printf("%s %s: ", text_of(row, "service"), text_of(row, "name"));
	printf("%lld connections left", (long long)json_integer_value(left));
	if (unknown)
		printf(", some may be unknown for %lld s",
		       (long long)(json_integer_value(unknown) + 999) / 1000);
	if (deadline)
		printf(", %lld s to the deadline", (long long)json_integer_value(deadline));
}

static void say_end(const json_t *row, const json_t *backend, enum end end)
{
	long long took = (long long)json_integer_value(json_object_get(row, "took_s"));
	long long left = (long long)json_integer_value(json_object_get(row, "left"));
	const char *how = text_of(row, "end");

	printf("%s %s: ", text_of(backend, "service"), text_of(backend, "name"));
	if (end == LOST)
		printf("doesn't drain any more: another command has changed it\n");
	else if (end == EXPIRED)
		printf("not drained within %lld s, %lld connections were left; it goes on "
		       "draining\n",
		       took, left);
	else if (!row || !strcmp(how, "removed"))
		printf("removed, nothing refers to it any more\n");
	else if (!strcmp(how, "cut"))
		printf("removed after %lld s, %lld connections were cut\n", took, left);
	else if (!strcmp(text_of(row, "state"), "maintenance"))
		printf("in maintenance, it gets no packets\n");
	else
		printf("drained, it can be switched off\n");
}

/* Whether the connections of those that haven't ended have been counted: they aren't at first, and
 * after a restart of control. */
static bool is_counted(const json_t *rows, const json_t *backends)
{
	const json_t *backend, *row;
	size_t i;

	json_array_foreach (backends, i, backend) {
		row = find_row(rows, backend);
		if (end_of(row, NULL) == RUNS &&
		    !json_is_integer(json_object_get(row, "connections_left")))
			return false;
	}
	return true;
}

/* Shows how far those are that haven't ended: on a terminal in one line. */
static void show(const struct sl_settings *settings, const json_t *rows, const json_t *backends)
{
	bool line = isatty(STDOUT_FILENO) && json_array_size(backends) == 1;
	const json_t *backend, *row;
	size_t i;

	if (settings->json)
		return;
	json_array_foreach (backends, i, backend) {
		row = find_row(rows, backend);
		if (end_of(row, NULL) != RUNS)
			continue;
		say_progress(row);
		fputs(line ? "\033[K\r" : "\n", stdout);
	}
	fflush(stdout);
}

/* Looks once. Returns the worst end of all; RUNS: some haven't ended. */
static enum end look(const json_t *rows, const json_t *before, const json_t *backends)
{
	enum end worst = SAFE;
	const json_t *backend;
	bool runs = false;
	size_t i;

	json_array_foreach (backends, i, backend) {
		enum end end = end_of(find_row(rows, backend), find_row(before, backend));

		runs |= end == RUNS;
		if (end > worst)
			worst = end;
	}
	return runs ? RUNS : worst;
}

static int finish(const struct sl_settings *settings, const json_t *rows, const json_t *before,
		  const json_t *backends, enum end worst)
{
	json_t *list = json_array(), *result;
	const json_t *backend, *row;
	size_t i;

	if (isatty(STDOUT_FILENO) && !settings->json)
		fputs("\033[K", stdout);
	json_array_foreach (backends, i, backend) {
		row = find_row(rows, backend);
		if (!settings->json)
			say_end(row, backend, end_of(row, find_row(before, backend)));
		json_array_append(list, (json_t *)(uintptr_t)(row ? row : backend));
	}
	result = json_pack("{s:o}", "drains", list);
	if (settings->json) {
		json_dumpf(result, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(result);
	fflush(stdout);
	return worst == EXPIRED ? SL_EXIT_EXPIRED : worst == LOST ? SL_EXIT_FAILED : SL_EXIT_OK;
}

static int was_interrupted(const struct sl_settings *settings)
{
	if (isatty(STDOUT_FILENO) && !settings->json)
		putchar('\n');
	sl_request_fail(settings, SL_EXIT_FAILED,
			"interrupted; the drain goes on as it is, with its deadline: the same "
			"command waits again, `backend ready` ends it");
	return INTERRUPTED;
}

static int wait_for(const struct sl_settings *settings, const struct sl_command *command,
		    const json_t *backends)
{
	json_t *answer = NULL, *rows = NULL, *before = NULL;
	char path[SL_PATH_MAX], error[SL_ERROR_MAX];
	int64_t every = isatty(STDOUT_FILENO) ? SHOW_MS : TELL_MS, shown = now_ms() - every;
	enum end worst = RUNS;
	bool met = true;
	int rc = sl_request_socket(settings, false, path);

	while (!rc && !interrupted) {
		rc = ask(settings, path, "drain.list", NULL, &met, &answer, error);
		if (rc && !interrupted)
			rc = sl_request_silence(settings, command, path, rc, error);
		else if (!rc && !json_object_get(answer, "result"))
			rc = sl_request_error(settings, json_object_get(answer, "error"));
		if (rc)
			break;
		json_decref(before);
		before = rows;
		rows = json_incref(json_object_get(json_object_get(answer, "result"), "drains"));
		json_decref(answer);
		answer = NULL;
		worst = look(rows, before, backends);
		if (worst != RUNS)
			break;
		if (now_ms() - shown >= every && is_counted(rows, backends)) {
			show(settings, rows, backends);
			shown = now_ms();
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000 }, NULL);
	}
	if (interrupted && worst == RUNS)
		rc = was_interrupted(settings);
	else if (!rc)
		rc = finish(settings, rows, before, backends, worst);
	json_decref(answer);
	json_decref(before);
	json_decref(rows);
	return rc;
}

bool sl_drain_waits(const json_t *params)
{
	return json_object_get(params, "wait");
}

int sl_drain_run(const struct sl_settings *settings, const struct sl_command *command,
		 json_t *params)
{
	const struct sigaction action = { .sa_handler = interrupt, .sa_flags = SA_RESETHAND };
	char path[SL_PATH_MAX], error[SL_ERROR_MAX];
	json_t *answer = NULL, *result;
	bool met = false;
	int rc = sl_request_socket(settings, command->changes, path);

	if (rc)
		return rc;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	json_object_del(params, "wait");
	/* A control process that ended before it answered may have begun the drain. The same
	 * command joins that one. */
	rc = ask(settings, path, command->method, params, &met, &answer, error);
	if (rc)
		return interrupted ? was_interrupted(settings)
				   : sl_request_silence(settings, command, path, rc, error);
	result = json_object_get(answer, "result");
	if (!result)
		rc = sl_request_error(settings, json_object_get(answer, "error"));
	else if (json_is_false(json_object_get(result, "saved")))
		rc = sl_request_fail(settings, SL_EXIT_UNSAVED, "%s", text_of(result, "text"));
	else
		rc = wait_for(settings, command, json_object_get(result, "backends"));
	json_decref(answer);
	return rc;
}
