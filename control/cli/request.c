/* SPDX-License-Identifier: BSD-2-Clause */
#include "request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "starting.h"

#define STARTING_MS 10000 /* that a control process may take to start */
#define LOOK_MS	    20

/* Prints an error. object: the daemon's error object, or NULL. */
static int report(const struct sl_settings *settings, enum sl_exit status, const json_t *object,
		  const char *message)
{
	json_t *error;

	if (!settings->json) {
		fprintf(stderr, "sluicectl: %s\n", message);
		return (int)status;
	}
	error = json_pack("{s:o*, s:s, s:o*}", "code", json_incref(json_object_get(object, "code")),
			  "message", message, "data", json_incref(json_object_get(object, "data")));
	error = json_pack("{s:o}", "error", error);
	if (!error || json_dumpf(error, stderr, JSON_COMPACT))
		fputs("{\"error\":{\"message\":\"not UTF-8\"}}", stderr);
	fputc('\n', stderr);
	json_decref(error);
	return (int)status;
}

int sl_request_fail(const struct sl_settings *settings, enum sl_exit status, const char *format,
		    ...)
{
	char message[2 * SL_ERROR_MAX];
	va_list args;

	int used = settings->line ? snprintf(message, sizeof(message), "line %d: ", settings->line)
				  : 0;

	va_start(args, format);
	vsnprintf(message + used, sizeof(message) - (size_t)used, format, args);
	va_end(args);
	return report(settings, status, NULL, message);
}

/* The socket of a command. 0 or an exit status. */
int sl_request_socket(const struct sl_settings *settings, bool changes, char path[SL_PATH_MAX])
{
	const char *file = changes ? "control.sock" : "read.sock";
	const char *name = settings->instance;
	struct stat st;
	int length;

	if (!settings->socket) {
		if (!*name || strlen(name) >= SL_NAME_MAX || strchr(name, '/') || *name == '.')
			return sl_request_fail(settings, SL_EXIT_USAGE,
					       "--instance: \"%.64s\" can't be the name of one",
					       name);
		length = snprintf(path, SL_PATH_MAX, SL_RUN_DIR "/%s/%s", name, file);
	} else if (stat(settings->socket, &st) == 0 && S_ISDIR(st.st_mode)) {
		length = snprintf(path, SL_PATH_MAX, "%s/%s", settings->socket, file);
	} else {
		length = snprintf(path, SL_PATH_MAX, "%s", settings->socket);
	}
	if (length >= SL_PATH_MAX)
		return sl_request_fail(settings, SL_EXIT_USAGE, "--socket: the path is too long");
	return 0;
}

/* As sl_connection_ask(), but waits for a control process that is starting. -EINPROGRESS: it still
 * is. */
int sl_request_ask(const struct sl_settings *settings, const char *path, const char *method,
		   json_t *params, json_t **answer, char error[SL_ERROR_MAX])
{
	for (int waited_ms = 0;; waited_ms += LOOK_MS) {
		int rc = sl_connection_ask(path, method, params, settings->timeout_ms, answer,
					   error);

		if ((rc != -ENOENT && rc != -ECONNREFUSED) || !sl_control_is_starting(path))
			return rc;
		if (waited_ms >= STARTING_MS)
			return -EINPROGRESS;
		if (!waited_ms)
			fputs("sluicectl: sluice-control is starting\n", stderr);
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000 }, NULL);
	}
}

int sl_request_silence(const struct sl_settings *settings, const struct sl_command *command,
		       const char *path, int rc, const char *error)
{
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -ENOTDIR)
		return settings->socket
			       ? sl_request_fail(
					 settings, SL_EXIT_FAILED,
					 "no control process at %s; start: sluice-control -c FILE",
					 path)
			       : sl_request_fail(settings, SL_EXIT_FAILED,
						 "no control process for instance %s at %s; start: "
						 "sluice-control -c FILE",
						 settings->instance, path);
	if (rc == -EINPROGRESS)
		return sl_request_fail(settings, SL_EXIT_FAILED,
				       "sluice-control has been starting for %d s; see its log",
				       STARTING_MS / 1000);
	if (rc == -EACCES || rc == -EPERM)
		return sl_request_fail(
			settings, SL_EXIT_MACHINE,
			"no right to %s; run as root, or as who may write to that socket", path);
	if (rc == -ETIMEDOUT && command->changes)
		return sl_request_fail(
			settings, SL_EXIT_FAILED,
			"%s; the change may have happened, see: sluicectl generation", error);
	if (rc == -ENAMETOOLONG)
		return sl_request_fail(settings, SL_EXIT_USAGE, "%s", error);
	return sl_request_fail(settings, SL_EXIT_FAILED, "%s (at %s)", error, path);
}

/* The daemon's message is written for people. Adds what the daemon can't know. */
int sl_request_error(const struct sl_settings *settings, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "message"));
	json_int_t code = json_integer_value(json_object_get(error, "code"));
	char message[2 * SL_ERROR_MAX];

	snprintf(message, sizeof(message), "%s%s", text ? text : "an error without a message",
		 code == -32601	  ? "; is this control process older than sluicectl?"
		 : code == -32001 ? "; use the control.sock beside it"
				  : "");
	return report(settings, code == -32602 ? SL_EXIT_USAGE : SL_EXIT_FAILED, error, message);
}

void sl_request_print(const struct sl_settings *settings, const struct sl_command *command,
		      const json_t *result)
{
	if (!settings->json) {
		command->print(result);
		return;
	}
	json_dumpf(result, stdout,
		   JSON_ENCODE_ANY | JSON_REAL_PRECISION(9) |
			   (isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT));
	putchar('\n');
}

/* A change that is live but would be lost on a restart, or that not all workers have acknowledged
 * yet, is no success: programs shouldn't rely on it. */
int sl_request_check(const struct sl_settings *settings, const struct sl_command *command,
		     const json_t *result)
{
	if (json_is_false(json_object_get(result, "saved")))
		return SL_EXIT_UNSAVED; /* the text says why */
	if (!command->changes || !json_is_false(json_object_get(result, "acknowledged")) ||
	    json_integer_value(json_object_get(result, "workers")) == 0)
		return SL_EXIT_OK;
	return sl_request_fail(
		settings, SL_EXIT_FAILED,
		"published, but not acknowledged by all workers; see: sluicectl generation");
}

int sl_request_run(const struct sl_settings *settings, const struct sl_command *command,
		   json_t *params)
{
	char path[SL_PATH_MAX], error[SL_ERROR_MAX];
	json_t *answer = NULL, *result;
	int rc = sl_request_socket(settings, command->changes, path);

	if (rc)
		return rc;
	rc = sl_request_ask(settings, path, command->method, params, &answer, error);
	if (rc)
		return sl_request_silence(settings, command, path, rc, error);

	result = json_object_get(answer, "result");
	if (result) {
		sl_request_print(settings, command, result);
		fflush(stdout);
		rc = sl_request_check(settings, command, result);
	} else {
		rc = sl_request_error(settings, json_object_get(answer, "error"));
	}
	json_decref(answer);
	if (ferror(stdout))
		rc = sl_request_fail(settings, SL_EXIT_FAILED, "can't write the result: %m");
	return rc;
}
