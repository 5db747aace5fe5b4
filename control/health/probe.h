/* SPDX-License-Identifier: BSD-2-Clause */
/* One probe: one attempt to see whether a backend answers, from its beginning to its result.
 *
 * It runs from the event loop and never blocks. Its memory is bounded (SL_PROBE_ANSWER bytes of an
 * answer are kept), and it knows no timeout: whoever began it ends it when its time is up. A type
 * of probe is a struct sl_probe_type in a file of its own, and its line in `types` of probe.c.
 */
#ifndef SL_CONTROL_HEALTH_PROBE_H
#define SL_CONTROL_HEALTH_PROBE_H

#include <event2/event.h>

#include "../desired/layers.h"

enum { SL_PROBE_ANSWER = 8192 };

enum sl_probe_result {
	SL_PROBE_RUNS,
	SL_PROBE_PASSED,
	SL_PROBE_FAILED,
	SL_PROBE_UNABLE, /* it couldn't be made here: says nothing about the backend */
};

struct ssl_ctx_st;
struct sl_probe;

struct sl_probe_type {
	/* Begins; SL_PROBE_RUNS, or how it ended, with the cause in p->cause. */
	enum sl_probe_result (*begin)(struct sl_probe *p);
	/* Gives up all that it holds, whether it has ended or not. */
	void (*end)(struct sl_probe *p);
};

struct sl_probe {
	/* From whoever begins it. */
	struct event_base *base;
	const struct sl_health_conf *conf;
	const char *service, *backend;
	union sl_addr addr;
	uint16_t port;		/* host order */
	struct ssl_ctx_st *tls; /* for https */
	void (*done)(struct sl_probe *p,
		     enum sl_probe_result result); /* once, unless it is ended */
	void *context;

	char cause[SL_HEALTH_CAUSE];
	const char *stage; /* what it waits for, for the cause of a timeout */

	/* The type's own. */
	const struct sl_probe_type *type;
	int fd;
	struct event *event;
	struct bufferevent *stream;
	uint8_t *answer;
	size_t n_answer;
	uint16_t id; /* of a query or echo request */
	int child;   /* a process, and its group; 0: none */
	int out;     /* what it prints; -1: none */
	struct event *printing;
	uint32_t n_read; /* of it */
};

enum sl_probe_result sl_probe_begin(struct sl_probe *p);
void sl_probe_end(struct sl_probe *p);

extern const struct sl_probe_type sl_probe_tcp, sl_probe_http, sl_probe_datagram, sl_probe_icmp,
	sl_probe_exec;

/* For types. A socket that doesn't block, with the check's mark and source; connect() may go on.
 * SL_PROBE_RUNS, or how it failed. */
enum sl_probe_result sl_probe_connect(struct sl_probe *p, int type, int protocol);

/* An event on p->fd. False, with the cause: no memory. */
bool sl_probe_wait(struct sl_probe *p, short what, event_callback_fn call);

/* Processes that were killed and haven't ended yet: notes one; collects those that have. */
void sl_probe_leave(int child);
void sl_probe_reap(void);

/* Sets the cause; returns the result for convenience. */
__attribute__((format(printf, 3, 4))) enum sl_probe_result
sl_probe_says(struct sl_probe *p, enum sl_probe_result result, const char *format, ...);

/* The same for an errno of the network. */
enum sl_probe_result sl_probe_errno(struct sl_probe *p, int err);

#endif
