/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers one line from a client.
 *
 * A line is a request, a notification (no id, and never an answer) or a batch of them. It is parsed
 * strictly: NUL, invalid UTF-8, duplicate keys, nesting beyond jansson's 2,048 levels and numbers
 * beyond its range are all "not JSON". The order of checks is the specification's: parse, request,
 * method, params.
 *
 * A batch with a change in it is one call of the method that carries out batches, if there is one.
 * The answers to another batch are written out one by one, so that they cost the memory of their
 * text and not of their trees. Once there are more than limits.unread_bytes of text, the rest of
 * the batch isn't called.
 *
 * Work on a line stops where a call's answer is due, or where a change may not be called yet, and
 * later continues with the next request. Only the text is kept meanwhile, and the line is parsed
 * again: a tree can take a hundred times the text's length, for each of the clients that wait.
 */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

struct sl_rpc_call {
	struct sl_rpc_line *line; /* NULL: nobody waits for the answer any more */
	const struct sl_rpc_method *method;
	struct sl_rpc_peer peer;
	json_t *id; /* NULL: a notification; an array: the ids of a batch that is one call */
};

static int write_piece(const char *piece, size_t size, void *buffer)
{
	return evbuffer_add(buffer, piece, size);
}

/* Writes JSON to answer. Takes the reference. */
static int write_json(json_t *json, struct evbuffer *answer)
{
	int rc = json ? json_dump_callback(json, write_piece, answer,
					   JSON_COMPACT | JSON_REAL_PRECISION(9))
		      : -1;

	json_decref(json);
	return rc ? -ENOMEM : 0;
}

/* Converts a message to JSON. Messages quote what users sent and are cut to fit, possibly in the
 * middle of a character. */
static json_t *message_text(const char *message)
{
	char plain[SL_ERROR_MAX];
	json_t *text = json_string(message);

	if (text)
		return text;
	snprintf(plain, sizeof(plain), "%s", message);
	for (char *c = plain; *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	return json_string(plain);
}

/* Makes an error's answer. id is borrowed, and NULL if it isn't known. Takes data, which is NULL
 * for none. */
static json_t *error_answer(json_t *id, enum sl_rpc_code code, const char *message, json_t *data)
{
	return json_pack("{s:s, s:{s:i, s:o, s:o*}, s:O}", "jsonrpc", "2.0", "error", "code",
			 (int)code, "message", message_text(message), "data", data, "id",
			 id ? id : json_null());
}

static json_t *failure_answer(json_t *id, int rc, const char *error)
{
	const char *name = strerrorname_np(-rc);

	if (!error || !error[0])
		error = strerror(-rc);
	if (rc == -EINVAL)
		return error_answer(id, SL_RPC_PARAMS, error, NULL);
	return error_answer(id, SL_RPC_FAILED, error,
			    json_pack("{s:i, s:s}", "errno", -rc, "name", name ? name : "?"));
}

static const struct sl_rpc_method *find_method(const struct sl_rpc_scope *scope, const char *name)
{
	for (size_t i = 0; i < scope->n_methods; i++) {
		if (!strcmp(scope->methods[i].name, name))
			return &scope->methods[i];
	}
	return NULL;
}

/* Appends an answer. Takes it; NULL says that there was no memory for it. */
static int add_answer(struct sl_rpc_line *line, json_t *answer)
{
	const char *before = evbuffer_get_length(line->answer) > 0 ? "," : "[";
	int rc = 0;

	if (line->is_batch)
		rc = evbuffer_add(line->answer, before, 1) ? -ENOMEM : 0;
	return write_json(answer, line->answer) ?: rc;
}

/* Appends the outcome of one request. Takes result. id is NULL for a notification. */
static int add_one_outcome(struct sl_rpc_line *line, json_t *id, int rc, json_t *result,
			   const char *error)
{
	if (rc || !id)
		json_decref(result);
	if (!id)
		return 0;
	if (rc)
		return add_answer(line, failure_answer(id, rc, error));
	return add_answer(line, json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", "result",
					  result ? result : json_null(), "id", id));
}

/* Appends the outcome of a method. Takes result. id may be an array, as in struct sl_rpc_call. */
static int add_outcome(struct sl_rpc_line *line, json_t *id, int rc, json_t *result,
		       const char *error)
{
	json_t *one;
	size_t i;
	int err = 0;

	if (!json_is_array(id))
		return add_one_outcome(line, id, rc, result, error);
	json_array_foreach (id, i, one) {
		if (!err)
			err = add_one_outcome(line, one, rc, json_incref(result), error);
	}
	json_decref(result);
	return err;
}

static void call_free(struct sl_rpc_call *call)
{
	json_decref(call->id);
	free(call);
}

