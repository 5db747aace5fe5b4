/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../dataplane/engine/decide_one.h"
#include "engine.h"

struct sl_replay_engine {
	const struct sl_store *store;
	uint16_t port;
};

static int dpdk_open(struct sl_replay_engine **e, const struct sl_store *store, uint32_t port,
		     char error[SL_ERROR_MAX])
{
	*e = calloc(1, sizeof(**e));
	if (!*e) {
		snprintf(error, SL_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	(*e)->store = store;
	(*e)->port = (uint16_t)port;
	return 0;
}

static int dpdk_decide(struct sl_replay_engine *e, struct sl_frame *frame, uint64_t now)
{
	struct sl_packet p = { .data = frame->data,
			       .end = frame->data + frame->length,
			       .frame = frame->data - SL_FRAME_ROOM,
			       .length = frame->length,
			       .ingress = e->port };
	enum sl_reason reason;
	uint16_t egress;

	reason = sl_decide_one(e->store, 0, now, &p, &egress);
	frame->data = p.data;
	frame->length = p.length;
	frame->back = egress == e->port;
	return (int)reason;
}

static void dpdk_close(struct sl_replay_engine *e)
{
	free(e);
}

static uint32_t dpdk_writer(const struct sl_replay_engine *e)
{
	(void)e;
	return 0;
}

const struct sl_engine_kind sl_engine_dpdk = {
	.name = "dpdk",
	.open = dpdk_open,
	.decide = dpdk_decide,
	.close = dpdk_close,
	.writer = dpdk_writer,
};
