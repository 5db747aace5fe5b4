/* SPDX-License-Identifier: BSD-2-Clause */
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../model/shared_endpoints.h"
#include "liveness.h"
#include "records.h"
#include "rescale.h"

enum {
	ACCEPT_WAIT_MS = 1000,
	ACKNOWLEDGE_WAIT_MS = 200,
	HUNG_WAIT_MS = 20, /* for who hangs and may just have been held up */
	PAUSE_US = 20,
	LOOK_US = 200,
	AT_ONCE_US = 500,
	RESCALE_SLICES = 4,
	SPIN_US = 50, /* a worker that polls has acknowledged by then; a sleep takes as long */
};

void sl_acknowledged(struct sl_control *c, struct sl_published *out)
{
	uint64_t oldest = sl_store_root(&c->store)->generation;

	out->generation = oldest;
	out->commit_us = c->commit_us;
	out->workers = out->acknowledged = out->hung = 0;
	for (uint32_t w = 0; w < sl_workers(c); w++) {
		uint64_t generation = sl_worker_generation(c, w);
		bool fresh = sl_worker_alive(c, w), current = generation >= out->generation;

		if (!fresh && !sl_worker_holds_mutex(c, w))
			continue;
		out->workers++;
		out->acknowledged += current;
		out->hung += !current && !fresh;
		if (fresh && generation < oldest)
			oldest = generation;
	}
	sl_extents_acknowledged(c->slots, oldest);
	sl_extents_acknowledged(c->backends, oldest);
	sl_extents_acknowledged(c->limits, oldest);
}

static void wake_dataplane(const struct sl_control *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return; /* it looks by itself ten times a second */
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dataplane.wake", c->config.run_dir) <
	    (int)sizeof(addr.sun_path))
		sendto(fd, "", 1, 0, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
}

const char *sl_accept_text(uint32_t answer)
{
	switch (answer) {
	case SL_ACCEPT_INDEX:
		return "a record names something outside its array";
	case SL_ACCEPT_EGRESS:
		return "a next hop leaves by a port that the dataplane doesn't have; do both read "
		       "the same file?";
	case SL_ACCEPT_PORTS:
		return "its ports aren't the dataplane's; do both read the same file?";
	default:
		return "a record of a form that this dataplane doesn't know";
	}
}

/* The next number whose bank isn't the live one. Numbers that were proposed and never went live
 * are skipped, or the dataplane would think that it had answered already. */
static uint64_t next_generation(const struct sl_root *root)
{
	uint64_t next = (root->proposed > root->generation ? root->proposed : root->generation) + 1;

	return (next & 1) == (root->generation & 1) ? next + 1 : next;
}

/* A generation on its way: built, proposed, or committed and not yet acknowledged by all. */
struct sl_publication {
	struct sl_control *c;
	struct sl_model *next;	 /* until the commit */
	struct sl_model *before; /* since then: what it took the place of */
	uint64_t generation;
	bool proposed, committed;
	uint64_t since_ns; /* proposed, or committed */
	uint64_t wait_ns;  /* at most, for the dataplane's answer */
	struct sl_published out;
	int timer; /* timerfd that brings us back; -1: none yet */
	struct event *back;
	sl_published_fn *done;
	void *context;
};

bool sl_publishing(const struct sl_control *c)
{
	return c->publication != NULL;
}

static void finish(struct sl_publication *p, int err, const char *error)
{
	struct sl_control *c = p->c;

	c->publication = NULL;
	if (p->back)
		event_free(p->back);
	if (p->timer >= 0)
		close(p->timer);
	if (err) {
		c->refused += err != -EAGAIN;
		sl_model_free(p->next, 0);
	}
	p->done(p->context, err, &p->out, error);
	free(p);
	if (!c->publication && c->published)
		c->published(c);
}

/* The dataplane's word on the proposal: 1 where it is still due. Without one alive there is nobody
 * to object. */
