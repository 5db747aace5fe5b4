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
	HUNG_WAIT_MS = 20, /* for workers that hang, which may only have been delayed */
	PAUSE_US = 20,
	POLL_US = 200,
	AT_ONCE_US = 500,
	RESCALE_SLICES = 4,
	SPIN_US = 50, /* a worker that polls has acknowledged by then, and a sleep takes as long */
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
		return; /* the dataplane looks by itself ten times a second */
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

/* Returns the next generation whose bank isn't the live one. Generations that were proposed and
 * never went live are skipped, or the dataplane would believe that it had answered already. */
static uint64_t next_generation(const struct sl_root *root)
{
	uint64_t next = (root->proposed > root->generation ? root->proposed : root->generation) + 1;

	return (next & 1) == (root->generation & 1) ? next + 1 : next;
}

/* A generation that is being published: built, proposed, or committed and not yet acknowledged by
 * all workers. */
struct sl_publication {
	struct sl_control *c;
	struct sl_model *next;	 /* until the commit */
	struct sl_model *before; /* after the commit: the model that `next` has replaced */
	uint64_t generation;
	bool proposed, committed;
	uint64_t since_ns; /* when it was proposed, or committed */
	uint64_t wait_ns;  /* for the dataplane's answer, at most */
	struct sl_published out;
	int timer; /* timerfd that polls for progress; -1: none yet */
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

/* Reads the dataplane's answer to the proposal. Returns 0 if it is accepted, 1 if the answer is
 * still due, or -EPROTO with a message. If no dataplane lives, nobody can refuse the proposal. */
static int answer(struct sl_publication *p, char error[SL_ERROR_MAX])
{
	struct sl_control *c = p->c;
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];

	if (!sl_dataplane_alive(c))
		return 0;
	/* Acquire: reads the answer after the generation that it is about. */
	if (__atomic_load_n(&e->accepted, __ATOMIC_ACQUIRE) != p->generation) {
		if (sl_clock_ns() - p->since_ns < p->wait_ns)
			return 1;
		/* The dataplane's main thread hangs. It is safe to go on, because workers check
		 * every index by themselves. */
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
	/* Release: everything that the generation names is complete before it goes live. */
	__atomic_store_n(&sl_store_root(&c->store)->generation, p->generation, __ATOMIC_RELEASE);
	p->committed = true;
	sl_rescale_note(c, c->model, next);
	p->before = c->model;
	c->model = next;
	p->next = NULL;
}

/* Ends the publication. Nobody but workers that hang reads the previous generation any more. */
static void complete(struct sl_publication *p)
{
	struct sl_control *c = p->c;

	sl_records_set_final_timeouts(c, c->model);
	sl_model_free(p->before, p->generation);
	for (int i = 0; i < RESCALE_SLICES && sl_rescale_run(c); i++)
		; /* the tick does the rest */
}

/* Whether all living workers have acknowledged the generation, or the time for it is over. */
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

	/* If all workers hang, the whole process was stopped, and its main thread won't answer
	 * either. */
	p->wait_ns = (sl_workers_hang(p->c) ? HUNG_WAIT_MS : ACCEPT_WAIT_MS) * 1000000ull;
	p->since_ns = sl_clock_ns();
	p->proposed = true;
	/* Release: the bank is complete before it is proposed. */
	__atomic_store_n(&root->proposed, p->generation, __ATOMIC_RELEASE);
	if (sl_dataplane_alive(p->c))
		wake_dataplane(p->c);
}

/* Does what comes before the commit. Returns 0 if the commit may follow, 1 if something is still
 * due, or -errno with a message. */
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

/* Goes on as far as possible without waiting. Returns true if the publication has ended; `p` is
 * freed then. */
static bool advance(struct sl_publication *p)
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
	complete(p);
	finish(p, 0, "");
	return true;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		advance(context);
}

/* Continues by a timerfd in the event loop. libevent's own timers count milliseconds, which is long
 * for an answer. Returns false if there is no event loop or no such timer. */
static bool wait_by_event(struct sl_publication *p)
{
	static const struct itimerspec every = { { .tv_nsec = POLL_US * 1000 },
						 { .tv_nsec = POLL_US * 1000 } };

	if (!p->c->base)
		return false;
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->timer < 0 || timerfd_settime(p->timer, 0, &every, NULL) != 0)
		return false;
	p->back = event_new(p->c->base, p->timer, EV_READ | EV_PERSIST, on_timer, p);
	return p->back && event_add(p->back, NULL) == 0;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_US * 1000 }, NULL);
}

/* Waits here for a short time. A worker that polls acknowledges within microseconds, and a
 * dataplane that is awake answers soon, so most generations need no event. Returns true if the
 * publication has ended. */
static bool wait_at_once(struct sl_publication *p)
{
	uint64_t start = sl_clock_ns(), waited_ns = 0;

	while (waited_ns < AT_ONCE_US * 1000u) {
		if (advance(p))
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

	sl_acknowledged(c, &ignored); /* frees extents that have been in quarantine long enough */
	/* Odd before the first byte of the bank changes, so that a late reader of this bank notices
	 * it. */
	__atomic_store_n(&bank->seq, bank->seq | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	sl_share_claim(next);
	err = sl_records_build(c, next, generation, error);
	/* Release: the word is even only after everything is written. */
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
	while (!advance(p))
		pause_a_little();
}

struct result {
	struct sl_published *out;
	char *error;
	int err;
};

static void store_result(void *context, int err, const struct sl_published *out, const char *error)
{
	struct result *result = context;

	result->err = err;
	if (!err)
		*result->out = *out;
	else
		snprintf(result->error, SL_ERROR_MAX, "%s", error);
}

int sl_publish(struct sl_control *c, struct sl_model *next, struct sl_published *out,
	       char error[SL_ERROR_MAX])
{
	struct result result = { .out = out, .error = error };
	struct sl_publication *p = begin(c, next, store_result, &result);

	if (p && !wait_at_once(p))
		while (!advance(p))
			pause_a_little();
	return result.err;
}
