/* SPDX-License-Identifier: BSD-2-Clause */
#include "program.h"

#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../dataplane/abi/tails.h"
#include "engine.skel.h"

static int reuse_arrays(struct sl_xdp_engine *skel, const struct sl_store *store)
{
	int err = 0;

#define REUSE(name, record, writer)                                                                \
	if (!err)                                                                                  \
		err = bpf_map__reuse_fd(skel->maps.name, store->fd[SL_ARRAY_##name]);
	SL_ARRAYS(REUSE)
#undef REUSE
	return err;
}

static void set_sizes(struct sl_xdp_engine *skel, const uint32_t *n, uint32_t port)
{
	uint32_t writers = n[SL_ARRAY_reason_counters];

	skel->rodata->sl_services = n[SL_ARRAY_services] / 2;
	skel->rodata->sl_reply_entries = n[SL_ARRAY_reply_entries] / 2;
	skel->rodata->sl_routes = n[SL_ARRAY_routes] / 2;
	skel->rodata->sl_buckets = n[SL_ARRAY_flows];
	skel->rodata->sl_fragment_buckets = n[SL_ARRAY_fragments];
	skel->rodata->sl_n_backend_counters = n[SL_ARRAY_backend_counters] / writers;
	skel->rodata->sl_n_limit_counters = n[SL_ARRAY_limit_counters] / writers;
	skel->rodata->sl_shared_buckets = n[SL_ARRAY_shared_buckets];
	skel->rodata->sl_exceptions = n[SL_ARRAY_exceptions] / 2;
	skel->rodata->sl_meter_lines = n[SL_ARRAY_meters];
	skel->rodata->sl_n_service_counters = n[SL_ARRAY_service_counters] / writers;
	skel->rodata->sl_workers = n[SL_ARRAY_workers];
	skel->rodata->sl_port = port;
}

/* Whether there can be services of full NAT. */
static bool has_pools(const struct sl_store *store)
{
	return store->count[SL_ARRAY_snat_ports] > 1; /* no array is empty */
}

int sl_program_load(struct sl_xdp_engine *skel, const struct sl_store *store)
{
	int err = sl_xdp_engine__load(skel);

#define ENTER(program, place)                                                                      \
	if (!err && has_pools(store))                                                              \
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.tails), &(uint32_t){ place },     \
					  &(int){ bpf_program__fd(skel->progs.program) },          \
					  BPF_ANY);
	SL_TAILS_FULLNAT(ENTER)
#undef ENTER
	return err;
}

int sl_program_open(struct sl_xdp_engine **skel, const struct sl_store *store, uint32_t port,
		    char *log, size_t log_size)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = log_size);
	int err;

	libbpf_set_print(NULL);
	*skel = sl_xdp_engine__open_opts(&opts);
	if (!*skel)
		return -errno;
	set_sizes(*skel, store->count, port);
	err = reuse_arrays(*skel, store);
#define AUTOLOAD(program, place)                                                                   \
	bpf_program__set_autoload((*skel)->progs.program, has_pools(store));
	SL_TAILS_FULLNAT(AUTOLOAD)
#undef AUTOLOAD
	if (!err)
		return 0;
	sl_xdp_engine__destroy(*skel);
	*skel = NULL;
	return err;
}
