/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON-RPC without a socket: a table of lines with the exact lines that answer them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "../../control/rpc/message.h"

#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The toy methods. */

static int call_echo(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	int *calls = context;

	(void)call;
	(void)error;
	++*calls;
	*result = params ? json_incref((json_t *)params) : NULL;
	return 0;
}

static int call_fail(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	(void)context;
	(void)call;
	(void)params;
	(void)result;
	snprintf(error, SL_ERROR_MAX, "no backend \"b9\"");
	return -ENOENT;
}

static int call_mute(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	(void)context;
	(void)call;
	(void)params;
	(void)error;
	*result = json_string("dropped");
	return -EBUSY;
}

static int call_invalid(void *context, struct sl_rpc_call *call, const json_t *params,
			json_t **result, char error[SL_ERROR_MAX])
{
	(void)context;
	(void)call;
	(void)params;
	(void)result;
	snprintf(error, SL_ERROR_MAX, "weight: 0 isn't between 1 and 10000");
	return -EINVAL;
}

static int call_cut(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		    char error[SL_ERROR_MAX])
{
	(void)context;
	(void)call;
	(void)params;
	(void)result;
	snprintf(error, SL_ERROR_MAX, "cut: caf\xc3");
	return -EIO;
}

static int call_big(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		    char error[SL_ERROR_MAX])
{
	int *calls = context;
	char *text = malloc(1000);

	(void)params;
	(void)call;
	(void)error;
	++*calls;
	memset(text, 'x', 1000);
	*result = json_stringn(text, 1000);
	free(text);
	return 0;
}

static struct sl_rpc_call *due;

static int call_later(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	int *calls = context;

	(void)params;
	(void)error;
	++*calls;
	*result = json_string("dropped");
	due = call;
	return SL_RPC_LATER;
}

/* Finishes before it returns. */
static int call_soon(void *context, struct sl_rpc_call *call, const json_t *params, json_t **result,
		     char error[SL_ERROR_MAX])
{
	int *calls = context;

	(void)params;
	(void)result;
	(void)error;
	++*calls;
	sl_rpc_finish(call, -ENOENT, json_string("dropped"), "gone");
	return SL_RPC_LATER;
}

static const struct sl_rpc_method METHODS[] = {
	{ "echo", false, call_echo }, { "change", true, call_echo },
	{ "fail", false, call_fail }, { "mute", false, call_mute },
	{ "cut", false, call_cut },   { "invalid", false, call_invalid },
	{ "big", false, call_big },   { "later", true, call_later },
	{ "soon", true, call_soon },
};

#define OK(result, id) "{\"jsonrpc\":\"2.0\",\"result\":" result ",\"id\":" id "}"
#define ERROR(code, text, id)                                                                      \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" code ",\"message\":\"" text "\"},\"id\":" id "}"
#define ERRNO(text, number, name, id)                                                              \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"" text                      \
	"\",\"data\":{\"errno\":" number ",\"name\":\"" name "\"}},\"id\":" id "}"
#define CALL(method, rest) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\"" rest "}"

/* '*' ends what must agree: the rest is jansson's. */
#define NOT_JSON	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,*"
#define NOT_OBJECT	ERROR("-32600", "a request is an object", "null")
#define BAD_VERSION(id) ERROR("-32600", "jsonrpc: must be \\\"2.0\\\"", id)
#define BAD_ID		ERROR("-32600", "id: a string, a number or null", "null")

