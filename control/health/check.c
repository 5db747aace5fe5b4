/* SPDX-License-Identifier: BSD-2-Clause */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls.h"

#define MS 1000000ull

enum {
	FIRST_MS = 1000, /* within this the first checks begin, if the interval isn't shorter */
	LATE_MS = 200,	 /* who begins later than this after its time is spread again */
	PERIOD_MS = 5000,
};

static void timer_fired(evutil_socket_t fd, short what, void *context);

struct sl_check *sl_check_new(const char *service, const union sl_addr *addr, uint16_t port)
{
	struct sl_check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	snprintf(check->v.service, sizeof(check->v.service), "%s", service);
	check->v.addr = *addr;
	check->v.port = port;
	return check;
}

static void stop_probe(struct sl_check *check)
{
	if (check->runs)
		sl_probe_end(&check->probe);
	check->runs = false;
}

void sl_check_free(struct sl_check *check)
{
	if (!check)
		return;
	stop_probe(check);
	if (check->timer)
		event_free(check->timer);
	if (check->group)
		LIST_REMOVE(check, next);
	free(check);
}

static void set_timer(struct sl_check *check, uint64_t in_ns)
{
	struct timeval in = { .tv_sec = (time_t)(in_ns / 1000000000u),
			      .tv_usec = (suseconds_t)(in_ns % 1000000000u / 1000) };

	event_add(check->timer, &in);
}

static void begin_at(struct sl_check *check, uint64_t due_ns, uint64_t now_ns)
{
	check->due_ns = due_ns > now_ns ? due_ns : now_ns;
	set_timer(check, check->due_ns - now_ns);
}

/* The next of evenly spread places within `ms`: multiples of the golden ratio. */
static uint64_t spread(struct sl_check *check, uint32_t ms)
{
	uint32_t place = check->group->health->spread++ * 2654435769u;

	return (ms * MS >> 20) * (place >> 12);
}

static void begin_soon(struct sl_check *check, uint64_t now_ns)
{
	uint32_t interval = check->group->conf.interval_ms;

	begin_at(check, now_ns + spread(check, interval < FIRST_MS ? interval : FIRST_MS), now_ns);
}

int sl_check_start(struct sl_check *check, uint64_t now_ns)
{
	struct sl_health *health = check->group->health;

	stop_probe(check);
	if (!check->timer)
		check->timer = evtimer_new(health->c->base, timer_fired, check);
	if (!check->timer)
		return -ENOMEM;
	check->count.passed = check->count.failed = 0;
	begin_soon(check, now_ns);
	return 0;
}

/* Shortened at random. */
static void begin_next(struct sl_check *check, uint64_t now_ns)
{
	const struct sl_health_conf *conf = &check->group->conf;
	uint64_t interval_ns = conf->interval_ms * MS;

	interval_ns -= interval_ns / 100 * conf->jitter / 1000 * (uint64_t)(random() % 1000);
	begin_at(check, check->due_ns + interval_ns, now_ns);
}

static void timeout_cause(struct sl_check *check)
{
	uint32_t ms = check->group->conf.timeout_ms;
	const char *stage = check->probe.stage;

	if (ms % 1000)
		snprintf(check->probe.cause, SL_HEALTH_CAUSE, "timeout after %u ms%s%s", ms,
			 *stage ? ": " : "", stage);
	else
		snprintf(check->probe.cause, SL_HEALTH_CAUSE, "timeout after %u s%s%s", ms / 1000,
			 *stage ? ": " : "", stage);
}