static int answer(struct sl_publication *p, char error[SL_ERROR_MAX])
{
	struct sl_control *c = p->c;
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];

	if (!sl_dataplane_alive(c))
		return 0;
	/* Acquire: the answer after the number that it is about. */
	if (__atomic_load_n(&e->accepted, __ATOMIC_ACQUIRE) != p->generation) {
		if (sl_clock_ns() - p->since_ns < p->wait_ns)
			return 1;
		/* Its main thread hangs: its workers check every index by themselves. */
		sl_log("the dataplane (pid %u) does not answer proposals", e->pid);
		return 0;
	}
	if (e->answer == SL_ACCEPT_OK)
		return 0;
	snprintf(error, SL_ERROR_MAX, "the dataplane refused generation %llu at record %u: %s",
		 (unsigned long long)p->generation, e->at, sl_accept_text(e->answer));
	return -EPROTO;
}

static void commit(struct sl_publication *p)
{
	struct sl_control *c = p->c;
	struct sl_model *next = p->next;

	sl_records_begin(c, next);
	p->since_ns = sl_clock_ns();
	/* Release: everything that the generation names stands before it does. */
	__atomic_store_n(&sl_store_root(&c->store)->generation, p->generation, __ATOMIC_RELEASE);
	p->committed = true;
	sl_rescale_note(c, c->model, next);
	p->before = c->model;
	c->model = next;
	p->next = NULL;
}

/* Nobody, or only who hangs, reads the generation before this one any more. */
static void settle(struct sl_publication *p)
{
	struct sl_control *c = p->c;

	sl_records_set_final_timeouts(c, c->model);
	sl_model_free(p->before, p->generation);
	for (int i = 0; i < RESCALE_SLICES && sl_rescale_run(c); i++)
		; /* the rest is the tick's */
}

/* Whether all that live have acknowledged it, or have had their time. */
static bool acknowledged(struct sl_publication *p)
{
	uint64_t waited_ns = sl_clock_ns() - p->since_ns, wait_ms;

	sl_acknowledged(p->c, &p->out);
	wait_ms = p->out.acknowledged + p->out.hung < p->out.workers ? ACKNOWLEDGE_WAIT_MS
								     : HUNG_WAIT_MS;
	if (p->out.acknowledged < p->out.workers && waited_ns < wait_ms * 1000000u)
		return false;
	p->c->commit_us = p->out.commit_us = (double)(sl_clock_ns() - p->since_ns) / 1000.0;
	return true;
}

static void propose(struct sl_publication *p)
{
	struct sl_root *root = sl_store_root(&p->c->store);

	/* Where all workers hang the process was stopped, and its main thread with it. */
	p->wait_ns = (sl_workers_hang(p->c) ? HUNG_WAIT_MS : ACCEPT_WAIT_MS) * 1000000ull;
	p->since_ns = sl_clock_ns();
	p->proposed = true;
	/* Release: the bank is complete before it is proposed. */
	__atomic_store_n(&root->proposed, p->generation, __ATOMIC_RELEASE);
	if (sl_dataplane_alive(p->c))
		wake_dataplane(p->c);
}

/* Up to the commit: 0 when that may come, 1 when something is still due, or -errno. */
static int ready(struct sl_publication *p, char error[SL_ERROR_MAX])
{
	struct sl_control *c = p->c;
	int err;

	if (!p->proposed) {
		err = c->prepare ? c->prepare(c, p->generation, error) : 0;
		if (err)
			return err;
		propose(p);
	}
	err = answer(p, error);
	if (!err && !sl_records_may_close(c, p->next)) {
		snprintf(error, SL_ERROR_MAX, "a flow found no room: windows stay open");
		err = -EAGAIN;
	}
	return err;
}

/* As far as it goes without waiting; true when `p` is finished and gone. */
static bool go_on(struct sl_publication *p)
{
	char error[SL_ERROR_MAX] = "";

	if (!p->committed) {
		int err = ready(p, error);

		if (err > 0)
			return false;
		if (err) {
			finish(p, err, error);
			return true;
		}
		commit(p);
	}
	if (!acknowledged(p))
		return false;
	settle(p);
	finish(p, 0, "");
	return true;
}

