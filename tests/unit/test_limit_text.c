/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits as people write them: tables of a text and what is understood, of a limit and what is
 * wrong with it. Values are written out, in the units of struct sl_config_limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "../../config/config.h"
#include "../../dataplane/abi/limit.h"

#define BITS SL_UNIT_BYTES
#define PPS  SL_UNIT_PACKETS
#define CPS  SL_UNIT_CONNECTIONS
#define NOT_RATE                                                                                   \
	" is not a rate; write bits (\"10Mbit\"), packets (\"10kpps\") or new connections "        \
	"(\"100cps\") a second"
#define NOT_BYTES   " is not a burst; write bytes (\"64kb\") or a time (\"20ms\")"
#define NOT_PACKETS " is not a burst; write packets (\"100\") or a time (\"20ms\")"

static void test_rates(void **state)
{
	static const struct {
		const char *text;
		uint8_t unit;
		uint64_t rate;
		const char *shown; /* or the error, when rate is 0 */
	} cases[] = {
		{ "1kbit", BITS, 1000, "1 kbit/s" },
		{ "100kbit", BITS, 100000, "100 kbit/s" },
		{ "2Mbit", BITS, 2000000, "2 Mbit/s" },
		{ "2mbit", BITS, 2000000, "2 Mbit/s" },
		{ "2 MBIT", BITS, 2000000, "2 Mbit/s" },
		{ "2 Mbit/s", BITS, 2000000, "2 Mbit/s" },
		{ "1Gbit", BITS, 1000000000, "1 Gbit/s" },
		{ "1.5Gbit", BITS, 1500000000, "1.5 Gbit/s" },
		{ "1500Mbit", BITS, 1500000000, "1.5 Gbit/s" },
		{ "400Gbit", BITS, 400000000000, "400 Gbit/s" },
		{ "1000000bit", BITS, 1000000, "1 Mbit/s" },
		{ "1234567bit", BITS, 1234567, "1.234567 Mbit/s" },
		{ "1.000000001Gbit", BITS, 1000000001, "1.000000001 Gbit/s" },
		{ "0.05Gbit", BITS, 50000000, "50 Mbit/s" },
		{ "1pps", PPS, 1, "1 pps" },
		{ "500pps", PPS, 500, "500 pps" },
		{ "10kpps", PPS, 10000, "10 kpps" },
		{ "1.5Mpps", PPS, 1500000, "1.5 Mpps" },
		{ "1000000000pps", PPS, 1000000000, "1 Gpps" },
		{ "100cps", CPS, 100, "100 connections/s" },
		{ "100/s", CPS, 100, "100 connections/s" },
		{ "100 connections/s", CPS, 100, "100 connections/s" },
		{ "2kcps", CPS, 2000, "2000 connections/s" },
		{ "", 0, 0, "\"\"" NOT_RATE },
		{ "10", 0, 0, "\"10\"" NOT_RATE },
		{ "10M", 0, 0, "\"10M\"" NOT_RATE },
		{ "10Mbps", 0, 0, "\"10Mbps\"" NOT_RATE },
		{ "-10Mbit", 0, 0, "\"-10Mbit\"" NOT_RATE },
		{ " 10Mbit", 0, 0, "\" 10Mbit\"" NOT_RATE },
		{ "10  Mbit", 0, 0, "\"10  Mbit\"" NOT_RATE },
		{ "10Mbit ", 0, 0, "\"10Mbit \"" NOT_RATE },
		{ "1.Mbit", 0, 0, "\"1.Mbit\"" NOT_RATE },
		{ ".5Mbit", 0, 0, "\".5Mbit\"" NOT_RATE },
		{ "1,5Mbit", 0, 0, "\"1,5Mbit\"" NOT_RATE },
		{ "0x10Mbit", 0, 0, "\"0x10Mbit\"" NOT_RATE },
		{ "1.0000000001Gbit", 0, 0, "\"1.0000000001Gbit\"" NOT_RATE },
		{ "99999999999999999999bit", 0, 0, "\"99999999999999999999bit\"" NOT_RATE },
		{ "1.5pps", 0, 0,
		  "\"1.5pps\" is no whole number a second; give one, or a smaller one" },
		{ "99999999999Gbit", 0, 0,
		  "\"99999999999Gbit\" is no whole number a second; give one, or a smaller one" },
		{ "999bit", 0, 0, "a rate of 999bit is out of range; give 1 kbit/s to 400 Gbit/s" },
		{ "401Gbit", 0, 0,
		  "a rate of 401Gbit is out of range; give 1 kbit/s to 400 Gbit/s" },
		{ "0pps", 0, 0, "a rate of 0pps is out of range; give 1 pps to 1 Gpps" },
		{ "2Gpps", 0, 0, "a rate of 2Gpps is out of range; give 1 pps to 1 Gpps" },
		{ "0cps", 0, 0,
		  "a rate of 0cps is out of range; give 1 to 1000000000 connections/s" },
	};
	char error[SL_ERROR_MAX], text[SL_LIMIT_TEXT];
	uint64_t rate;
	uint8_t unit;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error[0] = '\0';
		unit = SL_UNITS;
		assert_int_equal(sl_config_parse_rate(cases[i].text, &unit, &rate, error),
				 cases[i].rate ? 0 : -EINVAL);
		if (!cases[i].rate) {
			assert_string_equal(error, cases[i].shown);
			continue;
		}
		assert_string_equal(error, "");
		assert_int_equal(unit, cases[i].unit);
		assert_int_equal(rate, cases[i].rate);
		assert_string_equal(sl_limit_rate_text(unit, rate, text), cases[i].shown);
		/* What was understood can be given back. */
		assert_int_equal(sl_config_parse_rate(text, &unit, &rate, error), 0);
		assert_int_equal(rate, cases[i].rate);
	}
	assert_string_equal(sl_limit_rate_text(BITS, 0, text), "none");
}

