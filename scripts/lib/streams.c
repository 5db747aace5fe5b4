/* SPDX-License-Identifier: BSD-2-Clause */
/* UDP streams of given rates from one network namespace to others, and what arrives of each, over
 * time. Built and run by streams.py.
 *
 *     streams [echo] CLIENT_NETNS SERVER_NETNS[,SERVER_NETNS...] VIP PORT FRAME MS
 * SOURCE:PORT:RATE...
 *
 * A stream is frames of FRAME bytes (Ethernet header included, FCS not) from SOURCE:PORT to
 * VIP:PORT at RATE bits a second, for MS milliseconds. A source address is a client of its own; it
 * has to be on an interface. With `echo` the servers send back each datagram to whom it came from.
 *
 * One thread does it all: every millisecond it sends what is due, then takes in what has arrived.
 * Arrivals are stamped by the kernel (SO_TIMESTAMPNS), so how late they are read changes nothing.
 * What the sender couldn't send in time is sent later, up to LATE_NS of it.
 *
 * Prints one line of JSON: `begin` (CLOCK_REALTIME, ns), `late` (ns: the longest that it was kept
 * from sending) and for each stream what was sent and arrived, in frames by bins of BIN_NS since
 * `begin`: at the servers (`to`), and back at the client (`from`).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	STREAMS_MAX = 64,
	SERVERS_MAX = 8,
	HEADERS = 14 + 20 + 8,
	FRAME_MAX = 1514,
	TICK_NS = 1000000,
	BIN_NS = 10000000,
	LATE_NS = 100000000,
	LINGER_NS = 200000000, /* after the last one */
	BUFFER = 32 << 20,
};

struct stream {
	int fd;
	struct in_addr source;
	uint16_t port;
	double frames_a_ns;
	uint64_t sent;
	uint32_t *to, *from; /* by bins */
};

struct streams {
	struct stream stream[STREAMS_MAX];
	size_t n;
	int server[SERVERS_MAX];
	size_t servers;
	bool echo;
	size_t frame, bins;
	uint64_t begin, late;
};

