/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance as a whole: the sizes of its arrays, its directories, and its root. A single array of
 * either kind is array.h's matter.
 *
 * The root is created last and removed first. An instance without a root, or whose root has no
 * magic yet, was never published and belongs to nobody. Only one process creates an instance
 * (control, which then holds the instance's lock); it replaces what a crashed predecessor left
 * half-made.
 */
#include "store.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/magic.h>

#include "array.h"

#define ERROR_MAX 512

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, ERROR_MAX, format, args);
	va_end(args);
	return err;
}

/* ---- sizes ---- */

/* Two banks, each at most half full with n records. */
static uint32_t banks(uint64_t n)
{
	uint64_t size = 1;

	while (size < 2 * n && size < 1u << 30)
		size *= 2;
	return (uint32_t)(2 * size);
}

void sl_store_size(const struct sl_capacity *capacity, uint32_t count[SL_ARRAY_COUNT])
{
	uint64_t writers = (uint64_t)capacity->workers + capacity->cpus;
	/* All backends may be replaced while the old ones are in quarantine. Service ids count from
	 * 1. */
	uint64_t ids = 2 * (uint64_t)capacity->services + 1;
	uint64_t numbers = 2 * (uint64_t)capacity->backends;
	uint64_t limit_ids = 2 * (uint64_t)capacity->limits + 1;
	uint64_t shared_buckets = limit_ids + SL_SHARED_BUCKET_PLANES * numbers;

	if (ids > SL_FLOW_SERVICE_MAX + 1)
		ids = SL_FLOW_SERVICE_MAX + 1;
	count[SL_ARRAY_root] = 1;
	/* The VIPs have records too, and the addresses of SNAT pools. */
	count[SL_ARRAY_services] = banks(2 * (uint64_t)capacity->services + capacity->addresses);
	count[SL_ARRAY_reply_entries] = banks(numbers);
	count[SL_ARRAY_routes] = banks(capacity->routes);
	count[SL_ARRAY_ports] = 2 * SL_PORTS_MAX;
	count[SL_ARRAY_hop_groups] = 2 * SL_HOP_GROUPS;
	/* Three times as many as are live: then control/model/extent.c always finds room for a
	 * change.
	 */
	count[SL_ARRAY_table_blocks] = sl_array_bounded(
		((uint64_t)capacity->slots * 3 + SL_SLOTS_PER_BLOCK - 1) / SL_SLOTS_PER_BLOCK);
	/* Server id tables and SNAT pools aren't powers of two. */
	count[SL_ARRAY_backends] = sl_array_bounded(numbers * 4);
	count[SL_ARRAY_flow_timeouts] = sl_array_bounded(ids);
	count[SL_ARRAY_schedules] = count[SL_ARRAY_flow_timeouts];
	count[SL_ARRAY_limits] = sl_array_bounded((uint64_t)capacity->limits * 4);
	count[SL_ARRAY_exceptions] = banks(capacity->exceptions);
	count[SL_ARRAY_engine] = 1;
	count[SL_ARRAY_workers] = sl_array_bounded(capacity->workers);
	count[SL_ARRAY_queues] = SL_PORTS_MAX * SL_QUEUES_PER_PORT;
	count[SL_ARRAY_reason_counters] = sl_array_bounded(writers);
	count[SL_ARRAY_backend_counters] = sl_array_bounded(writers * numbers);
	count[SL_ARRAY_service_counters] = sl_array_bounded(writers * ids);
	count[SL_ARRAY_neigh_requests] = sl_array_bounded(writers);
	count[SL_ARRAY_fragments] = SL_FRAGMENT_BUCKETS;
	count[SL_ARRAY_learned] = SL_LEARNED_ENTRIES;
	count[SL_ARRAY_leases] = sl_array_bounded(writers * shared_buckets);
	count[SL_ARRAY_limit_counters] = sl_array_bounded(writers * limit_ids);
	count[SL_ARRAY_most_limited] = sl_array_bounded(writers * SL_MOST_LIMITED);
	count[SL_ARRAY_shared_buckets] = sl_array_bounded(shared_buckets);
	/* Half full, so that no bucket has to be evicted. */
	count[SL_ARRAY_meters] = sl_array_bounded(((uint64_t)capacity->clients + 1) / 2);
	count[SL_ARRAY_snat_ports] =
		sl_array_bounded((uint64_t)capacity->addresses * SL_SNAT_LINES);
	count[SL_ARRAY_snat_clients] = sl_array_bounded((uint64_t)capacity->addresses * 65536);
	/* Four entries per bucket, at three quarters of the load that the table can hold. */
	count[SL_ARRAY_flows] = sl_array_bounded(((uint64_t)capacity->flows + 2) / 3);
}