static void come_back(evutil_socket_t fd, short what, void *context)
{
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		go_on(context);
}

/* libevent's own timers count milliseconds, which is long for an answer. False: no such timer. */
static bool wait_by_event(struct sl_publication *p)
{
	static const struct itimerspec every = { { .tv_nsec = LOOK_US * 1000 },
						 { .tv_nsec = LOOK_US * 1000 } };

	if (!p->c->base)
		return false;
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->timer < 0 || timerfd_settime(p->timer, 0, &every, NULL) != 0)
		return false;
	p->back = event_new(p->c->base, p->timer, EV_READ | EV_PERSIST, come_back, p);
	return p->back && event_add(p->back, NULL) == 0;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_US * 1000 }, NULL);
}

/* A worker that polls acknowledges within microseconds, and a dataplane that is awake answers soon:
 * most generations need no event. True when `p` is finished. */
static bool wait_at_once(struct sl_publication *p)
{
	uint64_t start = sl_clock_ns(), waited_ns = 0;

	while (waited_ns < AT_ONCE_US * 1000u) {
		if (go_on(p))
			return true;
		waited_ns = sl_clock_ns() - start;
		if (!p->committed || sl_clock_ns() - p->since_ns > SPIN_US * 1000u)
			pause_a_little();
	}
	return false;
}

static int build(struct sl_control *c, struct sl_model *next, uint64_t generation,
		 char error[SL_ERROR_MAX])
{
	struct sl_bank *bank = &sl_store_root(&c->store)->bank[generation & 1];
	struct sl_published ignored;
	int err;

	sl_acknowledged(c, &ignored); /* lets go of what has rested long enough */
	/* Odd: whoever still reads this bank sees it move, before a byte of it does. */
	__atomic_store_n(&bank->seq, bank->seq | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	sl_share_claim(next);
	err = sl_records_build(c, next, generation, error);
	/* Release: even only when all is written. */
	__atomic_store_n(&bank->seq, bank->seq + 1, __ATOMIC_RELEASE);
	return err;
}

static struct sl_publication *begin(struct sl_control *c, struct sl_model *next,
				    sl_published_fn *done, void *context)
{
	struct sl_publication *p = calloc(1, sizeof(*p));
	char error[SL_ERROR_MAX] = "";
	int err;

	if (!p) {
		sl_model_free(next, 0);
		done(context, -ENOMEM, NULL, "out of memory");
		return NULL;
	}
	*p = (struct sl_publication){ .c = c,
				      .next = next,
				      .generation = next_generation(sl_store_root(&c->store)),
				      .timer = -1,
				      .done = done,
				      .context = context };
	c->publication = p;
	err = build(c, next, p->generation, error);
	if (!err)
		return p;
	finish(p, err, error);
	return NULL;
}

void sl_publish_begin(struct sl_control *c, struct sl_model *next, sl_published_fn *done,
		      void *context)
{
	struct sl_publication *p = begin(c, next, done, context);

	if (!p || wait_at_once(p) || wait_by_event(p))
		return;
	while (!go_on(p))
		pause_a_little();
}

struct now {
	struct sl_published *out;
	char *error;
	int err;
};

static void note_now(void *context, int err, const struct sl_published *out, const char *error)
{
	struct now *now = context;

	now->err = err;
	if (!err)
		*now->out = *out;
	else
		snprintf(now->error, SL_ERROR_MAX, "%s", error);
}

int sl_publish(struct sl_control *c, struct sl_model *next, struct sl_published *out,
	       char error[SL_ERROR_MAX])
{
	struct now now = { .out = out, .error = error };
	struct sl_publication *p = begin(c, next, note_now, &now);

	if (p && !wait_at_once(p))
		while (!go_on(p))
			pause_a_little();
	return now.err;
}
