/* SPDX-License-Identifier: BSD-2-Clause */
/* Health: what results make of a backend, with time as a parameter; panic; control's own lateness;
 * what HTTP and DNS answers are worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../control/health/dns.h"
#include "../../control/health/http.h"
#include "../../control/health/state.h"

#define S  1000000000ull
#define MS 1000000ull

/* Results in order, "+" and "-", and the state after each: "c"hecking, "u"p, "d"own; capital where
 * it is held back. */
static const struct {
	const char *what;
	uint8_t rise, fall;
	enum sl_health_start start;
	bool serves;
	const char *results, *states; /* the first state is before any result */
} walks[] = {
	{ "the first pass decides alone", 2, 3, SL_HEALTH_START_CHECKING, false, "+", "Cu" },
	{ "so does the first failure", 2, 3, SL_HEALTH_START_CHECKING, false, "-+-++", "CDDDDu" },
	{ "who serves stays until `fall`", 2, 3, SL_HEALTH_START_CHECKING, true, "---", "cccD" },
	{ "and is up by one pass", 2, 3, SL_HEALTH_START_CHECKING, true, "-+--", "ccuuu" },
	{ "start up", 2, 3, SL_HEALTH_START_UP, false, "--+---", "uuuuuuD" },
	{ "start up, and serves", 2, 3, SL_HEALTH_START_UP, true, "--+---", "uuuuuuD" },
	{ "start down", 2, 3, SL_HEALTH_START_DOWN, false, "+-++", "DDDDu" },
	{ "start down, but serves", 2, 3, SL_HEALTH_START_DOWN, true, "---", "cccD" },
	{ "one and one", 1, 1, SL_HEALTH_START_UP, false, "-+-+", "uDuDu" },
	{ "flapping below the thresholds", 2, 3, SL_HEALTH_START_UP, false, "--+--+--+",
	  "uuuuuuuuuu" },
};

static void test_walks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
		struct sl_health_conf conf = { .rise = walks[i].rise,
					       .fall = walks[i].fall,
					       .start = walks[i].start };
		struct sl_health_verdict v = { 0 };
		struct sl_health_count count;
		char seen[32] = "";

		sl_health_begin_state(&v, &count, &conf, walks[i].serves, 100);
		for (size_t k = 0; k <= strlen(walks[i].results); k++) {
			char c;

			if (k)
				sl_health_result(&v, &count, &conf, walks[i].results[k - 1] == '+',
						 100 + k);
			c = sl_health_state_text(v.state)[0];
			seen[k] = sl_health_holds(&v, &count, false) ? (char)(c - 'a' + 'A') : c;
		}
		if (strcmp(seen, walks[i].states) != 0)
			fail_msg("%s: %s, not %s", walks[i].what, seen, walks[i].states);
	}
}

static void test_since(void **state)
{
	struct sl_health_conf conf = { .rise = 1, .fall = 2, .start = SL_HEALTH_START_UP };
	struct sl_health_verdict v = { 0 };
	struct sl_health_count count;

	(void)state;
	sl_health_begin_state(&v, &count, &conf, false, 100);
	assert_false(sl_health_result(&v, &count, &conf, false, 101));
	assert_int_equal(v.since, 100);
	assert_true(sl_health_result(&v, &count, &conf, false, 102));
	assert_int_equal(v.since, 102);
	assert_false(sl_health_result(&v, &count, &conf, false, 103));
	assert_int_equal(v.since, 102);
	assert_false(sl_health_holds(&v, &count, true)); /* panic */
}