/* ---- places in the file system ---- */

int sl_store_pin_path(const struct sl_store_where *where, const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/%s", where->bpf_dir, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* The nearest existing directory on the path to dir must lie in a file system of this type. */
static int check_fs(const char *dir, long magic, const char *what, char *error)
{
	char path[PATH_MAX];
	struct statfs fs;
	char *slash;

	snprintf(path, sizeof(path), "%s", dir);
	while (statfs(path, &fs) == -1) {
		if (errno != ENOENT)
			return fail(error, -errno, "%s: %s", path, strerror(errno));
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			return fail(error, -ENOENT, "%s: no such directory", dir);
		*slash = '\0';
	}
	if ((long)fs.f_type == magic)
		return 0;
	return fail(error, -ENODEV, "%s: no %s file system is mounted there (mount -t %s none %s)",
		    dir, what, what, magic == BPF_FS_MAGIC ? "/sys/fs/bpf" : dir);
}

static int make_parents(const char *dir, char *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", dir);
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(path, 0755) == -1 && errno != EEXIST)
			return fail(error, -errno, "%s: %s", path, strerror(errno));
		*at = '/';
	}
	return 0;
}

/* A pin is trusted only where nobody else could have made it. */
static int check_dir(const char *dir, char *error)
{
	struct stat st;

	if (lstat(dir, &st) == -1)
		return fail(error, -errno, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fail(error, -ENOTDIR, "%s: not a directory", dir);
	if (st.st_uid != geteuid())
		return fail(error, -EPERM,
			    "%s: belongs to user %u, not to us (%u): nothing in it is trusted", dir,
			    st.st_uid, geteuid());
	if (st.st_mode & 0077)
		return fail(error, -EPERM,
			    "%s: open to others (mode %04o): nothing in it is trusted; chmod 0700",
			    dir, st.st_mode & 07777);
	return 0;
}

static int place_check(const struct sl_store_where *where, char *error)
{
	struct stat st;

	if (where->huge)
		return check_fs(where->huge_dir, HUGETLBFS_MAGIC, "hugetlbfs", error);
	if (lstat(where->bpf_dir, &st) == -1 && errno == ENOENT) {
		int err = check_fs(where->bpf_dir, BPF_FS_MAGIC, "bpf", error);

		return err ? err : fail(error, -ENOENT, "%s: no instance yet", where->bpf_dir);
	}
	return check_dir(where->bpf_dir, error);
}

static int place_make(const struct sl_store_where *where, char *error)
{
	int err = place_check(where, error);

	if (err != -ENOENT || where->huge)
		return err;
	err = make_parents(where->bpf_dir, error);
	if (err)
		return err;
	if (mkdir(where->bpf_dir, 0700) == -1)
		return fail(error, -errno, "%s: %s", where->bpf_dir, strerror(errno));
	return check_dir(where->bpf_dir, error);
}

/* ---- pins that were removed ---- */

int sl_store_repin_one(const struct sl_store_where *where, const char *name, int fd)
{
	char pin[PATH_MAX];
	int err = sl_store_pin_path(where, name, pin, sizeof(pin));

	if (err)
		return err;
	if (access(pin, F_OK) == 0)
		return 0;
	err = errno == ENOENT ? bpf_obj_pin(fd, pin) : -errno;
	return err ? err : 1;
}

int sl_store_repin(const struct sl_store *s, const struct sl_store_where *where, char error[512])
{
	int missing = 0, err;

	if (where->huge)
		return 0;
	err = place_make(where, error);
	for (int i = 0; i < SL_ARRAY_COUNT && !err; i++) {
		int one = sl_store_repin_one(where, sl_arrays[i].name, s->fd[i]);

		if (one < 0)
			err = fail(error, one, "%s/%s: can't be pinned again: %s", where->bpf_dir,
				   sl_arrays[i].name, strerror(-one));
		else
			missing += one;
	}
	return err ? err : missing;
}

/* ---- an instance ---- */

static void clear(struct sl_store *s)
{
	*s = (struct sl_store){ 0 };
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		s->fd[i] = -1;
}

void sl_store_detach(struct sl_store *s)
{
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		sl_array_unmap(s, i);
	clear(s);
}

/* Reads magic and version through a mapping that doesn't presume the root's size. magic 0: no
 * root. */
static int root_peek(const struct sl_store_where *where, uint64_t *magic, uint32_t *version,
		     char *error)
{
	const struct sl_root *root;
	struct sl_array_found found;
	int err = sl_array_open(where, SL_ARRAY_root, false, &found, error);

	if (err)
		return err;
	if (found.bytes == 0) { /* just created by another process and not sized yet */
		close(found.fd);
		*magic = 0;
		return 0;
	}
	if (found.bytes < offsetof(struct sl_root, arrays)) {
		close(found.fd);
		return fail(error, -EPROTO, "array root: too short to be one of Sluice");
	}
	root = mmap(NULL, found.bytes, PROT_READ, MAP_SHARED, found.fd, 0);
	err = root == MAP_FAILED ? -errno : 0;
	close(found.fd);
	if (err)
		return fail(error, err, "array root: %s", strerror(-err));
	/* Acquire: the magic was stored after everything that it vouches for. */
	*magic = __atomic_load_n(&root->magic, __ATOMIC_ACQUIRE);
	*version = root->abi_version;
	munmap((void *)root, found.bytes);
	return 0;
}

static int root_check(const struct sl_store_where *where, char *error)
{
	uint64_t magic;
	uint32_t version;
	int err = root_peek(where, &magic, &version, error);

	if (err)
		return err;
	if (!magic)
		return fail(error, -ENOENT, "instance %s: still being made", where->instance);
	if (magic != SL_MAGIC)
		return fail(error, -EPROTO, "instance %s: its root isn't one of Sluice",
			    where->instance);
	if (version != SL_ABI_VERSION)
		return fail(error, -EPROTO,
			    "instance %s: its shared memory has ABI version %u, this program "
			    "speaks version %u; run matching versions, or stop the instance and "
			    "remove its arrays",
			    where->instance, version, SL_ABI_VERSION);
	return 0;
}

/* Compares what the root says of an array, what the array says, and what this program was built
 * for. */
static int layout_check(const struct sl_root *root, int i, const struct sl_array_found *found,
			char *error)
{
	if (root->record_size[i] != sl_arrays[i].record || found->record != sl_arrays[i].record)
		return fail(error, -EPROTO,
			    "array %s: records of %u bytes, %u by its root; this program has %u",
			    sl_arrays[i].name, found->record, root->record_size[i],
			    sl_arrays[i].record);
	if (!root->count[i] || root->count[i] > found->count)
		return fail(error, -EPROTO, "array %s: %u records, its root says %u",
			    sl_arrays[i].name, found->count, root->count[i]);
	return 0;
}

int sl_store_attach(struct sl_store *s, const struct sl_store_where *where, enum sl_store_role role,
		    char error[512])
{
	const struct sl_root *root = NULL;
	int err;

	clear(s);
	err = place_check(where, error);
	if (!err)
		err = root_check(where, error);
	for (int i = 0; !err && i < SL_ARRAY_COUNT; i++) {
		bool write = (role == SL_STORE_CONTROL && sl_arrays[i].writer != SL_BY_ENGINE) ||
			     (role == SL_STORE_ENGINE && sl_arrays[i].writer != SL_BY_CONTROL);
		struct sl_array_found found;

		err = sl_array_open(where, i, write, &found, error);
		if (err == -ENOENT)
			err = -EPROTO; /* the root exists, so the array must exist too */
		if (err)
			break;
		if (i == SL_ARRAY_root && found.bytes < sizeof(*root))
			err = fail(error, -EPROTO, "array root: only %llu bytes",
				   (unsigned long long)found.bytes);
		else if (i != SL_ARRAY_root)
			err = layout_check(root, i, &found, error);
		if (err) {
			close(found.fd);
			break;
		}
		err = sl_array_map(s, where, i, write, role == SL_STORE_CONTROL, &found, error);
		if (err)
			break;
		root = sl_store_root(s);
		if (i == SL_ARRAY_root && root->arrays != SL_ARRAY_COUNT)
			err = fail(error, -EPROTO, "instance %s: %u arrays, this program has %u",
				   where->instance, root->arrays, SL_ARRAY_COUNT);
		else if (i == SL_ARRAY_root)
			err = layout_check(root, i, &found, error);
		s->count[i] = root->count[i];
	}
	if (err)
		sl_store_detach(s);
	return err;
}

/* Fills in the identity. The caller sets the slot key; the magic comes last. */
static int root_fill(struct sl_root *root, const uint32_t count[SL_ARRAY_COUNT], char *error)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	root->abi_version = SL_ABI_VERSION;
	root->arrays = SL_ARRAY_COUNT;
	root->origin_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (getrandom(&root->instance, sizeof(root->instance), 0) != sizeof(root->instance))
		return fail(error, -errno, "no random numbers: %s", strerror(errno));
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		root->record_size[i] = sl_arrays[i].record;
		root->count[i] = count[i];
	}
	return 0;
}

