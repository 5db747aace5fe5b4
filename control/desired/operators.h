/* SPDX-License-Identifier: BSD-2-Clause */
/* The layer of operators: what commands set live, by service.
 *
 * Plain data. A change is made on a copy, which takes the place of the original once it is
 * published (commands/transaction.h); overrides.h keeps it on disk.
 *
 * Each word remembers what the file said at that time. Where the file says something else since,
 * the file wins, and the word is dropped once that file is applied, so that it can't come back with
 * a later change.
 */
#ifndef SL_CONTROL_DESIRED_OPERATORS_H
#define SL_CONTROL_DESIRED_OPERATORS_H

#include <jansson.h>
#include <stdbool.h>

#include "../../config/config.h"
#include "../../config/endpoint.h"

enum sl_operator_state {
	SL_OPERATOR_SILENT, /* nothing was said */
	SL_OPERATOR_READY,  /* though the file says draining */
	SL_OPERATOR_DRAINING,
};

/* About one backend, by its endpoint. */
struct sl_operator_backend {
	union sl_addr addr;
	uint16_t port; /* host order */
	bool added;    /* the file doesn't have it */
	bool removed;  /* the file has it, or a source names it */
	bool cut;      /* with `removed`: its connections too, at once. Never saved */
	bool forced;   /* ready, whatever health says */
	enum sl_operator_state state;
	uint32_t weight;	/* 0: nothing was said. Of an added one its weight */
	uint32_t file_weight;	/* when that was said; 0: the file hadn't it */
	char name[SL_NAME_MAX]; /* of an added one, as its server id */
	struct sl_server_id server_id;
};

/* About one limit, or about the own rate of one client or flow (an exception). */
struct sl_live_limit {
	struct sl_config_limit limit;
	bool removed; /* the file has it */
	bool of_file; /* `file` holds what the file said: rate, burst and action */
	struct sl_config_limit file;
	bool exception;
	union sl_addr addr; /* whose: a client of limit.prefix4 or prefix6, */
	uint16_t port;	    /* or a flow */
	uint64_t until;	    /* seconds since 1970; 0: no end */
};

/* About one service, and all that is in it. */
struct sl_operator_service {
	char name[SL_NAME_MAX];
	bool added;	/* the file doesn't have it: `fields` are all of it but what commands set */
	bool removed;	/* the file has it */
	json_t *fields; /* NULL: none. As in the file, by name */
	json_t *file;	/* of fields that were set over the file's: what it said; null: nothing */
	struct sl_operator_backend *backend;
	size_t n_backends;
	struct sl_live_limit *limit;
	size_t n_limits;
};

struct sl_operators {
	struct sl_operator_service *service;
	size_t n;
};

/* An empty layer, and a copy; NULL: no memory. */
struct sl_operators *sl_operators_new(void);
struct sl_operators *sl_operators_clone(const struct sl_operators *from);
void sl_operators_free(struct sl_operators *o);

/* What was said of this service; the first NULL where nothing was, the second makes it (NULL: no
 * memory). */
struct sl_operator_service *sl_operators_find(const struct sl_operators *o, const char *service);
struct sl_operator_service *sl_operators_get(struct sl_operators *o, const char *service);

/* Of a backend, likewise. `s` may be NULL in the first. */
struct sl_operator_backend *sl_operator_backend_find(const struct sl_operator_service *s,
						     const union sl_addr *addr, uint16_t port);
struct sl_operator_backend *sl_operator_backend_get(struct sl_operator_service *s,
						    const union sl_addr *addr, uint16_t port);

/* Puts a limit in the place of its like, or at the end; takes one away. 0 or -ENOMEM. */
int sl_operator_limit_set(struct sl_operator_service *s, const struct sl_live_limit *l);
void sl_operator_limit_drop(struct sl_operator_service *s, const struct sl_live_limit *l);

/* Whether they are about the same limit, and about the same client or flow. */
bool sl_live_limit_same(const struct sl_live_limit *a, const struct sl_live_limit *b);

/* Whether the own rate of a client or flow, `l`, belongs to the limit `base`: one of its scope,
 * unit, direction and prefix length. */
bool sl_live_limit_belongs(const struct sl_config_limit *base, const struct sl_live_limit *l);

/* "client 198.51.100.7/32", "flow 198.51.100.7:12345". */
#define SL_SUBJECT_TEXT (SL_PREFIX_TEXT + 16)
const char *sl_live_limit_subject(const struct sl_live_limit *l, char text[SL_SUBJECT_TEXT]);

/* Gives what is said of services `from` the names that the services of the same VIP, protocol and
 * port have in `to`. */
void sl_operators_rename(struct sl_operators *o, const struct sl_config *from,
			 const struct sl_config *to);

/* Drops what this file, which was applied, has overtaken, what has ended by `now` (seconds since
 * 1970), and records that say nothing. */
void sl_operators_prune(struct sl_operators *o, const struct sl_config *file, uint64_t now);

/* Appends a sentence to the JSON array `list` for each word that differs from what the file says.
 */
void sl_operators_describe(const struct sl_operators *o, const struct sl_config *file,
			   json_t *list);

#endif
