/* SPDX-License-Identifier: BSD-2-Clause */
/* Rates and bursts as people write them, in both directions.
 *
 * These are pure functions of a text, for the file and for commands. Numbers are exact: a fraction
 * is accepted only if it gives a whole number of what is counted, and what is written names exactly
 * the value that was read.
 *
 * A burst has a longest time, because a bucket is stored as the time at which it will be full
 * again, and engines compare times only within SL_TIME_AHEAD, an hour. Twice the depth
 * (SL_ACTION_MARK) and 64 KiB at the slowest rate, 1 kbit/s, must fit into that: 2 * 1500 s + 524
 * s.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../dataplane/abi/limit.h"
#include "parse.h"

#define RATE_BITS_MIN	1000ull
#define RATE_BITS_MAX	400000000000ull
#define RATE_MAX	1000000000ull /* packets, connections */
#define BURST_BYTES_MIN 2048	      /* a full frame and a little more */
#define BURST_SECONDS	1500	      /* how long a burst may take at its rate */
#define DEFAULT_BYTES	65536	      /* the most that segmentation offload sends at once */
#define DEFAULT_PACKETS 64
#define DEFAULT_NEW	8
#define DEFAULT_PART	4 /* of a second: longer than the shortest timeout of TCP, 200 ms */
#define FRACTION	1000000000ull /* a number has 9 decimals; also nanoseconds per second */

struct unit {
	const char *text; /* NULL in the last of a table */
	uint64_t factor;
	uint8_t unit; /* of rates: enum sl_limit_unit */
};

static const struct unit rates[] = {
	{ "bit", 1, SL_UNIT_BYTES },
	{ "kbit", 1000, SL_UNIT_BYTES },
	{ "Mbit", 1000000, SL_UNIT_BYTES },
	{ "Gbit", 1000000000, SL_UNIT_BYTES },
	{ "bit/s", 1, SL_UNIT_BYTES },
	{ "kbit/s", 1000, SL_UNIT_BYTES },
	{ "Mbit/s", 1000000, SL_UNIT_BYTES },
	{ "Gbit/s", 1000000000, SL_UNIT_BYTES },
	{ "pps", 1, SL_UNIT_PACKETS },
	{ "kpps", 1000, SL_UNIT_PACKETS },
	{ "Mpps", 1000000, SL_UNIT_PACKETS },
	{ "Gpps", 1000000000, SL_UNIT_PACKETS },
	{ "cps", 1, SL_UNIT_CONNECTIONS },
	{ "kcps", 1000, SL_UNIT_CONNECTIONS },
	{ "Mcps", 1000000, SL_UNIT_CONNECTIONS },
	{ "Gcps", 1000000000, SL_UNIT_CONNECTIONS },
	{ "/s", 1, SL_UNIT_CONNECTIONS },
	{ "connections/s", 1, SL_UNIT_CONNECTIONS },
	{ NULL, 0, 0 },
};

#define KIB 1024ull
static const struct unit bytes[] = {
	{ "", 1, 0 },
	{ "b", 1, 0 },
	{ "bytes", 1, 0 },
	{ "k", KIB, 0 },
	{ "kb", KIB, 0 },
	{ "KiB", KIB, 0 },
	{ "m", KIB *KIB, 0 },
	{ "mb", KIB *KIB, 0 },
	{ "MiB", KIB *KIB, 0 },
	{ "g", KIB *KIB *KIB, 0 },
	{ "gb", KIB *KIB *KIB, 0 },
	{ "GiB", KIB *KIB *KIB, 0 },
	{ NULL, 0, 0 },
};
static const struct unit counts[] = {
	{ "", 1, 0 },		{ "p", 1, 0 },		 { "packet", 1, 0 }, { "packets", 1, 0 },
	{ "connection", 1, 0 }, { "connections", 1, 0 }, { NULL, 0, 0 },
};
static const struct unit times[] = {
	/* in nanoseconds */
	{ "us", 1000, 0 },
	{ "ms", 1000000, 0 },
	{ "s", 1000000000, 0 },
	{ NULL, 0, 0 },
};

struct number {
	uint64_t whole;
	uint64_t fraction; /* in units of 1 / FRACTION */
	const char *rest;
};

/* Reads digits, perhaps a point and decimals, and a blank before the unit. */
static int read_number(const char *text, struct number *number)
{
	uint64_t place = FRACTION;
	char *rest;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*number = (struct number){ .whole = strtoull(text, &rest, 10) };
	if (errno)
		return -EINVAL;
	if (*rest == '.' && !isdigit((unsigned char)*++rest))
		return -EINVAL;
	for (; isdigit((unsigned char)*rest); rest++) {
		place /= 10;
		if (!place && *rest != '0')
			return -EINVAL;
		number->fraction += place * (uint64_t)(*rest - '0');
	}
	number->rest = *rest == ' ' ? rest + 1 : rest;
	return 0;
}

