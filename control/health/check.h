/* SPDX-License-Identifier: BSD-2-Clause */
/* One check: a backend that is probed again and again.
 *
 * Its timer is either the beginning of the next probe or the end of the running one's time. Starts
 * are spread over the interval, and again when control was late for them, so that there is no storm
 * of connections.
 */
#ifndef SL_CONTROL_HEALTH_CHECK_H
#define SL_CONTROL_HEALTH_CHECK_H

#include <sys/queue.h>

#include "../daemon.h"
#include "probe.h"
#include "state.h"

struct sl_check {
	LIST_ENTRY(sl_check) next; /* of its service */
	struct sl_health_verdict v;
	struct sl_health_count count;
	struct sl_check_group *group; /* NULL: kept from before, and not met in the model yet */
	char name[SL_NAME_MAX];
	bool others; /* others hold it back, so it is no part of the share that is healthy */
	bool met;    /* while the model is followed */
	struct event *timer;
	struct sl_probe probe;
	bool runs;
	uint64_t due_ns;     /* the next probe, or that which runs */
	uint64_t started_ns; /* that which runs */
	uint64_t late_ns;    /* sl_lateness_at() then */
};

/* The checks of one service. */
struct sl_check_group {
	char name[SL_NAME_MAX];
	struct sl_health *health;
	struct sl_health_conf conf;
	struct ssl_ctx_st *tls; /* NULL: not made yet, or not needed */
	struct sl_health_panic panic;
	bool dirty; /* a state has changed */
	bool slow;  /* the weight of a backend grows */
	bool met;
	LIST_HEAD(, sl_check) checks;
};

struct sl_health {
	struct sl_control *c;
	struct sl_check_group **group; /* by name */
	size_t n_groups;
	struct sl_lateness lateness;
	uint64_t followed; /* the generation */
	uint32_t spread;   /* counts starts, to spread them */
	bool dirty;	   /* some group is, */
	uint64_t dirty_ns; /* since then; */
	bool wants;	   /* verdicts have changed that aren't applied */
	bool unsaved;
	bool frozen; /* operators have frozen automation: verdicts stay what they are */
	bool failed; /* the last attempt to apply or save */
	uint64_t failed_ns;
	uint64_t save_from_ns;
	uint64_t slow_ns; /* when weights that grow last did */
	uint64_t second;  /* of the log lines that are counted */
	uint32_t lines, left_out;
	double worst_late_ms[2]; /* this period and the last */
	uint64_t period_ns;
};

/* A check of a backend; its verdict names it. NULL: no memory. */
struct sl_check *sl_check_new(const char *service, const union sl_addr *addr, uint16_t port);
void sl_check_free(struct sl_check *check);

/* Begins, or begins anew with another configuration. 0 or -ENOMEM. */
int sl_check_start(struct sl_check *check, uint64_t now_ns);

/* To be told of a state that is another now. */
void sl_health_changed(struct sl_check *check);

#endif
