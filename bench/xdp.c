/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-bench-xdp: nanoseconds per packet of the XDP engine, with the tables of a live instance.
 *
 *     sluice-bench-xdp BPF_DIR VIP PORT FLOWS syn|ack RUNS
 *
 * It runs the engine and the empty program in turns and prints the time per run of each, as the
 * median of nine batches, and the packets by reason. scripts/bench makes the instance.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../dataplane/abi/store.h"
#include "../dataplane/abi/tails.h"
#include "xdp.skel.h"

enum { BATCHES = 9, FRAME = 60, HEADROOM = 14 };

static int quiet(enum libbpf_print_level level, const char *format, va_list list)
{
	(void)level, (void)format, (void)list;
	return 0;
}

static int reuse(struct sl_bench *skel, const char *dir)
{
	struct {
		struct bpf_map *map;
		const char *name;
	} maps[] = {
#define REUSED(name, record, writer) { skel->maps.name, #name },
		SL_ARRAYS(REUSED)
#undef REUSED
			{ skel->maps.egress, "egress" },
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, maps[i].name);
		fd = bpf_obj_get(path);
		if (fd < 0 || bpf_map__reuse_fd(maps[i].map, fd) != 0) {
			fprintf(stderr, "sluice-bench-xdp: %s: %s\n", path, strerror(errno));
			return -1;
		}
	}
	return 0;
}

static uint32_t entries(const struct bpf_map *map)
{
	return bpf_map__max_entries(map);
}

static void set_sizes(struct sl_bench *skel)
{
	uint32_t writers = entries(skel->maps.reason_counters);

	skel->rodata->sl_services = entries(skel->maps.services) / 2;
	skel->rodata->sl_reply_entries = entries(skel->maps.reply_entries) / 2;
	skel->rodata->sl_routes = entries(skel->maps.routes) / 2;
	skel->rodata->sl_buckets = entries(skel->maps.flows);
	skel->rodata->sl_fragment_buckets = entries(skel->maps.fragments);
	skel->rodata->sl_n_learned = entries(skel->maps.learned);
	skel->rodata->sl_n_backend_counters = entries(skel->maps.backend_counters) / writers;
	skel->rodata->sl_n_service_counters = entries(skel->maps.service_counters) / writers;
	skel->rodata->sl_workers = entries(skel->maps.workers);
	skel->rodata->sl_port = 0;
}

/* Enters all tail programs in the map of programs. 0 or what libbpf returned. */
static int enter_tails(struct sl_bench *skel)
{
	int err = 0;

#define ENTER(name, needs)                                                                         \
	if (!err)                                                                                  \
		err = bpf_map_update_elem(                                                         \
			bpf_map__fd(skel->maps.tails), &(uint32_t){ SL_TAIL_##name },              \
			&(int){ bpf_program__fd(skel->progs.sl_xdp_##name) }, BPF_ANY);
	SL_TAILS(ENTER)
#undef ENTER
	return err;
}

/* Nanoseconds per run, and the last action. */
static double run(int program, unsigned runs, unsigned *verdict)
{
	unsigned char frame[FRAME] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = (int)runs);

	if (bpf_prog_test_run_opts(program, &opts) != 0) {
		perror("sluice-bench-xdp: BPF_PROG_TEST_RUN");
		exit(1);
	}
	*verdict = opts.retval;
	return opts.duration;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double engine[BATCHES], empty[BATCHES];
	unsigned runs, verdict = 0, ignored;
	struct sl_bench *skel;

	if (argc != 7) {
		fprintf(stderr, "usage: sluice-bench-xdp BPF_DIR VIP PORT FLOWS syn|ack RUNS\n");
		return 2;
	}
	libbpf_set_print(quiet);
	skel = sl_bench__open();
	if (!skel || reuse(skel, argv[1]) != 0)
		return 1;
	set_sizes(skel);
	skel->rodata->bench_vip = inet_addr(argv[2]);
	skel->rodata->bench_port = htons((uint16_t)atoi(argv[3]));
	skel->rodata->bench_flows = (uint32_t)strtoul(argv[4], NULL, 10);
	skel->rodata->bench_tcp_flags = strcmp(argv[5], "syn") == 0 ? 2 : 16;
	runs = (unsigned)strtoul(argv[6], NULL, 10);
	if (sl_bench__load(skel) != 0) {
		fprintf(stderr, "sluice-bench-xdp: the kernel refuses the program\n");
		return 1;
	}
	if (enter_tails(skel) != 0) {
		perror("sluice-bench-xdp: the map of programs");
		return 1;
	}
	run(bpf_program__fd(skel->progs.engine_once), runs, &verdict); /* warm-up */
	for (int i = 0; i < BATCHES; i++) {
		empty[i] = run(bpf_program__fd(skel->progs.empty), runs, &ignored);
		engine[i] = run(bpf_program__fd(skel->progs.engine_once), runs, &verdict);
	}
	qsort(empty, BATCHES, sizeof(*empty), by_size);
	qsort(engine, BATCHES, sizeof(*engine), by_size);
	printf("{\"engine_ns\": %.0f, \"empty_ns\": %.0f, \"net_ns\": %.0f, \"spread_ns\": %.0f, "
	       "\"best_ns\": %.0f, \"verdict\": %u}\n",
	       engine[BATCHES / 2], empty[BATCHES / 2], engine[BATCHES / 2] - empty[BATCHES / 2],
	       engine[BATCHES - 1] - engine[0], engine[0] - empty[0], verdict);
	sl_bench__destroy(skel);
	return 0;
}
