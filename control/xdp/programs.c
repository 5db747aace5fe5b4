/* SPDX-License-Identifier: BSD-2-Clause */
#include "programs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "engine.skel.h"
#include "program.h"

/* Large enough for any program: if the log didn't fit, the kernel would report ENOSPC and not the
 * reason. Memory that isn't written to costs nothing. */
#define VERIFIER_LOG (64 * 1024 * 1024)
#define ID_DIGITS    16
#define MAPS_MOST    64 /* of one program */

_Static_assert(SL_TAIL_COUNT <= 32, "bits of a word");

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

/* ---- identity ---- */

static uint64_t mix(uint64_t id, uint64_t word)
{
	id = (id ^ word) * 0x9e3779b97f4a7c15ull;
	return id ^ id >> 32;
}

static uint64_t mix_bytes(uint64_t id, const void *bytes, size_t n)
{
	const char *at = bytes;
	uint64_t word;

	for (; n >= sizeof(word); n -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		id = mix(id, word);
	}
	word = n;
	memcpy(&word, at, n);
	return mix(id, word);
}

/* The kernel's id of a map, or 0. */
static uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) || info.type != BPF_PROG_TYPE_XDP
		       ? 0
		       : info.id;
}

/* The digest of all programs. It includes the maps, because an operator or --fresh may have created
 * them anew. */
static uint64_t identify(const struct sl_programs *p, const struct sl_xdp_engine *skel)
{
	size_t size;
	const void *object = sl_xdp_engine__elf_bytes(&size);
	uint64_t id = mix_bytes(size, object, size);

	id = mix_bytes(id, skel->rodata, sizeof(*skel->rodata));
	for (int i = 0; i < SL_ARRAY_COUNT; i++)
		id = mix(id, map_id(p->store->fd[i]));
	id = mix(id, map_id(p->egress));
	id = mix(id, map_id(p->sockets));
	return mix(id, map_id(p->handoffs));
}

/* ---- pins ---- */

static bool same_kind(int fd, const struct bpf_map *as)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && info.type == bpf_map__type(as) &&
	       info.key_size == bpf_map__key_size(as) &&
	       info.value_size == bpf_map__value_size(as) &&
	       info.max_entries == bpf_map__max_entries(as);
}

static int map_make(const struct bpf_map *as)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int inner = -1, fd;

	if (bpf_map__type(as) == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		inner = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks_map", 4, 4, SL_QUEUES_PER_PORT,
				       NULL);
		if (inner < 0)
			return inner;
		opts.inner_map_fd = (uint32_t)inner;
	}
	fd = bpf_map_create(bpf_map__type(as), bpf_map__name(as), bpf_map__key_size(as),
			    bpf_map__value_size(as), bpf_map__max_entries(as), &opts);
	if (inner >= 0)
		close(inner);
	return fd;
}

/* Opens the pinned map, or creates it if there is none of that kind. Returns a descriptor or
 * -errno. */
