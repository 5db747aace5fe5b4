/* SPDX-License-Identifier: BSD-2-Clause */
/* A link that takes time: two TAP devices in two network namespaces, and each frame that goes into
 * one comes out of the other so many microseconds later, in order. Built and run by streams.py.
 *
 *     delay MICROSECONDS NETNS DEVICE NETNS DEVICE
 *
 * Prints "ready" when both devices are there; they go with the process. For kernels without netem.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { FRAMES = 8192, FRAME_MAX = 1518 };

struct frame {
	uint64_t due;
	size_t length;
	char data[FRAME_MAX];
};

/* What is under way in one direction: frame[out..in). */
struct way {
	int from, to;
	uint64_t in, out;
	struct frame *frame;
};

static void fail(const char *what)
{
	fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int tap(const char *netns, const char *device)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		fail(netns);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
		fail(device);
	return fd;
}

static void take_in(struct way *w, uint64_t delay)
{
	while (w->in - w->out < FRAMES) {
		struct frame *f = &w->frame[w->in % FRAMES];
		ssize_t length = read(w->from, f->data, sizeof(f->data));

		if (length <= 0)
			return;
		f->length = (size_t)length;
		f->due = now_ns() + delay;
		w->in++;
	}
}

/* Lets out what is due; how long until the next one is. */
static uint64_t let_out(struct way *w)
{
	for (; w->out != w->in; w->out++) {
		struct frame *f = &w->frame[w->out % FRAMES];
		uint64_t now = now_ns();

		if (f->due > now)
			return f->due - now;
		if (write(w->to, f->data, f->length) < 0 && errno == EBADFD)
			fail("write");
	}
	return 1000000000;
}

int main(int argc, char **argv)
{
	struct way there = { 0 }, back = { 0 };
	uint64_t delay;

	if (argc != 6) {
		fprintf(stderr, "usage: delay MICROSECONDS NETNS DEVICE NETNS DEVICE\n");
		return 2;
	}
	delay = strtoull(argv[1], NULL, 10) * 1000;
	there.from = back.to = tap(argv[2], argv[3]);
	there.to = back.from = tap(argv[4], argv[5]);
	there.frame = calloc(FRAMES, sizeof(*there.frame));
	back.frame = calloc(FRAMES, sizeof(*back.frame));
	if (!there.frame || !back.frame)
		fail("calloc");
	prctl(PR_SET_TIMERSLACK, 1000);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 2 });
	puts("ready");
	fflush(stdout);
	while (true) {
		struct pollfd fds[] = { { .fd = there.from, .events = POLLIN },
					{ .fd = back.from, .events = POLLIN } };
		uint64_t a, b;

		take_in(&there, delay);
		take_in(&back, delay);
		a = let_out(&there);
		b = let_out(&back);
		ppoll(fds, 2, &(struct timespec){ .tv_nsec = (long)(a < b ? a : b) - 1 }, NULL);
	}
}