static const struct unit *find_unit(const struct unit *unit, const char *text)
{
	for (; unit->text; unit++)
		if (!strcasecmp(unit->text, text))
			return unit;
	return NULL;
}

/* number * factor. False: it isn't a whole number, or too large. */
static bool scale(const struct number *number, uint64_t factor, uint64_t *value)
{
	uint64_t part = number->fraction * factor;

	if (part % FRACTION || __builtin_mul_overflow(number->whole, factor, value))
		return false;
	return !__builtin_add_overflow(*value, part / FRACTION, value);
}

int sl_rate_check(uint8_t unit, uint64_t rate, const char *text, char error[SL_ERROR_MAX])
{
	static const char *const ranges[SL_UNITS] = {
		[SL_UNIT_BYTES] = "1 kbit/s to 400 Gbit/s",
		[SL_UNIT_PACKETS] = "1 pps to 1 Gpps",
		[SL_UNIT_CONNECTIONS] = "1 to 1000000000 connections/s",
	};
	bool bits = unit == SL_UNIT_BYTES;

	if (rate >= (bits ? RATE_BITS_MIN : 1) && rate <= (bits ? RATE_BITS_MAX : RATE_MAX))
		return 0;
	snprintf(error, SL_ERROR_MAX, "a rate of %.64s is out of range; give %s", text,
		 ranges[unit]);
	return -EINVAL;
}

int sl_config_parse_rate(const char *text, uint8_t *unit, uint64_t *rate, char error[SL_ERROR_MAX])
{
	const struct unit *found = NULL;
	struct number number;
	uint64_t value;

	if (!read_number(text, &number))
		found = find_unit(rates, number.rest);
	if (!found) {
		snprintf(
			error, SL_ERROR_MAX,
			"\"%.64s\" is not a rate; write bits (\"10Mbit\"), packets (\"10kpps\") or "
			"new connections (\"100cps\") a second",
			text);
		return -EINVAL;
	}
	if (!scale(&number, found->factor, &value)) {
		snprintf(error, SL_ERROR_MAX,
			 "\"%.64s\" is no whole number a second; give one, or a smaller one", text);
		return -EINVAL;
	}
	if (sl_rate_check(found->unit, value, text, error))
		return -EINVAL;
	*unit = found->unit;
	*rate = value;
	return 0;
}