static int map_open(const struct sl_programs *p, const char *name, const struct bpf_map *as,
		    char error[SL_ERROR_MAX])
{
	char pin[PATH_MAX];
	int err = sl_store_pin_path(p->where, name, pin, sizeof(pin)), fd;

	if (err)
		return fail(error, err, "bpf_dir: %s is too long", p->where->bpf_dir);
	fd = bpf_obj_get(pin);
	if (fd >= 0 && same_kind(fd, as))
		return fd;
	if (fd >= 0)
		close(fd);
	if (unlink(pin) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", pin, strerror(errno));
	fd = map_make(as);
	if (fd == -EPERM)
		return fail(error, fd,
			    "not allowed to make BPF maps; it takes CAP_BPF and CAP_NET_ADMIN");
	if (fd < 0)
		return fail(error, fd, "%s: %s", pin, strerror(-fd));
	err = bpf_obj_pin(fd, pin);
	if (err) {
		close(fd);
		return fail(error, err, "%s: %s", pin, strerror(-err));
	}
	return fd;
}

static void entry_name(uint64_t id, const char *port, char name[SL_ENTRY_NAME_MAX])
{
	snprintf(name, SL_ENTRY_NAME_MAX, "entry-%016llx-%s", (unsigned long long)id, port);
}

static void tails_name(uint64_t id, char name[SL_ENTRY_NAME_MAX])
{
	snprintf(name, SL_ENTRY_NAME_MAX, "tails-%016llx", (unsigned long long)id);
}

/* The port in the name of an entry's pin, or NULL. */
static const char *entry_port(const char *name)
{
	if (strncmp(name, "entry-", 6) != 0 || strspn(name + 6, "0123456789abcdef") != ID_DIGITS ||
	    name[6 + ID_DIGITS] != '-')
		return NULL;
	return name + 6 + ID_DIGITS + 1;
}

/* ---- opening ---- */

static void find_loaded(struct sl_programs *p)
{
	for (uint32_t i = 0; i < SL_TAIL_COUNT; i++) {
		uint32_t id;

		if (bpf_map_lookup_elem(p->tails, &i, &id) == 0)
			p->loaded |= 1u << i;
	}
}

static int set_open(struct sl_programs *p, char error[SL_ERROR_MAX])
{
	struct sl_xdp_engine *skel;
	char name[SL_ENTRY_NAME_MAX];
	int err = sl_program_open(&skel, p->store, NULL, 0);

	if (err)
		return fail(error, err, "the XDP programs: %s", strerror(-err));
	p->egress = map_open(p, "egress", skel->maps.egress, error);
	if (p->egress >= 0)
		p->sockets = map_open(p, "sockets", skel->maps.sockets, error);
	if (p->sockets >= 0)
		p->handoffs = map_open(p, "handoffs", skel->maps.handoffs, error);
	if (p->handoffs >= 0) {
		p->id = identify(p, skel);
		tails_name(p->id, name);
		p->tails = map_open(p, name, skel->maps.tails, error);
	}
	err = p->egress < 0	? p->egress
	      : p->sockets < 0	? p->sockets
	      : p->handoffs < 0 ? p->handoffs
	      : p->tails < 0	? p->tails
				: 0;
	sl_xdp_engine__destroy(skel);
	return err;
}

int sl_programs_open(struct sl_programs **programs, const struct sl_store *store,
		     const struct sl_store_where *where, char error[SL_ERROR_MAX])
{
	struct sl_programs *p = malloc(sizeof(*p));
	int err;

	*programs = NULL;
	if (!p)
		return fail(error, -ENOMEM, "out of memory");
	*p = (struct sl_programs){ .store = store,
				   .where = where,
				   .tails = -1,
				   .egress = -1,
				   .sockets = -1,
				   .handoffs = -1 };
	err = set_open(p, error);
	if (err) {
		sl_programs_close(p);
		return err;
	}
	find_loaded(p);
	p->n_adopted = (uint32_t)__builtin_popcount(p->loaded);
	*programs = p;
	return 0;
}

void sl_programs_close(struct sl_programs *p)
{
	if (!p)
		return;
	if (p->tails >= 0)
		close(p->tails);
	if (p->egress >= 0)
		close(p->egress);
	if (p->sockets >= 0)
		close(p->sockets);
	if (p->handoffs >= 0)
		close(p->handoffs);
	free(p);
}

int sl_programs_repin(const struct sl_programs *p)
{
	char name[SL_ENTRY_NAME_MAX];
	const struct {
		const char *name;
		int fd;
	} pins[] = { { "egress", p->egress },
		     { "sockets", p->sockets },
		     { "handoffs", p->handoffs },
		     { name, p->tails } };
	int missing = 0;

	tails_name(p->id, name);
	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		int one = sl_store_repin_one(p->where, pins[i].name, pins[i].fd);

		if (one < 0)
			return one;
		missing += one;
	}
	return missing;
}

