/* SPDX-License-Identifier: BSD-2-Clause */
/* The program only returns an action; the reason is the one counter that it incremented. All ports
 * lead to the loopback interface, which always exists; nothing is ever sent. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../xdp/program.h"
#include "engine.h"
#include "engine.skel.h"

struct sl_replay_engine {
	struct sl_xdp_engine *skel;
	int program;
	uint32_t writer;
	const struct sl_reason_counters *counters;
	struct sl_reason_counters before;
	uint8_t out[SL_XDP_FRAME_MAX + SL_FRAME_ROOM];
};

static int fail(int err, const char *what, char error[SL_ERROR_MAX])
{
	snprintf(error, SL_ERROR_MAX, "engine xdp: %s: %s%s", what, strerror(-err),
		 err == -EPERM ? ": run as root (CAP_BPF and CAP_NET_ADMIN)" : "");
	return err;
}

static int lead_ports(struct sl_xdp_engine *skel)
{
	uint32_t interface = if_nametoindex("lo");
	int err = 0;

	for (uint32_t port = 0; port < SL_PORTS_MAX && !err; port++)
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.egress), &port, &interface,
					  BPF_ANY);
	return err;
}

/* Keeps the thread on one CPU; returns its number. */
static int bind_cpu(uint32_t *cpu)
{
	int now = sched_getcpu();
	cpu_set_t set;

	if (now < 0)
		return -errno;
	CPU_ZERO(&set);
	CPU_SET(now, &set);
	*cpu = (uint32_t)now;
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static void xdp_close(struct sl_replay_engine *e)
{
	if (e)
		sl_xdp_engine__destroy(e->skel);
	free(e);
}

static int load(struct sl_replay_engine *e, const struct sl_store *store, uint32_t port,
		char error[SL_ERROR_MAX])
{
	uint64_t generation = sl_store_root(store)->generation;
	/* Before the first generation, any program may be needed later. */
	uint32_t needed = generation ? sl_program_needed(store, generation) : ~0u;
	int err = sl_program_open(&e->skel, store, NULL, 0);

	for (int i = 0; i < SL_TAIL_COUNT && !err; i++)
		bpf_program__set_autoload(sl_program_tail(e->skel, (enum sl_tail)i),
					  needed >> i & 1);
	if (!err) {
		e->skel->rodata->sl_port = port;
		e->skel->rodata->sl_time_is_set = true;
		err = sl_program_load(e->skel);
	}
	return err ? fail(err, "the program can't be loaded", error) : 0;
}

static int xdp_open(struct sl_replay_engine **out, const struct sl_store *store, uint32_t port,
		    char error[SL_ERROR_MAX])
{
	struct sl_replay_engine *e = calloc(1, sizeof(*e));
	uint32_t cpu = 0;
	int err;

	if (!e)
		return fail(-ENOMEM, "no memory", error);
	err = load(e, store, port, error);
	if (err)
		goto fail;
	err = lead_ports(e->skel);
	if (err) {
		fail(err, "its ports", error);
		goto fail;
	}
	err = bind_cpu(&cpu);
	if (!err) {
		e->writer = store->count[SL_ARRAY_workers] + cpu;
		err = e->writer < store->count[SL_ARRAY_reason_counters] ? 0 : -ERANGE;
	}
	if (err) {
		fail(err, "no CPU to run on", error);
		goto fail;
	}
	e->program = bpf_program__fd(e->skel->progs.xsk_def_prog);
	e->counters = (const struct sl_reason_counters *)store->base[SL_ARRAY_reason_counters] +
		      e->writer;
	e->before = *e->counters;
	*out = e;
	return 0;
fail:
	xdp_close(e);
	return err;
}

/* The reason whose counter grew by one. */
static int moved(struct sl_replay_engine *e)
{
	int reason = -EPROTO;

	for (int i = 0; i < SL_REASON_COUNT; i++) {
		uint64_t now = __atomic_load_n(&e->counters->packets[i], __ATOMIC_RELAXED);

		if (now == e->before.packets[i])
			continue;
		reason = reason == -EPROTO && now == e->before.packets[i] + 1 ? i : -EPROTO;
		e->before.packets[i] = now;
	}
	return reason;
}

/* Whether the program's action fits the verdict of the reason. */
static bool fits(int reason, uint32_t answer)
{
	static const uint8_t verdict_of[] = {
#define VERDICT(name, verdict, help) [SL_REASON_##name] = verdict,
		SL_REASONS(VERDICT)
#undef VERDICT
	};

	switch (verdict_of[reason]) {
	case SL_PUNT:
		return answer == XDP_PASS;
	case SL_DROP:
		return answer == XDP_DROP;
	default:
		return answer == XDP_TX || answer == XDP_REDIRECT;
	}
}

static int xdp_decide(struct sl_replay_engine *e, struct sl_frame *frame, uint64_t now)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data, .data_size_in = frame->length,
		    .data_out = e->out, .data_size_out = sizeof(e->out), .repeat = 1);
	int err, reason;

	__atomic_store_n(&e->skel->bss->sl_time, now, __ATOMIC_RELAXED);
	/* No driver passes a shorter frame to XDP; the kernel's stack would drop it. */
	if (frame->length < SL_XDP_FRAME_MIN)
		return SL_REASON_not_ours;
	if (frame->length > SL_XDP_FRAME_MAX)
		return -EMSGSIZE;
	err = bpf_prog_test_run_opts(e->program, &opts);
	if (err)
		return err;
	reason = moved(e);
	if (reason < 0 || !fits(reason, opts.retval))
		return -EPROTO;
	if (opts.data_size_out > frame->length)
		frame->data -= opts.data_size_out - frame->length;
	frame->length = opts.data_size_out;
	memcpy(frame->data, e->out, frame->length);
	frame->back = opts.retval == XDP_TX;
	return reason;
}

static uint32_t xdp_writer(const struct sl_replay_engine *e)
{
	return e->writer;
}

const struct sl_engine_kind sl_engine_xdp = {
	.name = "xdp",
	.bpf = true,
	.open = xdp_open,
	.decide = xdp_decide,
	.close = xdp_close,
	.writer = xdp_writer,
};
