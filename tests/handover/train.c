/* SPDX-License-Identifier: BSD-2-Clause */
/* A train of UDP datagrams from one network namespace to another, at even intervals, and the gaps
 * between their arrivals. Built and run by train.py.
 *
 *     train CLIENT_NETNS SERVER_NETNS VIP PORT COUNT INTERVAL_US FROM [PID SIGNAL AT]...
 *
 * One thread does it all: it sends each datagram at its time, and between two of them takes in what
 * has arrived. Arrivals are stamped by the kernel (SO_TIMESTAMPNS), so how late they are read
 * changes nothing. A signal is sent by the same thread, just before datagram AT: the measurement
 * needs no second process to get the CPU in time.
 *
 * Prints one line of JSON. Gaps are in ns, between arrivals in their order, up to one of datagram
 * FROM or later; `from` and `at` are the numbers of the datagrams around the longest. `sent_gap` is
 * the longest between two sends, `behind` how many datagrams were on their way when the first
 * signal was sent: what can't be blamed on it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	SIGNALS_MAX = 4,
	SPIN_NS = 40000,       /* before each datagram's time: sleeping is too coarse for it */
	LINGER_NS = 300000000, /* after the last one */
	BUFFER = 64 << 20,
};

struct message {
	uint64_t number;
	uint8_t pad[24];
};

struct strike {
	pid_t pid;
	int signum;
	uint64_t at;
};

struct train {
	int out, in;
	uint64_t count, interval, from;
	struct strike strike[SIGNALS_MAX];
	size_t strikes;
	bool *seen;
	uint64_t arrived, doubled, overtaken;
	uint64_t newest; /* number of the last arrival */
	uint64_t last_rx, last_tx;
	uint64_t gap, gap_at, gap_from; /* gap_from: the last number before it */
	uint64_t sent_gap, behind;
};

static void fail(const char *what)
{
	fprintf(stderr, "train: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A UDP socket in the namespace. */
static int socket_in(const char *netns)
{
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		fail(netns);
	close(ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	return fd;
}

static void open_sockets(struct train *t, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)atoi(argv[4])) };
	int on = 1, size = BUFFER;

	t->in = socket_in(argv[2]);
	if (bind(t->in, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		fail("bind");
	if (setsockopt(t->in, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
	    setsockopt(t->in, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		fail("setsockopt");
	t->out = socket_in(argv[1]);
	if (inet_pton(AF_INET, argv[3], &addr.sin_addr) != 1 ||
	    connect(t->out, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		fail(argv[3]);
}

static void note(struct train *t, uint64_t number, uint64_t rx)
{
	if (t->seen[number]) {
		t->doubled++;
		return;
	}
	t->seen[number] = true;
	t->overtaken += t->arrived && number < t->newest;
	if (t->arrived++ && number >= t->from && rx - t->last_rx > t->gap) {
		t->gap = rx - t->last_rx;
		t->gap_from = t->newest;
		t->gap_at = number;
	}
	t->last_rx = rx;
	t->newest = number;
}

/* Takes in one arrival; false if there is none. */
static bool receive(struct train *t)
{
	struct message m;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec piece = { &m, sizeof(m) };
	struct msghdr msg = { .msg_iov = &piece,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	struct timespec ts;

	if (recvmsg(t->in, &msg, 0) != sizeof(m) || m.number >= t->count)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_TIMESTAMPNS)
		return false;
	memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	note(t, m.number, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	return true;
}

static void wait_until(struct train *t, uint64_t when)
{
	uint64_t wake = when - SPIN_NS;

	while (receive(t))
		;
	if (now_ns() < wake)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
				&(struct timespec){ .tv_sec = (time_t)(wake / 1000000000u),
						    .tv_nsec = (long)(wake % 1000000000u) },
				NULL);
	while (now_ns() < when)
		;
}

static void strike(struct train *t, uint64_t number)
{
	for (size_t s = 0; s < t->strikes; s++) {
		if (t->strike[s].at != number)
			continue;
		if (s == 0)
			t->behind = number - t->newest - 1;
		if (kill(t->strike[s].pid, t->strike[s].signum) != 0)
			fail("kill");
	}
}

static void send_all(struct train *t)
{
	uint64_t begin = now_ns() + 1000000;

	for (uint64_t i = 0; i < t->count; i++) {
		struct message m = { .number = i };
		uint64_t tx;

		wait_until(t, begin + i * t->interval);
		strike(t, i);
		tx = now_ns();
		if (i && i >= t->from && tx - t->last_tx > t->sent_gap)
			t->sent_gap = tx - t->last_tx;
		t->last_tx = tx;
		/* Refused for a moment is lost, as on any way. */
		if (send(t->out, &m, sizeof(m), 0) != sizeof(m) && errno == EBADF)
			fail("send");
	}
	for (uint64_t end = now_ns() + LINGER_NS; now_ns() < end;)
		if (!receive(t))
			usleep(1000);
}

int main(int argc, char **argv)
{
	struct train t = { 0 };

	if (argc < 8 || (argc - 8) % 3 || (argc - 8) / 3 > SIGNALS_MAX) {
		fprintf(stderr, "usage: train CLIENT_NETNS SERVER_NETNS VIP PORT COUNT "
				"INTERVAL_US FROM [PID SIGNAL AT]...\n");
		return 2;
	}
	t.count = strtoull(argv[5], NULL, 10);
	t.interval = strtoull(argv[6], NULL, 10) * 1000;
	t.from = strtoull(argv[7], NULL, 10);
	for (int i = 8; i < argc; i += 3)
		t.strike[t.strikes++] = (struct strike){ .pid = atoi(argv[i]),
							 .signum = atoi(argv[i + 1]),
							 .at = strtoull(argv[i + 2], NULL, 10) };
	t.seen = calloc(t.count, sizeof(*t.seen));
	if (!t.seen)
		fail("calloc");
	open_sockets(&t, argv);
	/* Nothing else on this core is to come between two datagrams, where that may be asked. */
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	send_all(&t);
	printf("{\"sent\": %lu, \"arrived\": %lu, \"lost\": %lu, \"doubled\": %lu, "
	       "\"overtaken\": %lu, \"gap\": %lu, \"from\": %lu, \"at\": %lu, \"sent_gap\": %lu, "
	       "\"behind\": %lu}\n",
	       t.count, t.arrived, t.count - t.arrived, t.doubled, t.overtaken, t.gap, t.gap_from,
	       t.gap_at, t.sent_gap, t.behind);
	free(t.seen);
	return 0;
}
