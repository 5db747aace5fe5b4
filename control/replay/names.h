/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose packet was it? The names of its service and backend, from the packet before the decision
 * and after it, so that both engines are asked the same way: by their bytes.
 */
#ifndef SL_REPLAY_NAMES_H
#define SL_REPLAY_NAMES_H

#include "../../dataplane/abi/reason.h"
#include "../model/model.h"
#include "engine.h"

struct sl_names;

/* NULL: nobody, or it can't be told. */
struct sl_subject {
	const char *service;
	const char *backend;
};

/* What of a frame names its subject. */
struct sl_names_key {
	union sl_addr src, dst;
	uint32_t src_endpoint, dst_endpoint; /* 0: no flow */
	/* Of a fragment: what is the same in all of its datagram. The first one alone has ports. */
	uint32_t id;
	uint8_t protocol;
	bool fragment;
};

/* Names are the model's own. NULL: no memory. */
struct sl_names *sl_names_new(const struct sl_model *model);
void sl_names_free(struct sl_names *names);

struct sl_names_key sl_names_key(const struct sl_frame *frame);

/* `before` is the frame's as it came. A later fragment has the names of its datagram's first, which
 * are remembered. */
struct sl_subject sl_names_find(struct sl_names *names, const struct sl_names_key *before,
				const struct sl_frame *after, enum sl_reason reason);

#endif