static void test_bursts(void **state)
{
	static const struct {
		const char *text;
		uint8_t unit;
		uint64_t rate, burst;
		const char *shown; /* or the error, when burst is 0 */
	} cases[] = {
		{ "64kb", BITS, 2000000, 65536, "64 KiB (262 ms)" },
		{ "64K", BITS, 2000000, 65536, "64 KiB (262 ms)" },
		{ "64 KiB", BITS, 2000000, 65536, "64 KiB (262 ms)" },
		{ "2mb", BITS, 1000000000, 2097152, "2 MiB (16.8 ms)" },
		{ "2m", BITS, 1000000000, 2097152, "2 MiB (16.8 ms)" },
		{ "1.5mb", BITS, 1000000000, 1572864, "1536 KiB (12.6 ms)" },
		{ "1GB", BITS, 100000000000, 1073741824, "1 GiB (85.9 ms)" },
		{ "15000", BITS, 10000000, 15000, "15000 bytes (12.0 ms)" },
		{ "15000b", BITS, 10000000, 15000, "15000 bytes (12.0 ms)" },
		{ "2048", BITS, 400000000000, 2048, "2 KiB (41 ns)" },
		{ "187500", BITS, 1000, 187500, "187500 bytes (1500 s)" },
		{ "20ms", BITS, 10000000, 25000, "25000 bytes (20.0 ms)" },
		{ "2s", BITS, 1000000, 250000, "250000 bytes (2.00 s)" },
		{ "0.5s", BITS, 1000000, 62500, "62500 bytes (500 ms)" },
		{ "500us", BITS, 40000000000, 2500000, "2500000 bytes (500 us)" },
		{ "1500s", BITS, 400000000000, 75000000000000, "73242187500 KiB (1500 s)" },
		{ "100", PPS, 10000, 100, "100 packets (10.0 ms)" },
		{ "100p", PPS, 10000, 100, "100 packets (10.0 ms)" },
		{ "1", PPS, 1000000000, 1, "1 packet (1 ns)" },
		{ "20ms", PPS, 10000, 200, "200 packets (20.0 ms)" },
		{ "20", CPS, 100, 20, "20 connections (200 ms)" },
		{ "20 connections", CPS, 100, 20, "20 connections (200 ms)" },
		{ "2s", CPS, 100, 200, "200 connections (2.00 s)" },
		{ "1", CPS, 1, 1, "1 connection (1.00 s)" },
		{ "", BITS, 1000000, 0, "\"\"" NOT_BYTES },
		{ "64kbit", BITS, 1000000, 0, "\"64kbit\"" NOT_BYTES },
		{ "100p", BITS, 1000000, 0, "\"100p\"" NOT_BYTES },
		{ "2min", BITS, 1000000, 0, "\"2min\"" NOT_BYTES },
		{ "64kb", PPS, 1000, 0, "\"64kb\"" NOT_PACKETS },
		{ "64kb", CPS, 1000, 0,
		  "\"64kb\" is not a burst; write connections (\"100\") or a time (\"20ms\")" },
		{ "1.5", PPS, 1000, 0, "\"1.5\" is no whole number; give one, or a smaller one" },
		{ "0", BITS, 1000000, 0, "a burst of 0 bytes is too small; give at least 2048" },
		{ "2047", BITS, 1000000, 0,
		  "a burst of 2047 bytes is too small; give at least 2048" },
		{ "1ms", BITS, 1000000, 0,
		  "a burst of 125 bytes is too small; give at least "
		  "2048" },
		{ "1ms", PPS, 999, 0, "a burst of 0 packets is too small; give at least 1" },
		{ "0", CPS, 1, 0, "a burst of 0 connections is too small; give at least 1" },
		{ "187501", BITS, 1000, 0,
		  "a burst of 187501 bytes takes over 25 minutes at 1 kbit/s; give at most "
		  "187500" },
		{ "1501s", PPS, 10, 0,
		  "a burst of 15010 packets takes over 25 minutes at 10 pps; give at most 15000" },
		{ "18446744073s", BITS, 400000000000, 0,
		  "a burst of 18446744073709551615 bytes takes over 25 minutes at 400 Gbit/s; give "
		  "at most 75000000000000" },
	};
	struct sl_config_limit l = { .scope = SL_SCOPE_SERVICE };
	char error[SL_ERROR_MAX], text[SL_LIMIT_TEXT];
	size_t i, n = sizeof(cases) / sizeof(cases[0]);

	(void)state;
	for (i = 0; i < n; i++) {
		error[0] = '\0';
		l.unit = cases[i].unit;
		l.rate = cases[i].rate;
		assert_int_equal(
			sl_config_parse_burst(cases[i].text, l.unit, l.rate, &l.burst, error),
			cases[i].burst ? 0 : -EINVAL);
		if (!cases[i].burst) {
			assert_string_equal(error, cases[i].shown);
			continue;
		}
		assert_string_equal(error, "");
		assert_int_equal(l.burst, cases[i].burst);
		assert_string_equal(sl_limit_burst_text(&l, text), cases[i].shown);
		*strstr(text, " (") = '\0';
		assert_int_equal(sl_config_parse_burst(text, l.unit, l.rate, &l.burst, error), 0);
		assert_int_equal(l.burst, cases[i].burst);
	}
}

