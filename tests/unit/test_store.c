/* SPDX-License-Identifier: BSD-2-Clause */
/* The store: made, attached to, refused.
 *
 * Runs as root, in a mount namespace of its own with a bpf file system (and a hugetlbfs) that
 * nobody else sees, so it can run beside other instances and leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "../../dataplane/abi/store.h"

#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"
#define HUGE_PAGES   64 /* free ones that the test needs: 16 arrays, and room for other tests */
#define PAGE	     ((size_t)2 << 20)

static char top[] = "/tmp/sluice-store.XXXXXX";
static char bpf_mount[64], huge_mount[64], bpf_dir[80];
static char error[512];
static long reserved; /* huge pages that weren't there before */

static const struct sl_capacity small = {
	.services = 10,
	.backends = 20,
	.slots = 1000,
	.flows = 1000,
	.routes = 8,
	.limits = 6,
	.exceptions = 5,
	.clients = 100,
	.addresses = 1,
	.workers = 2,
	.cpus = 2,
};

static struct sl_store_where place(bool huge)
{
	return (struct sl_store_where){
		.huge = huge,
		.instance = "unit",
		.bpf_dir = bpf_dir,
		.huge_dir = huge_mount,
	};
}

static void publish(struct sl_store *s, const struct sl_store_where *where)
{
	assert_int_equal(sl_store_create(s, where, &small, error), 0);
	sl_store_publish(s);
}

static void end(struct sl_store *s, const struct sl_store_where *where)
{
	sl_store_detach(s);
	assert_int_equal(sl_store_remove(where, error), 0);
}

/* Whether a store to this address ends the process that tries. */
static bool faults(volatile void *at)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* cmocka would catch it */
		*(volatile uint8_t *)at = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* ---- sizes ---- */

static void sizes(void **state)
{
	static const struct {
		enum sl_array array;
		uint32_t count;
	} expected[] = {
		{ SL_ARRAY_root, 1 },
		{ SL_ARRAY_services, 2 * 64 },	     /* 10 services, 10 VIPs and a pool's address */
		{ SL_ARRAY_reply_entries, 2 * 128 }, /* 20 backends, and 20 that rest */
		{ SL_ARRAY_routes, 2 * 16 },
		{ SL_ARRAY_ports, 2 * SL_PORTS_MAX },
		{ SL_ARRAY_hop_groups, 2 * SL_HOP_GROUPS },
		{ SL_ARRAY_table_blocks, 188 },
		{ SL_ARRAY_backends, 160 },
		{ SL_ARRAY_flow_timeouts, 21 },
		{ SL_ARRAY_schedules, 21 },
		{ SL_ARRAY_engine, 1 },
		{ SL_ARRAY_workers, 2 },
		{ SL_ARRAY_queues, SL_PORTS_MAX * SL_QUEUES_PER_PORT },
		{ SL_ARRAY_reason_counters, 4 },
		{ SL_ARRAY_backend_counters, 160 },
		{ SL_ARRAY_service_counters, 84 },
		{ SL_ARRAY_neigh_requests, 4 },
		{ SL_ARRAY_fragments, SL_FRAGMENT_BUCKETS },
		{ SL_ARRAY_learned, SL_LEARNED_ENTRIES },
		{ SL_ARRAY_limits, 24 },
		{ SL_ARRAY_exceptions, 2 * 16 },
		{ SL_ARRAY_leases, 4 * (13 + 4 * 40) },
		{ SL_ARRAY_limit_counters, 4 * 13 },
		{ SL_ARRAY_most_limited, 4 * SL_MOST_LIMITED },
		{ SL_ARRAY_shared_buckets, 13 + 4 * 40 }, /* limits, and four for each backend */
		{ SL_ARRAY_meters, 50 },
		{ SL_ARRAY_snat_ports, SL_SNAT_LINES },
		{ SL_ARRAY_snat_clients, 65536 },
		{ SL_ARRAY_flows, 334 },
	};
	static const struct sl_capacity none = { 0 };
	static const struct sl_capacity absurd = { ~0u, ~0u, ~0u, ~0u, ~0u, ~0u,
						   ~0u, ~0u, ~0u, ~0u, ~0u };
	uint32_t count[SL_ARRAY_COUNT];

	(void)state;
	sl_store_size(&small, count);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(count[expected[i].array], expected[i].count);
	assert_int_equal(sizeof(expected) / sizeof(expected[0]), SL_ARRAY_COUNT);
	sl_store_size(&none, count);
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		assert_in_range(count[i], 1, SL_FRAGMENT_BUCKETS);
	sl_store_size(&absurd, count);
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		assert_true(count[i] >= 1);
}

/* ---- both kinds; the state says which ---- */

