/* SPDX-License-Identifier: BSD-2-Clause */
/* One array of either kind: a pinned BPF array or a file in hugetlbfs. Only this file tells them
 * apart.
 *
 * No memory has to be locked: BPF arrays are kernel memory that mmap maps whole, and pages of
 * hugetlbfs are never swapped and are populated here.
 */
#include "array.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define ERROR_MAX 512

const struct sl_array_kind sl_arrays[SL_ARRAY_COUNT] = {
#define ARRAY(name_, record_, writer_) { #name_, sizeof(record_), writer_ },
	SL_ARRAYS(ARRAY)
#undef ARRAY
};

#define CHECK_RECORD(name, record, writer)                                                         \
	_Static_assert(sizeof(record) % 8 == 0, "a BPF array pads other records");
SL_ARRAYS(CHECK_RECORD)
#undef CHECK_RECORD

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, ERROR_MAX, format, args);
	va_end(args);
	return err;
}

int sl_array_path(const struct sl_store_where *where, int i, char path[PATH_MAX])
{
	int n;

	if (!where->huge)
		return sl_store_pin_path(where, sl_arrays[i].name, path, PATH_MAX);
	n = snprintf(path, PATH_MAX, "%s/sluice.%s.%s", where->huge_dir, where->instance,
		     sl_arrays[i].name);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint64_t free_huge_pages(uint64_t page)
{
	char path[128];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
		 (unsigned long long)page / 1024);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%llu", &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

static int array_fail(const struct sl_store_where *where, int i, uint64_t bytes, uint64_t page,
		      int err, char *error)
{
	const char *name = sl_arrays[i].name;

	if (where->huge && err == -ENOMEM)
		return fail(error, err,
			    "array %s: needs %llu huge pages of %llu kB, %llu are free; reserve "
			    "more (sysctl vm.nr_hugepages)",
			    name, (unsigned long long)(bytes / page),
			    (unsigned long long)page / 1024,
			    (unsigned long long)free_huge_pages(page));
	if (err == -EPERM)
		return fail(error, err, "array %s: not allowed; it takes CAP_BPF and CAP_SYS_ADMIN",
			    name);
	if (err == -ENOMEM || err == -E2BIG)
		return fail(error, err, "array %s: no memory for its %llu MB; lower the capacities",
			    name, (unsigned long long)bytes >> 20);
	return fail(error, err, "array %s: %s", name, strerror(-err));
}

int sl_array_create(const struct sl_store_where *where, int i, uint32_t count,
		    struct sl_array_found *found, char error[512])
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	uint64_t bytes = (uint64_t)count * sl_arrays[i].record, page = (uint64_t)getpagesize();
	char path[PATH_MAX];
	struct statfs fs;
	int fd, err;

	err = sl_array_path(where, i, path);
	if (err)
		return fail(error, err, "array %s: its path is too long", sl_arrays[i].name);
	if (where->huge) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd == -1)
			return fail(error, -errno, "%s: %s", path, strerror(errno));
		if (fstatfs(fd, &fs) == 0)
			page = (uint64_t)fs.f_bsize;
		bytes = round_up(bytes, page);
		err = ftruncate(fd, (off_t)bytes) == -1 ? -errno : 0;
	} else {
		bytes = round_up(bytes, page);
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, sl_arrays[i].name, 4, sl_arrays[i].record,
				    count, &opts);
		if (fd < 0)
			return array_fail(where, i, bytes, page, fd, error);
		err = bpf_obj_pin(fd, path);
	}
	if (err) {
		close(fd);
		return array_fail(where, i, bytes, page, err, error);
	}
	*found = (struct sl_array_found){ fd, sl_arrays[i].record, count, bytes };
	return 0;
}

static int found_file(int i, const char *path, struct sl_array_found *found, char *error)
{
	struct stat st;

	if (fstat(found->fd, &st) == -1)
		return fail(error, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 0077)
		return fail(error, -EPERM, "%s: not ours alone (user %u, mode %04o): not trusted",
			    path, st.st_uid, st.st_mode & 07777);
	found->record = sl_arrays[i].record;
	found->bytes = (uint64_t)st.st_size;
	found->count = sl_array_bounded(found->bytes / found->record);
	return 0;
}

static int found_map(const char *path, struct sl_array_found *found, char *error)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);
	int err = bpf_obj_get_info_by_fd(found->fd, &info, &length);

	if (err)
		return fail(error, err, "%s: %s", path, strerror(-err));
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != 4 ||
	    !(info.map_flags & BPF_F_MMAPABLE))
		return fail(error, -EPROTO, "%s: not an array of Sluice", path);
	found->record = info.value_size;
	found->count = info.max_entries;
	found->bytes = round_up((uint64_t)info.max_entries * round_up(info.value_size, 8),
				(uint64_t)getpagesize());
	return 0;
}

int sl_array_open(const struct sl_store_where *where, int i, bool write,
		  struct sl_array_found *found, char error[512])
{
	char path[PATH_MAX];
	int err = sl_array_path(where, i, path);

	if (err)
		return fail(error, err, "array %s: its path is too long", sl_arrays[i].name);
	if (where->huge) {
		found->fd = open(path, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
		err = found->fd == -1 ? -errno : 0;
	} else {
		found->fd = bpf_obj_get(path);
		err = found->fd < 0 ? found->fd : 0;
	}
	if (err == -ENOENT)
		return fail(error, err, "%s: no instance yet", path);
	if (err == -EPERM)
		return fail(error, err, "%s: not allowed; it takes CAP_BPF and CAP_SYS_ADMIN",
			    path);
	if (err)
		return fail(error, err, "%s: %s", path, strerror(-err));
	err = where->huge ? found_file(i, path, found, error) : found_map(path, found, error);
	if (err)
		close(found->fd);
	return err;
}

int sl_array_map(struct sl_store *s, const struct sl_store_where *where, int i, bool write,
		 bool keep, const struct sl_array_found *found, char error[512])
{
	int protection = write ? PROT_READ | PROT_WRITE : PROT_READ, err = 0;
	struct statfs fs;
	void *base;

	base = mmap(NULL, found->bytes, protection, MAP_SHARED | MAP_POPULATE, found->fd, 0);
	if (base == MAP_FAILED) {
		err = -errno;
		array_fail(where, i, found->bytes,
			   fstatfs(found->fd, &fs) == 0 ? (uint64_t)fs.f_bsize : 4096, err, error);
	} else {
		s->base[i] = base;
		s->bytes[i] = found->bytes;
		s->count[i] = found->count;
	}
	if (!err && keep && !where->huge)
		s->fd[i] = found->fd;
	else
		close(found->fd);
	return err;
}

void sl_array_unmap(struct sl_store *s, int i)
{
	if (s->base[i])
		munmap(s->base[i], s->bytes[i]);
	if (s->fd[i] >= 0)
		close(s->fd[i]);
}