/* Slow start: by eighths from the moment that a backend came up, but not of one that served. */
static void test_share(void **state)
{
	const struct sl_health_conf conf = { .rise = 1, .fall = 1, .slow_ms = 14000 };
	const struct sl_health_conf at_once = { .rise = 1, .fall = 1 };
	struct sl_health_count count;
	struct sl_health_verdict v = { 0 };

	(void)state;
	sl_health_begin_state(&v, &count, &conf, false, 100); /* new */
	assert_true(sl_health_result(&v, &count, &conf, true, 100));
	for (uint64_t s = 0; s < 14; s++)
		assert_int_equal(sl_health_share(&v, &conf, 100 + s), 1 + s / 2);
	assert_int_equal(sl_health_share(&v, &conf, 114), SL_SHARE_WHOLE);
	assert_int_equal(sl_health_share(&v, &conf, 99), 1); /* the clock was set back */
	assert_int_equal(sl_health_share(&v, &at_once, 100), SL_SHARE_WHOLE);
	sl_health_result(&v, &count, &conf, false, 200);
	assert_int_equal(sl_health_share(&v, &conf, 200), SL_SHARE_WHOLE); /* panic may use it */
	sl_health_result(&v, &count, &conf, true, 300);
	assert_int_equal(sl_health_share(&v, &conf, 302), 2);
	sl_health_begin_state(&v, &count, &conf, true, 400); /* it serves already */
	sl_health_result(&v, &count, &conf, true, 400);
	assert_int_equal(sl_health_share(&v, &conf, 400), SL_SHARE_WHOLE);
}

static void test_panic(void **state)
{
	struct sl_health_conf conf = { .panic = 50, .panic_leave = 60, .panic_ms = 10000 };
	struct sl_health_panic p = { 0 };

	(void)state;
	assert_false(sl_health_panic_update(&p, &conf, 0, 0, 1 * S)); /* nothing is known */
	assert_false(sl_health_panic_update(&p, &conf, 5, 10, 1 * S));
	assert_true(sl_health_panic_update(&p, &conf, 4, 10, 2 * S));
	assert_true(p.on);
	assert_false(sl_health_panic_update(&p, &conf, 10, 10, 11 * S)); /* too early */
	assert_false(sl_health_panic_update(&p, &conf, 5, 10, 13 * S));	 /* too few */
	assert_true(sl_health_panic_update(&p, &conf, 6, 10, 13 * S));
	assert_false(p.on);
	assert_true(sl_health_panic_update(&p, &conf, 0, 10, 14 * S));
	conf.panic = 0; /* set live */
	assert_true(sl_health_panic_update(&p, &conf, 0, 10, 14 * S));
	assert_false(p.on);
}

static void test_lateness(void **state)
{
	struct sl_lateness l = { .every_ns = 10 * MS, .slack_ns = 20 * MS };

	(void)state;
	sl_lateness_tick(&l, 100 * MS);
	sl_lateness_tick(&l, 110 * MS);
	sl_lateness_tick(&l, 139 * MS); /* within the slack */
	assert_int_equal(l.total_ns, 0);
	assert_int_equal(sl_lateness_at(&l, 160 * MS), 0);
	assert_int_equal(sl_lateness_at(&l, 30139 * MS), 29990 * MS); /* stopped for 30 s */
	sl_lateness_tick(&l, 30139 * MS);
	assert_int_equal(sl_lateness_at(&l, 30140 * MS), 29990 * MS);

	/* A timeout of 1 s that is noticed after 30 s of which 29.9 were slept has 0.9 s left. */
	assert_int_equal(sl_health_time_left(1 * S, 30 * S, 29900 * MS), 900 * MS);
	assert_int_equal(sl_health_time_left(1 * S, 1 * S, 0), 0);
	assert_int_equal(sl_health_time_left(1 * S, 1 * S, 300 * MS), 300 * MS);
	assert_int_equal(sl_health_time_left(1 * S, 2 * S, 5 * S), 1 * S);
	assert_false(sl_health_is_void(1 * S, 499 * MS));
	assert_true(sl_health_is_void(1 * S, 500 * MS));
}

