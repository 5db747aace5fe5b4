/* SPDX-License-Identifier: BSD-2-Clause */
/* The effective state of a service: what the layers make of it together, and which of them decided
 * (layers.h has the rules). The model is built from this and from nothing else (apply.h). */
#ifndef SL_CONTROL_DESIRED_EFFECTIVE_H
#define SL_CONTROL_DESIRED_EFFECTIVE_H

#include "layers.h"
#include "operators.h"

struct sl_effective_backend {
	struct sl_config_backend conf; /* weight included; conf.draining isn't used */
	uint32_t file_weight;	       /* 0: the file doesn't have it */
	enum sl_layer from;	       /* who brought it in */
	enum sl_layer weight_by;
	uint8_t held; /* bits 1 << enum sl_layer: who holds it back from new connections */
	bool forced;  /* operators overrule health */
	/* Health knows nothing of it yet, and it is to be held until it does, unless it serves
	 * already. */
	bool unchecked;
};

struct sl_effective_limits {
	struct sl_config_limit limit[SL_LIMITS_MAX];
	uint32_t n;
	struct sl_live_limit *exception;
	uint32_t n_exceptions;
	uint32_t left_out; /* that were set live and can't be, with why for the last */
	char why[SL_ERROR_MAX];
};

struct sl_effective {
	struct sl_config_service conf; /* its backends are not in it; its limits as in the file */
	enum sl_layer from;
	bool set; /* operators set some of its fields */
	struct sl_effective_backend *backend;
	size_t n_backends;
	struct sl_effective_limits limits;
};

/* 0; -ENOENT: no layer wants the service, or an operator removed it; -ENOMEM; or, where what
 * operators set makes no service any more, -EINVAL with a message. In the last case, if `lenient`,
 * a service of the file is made without those fields instead, and the message logged. */
int sl_effective_make(const struct sl_layers *layers, const char *service, bool lenient,
		      struct sl_effective *out, char error[SL_ERROR_MAX]);
void sl_effective_free(struct sl_effective *e);

/* The names of all services that some layer wants: those of the file in its order, then those that
 * operators added. An array of that many that is the caller's to free; NULL: no memory. */
const char **sl_effective_services(const struct sl_layers *layers, size_t *n);

/* All services that the layers want together: an array of *n, to be freed by
 * sl_effective_free_all(). A service that was added live and is none any more (its pool is gone
 * from the file), or that clashes with another by now, is left out and logged. 0 or -ENOMEM. */
int sl_effective_make_all(const struct sl_layers *layers, struct sl_effective **all, size_t *n);
void sl_effective_free_all(struct sl_effective *all, size_t n);

/* Whether this service, as the layers want it, can stand beside all others: 0, -ENOMEM, or -EINVAL
 * with a message. */
int sl_effective_check(const struct sl_layers *layers, const char *service,
		       char error[SL_ERROR_MAX]);

/* Of the limits of one service: as sl_effective_make() makes them. `now` in seconds since 1970. 0
 * or -ENOMEM; out->exception is the caller's to free. */
int sl_effective_limits_make(const struct sl_config_service *conf,
			     const struct sl_operator_service *words, uint64_t now,
			     struct sl_effective_limits *out);

/* Whether all that was added to the limits between `before` and `after` fits the service: 0,
 * -ENOMEM, or -EINVAL with a message. */
int sl_effective_limits_fit(const struct sl_config_service *conf,
			    const struct sl_operator_service *before,
			    const struct sl_operator_service *after, char error[SL_ERROR_MAX]);

#endif