static int call_method(struct sl_rpc_line *line, const struct sl_rpc_method *method, json_t *params,
		       json_t *id)
{
	struct sl_rpc_call *call = malloc(sizeof(*call));
	char error[SL_ERROR_MAX] = "";
	json_t *result = NULL;
	int rc;

	if (!call)
		return -ENOMEM;
	*call = (struct sl_rpc_call){ line, method, line->peer, json_incref(id) };
	line->call = call;
	rc = method->call(line->scope->context, call, params, &result, error);
	if (!line->call) { /* sl_rpc_finish() was called already */
		json_decref(result);
		return line->error;
	}
	if (rc == SL_RPC_LATER) {
		json_decref(result);
		return rc;
	}
	line->call = NULL;
	call_free(call);
	return add_outcome(line, id, rc, result, error);
}

void sl_rpc_finish(struct sl_rpc_call *call, int err, json_t *result, const char *error)
{
	struct sl_rpc_line *line = call->line;

	if (line) {
		line->call = NULL;
		line->error = add_outcome(line, call->id, err, result, error);
		if (!line->running)
			line->ready(line->owner);
	} else {
		json_decref(result);
	}
	call_free(call);
}

const struct sl_rpc_peer *sl_rpc_call_peer(const struct sl_rpc_call *call)
{
	return &call->peer;
}

const char *sl_rpc_call_method(const struct sl_rpc_call *call)
{
	return call->method->name;
}

static bool is_id(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* Returns what is wrong with the form of a request; NULL if nothing is. */
static const char *request_fault(const json_t *request)
{
	const json_t *id = json_object_get(request, "id");
	const json_t *version = json_object_get(request, "jsonrpc");
	const json_t *params = json_object_get(request, "params");

	if (!json_is_object(request))
		return "a request is an object";
	if (id && !is_id(id))
		return "id: a string, a number or null";
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0"))
		return "jsonrpc: must be \"2.0\"";
	if (!json_is_string(json_object_get(request, "method")))
		return "method: must be a string";
	if (params && !json_is_object(params) && !json_is_array(params))
		return "params: must be an object";
	return NULL;
}

/* Answers with an error of the protocol. A notification isn't answered even then. */
static int refuse_call(struct sl_rpc_line *line, json_t *id, enum sl_rpc_code code,
		       const char *message)
{
	return id ? add_answer(line, error_answer(id, code, message, NULL)) : 0;
}

/* Calls one request. Returns 0 if it is answered or no answer is due, or as
 * sl_rpc_line_answer(). */
static int answer_request(struct sl_rpc_line *line, const json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_t *params = json_object_get(request, "params");
	const char *fault = request_fault(request), *name;
	const struct sl_rpc_method *method;
	char error[SL_ERROR_MAX];

	if (fault)
		return add_answer(line, error_answer(id && is_id(id) ? id : NULL, SL_RPC_REQUEST,
						     fault, NULL));
	name = json_string_value(json_object_get(request, "method"));
	method = find_method(line->scope, name);
	if (!method) {
		snprintf(error, sizeof(error), "no method \"%.64s\"", name);
		return refuse_call(line, id, SL_RPC_METHOD, error);
	}
	if (params && !json_is_object(params))
		return refuse_call(line, id, SL_RPC_PARAMS, "params: by name, in an object");
	if (method->changes && !line->scope->may_change)
		return refuse_call(line, id, SL_RPC_READING, "this socket is for reading");
	if (method->changes && line->may_change && !line->may_change(line->owner))
		return SL_RPC_WAIT;
	return call_method(line, method, params, id);
}

/* Refuses one request of a batch whose answers are too long already. */
static int skip_request(struct sl_rpc_line *line, const json_t *request)
{
	json_t *id = json_object_get(request, "id");

	if (json_is_object(request) && !id)
		return 0;
	return add_answer(line,
			  failure_answer(id && is_id(id) ? id : NULL, -EMSGSIZE,
					 "not called: the batch has answered too much already"));
}

static int answer_batch(struct sl_rpc_line *line, const json_t *batch)
{
	const json_t *request;
	int rc;

	while (line->next < line->requests) {
		request = json_array_get(batch, line->next);
		if (evbuffer_get_length(line->answer) > line->scope->limits.unread_bytes)
			rc = skip_request(line, request);
		else
			rc = answer_request(line, request);
		if (rc == SL_RPC_WAIT)
			return rc;
		line->next++;
		if (rc)
			return rc;
	}
	return 0;
}

/* Whether the batch has a change in it, and is carried out as a whole. */
static bool is_whole(const struct sl_rpc_line *line, const json_t *batch)
{
	const struct sl_rpc_scope *scope = line->scope;
	const json_t *request;
	bool changes = false;
	size_t i;

	json_array_foreach (batch, i, request) {
		const char *name = json_string_value(json_object_get(request, "method"));
		const struct sl_rpc_method *method = name ? find_method(scope, name) : NULL;

		changes |= method && method->changes;
	}
	return scope->batch && changes;
}

/* Finds a request of a batch that isn't one. Returns false if there is none. */
static bool whole_fault(const json_t *batch, char message[SL_ERROR_MAX])
{
	const json_t *request;
	size_t i;

	json_array_foreach (batch, i, request) {
		const char *fault = request_fault(request);

		if (!fault)
			continue;
		snprintf(message, SL_ERROR_MAX, "request %zu: %s; nothing was changed", i + 1,
			 fault);
		return true;
	}
	return false;
}

/* Calls a batch as a whole. Its requests have ids of their own and the outcome in common. */
static int answer_whole(struct sl_rpc_line *line, json_t *batch)
{
	json_t *ids, *params, *request, *id;
	char fault[SL_ERROR_MAX];
	size_t i;
	int rc;

	if (line->may_change && !line->may_change(line->owner))
		return SL_RPC_WAIT;
	ids = json_array();
	json_array_foreach (batch, i, request) {
		id = json_object_get(request, "id");
		if (id || !json_is_object(request))
			json_array_append(ids, id && is_id(id) ? id : json_null());
	}
	params = json_pack("{s:O}", "requests", batch);
	line->next = line->requests;
	if (ids && whole_fault(batch, fault))
		rc = add_outcome(line, ids, -EINVAL, NULL, fault);
	else
		rc = ids && params ? call_method(line, line->scope->batch, params, ids) : -ENOMEM;
	json_decref(params);
	json_decref(ids);
	return rc;
}

static int answer_one(struct sl_rpc_line *line, const json_t *request)
{
	int rc = answer_request(line, request);

	if (rc != SL_RPC_WAIT)
		line->next = 1;
	return rc;
}

static int add_refusal(struct sl_rpc_line *line, enum sl_rpc_code code, const char *message)
{
	return add_answer(line, error_answer(NULL, code, message, NULL));
}

/* Refuses a line that isn't JSON. jansson's message says what it expected, and then quotes the
 * text. The quote is cut off: the client has the text, and it isn't trusted in the log. */
static int refuse_text(struct sl_rpc_line *line, json_error_t *fault)
{
	char message[SL_ERROR_MAX];
	char *quote = strstr(fault->text, " near ");

	if (quote)
		*quote = 0;
	snprintf(message, sizeof(message), "not JSON, at byte %d: %s", fault->position,
		 fault->text);
	return add_refusal(line, SL_RPC_PARSE, message);
}

static bool is_blank(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!memchr(" \t\r", text[i], 3))
			return false;
	}
	return true;
}

