/* SPDX-License-Identifier: BSD-2-Clause */
#include "ports.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "merging.h"

enum { JOBS_MOST = SL_TAIL_COUNT + SL_PORTS_CONFIG_MAX };

/* Notes why a port has no program, and logs it if that is new. */
static void note_unattached(struct sl_control *c, uint32_t port, const char *why)
{
	if (why && (!c->unattached[port] || strcmp(c->unattached[port], why) != 0))
		sl_log("%s", why);
	free(c->unattached[port]);
	c->unattached[port] = why ? strdup(why) : NULL;
}

/* A program to load, or a port to attach. */
struct job {
	struct sl_control *c;
	enum sl_tail tail; /* SL_TAIL_COUNT: a port */
	uint32_t port;
	unsigned ifindex;
	int result; /* enum sl_xdp_how or -errno */
	char why[SL_ERROR_MAX];
};

static void load(struct job *j)
{
	const struct sl_config_port *port = &j->c->config.dataplane.port[j->port];
	struct sl_attachment **a = &j->c->attachment[j->port];

	if (j->tail < SL_TAIL_COUNT) {
		j->result = sl_programs_load(j->c->programs, j->tail, j->why);
		return;
	}
	if (*a && sl_xdp_ifindex(*a) == j->ifindex)
		return; /* only its program is to be attached again */
	sl_xdp_release(*a);
	j->result = sl_xdp_prepare(a, j->c->programs, port, j->port, j->ifindex, j->why);
}

static void attach(struct job *j)
{
	struct sl_attachment *a = j->c->attachment[j->port];

	if (a)
		j->result = sl_xdp_attach(a, j->why);
}

struct pile {
	struct job *job;
	uint32_t n, next;
	void (*run)(struct job *job);
};

static void *work(void *argument)
{
	struct pile *pile = argument;
	uint32_t i;

	while ((i = __atomic_fetch_add(&pile->next, 1, __ATOMIC_RELAXED)) < pile->n)
		pile->run(&pile->job[i]);
	return NULL;
}

/* Runs the jobs in several threads. The kernel verifies each program on one core, and some drivers
 * take long to attach one. */
static void run_all(struct job *job, uint32_t n, uint32_t threads, void (*run)(struct job *job))
{
	struct pile pile = { .job = job, .n = n, .run = run };
	pthread_t thread[JOBS_MOST];
	uint32_t started = 0;

	while (started + 1 < threads && started + 1 < n &&
	       pthread_create(&thread[started], NULL, work, &pile) == 0)
		started++;
	work(&pile);
	while (started)
		pthread_join(thread[--started], NULL);
}

static uint32_t cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (uint32_t)n;
}

/* Makes a job for each program that this generation needs and that isn't loaded. Returns their
 * number. */
static uint32_t missing(struct sl_control *c, uint64_t generation, struct job *job)
{
	uint32_t tails = sl_programs_missing(c->programs, generation), n = 0;

	for (uint32_t i = 0; i < SL_TAIL_COUNT; i++)
		if (tails >> i & 1)
			job[n++] = (struct job){ .c = c, .tail = (enum sl_tail)i };
	return n;
}

static int first_error(const struct job *job, uint32_t n, char error[SL_ERROR_MAX])
{
	for (uint32_t i = 0; i < n; i++) {
		if (job[i].result >= 0)
			continue;
		memcpy(error, job[i].why, SL_ERROR_MAX);
		return job[i].result;
	}
	return 0;
}

static void note_programs(struct sl_programs *p, uint64_t since_ns)
{
	if (p->n_loaded || p->n_adopted)
		sl_log("XDP programs: %u loaded in %u ms, %u adopted", p->n_loaded,
		       (uint32_t)((sl_clock_ns() - since_ns) / 1000000u), p->n_adopted);
	p->n_loaded = p->n_adopted = 0;
}

struct sl_preparation {
	struct job job[SL_TAIL_COUNT];
	uint32_t n;
	uint64_t since_ns;
	pthread_t thread;
	bool done;
};