static const struct {
	const char *request;
	const char *answer; /* "": none */
} TABLE[] = {
	/* results */
	{ CALL("echo", ",\"id\":1"), OK("null", "1") },
	{ CALL("echo", ",\"params\":{\"a\":[1,2]},\"id\":\"x\""), OK("{\"a\":[1,2]}", "\"x\"") },
	{ CALL("echo", ",\"params\":{\"a\":\"\\n\\u00e9\"},\"id\":1.5"),
	  OK("{\"a\":\"\\n\xc3\xa9\"}", "1.5") },
	{ CALL("change", ",\"id\":null"), OK("null", "null") },
	{ "  " CALL("echo", ", \"id\" : 7 ") " \r", OK("null", "7") },
	/* notifications */
	{ CALL("echo", ""), "" },
	{ CALL("fail", ""), "" },
	{ CALL("nothing", ""), "" },
	{ "", "" },
	{ " \r", "" },
	/* errors of methods */
	{ CALL("fail", ",\"id\":2"), ERRNO("no backend \\\"b9\\\"", "2", "ENOENT", "2") },
	{ CALL("mute", ",\"id\":2"), ERRNO("Device or resource busy", "16", "EBUSY", "2") },
	{ CALL("cut", ",\"id\":2"), ERRNO("cut: caf?", "5", "EIO", "2") },
	{ CALL("invalid", ",\"id\":2"),
	  ERROR("-32602", "weight: 0 isn't between 1 and 10000", "2") },
	{ CALL("nothing", ",\"id\":3"), ERROR("-32601", "no method \\\"nothing\\\"", "3") },
	{ CALL("echo", ",\"params\":[1],\"id\":4"),
	  ERROR("-32602", "params: by name, in an object", "4") },
	/* finished before the method returns */
	{ CALL("soon", ",\"id\":2"), ERRNO("gone", "2", "ENOENT", "2") },
	{ CALL("soon", ""), "" },
	{ "[" CALL("soon", "") "," CALL("soon", ",\"id\":2") "," CALL("echo", ",\"id\":3") "]",
	  "[" ERRNO("gone", "2", "ENOENT", "2") "," OK("null", "3") "]" },
	/* no requests */
	{ "1", NOT_OBJECT },
	{ "null", NOT_OBJECT },
	{ "\"echo\"", NOT_OBJECT },
	{ "{}", BAD_VERSION("null") },
	{ "{\"method\":\"echo\",\"id\":5}", BAD_VERSION("5") },
	{ "{\"jsonrpc\":2.0,\"method\":\"echo\",\"id\":5}", BAD_VERSION("5") },
	{ "{\"jsonrpc\":\"2.0\",\"method\":1,\"params\":\"bar\"}",
	  ERROR("-32600", "method: must be a string", "null") },
	{ "{\"jsonrpc\":\"2.0\",\"id\":5}", ERROR("-32600", "method: must be a string", "5") },
	{ CALL("echo", ",\"params\":null,\"id\":5"),
	  ERROR("-32600", "params: must be an object", "5") },
	{ CALL("echo", ",\"params\":\"bar\",\"id\":5"),
	  ERROR("-32600", "params: must be an object", "5") },
	{ CALL("echo", ",\"id\":{}"), BAD_ID },
	{ CALL("echo", ",\"id\":true"), BAD_ID },
	/* no JSON */
	{ "{", ERROR("-32700", "not JSON, at byte 1: string or '}' expected", "null") },
	{ "{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]", NOT_JSON },
	{ "{} {}", NOT_JSON },
	{ "{\"id\":1,\"id\":2}", NOT_JSON },
	{ "{\"id\":\"\\u0000\"}", NOT_JSON },
	{ "{\"id\":\"\xff\xfe\"}", NOT_JSON },
	{ "{\"id\":\"\xc0\x80\"}", NOT_JSON },
	{ "{\"id\":1e999}", NOT_JSON },
	{ "{\"id\":99999999999999999999}", NOT_JSON },
	{ "GET / HTTP/1.0", NOT_JSON },
	/* batches, as in the specification's examples */
	{ "[]", ERROR("-32600", "an empty batch", "null") },
	{ "[1]", "[" NOT_OBJECT "]" },
	{ "[1,2,3]", "[" NOT_OBJECT "," NOT_OBJECT "," NOT_OBJECT "]" },
	{ "[[]]", "[" NOT_OBJECT "]" },
	{ "[{}, {\"id\":1}", NOT_JSON },
	{ "[" CALL("echo", "") "," CALL("fail", "") "]", "" },
	{ "[" CALL("echo", ",\"id\":1") "," CALL("echo", "") "," CALL("none", ",\"id\":2") ",3]",
	  "[" OK("null", "1") "," ERROR("-32601", "no method \\\"none\\\"", "2") "," NOT_OBJECT
										 "]" },
};

/* What answers the line; whoever calls frees it. */
static char *answer(const struct sl_rpc_scope *scope, const char *line, size_t length)
{
	struct evbuffer *buffer = evbuffer_new();
	struct sl_rpc_line on_its_way = { .scope = scope, .answer = buffer };
	size_t size;
	char *text;

	assert_int_equal(sl_rpc_line_answer(&on_its_way, line, length), 0);
	size = evbuffer_get_length(buffer);
	text = malloc(size + 1);
	assert_int_equal(evbuffer_remove(buffer, text, size), size);
	text[size] = 0;
	evbuffer_free(buffer);
	return text;
}

static void expect(const struct sl_rpc_scope *scope, const char *line, size_t length,
		   const char *want)
{
	char *got = answer(scope, line, length);
	size_t same = strcspn(want, "*"), end = strlen(got);

	if (strncmp(got, want, same) || (!want[same] && want[0] && strcmp(got + same, "\n")) ||
	    (!want[0] && got[0]) || (end && strchr(got, '\n') != got + end - 1))
		fail_msg("%s\n got %s\nwant %s", line, got, want);
	free(got);
}