static int answer_json(struct sl_rpc_line *line, json_t *json)
{
	char message[SL_ERROR_MAX];
	size_t size = json_array_size(json);

	if (!json_is_array(json)) {
		line->requests = 1;
		return answer_one(line, json);
	}
	if (size == 0)
		return add_refusal(line, SL_RPC_REQUEST, "an empty batch");
	if (size > line->scope->limits.batch) {
		snprintf(message, sizeof(message), "a batch holds at most %zu requests",
			 line->scope->limits.batch);
		return add_refusal(line, SL_RPC_REQUEST, message);
	}
	line->requests = size;
	line->is_batch = true;
	return is_whole(line, json) ? answer_whole(line, json) : answer_batch(line, json);
}

static int answer_text(struct sl_rpc_line *line, const char *text, size_t length)
{
	json_error_t fault;
	json_t *json;
	int rc;

	if (is_blank(text, length))
		return 0;
	json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
	if (!json)
		return refuse_text(line, &fault);
	rc = answer_json(line, json);
	json_decref(json);
	return rc;
}

static int add_end(struct sl_rpc_line *line)
{
	const char *end = line->is_batch ? "]\n" : "\n";

	return evbuffer_add(line->answer, end, strlen(end)) ? -ENOMEM : 0;
}

int sl_rpc_line_answer(struct sl_rpc_line *line, const char *text, size_t length)
{
	int rc = line->error;

	if (!rc && line->call)
		rc = SL_RPC_LATER;
	if (!rc && (line->requests == 0 || line->next < line->requests)) {
		line->running = true;
		rc = answer_text(line, text, length);
		line->running = false;
	}
	if (!rc && evbuffer_get_length(line->answer) > 0)
		rc = add_end(line);
	if (rc)
		return rc;
	line->requests = line->next = 0;
	line->is_batch = false;
	return 0;
}

void sl_rpc_line_drop(struct sl_rpc_line *line)
{
	if (line->call)
		line->call->line = NULL;
	line->call = NULL;
}

int sl_rpc_message_refuse(enum sl_rpc_code code, const char *message, struct evbuffer *answer)
{
	int rc = write_json(error_answer(NULL, code, message, NULL), answer);

	if (rc)
		return rc;
	return evbuffer_add(answer, "\n", 1) ? -ENOMEM : 0;
}