static void *prepare(void *argument)
{
	struct sl_preparation *p = argument;

	run_all(p->job, p->n, cores(), load);
	/* Release: the results before the word that they are there. */
	__atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int prepare_begin(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX])
{
	struct sl_preparation *p = calloc(1, sizeof(*p));
	int err;

	if (!p) {
		snprintf(error, SL_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	p->n = missing(c, generation, p->job);
	p->since_ns = sl_clock_ns();
	err = p->n ? -pthread_create(&p->thread, NULL, prepare, p) : 0;
	if (err)
		snprintf(error, SL_ERROR_MAX, "no thread to load XDP programs: %s", strerror(-err));
	if (!err && p->n)
		c->preparation = p;
	else
		free(p);
	return err;
}

int sl_ports_prepare(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX])
{
	struct sl_preparation *p;
	int err = c->programs && !c->preparation ? prepare_begin(c, generation, error) : 0;

	p = c->preparation;
	if (err || !p)
		return err;
	/* Acquire: as the thread released. */
	if (!__atomic_load_n(&p->done, __ATOMIC_ACQUIRE))
		return 1;
	pthread_join(p->thread, NULL);
	err = first_error(p->job, p->n, error);
	note_programs(c->programs, p->since_ns);
	c->preparation = NULL;
	free(p);
	return err;
}

/* Makes a job for each port that lacks its program. Returns their number. */
static uint32_t unattached(struct sl_control *c, struct job *job)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		const struct sl_net_port *p = sl_net_port(c->net, i);

		if (!p->present) {
			c->attached[i] = 0;
			c->generic &= ~(1ull << i);
		}
		if (c->config.dataplane.port[i].kind == SL_PORT_KERNEL && p->present &&
		    p->ifindex != c->attached[i] && !c->detached)
			job[n++] = (struct job){
				.c = c, .tail = SL_TAIL_COUNT, .port = i, .ifindex = p->ifindex
			};
	}
	return n;
}

/* An error that concerns all ports. */
static void spread_error(struct job *job, uint32_t n, int err, const char *error)
{
	for (uint32_t i = 0; i < n; i++) {
		if (job[i].result < 0)
			continue;
		job[i].result = err;
		memcpy(job[i].why, error, SL_ERROR_MAX);
	}
}

/* Ports come first, because their programs are among the largest. */
static int attach_all(struct sl_control *c, struct job *job, uint32_t n, char error[SL_ERROR_MAX])
{
	uint32_t tails = missing(c, sl_store_root(&c->store)->generation, job + n);
	int err;

	run_all(job, n + tails, cores(), load);
	err = first_error(job + n, tails, error);
	if (!err)
		run_all(job, n, n, attach);
	if (err)
		spread_error(job, n, err, error);
	else
		sl_programs_drop_sets(c->programs);
	return first_error(job, n, error);
}

/* A program that runs in a driver can redirect only to drivers that take such frames, and isn't
 * told that others lose them. So all run in the kernel's stack if one has to. Only where XDP
 * forwards. */
static void make_alike(struct sl_control *c)
{
	const struct sl_config_dataplane *d = &c->config.dataplane;
	char why[SL_ERROR_MAX];

	if (!c->generic || d->engine == SL_CONFIG_ENGINE_DPDK)
		return;
	for (uint32_t i = 0; i < d->n_ports; i++) {
		int err;

		if (!c->attached[i] || c->generic >> i & 1)
			continue;
		err = sl_xdp_make_generic(c->attachment[i], why);
		if (err)
			c->attached[i] = 0;
		else
			c->generic |= 1ull << i;
		note_unattached(c, i, err ? why : NULL);
		if (!err)
			sl_log("%s: generic XDP, which is slower, as other ports have it: native "
			       "XDP can't send frames to those",
			       d->port[i].device);
	}
}

int sl_attach_ports(struct sl_control *c, char error[SL_ERROR_MAX])
{
	struct job *job = calloc(JOBS_MOST, sizeof(*job));
	uint64_t since_ns = sl_clock_ns();
	uint32_t n = job ? unattached(c, job) : 0;
	int err = job ? 0 : -ENOMEM;

	if (n && c->where.huge) {
		snprintf(error, SL_ERROR_MAX, "XDP can't read tables in huge pages");
		err = -EINVAL;
	}
	if (n && !err && !c->programs)
		err = sl_programs_open(&c->programs, &c->store, &c->where, error);
	if (n && !err) {
		err = attach_all(c, job, n, error);
		if (!c->preparation) /* which logs what it has loaded itself */
			note_programs(c->programs, since_ns);
	} else if (n) {
		spread_error(job, n, err, error);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct job *j = &job[i];

		c->generic &= ~(1ull << j->port);
		if (j->result == SL_XDP_GENERIC) {
			c->generic |= 1ull << j->port;
			sl_log("%s", j->why);
		}
		note_unattached(c, j->port, j->result < 0 ? j->why : NULL);
		c->attached[j->port] = j->result < 0 ? 0 : j->ifindex;
	}
	free(job);
	make_alike(c);
	if (n)
		sl_merging_follow(c);
	/* -EBUSY is kept for an instance that runs twice. */
	return err == -EBUSY ? -EEXIST : err;
}

void sl_ports_release(struct sl_control *c)
{
	for (uint32_t i = 0; i < SL_PORTS_CONFIG_MAX; i++) {
		sl_xdp_release(c->attachment[i]);
		c->attachment[i] = NULL;
		c->attached[i] = 0;
	}
}
