/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

static const struct {
	const char *name;
	uint32_t record;
} arrays[SL_ARRAY_COUNT] = {
#define ARRAY(name_, record_, writer_) { #name_, sizeof(record_) },
	SL_ARRAYS(ARRAY)
#undef ARRAY
};

static int fail(const char *name, size_t bytes, int err, char error[SL_ERROR_MAX])
{
	if (err == -EPERM)
		snprintf(error, SL_ERROR_MAX,
			 "array %s: not allowed to make BPF maps: run as root (CAP_BPF)", name);
	else
		snprintf(error, SL_ERROR_MAX, "array %s: no memory for its %zu kB: %s", name,
			 bytes >> 10, strerror(-err));
	return err;
}

static int make_array(struct sl_store *s, int i, uint32_t count, bool bpf, char error[SL_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t page = (size_t)getpagesize(), bytes = (size_t)count * arrays[i].record;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *base;

	bytes = (bytes + page - 1) / page * page;
	if (bpf) {
		flags = MAP_SHARED | MAP_POPULATE;
		s->fd[i] = bpf_map_create(BPF_MAP_TYPE_ARRAY, arrays[i].name, 4, arrays[i].record,
					  count, &opts);
		if (s->fd[i] < 0)
			return fail(arrays[i].name, bytes, s->fd[i], error);
	}
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, s->fd[i], 0);
	if (base == MAP_FAILED)
		return fail(arrays[i].name, bytes, -errno, error);
	s->base[i] = base;
	s->bytes[i] = bytes;
	s->count[i] = count;
	return 0;
}

static void identify(struct sl_root *root, const uint32_t count[SL_ARRAY_COUNT])
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	root->magic = SL_MAGIC;
	root->abi_version = SL_ABI_VERSION;
	root->arrays = SL_ARRAY_COUNT;
	root->instance = 1;
	root->origin_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		root->record_size[i] = arrays[i].record;
		root->count[i] = count[i];
	}
}

int sl_memory_make(struct sl_store *s, const uint32_t count[SL_ARRAY_COUNT], bool bpf,
		   char error[SL_ERROR_MAX])
{
	int err = 0;

	*s = (struct sl_store){ 0 };
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		s->fd[i] = -1;
	for (int i = 0; i < SL_ARRAY_COUNT && !err; i++)
		err = make_array(s, i, count[i], bpf, error);
	if (err)
		sl_store_detach(s);
	else
		identify(sl_store_root(s), count);
	return err;
}