static struct sl_rpc_scope scope_of(int *calls)
{
	return (struct sl_rpc_scope){ .methods = METHODS,
				      .n_methods = SIZE(METHODS),
				      .context = calls,
				      .may_change = true,
				      .limits = SL_RPC_LIMITS };
}

static void test_table(void **state)
{
	int calls = 0;
	struct sl_rpc_scope scope = scope_of(&calls);

	(void)state;
	for (size_t i = 0; i < SIZE(TABLE); i++)
		expect(&scope, TABLE[i].request, strlen(TABLE[i].request), TABLE[i].answer);
}

static void test_reading(void **state)
{
	static const char change[] = CALL("change", ",\"id\":1");
	static const char quiet[] = CALL("change", "");
	static const char echo[] = CALL("echo", ",\"id\":2");
	int calls = 0;
	struct sl_rpc_scope scope = scope_of(&calls);

	(void)state;
	scope.may_change = false;
	expect(&scope, change, strlen(change), ERROR("-32001", "this socket is for reading", "1"));
	expect(&scope, quiet, strlen(quiet), "");
	assert_int_equal(calls, 0);
	expect(&scope, echo, strlen(echo), OK("null", "2"));
	assert_int_equal(calls, 1);
}

static void test_nul(void **state)
{
	static const char line[] = "{\"id\":\"a\0b\"}";
	int calls = 0;
	struct sl_rpc_scope scope = scope_of(&calls);

	(void)state;
	expect(&scope, line, sizeof(line) - 1, NOT_JSON);
}

static void test_deep(void **state)
{
	enum { N = 1 << 19 };
	int calls = 0;
	struct sl_rpc_scope scope = scope_of(&calls);
	char *line = malloc(N + 1);

	(void)state;
	memset(line, '[', N);
	line[N] = 0;
	expect(&scope, line, N, NOT_JSON);
	free(line);
}

static void test_batch_limits(void **state)
{
	static const char ask[] = CALL("big", ",\"id\":1") ",";
	size_t size = sizeof(ask) - 1;
	int calls = 0, skipped = 0;
	struct sl_rpc_scope scope = scope_of(&calls);
	char *all = malloc(257 * size + 2), *text;

	(void)state;
	all[0] = '[';
	for (size_t i = 0; i < 257; i++)
		memcpy(all + 1 + i * size, ask, size);
	memcpy(all + 257 * size, "]", 2);
	expect(&scope, all, 257 * size + 1,
	       ERROR("-32600", "a batch holds at most 256 requests", "null"));
	assert_int_equal(calls, 0);

	/* 256, of which the answers to about 100 fit */
	scope.limits.unread_bytes = 100000;
	memcpy(all + 256 * size, "]", 2);
	text = answer(&scope, all, 256 * size + 1);
	assert_in_range(calls, 90, 100);
	for (const char *at = text; (at = strstr(at, "EMSGSIZE")); at++)
		skipped++;
	assert_int_equal(calls + skipped, 256);
	free(text);
	free(all);
}

/* The owner of a line whose answer is due. */
struct owner {
	int asked, told;
	bool refuse;
};

static bool may_change(void *data)
{
	struct owner *owner = data;

	owner->asked++;
	return !owner->refuse;
}

static void ready(void *data)
{
	struct owner *owner = data;

	owner->told++;
}

/* A batch stops at a change that may not be called, and at a call whose answer is due; it is called
 * no more than once whatever happens. */
static void test_later(void **state)
{
	static const char ask[] = "[" CALL("echo", ",\"id\":1") "," CALL(
		"later", ",\"id\":2") "," CALL("soon", "") "," CALL("later", "") "]";
	static const char want[] = "[" OK("null", "1") "," OK("true", "2") "]\n";
	int calls = 0;
	struct sl_rpc_scope scope = scope_of(&calls);
	struct owner owner = { .refuse = true };
	struct sl_rpc_line line = { .scope = &scope,
				    .may_change = may_change,
				    .ready = ready,
				    .owner = &owner,
				    .answer = evbuffer_new() };
	size_t length = sizeof(ask) - 1;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(sl_rpc_line_answer(&line, ask, length), SL_RPC_WAIT);
	assert_int_equal(calls, 1);
	assert_int_equal(owner.asked, 3);
	owner.refuse = false;
	for (int i = 0; i < 3; i++)
		assert_int_equal(sl_rpc_line_answer(&line, ask, length), SL_RPC_LATER);
	assert_int_equal(calls, 2);
	sl_rpc_finish(due, 0, json_true(), NULL);
	assert_int_equal(owner.told, 1);
	assert_int_equal(sl_rpc_line_answer(&line, ask, length), SL_RPC_LATER);
	assert_int_equal(calls, 4);
	sl_rpc_finish(due, -EIO, NULL, NULL);
	assert_int_equal(owner.told, 2); /* not of the one that finished at once */
	assert_int_equal(sl_rpc_line_answer(&line, ask, length), 0);
	assert_int_equal(calls, 4);
	assert_int_equal(evbuffer_get_length(line.answer), strlen(want));
	assert_memory_equal(evbuffer_pullup(line.answer, -1), want, strlen(want));
	evbuffer_drain(line.answer, strlen(want));

	/* the next line, given up */
	assert_int_equal(sl_rpc_line_answer(&line, ask, length), SL_RPC_LATER);
	sl_rpc_line_drop(&line);
	sl_rpc_finish(due, 0, json_true(), NULL);
	assert_int_equal(owner.told, 2);
	evbuffer_free(line.answer);
}