/* A probe has ended, and its result stands in check->probe. */
static void take(struct sl_check *check, enum sl_probe_result result, bool timed_out)
{
	struct sl_health *health = check->group->health;
	const struct sl_health_conf *conf = &check->group->conf;
	uint64_t now = sl_clock_ns();
	uint64_t late = sl_lateness_at(&health->lateness, now) - check->late_ns;
	struct sl_health_verdict *v = &check->v;

	stop_probe(check);
	if (result == SL_PROBE_FAILED && !timed_out &&
	    sl_health_is_void(conf->timeout_ms * MS, late)) {
		health->c->health_figures.discarded++;
		begin_soon(check, now);
		return;
	}
	health->c->health_figures.ended++;
	v->took_ms = (uint32_t)((now - check->started_ns) / MS);
	snprintf(v->cause, sizeof(v->cause), "%s",
		 result == SL_PROBE_PASSED ? "" : check->probe.cause);
	if (result != SL_PROBE_UNABLE &&
	    sl_health_result(v, &check->count, conf, result == SL_PROBE_PASSED,
			     (uint64_t)time(NULL)))
		sl_health_changed(check);
	begin_next(check, now);
}

static void done(struct sl_probe *p, enum sl_probe_result result)
{
	take(p->context, result, false);
}

/* Its time is up; of the time in which control slept it gets as much again. */
static void time_up(struct sl_check *check)
{
	struct sl_health *health = check->group->health;
	uint64_t now = sl_clock_ns();
	uint64_t left =
		sl_health_time_left(check->group->conf.timeout_ms * MS, now - check->started_ns,
				    sl_lateness_at(&health->lateness, now) - check->late_ns);

	if (left) {
		health->c->health_figures.extended++;
		set_timer(check, left);
		return;
	}
	timeout_cause(check);
	take(check, SL_PROBE_FAILED, true);
}

static bool make_tls(struct sl_check *check)
{
	struct sl_check_group *group = check->group;

	if (group->conf.kind == SL_HEALTH_HTTPS && !group->tls)
		group->tls = sl_tls_context(&group->conf, check->probe.cause);
	return group->conf.kind != SL_HEALTH_HTTPS || group->tls;
}

static void note_lateness(struct sl_health *health, uint64_t due_ns, uint64_t now_ns)
{
	double late_ms = (double)(now_ns - due_ns) / 1e6;

	if (now_ns - health->period_ns >= PERIOD_MS * MS) {
		health->worst_late_ms[1] = health->worst_late_ms[0];
		health->worst_late_ms[0] = 0;
		health->period_ns = now_ns;
	}
	if (late_ms > health->worst_late_ms[0])
		health->worst_late_ms[0] = late_ms;
	health->c->health_figures.worst_late_ms =
		health->worst_late_ms[0] > health->worst_late_ms[1] ? health->worst_late_ms[0]
								    : health->worst_late_ms[1];
}

static void begin(struct sl_check *check, uint64_t now_ns)
{
	struct sl_check_group *group = check->group;
	enum sl_probe_result result;

	check->started_ns = now_ns;
	check->late_ns = sl_lateness_at(&group->health->lateness, now_ns);
	if (!make_tls(check)) {
		take(check, SL_PROBE_UNABLE, false);
		return;
	}
	check->probe = (struct sl_probe){
		.base = group->health->c->base,
		.conf = &group->conf,
		.service = group->name,
		.backend = check->name,
		.addr = group->conf.addr.q[0] || group->conf.addr.q[1] ? group->conf.addr
								       : check->v.addr,
		.port = group->conf.port ? group->conf.port : check->v.port,
		.tls = group->tls,
		.done = done,
		.context = check,
	};
	check->runs = true;
	result = sl_probe_begin(&check->probe);
	if (result != SL_PROBE_RUNS)
		take(check, result, false);
	else
		set_timer(check, group->conf.timeout_ms * MS);
}

static void timer_fired(evutil_socket_t fd, short what, void *context)
{
	struct sl_check *check = context;
	uint64_t now = sl_clock_ns();

	(void)fd, (void)what;
	if (check->runs) {
		time_up(check);
		return;
	}
	if (now > check->due_ns)
		note_lateness(check->group->health, check->due_ns, now);
	if (now > check->due_ns + LATE_MS * MS)
		begin_soon(check, now);
	else
		begin(check, now);
}
