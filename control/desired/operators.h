/* SPDX-License-Identifier: BSD-2-Clause */
/* The layer of operators: what commands set live, by service. Each setting is an override.
 *
 * This is plain data. A change is made on a copy, which replaces the original once it is published
 * (transaction/transaction.h). overrides.h keeps it on disk.
 *
 * Each override stores what the file said when it was set. If the file says something else since,
 * the file wins. The override is dropped once that file is applied, so that it can't come back with
 * a later change of the file.
 */
#ifndef SL_CONTROL_DESIRED_OPERATORS_H
#define SL_CONTROL_DESIRED_OPERATORS_H

#include <jansson.h>
#include <stdbool.h>

#include "../../config/config.h"
#include "../../config/endpoint.h"
#include "drains.h"

enum sl_operator_state {
	SL_OPERATOR_SILENT, /* nothing was set */
	SL_OPERATOR_READY,  /* even if the file says draining */
	SL_OPERATOR_DRAINING,
	SL_OPERATOR_MAINTENANCE, /* gets no packets at all, and isn't checked */
};

/* Returns "ready", "draining" or "maintenance". `state` isn't SL_OPERATOR_SILENT. */
const char *sl_operator_state_text(enum sl_operator_state state);

/* What was set of one backend, by its endpoint. */
struct sl_operator_backend {
	union sl_addr addr;
	uint16_t port; /* host order */
	bool added;    /* the file doesn't have it */
	bool removed;  /* the file has it, or a source names it */
	bool cut;      /* with `removed`: end its connections at once. Never saved */
	bool forced;   /* ready, whatever health says */
	enum sl_operator_state state;
	uint32_t weight;	/* 0: not set. For an added backend, its weight */
	uint32_t file_weight;	/* the file's when it was set; 0: the file didn't have it */
	char name[SL_NAME_MAX]; /* name and server_id are only set for an added backend */
	struct sl_server_id server_id;
};

/* What was set of one limit, or the own rate of one client or flow (an exception). */
struct sl_live_limit {
	struct sl_config_limit limit;
	bool removed; /* the file has it */
	bool of_file; /* `file` holds the file's rate, burst and action at that time */
	struct sl_config_limit file;
	bool exception;
	union sl_addr addr; /* an exception's client, of limit.prefix4 or prefix6 bits, */
	uint16_t port;	    /* or its flow, with this port */
	uint64_t until;	    /* seconds since 1970; 0: no end */
};

/* What was set of one service, and of all that is in it. */
struct sl_operator_service {
	char name[SL_NAME_MAX];
	/* The file doesn't have it. `fields` are all its fields, but not what other commands set
	 * (backends, limits). */
	bool added;
	bool removed;	/* the file has it */
	json_t *fields; /* as in the file, by name; NULL: none */
	/* The file's values of the fields in `fields`, at that time. JSON's null: the file had
	 * none. */
	json_t *file;
	struct sl_operator_backend *backend;
	size_t n_backends;
	struct sl_live_limit *limit;
	size_t n_limits;
	struct sl_drain *drain;
	size_t n_drains;
};

struct sl_operators {
	uint64_t frozen; /* since when automation changes nothing, in seconds since 1970; 0: it does
			  */
	struct sl_operator_service *service;
	size_t n;
};

/* Return an empty layer, or a copy; NULL if there is no memory. */
struct sl_operators *sl_operators_new(void);
struct sl_operators *sl_operators_clone(const struct sl_operators *from);
void sl_operators_free(struct sl_operators *o);

/* Return the overrides of this service. If there are none, sl_operators_find() returns NULL, and
 * sl_operators_get() adds an empty record (NULL: no memory). */
struct sl_operator_service *sl_operators_find(const struct sl_operators *o, const char *service);
struct sl_operator_service *sl_operators_get(struct sl_operators *o, const char *service);

/* The same for a backend. sl_operator_backend_find() accepts NULL for `s`. */
struct sl_operator_backend *sl_operator_backend_find(const struct sl_operator_service *s,
						     const union sl_addr *addr, uint16_t port);
struct sl_operator_backend *sl_operator_backend_get(struct sl_operator_service *s,
						    const union sl_addr *addr, uint16_t port);

/* Makes the override say that the backend is removed, and nothing else. cut: its connections are to
 * end at once. */
void sl_operator_backend_remove(struct sl_operator_backend *b, bool cut);

/* sl_operator_limit_set() replaces the override of the same limit, or appends it, and returns 0 or
 * -ENOMEM. sl_operator_limit_drop() removes it. */
int sl_operator_limit_set(struct sl_operator_service *s, const struct sl_live_limit *l);
void sl_operator_limit_drop(struct sl_operator_service *s, const struct sl_live_limit *l);

/* Whether both are about the same limit, and about the same client or flow. */
bool sl_live_limit_same(const struct sl_live_limit *a, const struct sl_live_limit *b);

/* Whether `l`, the own rate of a client or flow, belongs to the limit `base`: one of its scope,
 * unit, direction and prefix length. */
bool sl_live_limit_belongs(const struct sl_config_limit *base, const struct sl_live_limit *l);

/* Formats the subject: "client 198.51.100.7/32" or "flow 198.51.100.7:12345". Returns text. */
#define SL_SUBJECT_TEXT (SL_PREFIX_TEXT + 16)
const char *sl_live_limit_subject(const struct sl_live_limit *l, char text[SL_SUBJECT_TEXT]);

/* Renames services. The overrides of a service in `from` get the name of the service in `to` that
 * has the same VIP, protocol and port. */
void sl_operators_rename(struct sl_operators *o, const struct sl_config *from,
			 const struct sl_config *to);

/* Drops overrides that this file, which was applied, has superseded, those that have ended by `now`
 * (seconds since 1970), and empty records. */
void sl_operators_prune(struct sl_operators *o, const struct sl_config *file, uint64_t now);

/* Appends a sentence to the JSON array `list` for each override that differs from the file. */
void sl_operators_describe(const struct sl_operators *o, const struct sl_config *file,
			   json_t *list);

#endif