static const struct {
	const char *method, *body, *answer;
	bool end;
	enum sl_probe_result result;
	const char *cause;
} answers[] = {
	{ "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, SL_PROBE_PASSED, "" },
	{ "GET", "ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, SL_PROBE_PASSED,
	  "" },
	{ "GET", "", "HTTP/1.0 200\n\nok", true, SL_PROBE_PASSED, "" },
	{ "GET", "", "HTTP/1.1 200 OK\r\n\r\nok", false, SL_PROBE_RUNS, "" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", false, SL_PROBE_RUNS, "" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", true, SL_PROBE_FAILED,
	  "closed after 2 of 9 bytes of the body" },
	{ "HEAD", "", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false, SL_PROBE_PASSED, "" },
	{ "GET", "", "HTTP/1.1 204 No\r\n\r\n", false, SL_PROBE_PASSED, "" },
	{ "GET", "nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, SL_PROBE_FAILED,
	  "the body doesn't contain \"nok\"" },
	{ "GET", "okay",
	  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2;x\r\nay\r\n0\r\n\r\n",
	  false, SL_PROBE_PASSED, "" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false,
	  SL_PROBE_RUNS, "" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true,
	  SL_PROBE_FAILED, "closed within the body" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false,
	  SL_PROBE_FAILED, "the chunks of the body are broken" },
	{ "GET", "", "HTTP/1.1 503 No\r\n\r\n", false, SL_PROBE_FAILED, "HTTP 503" },
	{ "GET", "", "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false,
	  SL_PROBE_PASSED, "" },
	{ "GET", "", "HTTP/1.1 100 Go\r\n\r\n", true, SL_PROBE_FAILED,
	  "closed after an interim answer" },
	{ "GET", "", "HTT", false, SL_PROBE_RUNS, "" },
	{ "GET", "", "HTT", true, SL_PROBE_FAILED, "closed within the status line" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nServer: x\r\n", true, SL_PROBE_FAILED,
	  "closed within the header" },
	{ "GET", "", "", true, SL_PROBE_FAILED, "closed without an answer" },
	{ "GET", "", "220 ftp.example.org\r\n", false, SL_PROBE_FAILED,
	  "it doesn't answer with HTTP/1" },
	{ "GET", "", "HTTP/2 200\r\n\r\n", false, SL_PROBE_FAILED,
	  "it doesn't answer with HTTP/1" },
	{ "GET", "", "HTTP/1.1 banana\r\n\r\n", false, SL_PROBE_FAILED,
	  "the status line is broken" },
	{ "GET", "", "HTTP/1.1 20\r\n\r\n", false, SL_PROBE_FAILED, "the status line is broken" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nno field\r\n\r\n", false, SL_PROBE_FAILED,
	  "a header field is broken" },
	{ "GET", "", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", false, SL_PROBE_FAILED,
	  "its Content-Length is broken" },
	{ "GET", "", "\x15\x03\x01\x00\x02\x02\x16", true, SL_PROBE_FAILED, "it answers with TLS" },
};

static struct sl_probe probe_of(struct sl_health_conf *conf, const char *method, const char *body)
{
	conf->kind = SL_HEALTH_HTTP;
	conf->status[conf->n_statuses++] = (struct sl_health_range){ 200, 399 };
	snprintf(conf->method, sizeof(conf->method), "%s", method);
	snprintf(conf->path, sizeof(conf->path), "/healthz");
	snprintf(conf->body, sizeof(conf->body), "%s", body);
	return (struct sl_probe){ .conf = conf, .port = 8080 };
}

static void test_http(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct sl_health_conf conf = { 0 };
		struct sl_probe p = probe_of(&conf, answers[i].method, answers[i].body);
		size_t n = strlen(answers[i].answer);
		/* Its own memory, so that a sanitizer sees what reads beyond. */
		uint8_t *copy = calloc(1, n + 1);
		enum sl_probe_result result;

		memcpy(copy, answers[i].answer, n);
		result = sl_http_judge(&p, copy, n, answers[i].end);
		free(copy);
		if (result != answers[i].result || strcmp(p.cause, answers[i].cause) != 0)
			fail_msg("%s: %d \"%s\", not %d \"%s\"", answers[i].answer, result, p.cause,
				 answers[i].result, answers[i].cause);
	}
}

/* Every beginning of an answer is one that more is needed for. */
static void test_http_by_bytes(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"
				     "4\r\nokay\r\n0\r\n";
	struct sl_health_conf conf = { 0 };
	struct sl_probe p = probe_of(&conf, "GET", "okay");

	(void)state;
	for (size_t n = 0; n < sizeof(answer); n++) {
		uint8_t *copy = calloc(1, n + 1);

		memcpy(copy, answer, n);
		assert_int_equal(sl_http_judge(&p, copy, n, false),
				 n < sizeof(answer) - 1 ? SL_PROBE_RUNS : SL_PROBE_PASSED);
		free(copy);
	}
}

