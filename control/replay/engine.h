/* SPDX-License-Identifier: BSD-2-Clause */
/* The two engines, behind one call a packet.
 *
 *   dpdk   the core as gcc compiles it into the worker (dataplane/engine/decide_one.h); needs no
 *          rights. Its clock is the caller's.
 *   xdp    the program of bpf/ as clang compiles it, loaded over the instance's BPF arrays and
 *          attached to nothing: each packet goes through BPF_PROG_TEST_RUN. Needs CAP_BPF and
 *          CAP_NET_ADMIN. Its clock is the caller's too. The calling thread is bound to one CPU
 * from then on, since counters are each CPU's own.
 *
 * Both read and write the store that they were opened over.
 */
#ifndef SL_REPLAY_ENGINE_H
#define SL_REPLAY_ENGINE_H

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"

enum {
	SL_FRAME_MAX = 262144, /* as libpcap's longest */
	/* What XDP is handed: not less than an Ethernet header, and what is left of a page. */
	SL_XDP_FRAME_MIN = 14,
	SL_XDP_FRAME_MAX = 3520,
	SL_FRAME_ROOM = 128, /* in front of a frame, to grow into */
};

struct sl_frame {
	uint8_t *data; /* moves by what the frame grows by */
	uint32_t length;
	bool back; /* of one that leaves: by the port that it came in by */
};

struct sl_replay_engine;

struct sl_engine_kind {
	const char *name;
	bool bpf; /* its store has to lie in BPF arrays */
	/* port: index of the one that all packets come in by. 0 or -errno with a message. */
	int (*open)(struct sl_replay_engine **e, const struct sl_store *store, uint32_t port,
		    char error[SL_ERROR_MAX]);
	/* Rewrites the frame in place. The reason, or -EMSGSIZE: this engine is never handed such a
	 * frame; another -errno: it failed. now: ticks since the root's origin. */
	int (*decide)(struct sl_replay_engine *e, struct sl_frame *frame, uint64_t now);
	void (*close)(struct sl_replay_engine *e);
	uint32_t (*writer)(const struct sl_replay_engine *e); /* whose counters are used */
};

extern const struct sl_engine_kind sl_engine_dpdk;
extern const struct sl_engine_kind sl_engine_xdp;

#endif