static void test_default_bursts(void **state)
{
	static const struct {
		uint8_t unit;
		uint64_t rate, burst;
		const char *shown;
	} cases[] = {
		{ BITS, 1000, 65536, "64 KiB (524 s)" },
		{ BITS, 2000000, 65536, "64 KiB (262 ms)" },
		{ BITS, 2097152, 65536, "64 KiB (250 ms)" },
		{ BITS, 100000000, 3125000, "3125000 bytes (250 ms)" },
		{ BITS, 400000000000, 12500000000, "12500000000 bytes (250 ms)" },
		{ PPS, 1, 64, "64 packets (64.0 s)" },
		{ PPS, 10000, 2500, "2500 packets (250 ms)" },
		{ CPS, 1, 8, "8 connections (8.00 s)" },
		{ CPS, 1000, 100, "100 connections (100 ms)" },
		{ BITS, 0, 65536, "none" },
	};
	char text[SL_LIMIT_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sl_config_limit l = { .unit = cases[i].unit, .rate = cases[i].rate };

		assert_int_equal(sl_limit_burst(&l), cases[i].burst);
		assert_string_equal(sl_limit_burst_text(&l, text), cases[i].shown);
	}
}

static void test_checks(void **state)
{
	static const struct {
		struct sl_config_limit l;
		bool udp_flowless;
		const char *error;
	} cases[] = {
		{ { SL_SCOPE_FLOW, BITS, 1, SL_ACTION_DROP, .rate = 1000000 }, false, NULL },
		{ { SL_SCOPE_FLOW, PPS, 3, SL_ACTION_MARK, .rate = 1000 }, false, NULL },
		{ { SL_SCOPE_CLIENT, CPS, 1, SL_ACTION_OBSERVE, 24, 56, .rate = 10 }, false, NULL },
		{ { SL_SCOPE_BACKEND, BITS, 2, SL_ACTION_DROP, .rate = 1000 }, true, NULL },
		{ { SL_SCOPE_SERVICE, PPS, 1, SL_ACTION_DROP, .rate = 1000, .burst = 1 },
		  true,
		  NULL },
		{ { SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_DROP, 32, 128, .rate = 0 }, false, NULL },
		{ { SL_SCOPE_FLOW, BITS, 3, SL_ACTION_DROP, .rate = 0 }, false, NULL },
		{ { SL_SCOPES, BITS, 3, SL_ACTION_DROP, .rate = 1000 },
		  false,
		  "has a scope, unit, direction or action that isn't known; give others" },
		{ { SL_SCOPE_SERVICE, BITS, 0, SL_ACTION_DROP, .rate = 1000 },
		  false,
		  "has a scope, unit, direction or action that isn't known; give others" },
		{ { SL_SCOPE_FLOW, CPS, 1, SL_ACTION_DROP, .rate = 10 },
		  false,
		  "a flow is one connection: a rate of connections can't be per \"flow\"; give "
		  "\"client\", \"backend\" or \"service\"" },
		{ { SL_SCOPE_SERVICE, CPS, 3, SL_ACTION_DROP, .rate = 10 },
		  false,
		  "connections are counted as they come from clients; give the direction \"to\" or "
		  "leave it out" },
		{ { SL_SCOPE_SERVICE, CPS, 1, SL_ACTION_MARK, .rate = 10 },
		  false,
		  "a new connection can't be marked; give the action \"drop\" or \"observe\"" },
		{ { SL_SCOPE_FLOW, BITS, 3, SL_ACTION_DROP, .rate = 1000 },
		  true,
		  "the service has flows = \"none\"; give \"client\", \"backend\" or \"service\" "
		  "instead of per \"flow\"" },
		{ { SL_SCOPE_SERVICE, CPS, 1, SL_ACTION_DROP, .rate = 10 },
		  true,
		  "the service has flows = \"none\", so that no packet is a flow's first; limit "
		  "packets instead, such as \"10kpps\"" },
		{ { SL_SCOPE_SERVICE, BITS, 3, SL_ACTION_DROP, 24, .rate = 1000 },
		  false,
		  "prefix lengths are for limits per \"client\" alone; leave them out" },
		{ { SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_DROP, 0, 128, .rate = 1000 },
		  false,
		  "the prefix length of IPv4 clients is out of range; give 1 to 32" },
		{ { SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_DROP, 32, 129, .rate = 1000 },
		  false,
		  "the prefix length of IPv6 clients is out of range; give 1 to 128" },
		{ { SL_SCOPE_SERVICE, BITS, 3, SL_ACTION_DROP, .rate = 0 },
		  false,
		  "has no rate; give one, such as \"10Mbit\"" },
		{ { SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_DROP, 32, 128, .burst = 65536 },
		  false,
		  "has no rate; give one, such as \"10Mbit\"" },
		{ { SL_SCOPE_SERVICE, BITS, 3, SL_ACTION_DROP, .rate = 999 },
		  false,
		  "a rate of 999 bit/s is out of range; give 1 kbit/s to 400 Gbit/s" },
		{ { SL_SCOPE_SERVICE, BITS, 3, SL_ACTION_DROP, .rate = 1000, .burst = 200000 },
		  false,
		  "a burst of 200000 bytes takes over 25 minutes at 1 kbit/s; give at most "
		  "187500" },
		{ { SL_SCOPE_SERVICE, BITS, 3, SL_ACTION_DROP, .rate = 1000, .burst = 1500 },
		  false,
		  "a burst of 1500 bytes is too small; give at least 2048" },
	};
	char error[SL_ERROR_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error[0] = '\0';
		assert_int_equal(sl_config_check_limit(&cases[i].l, cases[i].udp_flowless, error),
				 cases[i].error ? -EINVAL : 0);
		assert_string_equal(error, cases[i].error ? cases[i].error : "");
	}
}

