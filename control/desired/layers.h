/* SPDX-License-Identifier: BSD-2-Clause */
/* The desired state, in four layers that never overwrite each other.
 *
 *     file         the configuration as it was last read
 *     sources      backends that come by discovery; nobody fills this layer yet
 *     operators    what was set by commands (operators.h)
 *     health       the verdict on each backend that is checked (health/health.h)
 *
 * The layers have no simple order of precedence. A backend belongs to a service if the file or a
 * source names it or an operator added it, unless an operator removed it. Each layer may hold a
 * backend back from new connections, and the backend gets some only if none does. An operator's
 * "ready" overrules the file, and if it is forced, health too. If the file has changed a value
 * since an operator set it, the file wins. effective.h makes one state of the four layers.
 */
#ifndef SL_CONTROL_DESIRED_LAYERS_H
#define SL_CONTROL_DESIRED_LAYERS_H

#include "../../config/config.h"

struct sl_operators;

enum sl_layer {
	SL_LAYER_FILE,
	SL_LAYER_SOURCES,
	SL_LAYER_OPERATORS,
	SL_LAYER_HEALTH,
};

/* Returns the layer's name in answers: "file", "source", "live" or "health". */
const char *sl_layer_text(enum sl_layer layer);

/* A backend that a source names. */
struct sl_source_backend {
	char service[SL_NAME_MAX];
	struct sl_config_backend conf; /* conf.draining: the source says that it terminates */
};

enum sl_health_state {
	SL_HEALTH_CHECKING, /* no check has decided yet */
	SL_HEALTH_UP,
	SL_HEALTH_DOWN,
};

/* Returns "checking", "up" or "down". */
const char *sl_health_state_text(enum sl_health_state state);

#define SL_HEALTH_CAUSE 128

/* The verdict of health on one backend. control/health owns it and changes it in place. */
struct sl_health_verdict {
	char service[SL_NAME_MAX];
	union sl_addr addr;
	uint16_t port; /* host order */
	bool held;     /* must get no new connections */
	bool panic;    /* isn't held though it is down, since too few are up */
	bool returned; /* it is up, and got no connections before */
	uint8_t share; /* the part of its weight that it has, in eighths (SL_SHARE_WHOLE) */
	enum sl_health_state state;
	uint64_t since;		     /* when the state began, in seconds since 1970 */
	uint32_t took_ms;	     /* duration of the last check */
	char cause[SL_HEALTH_CAUSE]; /* why the last check failed; "": it didn't fail */
};

struct sl_layers {
	const struct sl_config *file;
	const struct sl_source_backend *source;
	size_t n_sources;
	const struct sl_operators *operators;
	bool checks; /* false: nobody checks, and health holds no backend back */
	struct sl_health_verdict *const *health; /* sorted by sl_health_compare() */
	size_t n_health;
};

/* Compares by service, address and port. */
int sl_health_compare(const struct sl_health_verdict *a, const struct sl_health_verdict *b);

/* Returns the verdict on this backend; NULL if it isn't checked, or not yet. */
const struct sl_health_verdict *sl_health_find(struct sl_health_verdict *const *verdicts, size_t n,
					       const char *service, const union sl_addr *addr,
					       uint16_t port);

#endif