/* ---- loading ---- */

uint32_t sl_programs_missing(const struct sl_programs *p, uint64_t generation)
{
	if (p->loaded == (1ull << SL_TAIL_COUNT) - 1)
		return 0;
	return sl_program_needed(p->store, generation) & ~p->loaded;
}

/* An error with the end of the verifier's log on one line. */
static int load_fail(const char *what, int err, char *log, char error[SL_ERROR_MAX])
{
	size_t length = strlen(log), from = length > 300 ? length - 300 : 0;

	if ((err == -EPERM || err == -EACCES) && !length)
		return fail(error, -EPERM,
			    "%s: not allowed to load an XDP program; it takes CAP_BPF and "
			    "CAP_NET_ADMIN",
			    what);
	/* libbpf leaves out maps of a kind that the kernel doesn't seem to know, and its probe
	 * fails too if there is no descriptor for it. Each kernel that has what we need knows them.
	 */
	if (err == -EINVAL && strstr(log, "referenced but wasn't created"))
		err = -EMFILE;
	if (err == -EMFILE || err == -ENFILE)
		return fail(error, err, "%s: the XDP program can't be loaded: %s", what,
			    strerror(-err));
	for (char *at = log + from; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	return fail(error, err, "%s: the kernel refuses the XDP program: %s: %s", what,
		    strerror(-err), log + from);
}

/* Opens all programs over the shared maps, and marks one to be loaded: the entry program if tail is
 * negative. */
static int open_one(const struct sl_programs *p, struct sl_xdp_engine **skel, int tail, char *log)
{
	struct bpf_program *program, *only;
	int err = sl_program_open(skel, p->store, log, VERIFIER_LOG);

	if (err)
		return err;
	only = tail < 0 ? (*skel)->progs.xsk_def_prog : sl_program_tail(*skel, (enum sl_tail)tail);
	bpf_object__for_each_program(program, (*skel)->obj)
		bpf_program__set_autoload(program, program == only);
	err = bpf_map__reuse_fd((*skel)->maps.tails, p->tails);
	if (!err)
		err = bpf_map__reuse_fd((*skel)->maps.egress, p->egress);
	if (!err)
		err = bpf_map__reuse_fd((*skel)->maps.sockets, p->sockets);
	if (!err)
		err = bpf_map__reuse_fd((*skel)->maps.handoffs, p->handoffs);
	return err;
}

int sl_programs_load(struct sl_programs *p, enum sl_tail tail, char error[SL_ERROR_MAX])
{
	struct sl_xdp_engine *skel = NULL;
	char *log = calloc(1, VERIFIER_LOG);
	int err;

	if (!log)
		return fail(error, -ENOMEM, "out of memory");
	err = open_one(p, &skel, (int)tail, log);
	if (!err)
		err = bpf_map__set_autocreate(skel->maps.xsks_map, false);
	if (!err)
		err = sl_program_load(skel);
	if (err) {
		err = load_fail(sl_program_name(tail), err, log, error);
	} else {
		__atomic_fetch_or(&p->loaded, 1u << tail, __ATOMIC_RELAXED);
		__atomic_fetch_add(&p->n_loaded, 1, __ATOMIC_RELAXED);
	}
	sl_xdp_engine__destroy(skel);
	free(log);
	return err;
}

static int entry_load(struct sl_programs *p, const struct sl_config_port *port, uint32_t index,
		      bool veth, int xsks, char error[SL_ERROR_MAX])
{
	struct sl_xdp_engine *skel = NULL;
	char *log = calloc(1, VERIFIER_LOG);
	int err;

	if (!log)
		return fail(error, -ENOMEM, "out of memory");
	err = open_one(p, &skel, -1, log);
	if (!err) {
		skel->rodata->sl_port = index;
		skel->rodata->sl_veth = veth;
		err = bpf_map__reuse_fd(skel->maps.xsks_map, xsks);
	}
	if (!err)
		err = sl_program_load(skel);
	if (err)
		err = load_fail(port->device, err, log, error);
	else
		err = dup(bpf_program__fd(skel->progs.xsk_def_prog));
	sl_xdp_engine__destroy(skel);
	free(log);
	return err;
}

int sl_programs_entry(struct sl_programs *p, const struct sl_config_port *port, uint32_t index,
		      bool veth, int xsks, char name[SL_ENTRY_NAME_MAX], char error[SL_ERROR_MAX])
{
	uint64_t id = mix(mix(mix(p->id, map_id(p->tails)), map_id(xsks)), index << 1 | veth);
	char pin[PATH_MAX];
	int err, fd;

	entry_name(id, port->name, name);
	err = sl_store_pin_path(p->where, name, pin, sizeof(pin));
	if (err)
		return fail(error, err, "port %s: the path of its pins is too long", port->name);
	fd = bpf_obj_get(pin);
	if (fd >= 0 && program_id(fd)) {
		__atomic_fetch_add(&p->n_adopted, 1, __ATOMIC_RELAXED);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	if (unlink(pin) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", pin, strerror(errno));
	fd = entry_load(p, port, index, veth, xsks, error);
	if (fd < 0)
		return fd;
	err = bpf_obj_pin(fd, pin);
	if (err) {
		close(fd);
		return fail(error, err, "%s: %s", pin, strerror(-err));
	}
	__atomic_fetch_add(&p->n_loaded, 1, __ATOMIC_RELAXED);
	return fd;
}

/* ---- other builds ---- */

void sl_programs_drop_entries(const struct sl_programs *p, const struct sl_config_port *port,
			      int entry)
{
	DIR *dir = opendir(p->where->bpf_dir);
	uint32_t id = program_id(entry);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		const char *of = entry_port(e->d_name);
		char pin[PATH_MAX];
		int fd;

		if (!of || strcmp(of, port->name) != 0 ||
		    sl_store_pin_path(p->where, e->d_name, pin, sizeof(pin)) != 0)
			continue;
		fd = bpf_obj_get(pin);
		if (fd < 0 || program_id(fd) != id)
			unlink(pin);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static bool uses(int program, uint32_t map)
{
	uint32_t maps[MAPS_MOST];
	struct bpf_prog_info info = { .nr_map_ids = MAPS_MOST, .map_ids = (uintptr_t)maps };
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &length) != 0 || info.nr_map_ids > MAPS_MOST)
		return true; /* unknown, so it is kept */
	for (uint32_t i = 0; i < info.nr_map_ids; i++)
		if (maps[i] == map)
			return true;
	return false;
}

/* Whether any entry program uses this map of programs. */
static bool is_used(const struct sl_programs *p, uint32_t map)
{
	DIR *dir = opendir(p->where->bpf_dir);
	bool used = !dir;
	struct dirent *e;

	while (dir && !used && (e = readdir(dir))) {
		char pin[PATH_MAX];
		int fd;

		if (!entry_port(e->d_name) ||
		    sl_store_pin_path(p->where, e->d_name, pin, sizeof(pin)) != 0)
			continue;
		fd = bpf_obj_get(pin);
		used = fd >= 0 && uses(fd, map);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
	return used;
}

void sl_programs_drop_sets(const struct sl_programs *p)
{
	DIR *dir = opendir(p->where->bpf_dir);
	uint32_t ours = map_id(p->tails);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char pin[PATH_MAX];
		uint32_t id;
		int fd;

		if (strncmp(e->d_name, "tails-", 6) != 0 ||
		    sl_store_pin_path(p->where, e->d_name, pin, sizeof(pin)) != 0)
			continue;
		fd = bpf_obj_get(pin);
		id = fd >= 0 ? map_id(fd) : 0;
		if (fd >= 0)
			close(fd);
		if (id != ours && (!id || !is_used(p, id)))
			unlink(pin);
	}
	if (dir)
		closedir(dir);
}
