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

static void set_sizes(struct sl_xdp_engine *skel, const uint32_t *n)
{
	uint32_t writers = n[SL_ARRAY_reason_counters];

	skel->rodata->sl_services = n[SL_ARRAY_services] / 2;
	skel->rodata->sl_reply_entries = n[SL_ARRAY_reply_entries] / 2;
	skel->rodata->sl_routes = n[SL_ARRAY_routes] / 2;
	skel->rodata->sl_buckets = n[SL_ARRAY_flows];
	skel->rodata->sl_fragment_buckets = n[SL_ARRAY_fragments];
	skel->rodata->sl_n_learned = n[SL_ARRAY_learned];
	skel->rodata->sl_n_backend_counters = n[SL_ARRAY_backend_counters] / writers;
	skel->rodata->sl_n_limit_counters = n[SL_ARRAY_limit_counters] / writers;
	skel->rodata->sl_shared_buckets = n[SL_ARRAY_shared_buckets];
	skel->rodata->sl_exceptions = n[SL_ARRAY_exceptions] / 2;
	skel->rodata->sl_meter_lines = n[SL_ARRAY_meters];
	skel->rodata->sl_n_service_counters = n[SL_ARRAY_service_counters] / writers;
	skel->rodata->sl_workers = n[SL_ARRAY_workers];
}

/* What a generation needs (enum sl_need), by the records that engines read. A packet concerns an
 * instance if it is to a VIP or to an address of a pool, or from a backend. */
static uint32_t needs(const struct sl_store *store, uint64_t generation)
{
	uint32_t n = store->count[SL_ARRAY_services] / 2, found = SL_NEED_NOTHING;
	const struct sl_service *s = store->base[SL_ARRAY_services];
	const struct sl_reply_entry *r = store->base[SL_ARRAY_reply_entries];
	const uint16_t extended = SL_SERVICE_ENTRY_TO | SL_SERVICE_ENTRY_FROM |
				  SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_FROM |
				  SL_SERVICE_LIMIT_NEW | SL_SERVICE_QUIC;

	for (s += (generation & 1) * n; n; n--, s++) {
		if (!s->endpoint && !(s->flags & SL_SERVICE_VIP))
			continue;
		found |= sl_addr_is4(&s->vip) ? 0 : SL_NEED_IP6;
		found |= s->flags & extended ? SL_NEED_EXTENDED : 0;
		found |= s->flags & (SL_SERVICE_FULLNAT | SL_SERVICE_POOL) ? SL_NEED_FULLNAT : 0;
	}
	n = store->count[SL_ARRAY_reply_entries] / 2;
	for (r += (generation & 1) * n; n; n--, r++) {
		if (!r->endpoint)
			continue;
		found |=
			sl_addr_is4(&r->backend) || r->endpoint == SL_ENDPOINT_ID ? 0 : SL_NEED_IP6;
		found |= r->flags & extended ? SL_NEED_EXTENDED : 0;
	}
	return found;
}

uint32_t sl_program_needed(const struct sl_store *store, uint64_t generation)
{
	static const uint32_t when[] = {
#define WHEN(name, needs) [SL_TAIL_##name] = needs,
		SL_TAILS(WHEN)
#undef WHEN
	};
	uint32_t found = generation ? needs(store, generation) : SL_NEED_NOTHING, needed = 0;

	for (int i = 0; i < SL_TAIL_COUNT; i++)
		if ((when[i] & found) == when[i])
			needed |= 1u << i;
	return needed;
}

struct bpf_program *sl_program_tail(const struct sl_xdp_engine *skel, enum sl_tail tail)
{
	struct bpf_program *const program[] = {
#define PROGRAM(name, needs) [SL_TAIL_##name] = skel->progs.sl_xdp_##name,
		SL_TAILS(PROGRAM)
#undef PROGRAM
	};

	return program[tail];
}

const char *sl_program_name(enum sl_tail tail)
{
	static const char *const names[] = {
#define NAME(name, needs) [SL_TAIL_##name] = #name,
		SL_TAILS(NAME)
#undef NAME
	};

	return names[tail];
}

int sl_program_load(struct sl_xdp_engine *skel)
{
	int err = sl_xdp_engine__load(skel);

	for (uint32_t i = 0; i < SL_TAIL_COUNT && !err; i++) {
		struct bpf_program *program = sl_program_tail(skel, (enum sl_tail)i);
		int fd = bpf_program__fd(program);

		if (bpf_program__autoload(program))
			err = bpf_map_update_elem(bpf_map__fd(skel->maps.tails), &i, &fd, BPF_ANY);
	}
	return err;
}

int sl_program_open(struct sl_xdp_engine **skel, const struct sl_store *store, char *log,
		    size_t log_size)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = log_size);
	int err;

	libbpf_set_print(NULL);
	*skel = sl_xdp_engine__open_opts(&opts);
	if (!*skel)
		return -errno;
	set_sizes(*skel, store->count);
	err = reuse_arrays(*skel, store);
	if (!err)
		return 0;
	sl_xdp_engine__destroy(*skel);
	*skel = NULL;
	return err;
}
