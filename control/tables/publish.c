/* SPDX-License-Identifier: BSD-2-Clause */
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
	sl_pool_acknowledged(c->rows, oldest);
	sl_pool_acknowledged(c->backends, oldest);
	sl_pool_acknowledged(c->limits, oldest);
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

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_US * 1000 }, NULL);
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

/* Waits for the dataplane's word. Without one alive there is nobody to object. */
static int propose(struct sl_control *c, uint64_t generation, char error[SL_ERROR_MAX])
{
	const struct sl_engine *e = c->store.base[SL_ARRAY_engine];
	struct sl_root *root = sl_store_root(&c->store);
	/* Where all workers hang the process was stopped, and its main thread with it. */
	uint64_t wait_ms = sl_workers_hang(c) ? HUNG_WAIT_MS : ACCEPT_WAIT_MS;
	uint64_t until = sl_clock_ns() + wait_ms * 1000000ull;

	/* Release: the bank is complete before it is proposed. */
	__atomic_store_n(&root->proposed, generation, __ATOMIC_RELEASE);
	if (!sl_dataplane_alive(c))
		return 0;
	wake_dataplane(c);
	while (__atomic_load_n(&e->accepted, __ATOMIC_ACQUIRE) != generation) {
		if (!sl_dataplane_alive(c))
			return 0;
		if (sl_clock_ns() > until) {
			/* Its main thread hangs: its workers check every index by themselves. */
			sl_log("the dataplane (pid %u) does not answer proposals", e->pid);
			return 0;
		}
		pause_a_little();
	}
	if (e->answer == SL_ACCEPT_OK)
		return 0;
	snprintf(error, SL_ERROR_MAX, "the dataplane refused generation %llu at record %u: %s",
		 (unsigned long long)generation, e->at, sl_accept_text(e->answer));
	return -EPROTO;
}

static void commit(struct sl_control *c, uint64_t generation, struct sl_published *out)
{
	struct sl_root *root = sl_store_root(&c->store);
	uint64_t start = sl_clock_ns(), waited_ns, wait_ms;

	/* Release: everything that the generation names stands before it does. */
	__atomic_store_n(&root->generation, generation, __ATOMIC_RELEASE);
	for (;;) {
		sl_acknowledged(c, out);
		waited_ns = sl_clock_ns() - start;
		wait_ms = out->acknowledged + out->hung < out->workers ? ACKNOWLEDGE_WAIT_MS
								       : HUNG_WAIT_MS;
		if (out->acknowledged >= out->workers || waited_ns >= wait_ms * 1000000u)
			break;
		if (waited_ns > SPIN_US * 1000u)
			pause_a_little();
	}
	c->commit_us = out->commit_us = (double)(sl_clock_ns() - start) / 1000.0;
}

/* The next number whose bank isn't the live one. Numbers that were proposed and never went live
 * are skipped, or the dataplane would think that it had answered already. */
static uint64_t next_generation(const struct sl_root *root)
{
	uint64_t next = (root->proposed > root->generation ? root->proposed : root->generation) + 1;

	return (next & 1) == (root->generation & 1) ? next + 1 : next;
}

int sl_publish(struct sl_control *c, struct sl_model *next, struct sl_published *out,
	       char error[SL_ERROR_MAX])
{
	struct sl_root *root = sl_store_root(&c->store);
	uint64_t generation = next_generation(root);
	struct sl_bank *bank = &root->bank[generation & 1];
	struct sl_published acknowledged;
	int err;

	sl_acknowledged(c, &acknowledged); /* lets go of what has rested long enough */
	/* Odd: whoever still reads this bank sees it move, before a byte of it does. */
	__atomic_store_n(&bank->seq, bank->seq | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	sl_share_settle(next);
	err = sl_records_build(c, next, generation, error);
	/* Release: even only when all is written. */
	__atomic_store_n(&bank->seq, bank->seq + 1, __ATOMIC_RELEASE);
	if (!err)
		err = propose(c, generation, error);
	if (!err && !sl_records_may_close(c, next)) {
		snprintf(error, SL_ERROR_MAX, "a flow found no room: windows stay open");
		err = -EAGAIN;
	}
	if (err) {
		c->refused += err != -EAGAIN;
		sl_model_free(next, 0);
		return err;
	}
	sl_records_begin(c, next);
	commit(c, generation, out);
	sl_records_settle(c, next);
	sl_rescale_note(c, c->model, next);
	sl_model_free(c->model, generation);
	c->model = next;
	for (int i = 0; i < RESCALE_SLICES && sl_rescale_run(c); i++)
		; /* the rest is the tick's */
	return 0;
}
