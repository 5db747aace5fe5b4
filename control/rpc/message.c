/* SPDX-License-Identifier: BSD-2-Clause */
/* One line from a client, and its answer.
 *
 * A line is a request, a notification (no id, no answer whatever happens) or a batch of them. It is
 * parsed strictly: NUL, invalid UTF-8, duplicate keys, nesting beyond jansson's 2,048 levels and
 * numbers beyond its range are all "not JSON". The order of checks is that of the specification:
 * parse, request, method, params.
 *
 * The answers to a batch are written out one by one, so that it costs the memory of its text and
 * not of its trees; beyond limits.unread_bytes of text the rest of the batch isn't called.
 */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>

static int write_piece(const char *piece, size_t size, void *buffer)
{
	return evbuffer_add(buffer, piece, size);
}

/* Takes the reference. */
static int write_json(json_t *json, struct evbuffer *answer)
{
	int rc = json ? json_dump_callback(json, write_piece, answer,
					   JSON_COMPACT | JSON_REAL_PRECISION(9))
		      : -1;

	json_decref(json);
	return rc ? -ENOMEM : 0;
}

/* Messages quote what users sent and are cut to fit, in the middle of a character if need be. */
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

/* id is borrowed, NULL where it isn't known; data is taken, NULL for none. */
static json_t *error_answer(json_t *id, enum sl_rpc_code code, const char *message, json_t *data)
{
	return json_pack("{s:s, s:{s:i, s:o, s:o*}, s:O}", "jsonrpc", "2.0", "error", "code",
			 (int)code, "message", message_text(message), "data", data, "id",
			 id ? id : json_null());
}

static json_t *failure_answer(json_t *id, int rc, const char *error)
{
	const char *name = strerrorname_np(-rc);

	if (!error[0])
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

static json_t *call_method(const struct sl_rpc_scope *scope, const char *name, json_t *params,
			   json_t *id)
{
	const struct sl_rpc_method *method = find_method(scope, name);
	char error[SL_ERROR_MAX] = "";
	json_t *result = NULL;
	int rc;

	if (!method) {
		snprintf(error, sizeof(error), "no method \"%.64s\"", name);
		return error_answer(id, SL_RPC_METHOD, error, NULL);
	}
	if (params && !json_is_object(params))
		return error_answer(id, SL_RPC_PARAMS, "params: by name, in an object", NULL);
	if (method->changes && !scope->may_change)
		return error_answer(id, SL_RPC_READING, "this socket is for reading", NULL);

	rc = method->call(scope->context, params, &result, error);
	if (rc) {
		json_decref(result);
		return failure_answer(id, rc, error);
	}
	return json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", "result",
			 result ? result : json_null(), "id", id ? id : json_null());
}

static bool is_id(const json_t *id)
{
	return json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* What is wrong with the form of a request; NULL: nothing. */
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

/* *answer stays NULL for a notification. */
static int answer_request(const struct sl_rpc_scope *scope, const json_t *request, json_t **answer)
{
	const char *fault = request_fault(request);
	json_t *id = json_object_get(request, "id");

	if (fault) {
		*answer = error_answer(id && is_id(id) ? id : NULL, SL_RPC_REQUEST, fault, NULL);
		return *answer ? 0 : -ENOMEM;
	}
	*answer = call_method(scope, json_string_value(json_object_get(request, "method")),
			      json_object_get(request, "params"), id);
	if (!*answer)
		return -ENOMEM;
	if (!id) {
		json_decref(*answer);
		*answer = NULL;
	}
	return 0;
}

/* One request of a batch that has answered too much already. */
static json_t *skip_request(const json_t *request)
{
	json_t *id = json_object_get(request, "id");

	if (json_is_object(request) && !id)
		return NULL;
	return failure_answer(id && is_id(id) ? id : NULL, -EMSGSIZE,
			      "not called: the batch has answered too much already");
}

static int answer_batch(const struct sl_rpc_scope *scope, const json_t *batch,
			struct evbuffer *answer)
{
	size_t start = evbuffer_get_length(answer);
	const char *before = "[";
	json_t *request, *one;
	size_t i;
	int rc = 0;

	json_array_foreach (batch, i, request) {
		one = NULL;
		if (evbuffer_get_length(answer) - start > scope->limits.unread_bytes)
			one = skip_request(request);
		else
			rc = answer_request(scope, request, &one);
		if (rc)
			return rc;
		if (!one)
			continue;
		rc = evbuffer_add(answer, before, 1) ? -ENOMEM : 0;
		rc = write_json(one, answer) ?: rc;
		if (rc)
			return rc;
		before = ",";
	}
	if (*before == '[')
		return 0;
	return evbuffer_add(answer, "]\n", 2) ? -ENOMEM : 0;
}

static int answer_one(const struct sl_rpc_scope *scope, const json_t *request,
		      struct evbuffer *answer)
{
	json_t *one = NULL;
	int rc = answer_request(scope, request, &one);

	if (rc || !one)
		return rc;
	rc = write_json(one, answer);
	if (rc)
		return rc;
	return evbuffer_add(answer, "\n", 1) ? -ENOMEM : 0;
}

int sl_rpc_message_refuse(enum sl_rpc_code code, const char *message, struct evbuffer *answer)
{
	int rc = write_json(error_answer(NULL, code, message, NULL), answer);

	if (rc)
		return rc;
	return evbuffer_add(answer, "\n", 1) ? -ENOMEM : 0;
}

/* jansson says what it expected, then quotes the text: the client has that, and we don't trust it
 * in our logs. */
static int refuse_text(json_error_t *fault, struct evbuffer *answer)
{
	char message[SL_ERROR_MAX];
	char *quote = strstr(fault->text, " near ");

	if (quote)
		*quote = 0;
	snprintf(message, sizeof(message), "not JSON, at byte %d: %s", fault->position,
		 fault->text);
	return sl_rpc_message_refuse(SL_RPC_PARSE, message, answer);
}

static bool is_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!memchr(" \t\r", line[i], 3))
			return false;
	}
	return true;
}

int sl_rpc_message_answer(const struct sl_rpc_scope *scope, const char *line, size_t length,
			  struct evbuffer *answer)
{
	char message[SL_ERROR_MAX];
	json_error_t fault;
	json_t *json;
	int rc;

	if (is_blank(line, length))
		return 0;
	json = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
	if (!json)
		return refuse_text(&fault, answer);

	if (!json_is_array(json)) {
		rc = answer_one(scope, json, answer);
	} else if (json_array_size(json) == 0) {
		rc = sl_rpc_message_refuse(SL_RPC_REQUEST, "an empty batch", answer);
	} else if (json_array_size(json) > scope->limits.batch) {
		snprintf(message, sizeof(message), "a batch holds at most %zu requests",
			 scope->limits.batch);
		rc = sl_rpc_message_refuse(SL_RPC_REQUEST, message, answer);
	} else {
		rc = answer_batch(scope, json, answer);
	}
	json_decref(json);
	return rc;
}
