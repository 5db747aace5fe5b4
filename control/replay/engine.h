/* SPDX-License-Identifier: BSD-2-Clause */
/* The two engines behind one interface, one call per packet.
 *
 *   dpdk   the core as gcc compiles it into the worker (dataplane/engine/decide_one.h). It needs no
 *          privileges. The caller passes the time.
 *   xdp    the program of bpf/ as clang compiles it, loaded over the instance's BPF arrays but not
 *          attached: packets go through BPF_PROG_TEST_RUN. It needs CAP_BPF and CAP_NET_ADMIN.
 *          The caller passes the time. The calling thread stays on one CPU from then on, because
 *          each CPU has counters of its own.
 *
 * Both read and write the store that they were opened with.
 */
#ifndef SL_REPLAY_ENGINE_H
#define SL_REPLAY_ENGINE_H

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"

enum {
	SL_FRAME_MAX = 262144, /* as many as libpcap's largest packet */
	/* Frames that XDP accepts: at least an Ethernet header, at most what a page has room
	 * for. */
	SL_XDP_FRAME_MIN = 14,
	SL_XDP_FRAME_MAX = 3520,
	SL_FRAME_ROOM = 128, /* room in front of a frame, for outer headers */
};

struct sl_frame {
	uint8_t *data; /* moves forward when the frame grows */
	uint32_t length;
	bool back; /* if it leaves: by the ingress port */
};

struct sl_replay_engine;

struct sl_engine_kind {
	const char *name;
	bool bpf; /* its store has to be BPF arrays */
	/* port: index of the port by which all packets come in. 0, or -errno with a message. */
	int (*open)(struct sl_replay_engine **e, const struct sl_store *store, uint32_t port,
		    char error[SL_ERROR_MAX]);
	/* Decides a frame and rewrites it in place. Returns the reason; -EMSGSIZE if such a frame
	 * never reaches this engine; another -errno if the engine failed. now: ticks since the
	 * root's origin. */
	int (*decide)(struct sl_replay_engine *e, struct sl_frame *frame, uint64_t now);
	void (*close)(struct sl_replay_engine *e);
	uint32_t (*writer)(const struct sl_replay_engine *e); /* whose counters it uses */
};

extern const struct sl_engine_kind sl_engine_dpdk;
extern const struct sl_engine_kind sl_engine_xdp;

#endif