static int call_whole(void *context, struct sl_rpc_call *call, const json_t *params,
		      json_t **result, char error[SL_ERROR_MAX])
{
	size_t n = json_array_size(json_object_get(params, "requests"));
	int *calls = context;

	++*calls;
	if (n > 2) {
		snprintf(error, SL_ERROR_MAX, "request 3: no");
		return -ENOENT;
	}
	if (n == 1) {
		due = call;
		return SL_RPC_LATER;
	}
	*result = json_integer((json_int_t)n);
	return 0;
}

/* A batch with a change is one call, and its outcome is each request's. */
static void test_whole(void **state)
{
	static const struct sl_rpc_method whole = { "batch", true, call_whole };
	static const char one[] = "[" CALL("change", ",\"id\":1") "]";
	static const char one_done[] = "[" OK("true", "1") "]\n";
	int calls = 0;
	struct sl_rpc_scope scope = scope_of(&calls);
	struct owner owner = { .refuse = true };
	struct sl_rpc_line line = { .scope = &scope,
				    .may_change = may_change,
				    .ready = ready,
				    .owner = &owner,
				    .answer = evbuffer_new() };
	const char *request;

	(void)state;
	scope.batch = &whole;
	request = "[" CALL("change", ",\"id\":1") "," CALL("echo", ",\"id\":\"x\"") "]";
	expect(&scope, request, strlen(request), "[" OK("2", "1") "," OK("2", "\"x\"") "]");
	request = "[" CALL("echo", ",\"id\":1") "," CALL("change", "") "]";
	expect(&scope, request, strlen(request), "[" OK("2", "1") "]");
	request = "[" CALL("change", "") "," CALL("change", "") "]";
	expect(&scope, request, strlen(request), "");
	request = "[" CALL("change", ",\"id\":1") "," CALL("change", "") "," CALL("change",
										  ",\"id\":3") "]";
	expect(&scope, request, strlen(request),
	       "[" ERRNO("request 3: no", "2", "ENOENT", "1") "," ERRNO("request 3: no", "2",
									"ENOENT", "3") "]");
	assert_int_equal(calls, 4);
	request = "[" CALL("change", ",\"id\":1") ",7]";
	expect(&scope, request, strlen(request),
	       "[" ERROR("-32602", "request 2: a request is an object; nothing was changed",
			 "1") "," ERROR("-32602",
					"request 2: a request is an object; nothing was changed",
					"null") "]");
	assert_int_equal(calls, 4);
	request = "[" CALL("echo", ",\"id\":1") "]"; /* without a change */
	expect(&scope, request, strlen(request), "[" OK("null", "1") "]");

	calls = 0;
	assert_int_equal(sl_rpc_line_answer(&line, one, sizeof(one) - 1), SL_RPC_WAIT);
	assert_int_equal(calls, 0);
	owner.refuse = false;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sl_rpc_line_answer(&line, one, sizeof(one) - 1), SL_RPC_LATER);
	sl_rpc_finish(due, 0, json_true(), NULL);
	assert_int_equal(sl_rpc_line_answer(&line, one, sizeof(one) - 1), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(evbuffer_get_length(line.answer), strlen(one_done));
	assert_memory_equal(evbuffer_pullup(line.answer, -1), one_done, strlen(one_done));
	evbuffer_free(line.answer);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	cmocka_unit_test(test_table),
		cmocka_unit_test(test_reading), cmocka_unit_test(test_nul),
		cmocka_unit_test(test_deep),	cmocka_unit_test(test_batch_limits),
		cmocka_unit_test(test_later),
	};

	return cmocka_run_group_tests_name("rpc_message", tests, NULL, NULL);
}