/* A limit as its key fields alone give it, and which of two are the same. */
static void test_identity(void **state)
{
	static const struct sl_config_limit given[] = {
		{ SL_SCOPE_FLOW, BITS, 0, .rate = 1 },
		{ SL_SCOPE_FLOW, BITS, 1, .rate = 1 },
		{ SL_SCOPE_CLIENT, BITS, 0, .rate = 1 },
		{ SL_SCOPE_CLIENT, BITS, 0, .prefix4 = 24, .rate = 1 },
		{ SL_SCOPE_CLIENT, BITS, 0, .prefix6 = 56, .rate = 1 },
		{ SL_SCOPE_CLIENT, CPS, 0, .rate = 1 },
		{ SL_SCOPE_SERVICE, PPS, 0, .rate = 1 },
	};
	static const struct sl_config_limit full[] = {
		{ SL_SCOPE_FLOW, BITS, 3, SL_ACTION_MARK, .rate = 2, .burst = 3 },
		{ SL_SCOPE_FLOW, BITS, 1, SL_ACTION_MARK, .rate = 2, .burst = 3 },
		{ SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_MARK, 32, 128, .rate = 0 },
		{ SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_MARK, 24, 128, .rate = 0 },
		{ SL_SCOPE_CLIENT, BITS, 3, SL_ACTION_MARK, 32, 56, .rate = 0 },
		{ SL_SCOPE_CLIENT, CPS, 1, SL_ACTION_MARK, 32, 128, .rate = 0 },
		{ SL_SCOPE_SERVICE, PPS, 3, SL_ACTION_MARK, .rate = 0 },
	};
	struct sl_config_limit l;
	size_t i, j, n = sizeof(given) / sizeof(given[0]);

	(void)state;
	for (i = 0; i < n; i++) {
		l = given[i];
		sl_limit_default(&l);
		for (j = 0; j < n; j++)
			assert_int_equal(sl_limit_same(&l, &full[j]), i == j);
	}
}