static void attach_in_order(void **state)
{
	struct sl_store_where where = place(*(bool *)*state);
	struct sl_store control, engine;

	assert_int_equal(sl_store_attach(&engine, &where, SL_STORE_ENGINE, error), -ENOENT);
	assert_int_equal(sl_store_create(&control, &where, &small, error), 0);
	assert_int_equal(sl_store_attach(&engine, &where, SL_STORE_ENGINE, error), -ENOENT);
	sl_store_publish(&control);
	assert_int_equal(sl_store_attach(&engine, &where, SL_STORE_ENGINE, error), 0);

	assert_memory_equal(control.count, engine.count, sizeof(control.count));
	assert_int_equal(sl_store_root(&engine)->instance, sl_store_root(&control)->instance);
	assert_int_equal(sl_store_root(&engine)->generation, 0);
	assert_int_not_equal(sl_store_root(&engine)->origin_ns, 0);
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		assert_int_equal(engine.fd[i], -1);
		assert_int_equal(control.fd[i] >= 0, !where.huge);
	}

	/* One memory, both ways. */
	sl_store_root(&control)->generation = 7;
	assert_int_equal(sl_store_root(&engine)->generation, 7);
	((struct sl_worker *)engine.base[SL_ARRAY_workers])[1].generation = 6;
	assert_int_equal(((struct sl_worker *)control.base[SL_ARRAY_workers])[1].generation, 6);
	sl_store_detach(&engine);
	end(&control, &where);
}

static void readopted(void **state)
{
	struct sl_store_where where = place(*(bool *)*state);
	struct sl_store s, second;
	uint64_t instance;

	publish(&s, &where);
	instance = sl_store_root(&s)->instance;
	sl_store_root(&s)->generation = 41;
	assert_int_equal(sl_store_create(&second, &where, &small, error), -EEXIST);
	sl_store_detach(&s);
	assert_null(s.base[0]);

	assert_int_equal(sl_store_create(&second, &where, &small, error), -EEXIST);
	assert_int_equal(sl_store_attach(&s, &where, SL_STORE_CONTROL, error), 0);
	assert_int_equal(sl_store_root(&s)->instance, instance);
	sl_store_root(&s)->generation++;
	assert_int_equal(sl_store_root(&s)->generation, 42);
	end(&s, &where);
	assert_int_equal(sl_store_attach(&s, &where, SL_STORE_READER, error), -ENOENT);
}

/* What a control that died while it made the arrays has left. */
static void half_made(void **state)
{
	struct sl_store_where where = place(*(bool *)*state);
	struct sl_store s, reader;

	assert_int_equal(sl_store_create(&s, &where, &small, error), 0);
	sl_store_root(&s)->generation = 9;
	sl_store_detach(&s);
	assert_int_equal(sl_store_attach(&s, &where, SL_STORE_CONTROL, error), -ENOENT);
	publish(&s, &where);
	assert_int_equal(sl_store_attach(&reader, &where, SL_STORE_READER, error), 0);
	assert_int_equal(sl_store_root(&reader)->generation, 0);
	sl_store_detach(&reader);
	end(&s, &where);
}

static void read_only(void **state)
{
	static const enum sl_array_writer writer[SL_ARRAY_COUNT] = {
#define WRITER(name, record, writer) [SL_ARRAY_##name] = writer,
		SL_ARRAYS(WRITER)
#undef WRITER
	};
	struct sl_store_where where = place(*(bool *)*state);
	struct sl_store control, engine, reader;

	publish(&control, &where);
	assert_int_equal(sl_store_attach(&engine, &where, SL_STORE_ENGINE, error), 0);
	assert_int_equal(sl_store_attach(&reader, &where, SL_STORE_READER, error), 0);
	for (int i = 0; i < SL_ARRAY_COUNT; i++) {
		assert_int_equal(faults(control.base[i]), writer[i] == SL_BY_ENGINE);
		assert_int_equal(faults(engine.base[i]), writer[i] == SL_BY_CONTROL);
		assert_true(faults(reader.base[i]));
	}
	/* Nor can it be made writable again. */
	assert_int_equal(mprotect(engine.base[SL_ARRAY_services], engine.bytes[SL_ARRAY_services],
				  PROT_READ | PROT_WRITE),
			 -1);
	assert_int_equal(errno, EACCES);
	sl_store_detach(&reader);
	sl_store_detach(&engine);
	end(&control, &where);
}