/* What is too long is judged by its beginning. */
static void test_http_long(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n";
	struct sl_health_conf conf = { 0 };
	struct sl_probe p = probe_of(&conf, "GET", "");
	uint8_t *answer = calloc(1, SL_PROBE_ANSWER + 1);

	(void)state;
	memset(answer, 'x', SL_PROBE_ANSWER);
	memcpy(answer, head, sizeof(head) - 1);
	assert_int_equal(sl_http_judge(&p, answer, SL_PROBE_ANSWER - 1, false), SL_PROBE_RUNS);
	assert_int_equal(sl_http_judge(&p, answer, SL_PROBE_ANSWER, false), SL_PROBE_PASSED);
	strcpy(conf.body, "ok");
	assert_int_equal(sl_http_judge(&p, answer, SL_PROBE_ANSWER, false), SL_PROBE_FAILED);
	assert_string_equal(p.cause, "the body doesn't contain \"ok\" within the first 8 KB");
	memset(answer, 'x', SL_PROBE_ANSWER);
	memcpy(answer, "HTTP/1.1 200 OK\r\nX: ", 20);
	assert_int_equal(sl_http_judge(&p, answer, SL_PROBE_ANSWER, false), SL_PROBE_FAILED);
	assert_string_equal(p.cause, "the header is longer than 8 KB");
	free(answer);
}

static void test_request(void **state)
{
	struct sl_health_conf conf = { 0 };
	struct sl_probe p = probe_of(&conf, "GET", "");
	char text[SL_HTTP_REQUEST];
	char error[SL_ERROR_MAX];
	size_t n;

	(void)state;
	assert_int_equal(sl_config_parse_addr("2001:db8::1", &p.addr, error), 0);
	n = sl_http_request(&p, text);
	assert_int_equal(n, strlen(text));
	assert_string_equal(text, "GET /healthz HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"
				  "User-Agent: sluice-health\r\nAccept: */*\r\n"
				  "Connection: close\r\n\r\n");
}

static void test_dns(void **state)
{
	struct sl_health_conf conf = { .kind = SL_HEALTH_DNS,
				       .query = "a.example.",
				       .query_type = 28 };
	struct sl_probe p = { .conf = &conf, .id = 0x1234 };
	uint8_t query[SL_DNS_QUERY];
	size_t n = sl_dns_query(&conf, p.id, query);
	static const uint8_t wanted[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
					"\x01"
					"a\x07"
					"example\x00\x00\x1c\x00\x01";

	(void)state;
	assert_int_equal(n, sizeof(wanted) - 1);
	assert_memory_equal(query, wanted, n);
	assert_int_equal(sl_dns_judge(&p, query, n), SL_PROBE_FAILED); /* an echo */
	query[2] |= 0x80;
	assert_int_equal(sl_dns_judge(&p, query, n), SL_PROBE_PASSED);
	query[3] = 2;
	assert_int_equal(sl_dns_judge(&p, query, n), SL_PROBE_FAILED);
	assert_string_equal(p.cause, "DNS SERVFAIL");
	conf.rcode = 2;
	assert_int_equal(sl_dns_judge(&p, query, n), SL_PROBE_PASSED);
	query[0] ^= 1; /* to another query */
	assert_int_equal(sl_dns_judge(&p, query, n), SL_PROBE_RUNS);
	assert_int_equal(sl_dns_judge(&p, query, 11), SL_PROBE_FAILED);
	conf.query[0] = '.';
	conf.query[1] = '\0';
	assert_int_equal(sl_dns_query(&conf, p.id, query), 17); /* the root */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walks),	      cmocka_unit_test(test_since),
		cmocka_unit_test(test_share),	      cmocka_unit_test(test_panic),
		cmocka_unit_test(test_lateness),      cmocka_unit_test(test_http),
		cmocka_unit_test(test_http_by_bytes), cmocka_unit_test(test_http_long),
		cmocka_unit_test(test_request),	      cmocka_unit_test(test_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
