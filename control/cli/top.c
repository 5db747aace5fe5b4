/* SPDX-License-Identifier: BSD-2-Clause */
/* Computes rates from two answers of `stats`.
 *
 * A worker polls, so its CPU is always busy. Its load is the share of its cycles spent in turns
 * with packets. What it could carry beyond that is at least what the idle share allows at today's
 * cost per packet; packets get cheaper as bursts get fuller.
 */
#include "top.h"

#include <stdint.h>

static double grown(const json_t *before, const json_t *after, const char *key)
{
	double by = json_number_value(json_object_get(after, key)) -
		    json_number_value(json_object_get(before, key));

	return by > 0 ? by : 0;
}

static json_t *whole(double value)
{
	return json_integer((json_int_t)(value + 0.5));
}

static json_t *quotient(double a, double b)
{
	return b > 0 ? json_real(a / b) : json_null();
}

static json_t *worker_rates(const json_t *before, const json_t *after, double seconds)
{
	double packets = grown(before, after, "packets"), bursts = grown(before, after, "bursts");
	double busy = grown(before, after, "cycles_busy"), all = grown(before, after, "cycles_all");
	double idle = all > busy ? all - busy : 0;

	return json_pack("{s:O, s:O, s:o, s:o, s:o, s:o, s:o, s:o}", "worker",
			 json_object_get(after, "worker"), "cpu", json_object_get(after, "cpu"),
			 "pps", whole(packets / seconds), "bps",
			 whole(8 * grown(before, after, "bytes") / seconds), "cycles_per_packet",
			 quotient(busy, packets), "per_burst", quotient(packets, bursts),
			 "busy_percent", quotient(100 * busy, all), "headroom_pps",
			 packets > 0 ? whole(packets / seconds * idle / busy) : json_null());
}

/* The same worker in the other answer, or NULL. */
static const json_t *same_worker(const json_t *workers, const json_t *as)
{
	json_int_t number = json_integer_value(json_object_get(as, "worker"));
	const json_t *worker;
	size_t i;

	json_array_foreach (workers, i, worker)
		if (json_integer_value(json_object_get(worker, "worker")) == number)
			return worker;
	return as;
}

json_t *sl_top_between(const json_t *before, const json_t *after)
{
	double seconds = grown(before, after, "time_s");
	const json_t *old = json_object_get(before, "workers"), *worker;
	const json_t *xdp_before = json_object_get(before, "xdp");
	const json_t *xdp = json_object_get(after, "xdp");
	json_t *workers;
	size_t i;

	if (!(seconds > 0))
		return NULL;
	workers = json_array();
	json_array_foreach (json_object_get(after, "workers"), i, worker)
		json_array_append_new(workers,
				      worker_rates(same_worker(old, worker), worker, seconds));
	return json_pack("{s:f, s:o, s:{s:o, s:o}}", "interval_s", seconds, "workers", workers,
			 "xdp", "pps", whole(grown(xdp_before, xdp, "packets") / seconds), "bps",
			 whole(8 * grown(xdp_before, xdp, "bytes") / seconds));
}