/* Another version or layout is refused by whoever comes, and stays as it is. */
static void refused(void **state)
{
	struct sl_store_where where = place(*(bool *)*state);
	struct sl_root *root, good;
	struct sl_store s, other;

	publish(&s, &where);
	root = sl_store_root(&s);
	good = *root;
	for (int wrong = 0; wrong < 6; wrong++) {
		switch (wrong) {
		case 0:
			root->abi_version = SL_ABI_VERSION + 1;
			break;
		case 1:
			root->magic = 0x1234;
			break;
		case 2:
			root->arrays--;
			break;
		case 3:
			root->record_size[SL_ARRAY_services] = 128;
			break;
		case 4:
			root->count[SL_ARRAY_flows] = 1u << 30;
			break;
		case 5:
			root->count[SL_ARRAY_reason_counters] = 0; /* somebody divides by it */
			break;
		}
		for (int role = SL_STORE_CONTROL; role <= SL_STORE_READER; role++) {
			error[0] = '\0';
			assert_int_equal(
				sl_store_attach(&other, &where, (enum sl_store_role)role, error),
				-EPROTO);
			assert_null(other.base[0]);
			if (wrong == 0) {
				char version[32];

				for (int v = SL_ABI_VERSION; v <= SL_ABI_VERSION + 1; v++) {
					snprintf(version, sizeof(version), "version %d", v);
					assert_non_null(strstr(error, version));
				}
			}
			assert_int_not_equal(error[0], '\0');
		}
		assert_int_equal(sl_store_create(&other, &where, &small, error), -EEXIST);
		*root = good;
	}
	assert_int_equal(sl_store_attach(&other, &where, SL_STORE_ENGINE, error), 0);
	sl_store_detach(&other);
	end(&s, &where);
}

static void array_missing(void **state)
{
	struct sl_store_where where = place(*(bool *)*state);
	struct sl_store s, other;
	char path[160];

	publish(&s, &where);
	if (where.huge)
		snprintf(path, sizeof(path), "%s/sluice.unit.flows", huge_mount);
	else
		assert_int_equal(sl_store_pin_path(&where, "flows", path, sizeof(path)), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sl_store_attach(&other, &where, SL_STORE_ENGINE, error), -EPROTO);
	end(&s, &where);
}

/* ---- BPF arrays alone ---- */

static void foreign_directory(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		const char *word;
	} cases[] = {
		{ 0700, 65534, "belongs to user 65534" },
		{ 0755, 0, "mode 0755" },
		{ 0770, 0, "mode 0770" },
	};
	struct sl_store_where where = place(false);
	struct sl_store s, other;

	(void)state;
	publish(&s, &where);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(chmod(bpf_dir, cases[i].mode), 0);
		assert_int_equal(chown(bpf_dir, cases[i].owner, 0), 0);
		for (int role = SL_STORE_CONTROL; role <= SL_STORE_READER; role++) {
			assert_int_equal(
				sl_store_attach(&other, &where, (enum sl_store_role)role, error),
				-EPERM);
			assert_non_null(strstr(error, cases[i].word));
		}
		assert_int_equal(sl_store_create(&other, &where, &small, error), -EPERM);
		assert_int_equal(sl_store_remove(&where, error), -EPERM);
	}
	assert_int_equal(chown(bpf_dir, 0, 0), 0);
	assert_int_equal(chmod(bpf_dir, 0700), 0);
	end(&s, &where);
}

static void linked_directory(void **state)
{
	struct sl_store_where where = place(false), elsewhere = place(false);
	struct sl_store s, other;
	char path[120];

	(void)state;
	publish(&s, &where);
	snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlink(bpf_dir, path), 0);
	elsewhere.bpf_dir = path;
	assert_int_equal(sl_store_attach(&other, &elsewhere, SL_STORE_READER, error), -ENOTDIR);
	unlink(path);
	end(&s, &where);
}

static void not_mounted(void **state)
{
	struct sl_store_where where = place(false);
	struct sl_store s;
	char path[120];

	(void)state;
	snprintf(path, sizeof(path), "%s/plain/unit", top);
	where.bpf_dir = path;
	assert_int_equal(sl_store_create(&s, &where, &small, error), -ENODEV);
	assert_non_null(strstr(error, "mount -t bpf"));
	where.huge = true;
	where.huge_dir = top;
	assert_int_equal(sl_store_create(&s, &where, &small, error), -ENODEV);
	assert_non_null(strstr(error, "mount -t hugetlbfs"));
}

static void other_map(void **state)
{
	struct sl_store_where where = place(false);
	struct sl_store s, other;
	char path[160];
	int fd;

	(void)state;
	publish(&s, &where);
	assert_int_equal(sl_store_pin_path(&where, "flow_timeouts", path, sizeof(path)), 0);
	assert_int_equal(unlink(path), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "flow_timeouts", 4, sizeof(struct sl_flow_timeouts),
			    11, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(sl_store_attach(&other, &where, SL_STORE_ENGINE, error), -EPROTO);
	assert_non_null(strstr(error, "flow_timeouts"));
	end(&s, &where);
}

static void others_stay(void **state)
{
	struct sl_store_where where = place(false);
	struct sl_store s;
	char path[160];
	int fd;

	(void)state;
	publish(&s, &where);
	assert_int_equal(sl_store_pin_path(&where, "link-a", path, sizeof(path)), 0);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "a", 4, 4, 1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	end(&s, &where);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sl_store_remove(&where, error), 0);
	assert_int_equal(access(bpf_dir, F_OK), -1);
	assert_int_equal(sl_store_remove(&where, error), 0);
}

