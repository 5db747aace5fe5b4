/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wanted, by whom: four layers that never overwrite each other.
 *
 *     file         the configuration as it was last read
 *     sources      backends that come by discovery; nobody fills this layer yet
 *     operators    what was set by commands (operators.h)
 *     health       backends that must get no new connections; nobody fills this layer yet
 *
 * They are no plain order. A backend belongs to a service if the file or a source names it or an
 * operator added it, unless an operator removed it. Each of file, sources, operators and health may
 * hold a backend back from new connections, and it gets some only if none does; an operator's
 * "ready" lifts what the file says. Where the file changed what an operator had set otherwise, the
 * file wins. effective.h makes one state of the four.
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

/* "file", "source", "live", "health": as answers say it. */
const char *sl_layer_text(enum sl_layer layer);

/* A backend that a source names. */
struct sl_source_backend {
	char service[SL_NAME_MAX];
	struct sl_config_backend conf; /* conf.draining: the source says that it terminates */
};

/* A backend that health takes out. */
struct sl_health_verdict {
	char service[SL_NAME_MAX];
	union sl_addr addr;
	uint16_t port; /* host order */
};

struct sl_layers {
	const struct sl_config *file;
	const struct sl_source_backend *source;
	size_t n_sources;
	const struct sl_operators *operators;
	const struct sl_health_verdict *health;
	size_t n_health;
};

#endif