static int unlink_arrays(const struct sl_store_where *where, char *error)
{
	char path[PATH_MAX];
	int err = 0;

	for (int i = 0; i < SL_ARRAY_COUNT; i++) { /* the root first */
		if (sl_array_path(where, i, path) == 0 && unlink(path) == -1 && errno != ENOENT &&
		    !err)
			err = fail(error, -errno, "%s: %s", path, strerror(errno));
	}
	return err;
}

int sl_store_create(struct sl_store *s, const struct sl_store_where *where,
		    const struct sl_capacity *capacity, char error[512])
{
	uint32_t count[SL_ARRAY_COUNT], version;
	uint64_t magic = 0;
	int err;

	clear(s);
	sl_store_size(capacity, count);
	err = place_make(where, error);
	if (err)
		return err;
	err = root_peek(where, &magic, &version, error);
	if (err && err != -ENOENT)
		return err;
	if (magic)
		return fail(error, -EEXIST, "instance %s stands already", where->instance);
	err = unlink_arrays(where, error);
	for (int i = SL_ARRAY_COUNT - 1; !err && i >= 0; i--) { /* the root last */
		struct sl_array_found found;

		err = sl_array_create(where, i, count[i], &found, error);
		if (!err)
			err = sl_array_map(s, where, i, sl_arrays[i].writer != SL_BY_ENGINE, true,
					   &found, error);
	}
	if (!err)
		err = root_fill(sl_store_root(s), count, error);
	if (err) {
		char ignored[ERROR_MAX];

		sl_store_detach(s);
		unlink_arrays(where, ignored);
	}
	return err;
}

void sl_store_publish(struct sl_store *s)
{
	/* Release: whoever sees the magic sees the identity. */
	__atomic_store_n(&sl_store_root(s)->magic, SL_MAGIC, __ATOMIC_RELEASE);
}

int sl_store_remove(const struct sl_store_where *where, char error[512])
{
	int err = place_check(where, error);

	if (err == -ENOENT)
		return 0;
	if (!err)
		err = unlink_arrays(where, error);
	if (!err && !where->huge && rmdir(where->bpf_dir) == -1 && errno != ENOTEMPTY &&
	    errno != ENOENT)
		err = fail(error, -errno, "%s: %s", where->bpf_dir, strerror(errno));
	return err;
}