static void long_path(void **state)
{
	struct sl_store_where where = place(false);
	char path[32];

	(void)state;
	where.bpf_dir = "/a";
	assert_int_equal(sl_store_pin_path(&where, "link-p", path, sizeof(path)), 0);
	assert_string_equal(path, "/a/link-p");
	assert_int_equal(sl_store_pin_path(&where, "link-p", path, 9), -ENAMETOOLONG);
}

/* ---- huge pages alone ---- */

/* Who comes between the making of the root's file and its first byte waits; who made it died. */
static void no_size_yet(void **state)
{
	struct sl_store_where where = place(true);
	struct sl_store s;
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/sluice.unit.root", huge_mount);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sl_store_attach(&s, &where, SL_STORE_ENGINE, error), -ENOENT);
	publish(&s, &where);
	end(&s, &where);
}

static void too_few_pages(void **state)
{
	struct sl_store_where where = place(true);
	struct sl_capacity large = small;
	struct sl_store s;
	char path[120];

	(void)state;
	large.flows = 1u << 31; /* 46 GB of buckets */
	assert_int_equal(sl_store_create(&s, &where, &large, error), -ENOMEM);
	assert_non_null(strstr(error, "huge pages"));
	snprintf(path, sizeof(path), "%s/sluice.unit.flows", huge_mount);
	assert_int_equal(access(path, F_OK), -1);
}

static void whole_pages(void **state)
{
	struct sl_store_where where = place(true);
	struct sl_store s;

	(void)state;
	publish(&s, &where);
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		assert_int_equal(s.bytes[i] % PAGE, 0);
	end(&s, &where);
}

/* ---- the machine ---- */

static long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (f) {
		if (fscanf(f, "%ld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

static void write_number(const char *path, long n)
{
	FILE *f = fopen(path, "w");

	if (f) {
		fprintf(f, "%ld\n", n);
		fclose(f);
	}
}

/* Reserves what is missing and gives it back in the end. */
static bool reserve_pages(void)
{
	static const char *free_pages = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	long missing = HUGE_PAGES - read_number(free_pages);

	if (missing <= 0)
		return true;
	reserved = missing;
	write_number(NR_HUGEPAGES, read_number(NR_HUGEPAGES) + missing);
	return read_number(free_pages) >= HUGE_PAGES;
}

static int set_up(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return -1;
	if (!mkdtemp(top) || mount("none", top, "tmpfs", 0, "mode=700") == -1)
		return -1;
	snprintf(bpf_mount, sizeof(bpf_mount), "%s/bpf", top);
	snprintf(huge_mount, sizeof(huge_mount), "%s/huge", top);
	snprintf(bpf_dir, sizeof(bpf_dir), "%s/sluice/unit", bpf_mount);
	if (mkdir(bpf_mount, 0700) == -1 || mkdir(huge_mount, 0700) == -1)
		return -1;
	if (mount("none", bpf_mount, "bpf", 0, NULL) == -1 ||
	    mount("none", huge_mount, "hugetlbfs", 0, "pagesize=2M") == -1)
		return -1;
	return reserve_pages() ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	umount2(bpf_mount, MNT_DETACH);
	umount2(huge_mount, MNT_DETACH);
	if (reserved)
		write_number(NR_HUGEPAGES, read_number(NR_HUGEPAGES) - reserved);
	umount2(top, MNT_DETACH);
	return rmdir(top);
}

int main(void)
{
	static bool bpf = false, huge = true;
#define BOTH(test)                                                                                 \
	{ #test " (bpf)", test, NULL, NULL, &bpf },                                                \
	{                                                                                          \
#test " (huge)", test, NULL, NULL, &huge                                           \
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		BOTH(attach_in_order),
		BOTH(readopted),
		BOTH(half_made),
		BOTH(read_only),
		BOTH(refused),
		BOTH(array_missing),
		cmocka_unit_test(foreign_directory),
		cmocka_unit_test(linked_directory),
		cmocka_unit_test(not_mounted),
		cmocka_unit_test(other_map),
		cmocka_unit_test(others_stay),
		cmocka_unit_test(long_path),
		cmocka_unit_test(no_size_yet),
		cmocka_unit_test(too_few_pages),
		cmocka_unit_test(whole_pages),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "test_store: has to run as root\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
