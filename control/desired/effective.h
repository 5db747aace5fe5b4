/* SPDX-License-Identifier: BSD-2-Clause */
/* The effective state of a service: what the layers say together, and which of them decided
 * (layers.h has the rules). The model is built from this and from nothing else (apply.h). */
#ifndef SL_CONTROL_DESIRED_EFFECTIVE_H
#define SL_CONTROL_DESIRED_EFFECTIVE_H

#include "layers.h"
#include "operators.h"

struct sl_effective_backend {
	struct sl_config_backend conf; /* includes the weight; conf.draining isn't used */
	uint32_t file_weight;	       /* 0: the file doesn't have it */
	enum sl_layer from;	       /* the layer that named it */
	enum sl_layer weight_by;
	/* The layers that hold it back from new connections, as bits 1 << enum sl_layer. */
	uint8_t held;
	bool maintenance; /* operators want no packets there at all, and no checks */
	bool forced;	  /* operators overrule health */
	uint8_t share;	  /* the part of its weight that it has, in eighths (SL_SHARE_WHOLE) */
	/* Health has no verdict yet. The backend has to be held back until there is one, unless it
	 * serves already. */
	bool unchecked;
};

struct sl_effective_limits {
	struct sl_config_limit limit[SL_LIMITS_MAX];
	uint32_t n;
	struct sl_live_limit *exception;
	uint32_t n_exceptions;
	uint32_t left_out; /* live settings that can't take effect; why: the last one's reason */
	char why[SL_ERROR_MAX];
};

struct sl_effective {
	struct sl_config_service conf; /* without its backends; its limits are the file's */
	enum sl_layer from;
	bool set; /* operators set some of its fields */
	struct sl_effective_backend *backend;
	size_t n_backends;
	struct sl_effective_limits limits;
};

/* Makes the effective state of a service. Returns 0, -ENOMEM, or -ENOENT if no layer has the
 * service or an operator removed it. If what operators set makes the service invalid, returns
 * -EINVAL with a message; if `lenient` and the file has the service, it is made without those
 * fields instead, and the message is logged. */
int sl_effective_make(const struct sl_layers *layers, const char *service, bool lenient,
		      struct sl_effective *out, char error[SL_ERROR_MAX]);
void sl_effective_free(struct sl_effective *e);

/* Returns the names of all services that some layer has: the file's in its order, then those that
 * operators added. The array has *n elements, and the caller frees it. NULL: no memory. */
const char **sl_effective_services(const struct sl_layers *layers, size_t *n);

/* Makes the effective state of all services, in an array of *n that sl_effective_free_all() frees.
 * A service that was added live is left out and logged if it is invalid by now (its pool is gone
 * from the file), or if it clashes with another. Returns 0 or -ENOMEM. */
int sl_effective_make_all(const struct sl_layers *layers, struct sl_effective **all, size_t *n);
void sl_effective_free_all(struct sl_effective *all, size_t n);

/* Checks that this service, in its effective state, can exist beside all others. Returns 0,
 * -ENOMEM, or -EINVAL with a message. */
int sl_effective_check(const struct sl_layers *layers, const char *service,
		       char error[SL_ERROR_MAX]);

/* Makes the effective limits of one service, as sl_effective_make() does. words: what operators
 * set; now: in seconds since 1970. Returns 0 or -ENOMEM. The caller frees out->exception. */
int sl_effective_limits_make(const struct sl_config_service *conf,
			     const struct sl_operator_service *words, uint64_t now,
			     struct sl_effective_limits *out);

/* Checks that all limits that were added between `before` and `after` fit the service. Returns 0,
 * -ENOMEM, or -EINVAL with a message. */
int sl_effective_limits_fit(const struct sl_config_service *conf,
			    const struct sl_operator_service *before,
			    const struct sl_operator_service *after, char error[SL_ERROR_MAX]);

#endif