static void fail(const char *what)
{
	fprintf(stderr, "streams: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void enter(const char *netns)
{
	int ns = open(netns, O_RDONLY | O_CLOEXEC);

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		fail(netns);
	close(ns);
}

static int bound(struct in_addr source, uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr = source,
				    .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, size = BUFFER;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		fail("bind");
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
		fail("setsockopt");
	return fd;
}

static void open_servers(struct streams *t, char *list, uint16_t port)
{
	for (char *name = strtok(list, ","); name && t->servers < SERVERS_MAX;
	     name = strtok(NULL, ",")) {
		enter(name);
		t->server[t->servers++] = bound((struct in_addr){ INADDR_ANY }, port);
	}
}

static void open_stream(struct streams *t, const char *words, const struct sockaddr_in *vip)
{
	struct stream *s = &t->stream[t->n++];
	char source[INET_ADDRSTRLEN];
	double rate;

	if (sscanf(words, "%15[0-9.]:%hu:%lf", source, &s->port, &rate) != 3 ||
	    inet_pton(AF_INET, source, &s->source) != 1)
		fail(words);
	s->frames_a_ns = rate / 8 / (double)t->frame / 1e9;
	s->to = calloc(t->bins, sizeof(*s->to));
	s->from = calloc(t->bins, sizeof(*s->from));
	if (!s->to || !s->from)
		fail("calloc");
	s->fd = bound(s->source, s->port);
	if (connect(s->fd, (const struct sockaddr *)vip, sizeof(*vip)) != 0)
		fail("connect");
}

/* Takes in one arrival, at a server or back at the client; false if there is none. */
static bool receive(struct streams *t, int fd, bool back)
{
	char data[FRAME_MAX];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct sockaddr_in peer;
	struct iovec piece = { data, sizeof(data) };
	struct msghdr msg = { .msg_name = &peer,
			      .msg_namelen = sizeof(peer),
			      .msg_iov = &piece,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct timespec ts;
	struct cmsghdr *c;
	uint32_t number;
	uint64_t bin;
	ssize_t got = recvmsg(fd, &msg, 0);

	if (got < (ssize_t)sizeof(number))
		return false;
	memcpy(&number, data, sizeof(number));
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_TIMESTAMPNS || number >= t->n)
		return true;
	memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	bin = ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - t->begin) / BIN_NS;
	if (bin < t->bins)
		(back ? t->stream[number].from : t->stream[number].to)[bin]++;
	if (!back && t->echo)
		sendto(fd, data, (size_t)got, 0, (struct sockaddr *)&peer, sizeof(peer));
	return true;
}

static void receive_all(struct streams *t)
{
	for (size_t i = 0; i < t->servers; i++)
		while (receive(t, t->server[i], false))
			;
	for (size_t i = 0; t->echo && i < t->n; i++)
		while (receive(t, t->stream[i].fd, true))
			;
}

/* Sends what is due of a stream `since` ns after the beginning. */
static void send_due(struct streams *t, uint32_t number, uint64_t since)
{
	struct stream *s = &t->stream[number];
	uint64_t due = (uint64_t)((double)since * s->frames_a_ns) + 1;
	uint64_t spare = (uint64_t)(LATE_NS * s->frames_a_ns) + 1;
	static char data[FRAME_MAX];

	if (s->sent + spare < due)
		s->sent = due - spare;
	memcpy(data, &number, sizeof(number));
	for (; s->sent < due; s->sent++)
		if (send(s->fd, data, t->frame - HEADERS, 0) < 0 && errno == EBADF)
			fail("send");
}

static void run(struct streams *t, uint64_t length)
{
	uint64_t now, last;

	t->begin = last = now_ns();
	for (uint64_t next = t->begin; (now = now_ns()) < t->begin + length; next += TICK_NS) {
		if (now - last > t->late)
			t->late = now - last;
		last = now;
		for (uint32_t i = 0; i < t->n; i++)
			send_due(t, i, now - t->begin);
		receive_all(t);
		if (next < now)
			next = now;
		clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME,
				&(struct timespec){ .tv_sec = (time_t)(next / 1000000000u),
						    .tv_nsec = (long)(next % 1000000000u) },
				NULL);
	}
	for (uint64_t end = now_ns() + LINGER_NS; now_ns() < end; usleep(TICK_NS / 1000))
		receive_all(t);
}

static void print_bins(const char *name, const uint32_t *bins, size_t n)
{
	printf(", \"%s\": [", name);
	for (size_t i = 0; i < n; i++)
		printf("%s%u", i ? "," : "", bins[i]);
	printf("]");
}

static void print(const struct streams *t)
{
	printf("{\"begin\": %lu, \"late\": %lu, \"streams\": [", t->begin, t->late);
	for (size_t i = 0; i < t->n; i++) {
		printf("%s{\"sent\": %lu", i ? ", " : "", t->stream[i].sent);
		print_bins("to", t->stream[i].to, t->bins);
		print_bins("from", t->stream[i].from, t->bins);
		printf("}");
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct sockaddr_in vip = { .sin_family = AF_INET };
	struct streams t = { 0 };
	uint64_t length;

	if (argc > 1 && !strcmp(argv[1], "echo"))
		t.echo = true, argc--, argv++;
	if (argc < 8 || argc - 7 > STREAMS_MAX) {
		fprintf(stderr, "usage: streams [echo] CLIENT_NETNS SERVER_NETNS,... VIP PORT "
				"FRAME MS SOURCE:PORT:RATE...\n");
		return 2;
	}
	vip.sin_port = htons((uint16_t)atoi(argv[4]));
	t.frame = strtoul(argv[5], NULL, 10);
	length = strtoull(argv[6], NULL, 10) * 1000000;
	t.bins = (length + LINGER_NS) / BIN_NS + 1;
	if (inet_pton(AF_INET, argv[3], &vip.sin_addr) != 1 || t.frame < HEADERS + 4 ||
	    t.frame > FRAME_MAX)
		fail("VIP or FRAME");
	open_servers(&t, argv[2], (uint16_t)atoi(argv[4]));
	enter(argv[1]);
	for (int i = 7; i < argc; i++)
		open_stream(&t, argv[i], &vip);
	/* Whatever else the machine does shall not come between, where that may be asked. */
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	run(&t, length);
	print(&t);
	return 0;
}