/* How many bytes, packets or connections pass in that time. */
static uint64_t in_time(uint8_t unit, uint64_t rate, uint64_t ns)
{
	unsigned __int128 n = (unsigned __int128)rate * ns / FRACTION;

	if (unit == SL_UNIT_BYTES)
		n /= 8;
	return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

static uint64_t burst_ns(uint8_t unit, uint64_t rate, uint64_t burst)
{
	unsigned __int128 ns = (unsigned __int128)burst * FRACTION;

	if (unit == SL_UNIT_BYTES)
		ns *= 8;
	ns = (ns + rate / 2) / rate;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static const char *what(uint8_t unit, uint64_t n)
{
	static const char *const one[SL_UNITS] = { "byte", "packet", "connection" };
	static const char *const many[SL_UNITS] = { "bytes", "packets", "connections" };

	return (n == 1 ? one : many)[unit];
}

int sl_burst_check(uint8_t unit, uint64_t rate, uint64_t burst, char error[SL_ERROR_MAX])
{
	uint64_t least = unit == SL_UNIT_BYTES ? BURST_BYTES_MIN : 1;
	uint64_t most = in_time(unit, rate, BURST_SECONDS * FRACTION);
	char text[SL_LIMIT_TEXT];

	if (burst >= least && burst <= most)
		return 0;
	if (burst < least)
		snprintf(error, SL_ERROR_MAX, "a burst of %llu %s is too small; give at least %llu",
			 (unsigned long long)burst, what(unit, burst), (unsigned long long)least);
	else
		snprintf(error, SL_ERROR_MAX,
			 "a burst of %llu %s takes over 25 minutes at %s; give at most %llu",
			 (unsigned long long)burst, what(unit, burst),
			 sl_limit_rate_text(unit, rate, text), (unsigned long long)most);
	return -EINVAL;
}

int sl_config_parse_burst(const char *text, uint8_t unit, uint64_t rate, uint64_t *burst,
			  char error[SL_ERROR_MAX])
{
	const struct unit *found = NULL, *time = NULL;
	struct number number;
	uint64_t value;

	if (!read_number(text, &number)) {
		time = find_unit(times, number.rest);
		found = time ? time
			     : find_unit(unit == SL_UNIT_BYTES ? bytes : counts, number.rest);
	}
	if (!found) {
		snprintf(error, SL_ERROR_MAX,
			 "\"%.64s\" is not a burst; write %s or a time "
			 "(\"20ms\")",
			 text,
			 unit == SL_UNIT_BYTES	   ? "bytes (\"64kb\")"
			 : unit == SL_UNIT_PACKETS ? "packets (\"100\")"
						   : "connections (\"100\")");
		return -EINVAL;
	}
	if (!scale(&number, found->factor, &value)) {
		snprintf(error, SL_ERROR_MAX,
			 "\"%.64s\" is no whole number; give one, or a smaller one", text);
		return -EINVAL;
	}
	if (time)
		value = in_time(unit, rate, value);
	if (sl_burst_check(unit, rate, value, error))
		return -EINVAL;
	*burst = value;
	return 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A TCP sender whose last segments were all dropped is silent until its timeout. The bucket keeps
 * at most a burst of the tokens of that time, so with a shorter burst TCP would stay at a fraction
 * of the rate. */
uint64_t sl_limit_burst(const struct sl_config_limit *l)
{
	if (l->burst)
		return l->burst;
	if (l->unit == SL_UNIT_BYTES)
		return larger(in_time(l->unit, l->rate, FRACTION / DEFAULT_PART), DEFAULT_BYTES);
	if (l->unit == SL_UNIT_PACKETS)
		return larger(in_time(l->unit, l->rate, FRACTION / DEFAULT_PART), DEFAULT_PACKETS);
	return larger(in_time(l->unit, l->rate, FRACTION / 10), DEFAULT_NEW);
}

/* All digits of value / unit without trailing zeros: 1500 by 1000 is "1.5". */
static int exact(char text[SL_LIMIT_TEXT], uint64_t value, uint64_t unit)
{
	int len = snprintf(text, SL_LIMIT_TEXT, "%llu", (unsigned long long)(value / unit));
	uint64_t rest = value % unit;

	if (rest)
		text[len++] = '.';
	for (; rest; rest %= unit) {
		unit /= 10;
		text[len++] = (char)('0' + rest / unit);
	}
	text[len] = '\0';
	return len;
}

const char *sl_limit_rate_text(uint8_t unit, uint64_t rate, char text[SL_LIMIT_TEXT])
{
	static const char *const names[2][4] = {
		[SL_UNIT_BYTES] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s" },
		[SL_UNIT_PACKETS] = { "pps", "kpps", "Mpps", "Gpps" },
	};
	uint64_t factor = 1;
	int i = 0, len;

	if (!rate)
		return strcpy(text, "none");
	if (unit == SL_UNIT_CONNECTIONS) {
		snprintf(text, SL_LIMIT_TEXT, "%llu connections/s", (unsigned long long)rate);
		return text;
	}
	for (; i < 3 && rate >= factor * 1000; i++)
		factor *= 1000;
	len = exact(text, rate, factor);
	snprintf(text + len, (size_t)(SL_LIMIT_TEXT - len), " %s", names[unit][i]);
	return text;
}

/* A time with three digits: "262 ms", "1.05 s". */
static void time_text(uint64_t ns, char *text, size_t size)
{
	static const char *const names[] = { "ns", "us", "ms", "s" };
	double value = (double)ns;
	size_t i = 0;

	for (; i < 3 && value >= 999.5; i++)
		value /= 1000;
	snprintf(text, size, "%.*f %s",
		 !i || value >= 99.95 ? 0
		 : value >= 9.995     ? 1
				      : 2,
		 value, names[i]);
}

const char *sl_limit_burst_text(const struct sl_config_limit *l, char text[SL_LIMIT_TEXT])
{
	static const char *const names[] = { NULL, "KiB", "MiB", "GiB" };
	uint64_t burst = sl_limit_burst(l), shown = burst;
	char time[32];
	int i = 0;

	if (!l->rate)
		return strcpy(text, "none");
	time_text(burst_ns(l->unit, l->rate, burst), time, sizeof(time));
	for (; l->unit == SL_UNIT_BYTES && i < 3 && shown % KIB == 0; i++)
		shown /= KIB;
	snprintf(text, SL_LIMIT_TEXT, "%llu %s (%s)", (unsigned long long)shown,
		 i ? names[i] : what(l->unit, burst), time);
	return text;
}
