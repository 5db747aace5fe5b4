/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the names of a packet's service and backend, from its bytes before and after the decision.
 * So both engines are described in the same way.
 */
#ifndef SL_REPLAY_NAMES_H
#define SL_REPLAY_NAMES_H

#include "../../dataplane/abi/reason.h"
#include "../model/model.h"
#include "engine.h"

struct sl_names;

/* NULL: none, or it can't be told. */
struct sl_subject {
	const char *service;
	const char *backend;
};

/* The part of a frame that identifies its service and backend. */
struct sl_names_key {
	union sl_addr src, dst;
	uint32_t src_endpoint, dst_endpoint; /* 0: no flow */
	/* Of a fragment: what is the same in all of its datagram. The first one alone has ports. */
	uint32_t id;
	uint8_t protocol;
	bool fragment;
};

/* The names belong to the model. NULL: no memory. */
struct sl_names *sl_names_new(const struct sl_model *model);
void sl_names_free(struct sl_names *names);

struct sl_names_key sl_names_key(const struct sl_frame *frame);

/* `before`: the key of the frame as it came in. A later fragment gets the names of its datagram's
 * first, which are remembered. */
struct sl_subject sl_names_find(struct sl_names *names, const struct sl_names_key *before,
				const struct sl_frame *after, enum sl_reason reason);

#endif