static void test_words(void **state)
{
	static const struct {
		const struct sl_word *words;
		const char *text;
		uint32_t value;
	} cases[] = {
		{ sl_limit_scopes, "flow", SL_SCOPE_FLOW },
		{ sl_limit_scopes, "client", SL_SCOPE_CLIENT },
		{ sl_limit_scopes, "backend", SL_SCOPE_BACKEND },
		{ sl_limit_scopes, "service", SL_SCOPE_SERVICE },
		{ sl_limit_units, "bits", SL_UNIT_BYTES },
		{ sl_limit_units, "packets", SL_UNIT_PACKETS },
		{ sl_limit_units, "connections", SL_UNIT_CONNECTIONS },
		{ sl_limit_directions, "to", SL_TO_BACKEND },
		{ sl_limit_directions, "from", SL_FROM_BACKEND },
		{ sl_limit_directions, "both", SL_TO_BACKEND | SL_FROM_BACKEND },
		{ sl_limit_actions, "drop", SL_ACTION_DROP },
		{ sl_limit_actions, "mark", SL_ACTION_MARK },
		{ sl_limit_actions, "observe", SL_ACTION_OBSERVE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(sl_word_find(cases[i].words, cases[i].text)->value,
				 cases[i].value);
		assert_string_equal(sl_word_text(cases[i].words, cases[i].value), cases[i].text);
	}
	assert_null(sl_word_find(sl_limit_actions, "Drop"));
	assert_null(sl_word_text(sl_limit_directions, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),	       cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_default_bursts), cmocka_unit_test(test_checks),
		cmocka_unit_test(test_identity),       cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("limit_text", tests, NULL, NULL);
}
