/* SPDX-License-Identifier: BSD-2-Clause */
#include "link.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "engine.skel.h"
#include "program.h"

/* What doesn't fit it becomes ENOSPC, whatever the reason was. Memory that isn't written costs
 * none. */
#define VERIFIER_LOG (64 * 1024 * 1024)

struct attachment {
	const char *device;
	unsigned ifindex;
	char link_pin[PATH_MAX];
	char xsks_pin[PATH_MAX];
	char tails_pin[PATH_MAX];
	char tails_next[PATH_MAX]; /* where the next program's wait for it to be attached */
	int link;		   /* alive and at this interface, or -1 */
	int xsks;		   /* the map that its program redirects to, or -1 */
	int egress;		   /* interfaces by port, for all programs of the instance */
};

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

/* ---- what stands there already ---- */

/* The link that this pin holds, if it holds this interface. The interface's own word is asked too:
 * a pin may come from a network namespace where this index is another interface. */
static int link_adopt(const char *pin, unsigned ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);
	int fd = bpf_obj_get(pin);

	if (fd < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	    info.xdp.ifindex == ifindex && bpf_xdp_query((int)ifindex, 0, &query) == 0 &&
	    query.prog_id == info.prog_id)
		return fd;
	close(fd);
	return -1;
}

static int attachment_find(struct attachment *a, const struct sl_store_where *where,
			   const struct sl_config_port *port, unsigned ifindex,
			   char error[SL_ERROR_MAX])
{
	char name[SL_NAME_MAX + 8];
	int err;

	*a = (struct attachment){
		.device = port->device, .ifindex = ifindex, .link = -1, .xsks = -1, .egress = -1
	};
	snprintf(name, sizeof(name), "link-%s", port->name);
	err = sl_store_pin_path(where, name, a->link_pin, sizeof(a->link_pin));
	snprintf(name, sizeof(name), "xsks-%s", port->name);
	if (!err)
		err = sl_store_pin_path(where, name, a->xsks_pin, sizeof(a->xsks_pin));
	snprintf(name, sizeof(name), "tails-%s", port->name);
	if (!err)
		err = sl_store_pin_path(where, name, a->tails_pin, sizeof(a->tails_pin));
	snprintf(name, sizeof(name), "next-%s", port->name);
	if (!err)
		err = sl_store_pin_path(where, name, a->tails_next, sizeof(a->tails_next));
	if (err)
		return fail(error, err, "port %s: the path of its pins is too long", port->name);
	a->link = link_adopt(a->link_pin, ifindex);
	if (a->link < 0)
		return 0;
	a->xsks = bpf_obj_get(a->xsks_pin);
	if (a->xsks >= 0)
		return 0;
	close(a->link); /* of no use without the sockets */
	a->link = -1;
	return 0;
}

static void attachment_close(struct attachment *a)
{
	if (a->link >= 0)
		close(a->link);
	if (a->xsks >= 0)
		close(a->xsks);
	if (a->egress >= 0)
		close(a->egress);
}

/* The map of interfaces, made by whichever port comes first. */
static int egress_open(struct attachment *a, const struct sl_store_where *where,
		       char error[SL_ERROR_MAX])
{
	char pin[PATH_MAX];
	int err = sl_store_pin_path(where, "egress", pin, sizeof(pin));

	if (err)
		return fail(error, err, "bpf_dir: %s is too long", where->bpf_dir);
	a->egress = bpf_obj_get(pin);
	if (a->egress >= 0)
		return 0;
	a->egress = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "egress", 4, 4, SL_PORTS_MAX, NULL);
	if (a->egress < 0)
		return fail(error, a->egress, "%s: %s", pin, strerror(-a->egress));
	err = bpf_obj_pin(a->egress, pin);
	if (err == -EEXIST) { /* another port's thread came first */
		close(a->egress);
		a->egress = bpf_obj_get(pin);
		err = a->egress < 0 ? a->egress : 0;
	}
	return err ? fail(error, err, "%s: %s", pin, strerror(-err)) : 0;
}

static int egress_set(const struct attachment *a, uint32_t port, char error[SL_ERROR_MAX])
{
	int err = bpf_map_update_elem(a->egress, &port, &a->ifindex, BPF_ANY);

	return err ? fail(error, err, "%s: can't be redirected to: %s", a->device, strerror(-err))
		   : 0;
}

/* ---- the program ---- */

/* What the driver calls itself. */
static bool is_veth(const char *device)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (void *)&info };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	err = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return err == 0 && strcmp(info.driver, "veth") == 0;
}

/* The end of the verifier's log on one line, for a report of something that shouldn't happen. */
static int load_fail(const char *device, int err, char *log, char error[SL_ERROR_MAX])
{
	size_t length = strlen(log), from = length > 300 ? length - 300 : 0;

	if (err == -EPERM || err == -EACCES) {
		if (!length)
			return fail(error, -EPERM,
				    "%s: not allowed to load an XDP program; it takes CAP_BPF and "
				    "CAP_NET_ADMIN",
				    device);
	}
	if (err == -EMFILE || err == -ENFILE)
		return fail(error, err, "%s: the XDP program can't be loaded: %s", device,
			    strerror(-err));
	for (char *at = log + from; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	return fail(error, err, "%s: the kernel refuses the XDP program: %s: %s", device,
		    strerror(-err), log + from);
}

/* One instance for this port, over the sockets' map given or a new one. */
static int program_load(struct sl_xdp_engine **skel, const struct sl_store *store, uint32_t port,
			const struct attachment *a, char error[SL_ERROR_MAX])
{
	char *log = calloc(1, VERIFIER_LOG);
	int err;

	*skel = NULL;
	if (!log)
		return load_fail(a->device, -ENOMEM, (char[]){ "" }, error);
	err = sl_program_open(skel, store, port, log, VERIFIER_LOG);
	if (!err) {
		(*skel)->rodata->sl_veth = is_veth(a->device);
		err = a->xsks < 0 ? 0 : bpf_map__reuse_fd((*skel)->maps.xsks_map, a->xsks);
	}
	if (!err)
		err = bpf_map__reuse_fd((*skel)->maps.egress, a->egress);
	if (!err)
		err = sl_program_load(*skel, store);
	if (err) {
		sl_xdp_engine__destroy(*skel);
		load_fail(a->device, err, log, error);
	}
	free(log);
	return err;
}

/* ---- attaching ---- */

/* The link that holds an XDP program at this interface; 0: none does. */
static uint32_t link_id_at(unsigned ifindex)
{
	uint32_t id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		struct bpf_link_info info = { 0 };
		uint32_t length = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id), err;

		if (fd < 0)
			continue;
		err = bpf_obj_get_info_by_fd(fd, &info, &length);
		close(fd);
		if (!err && info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex)
			return id;
	}
	return 0;
}

/* What stands there isn't ours: who may take it off, and how. */
static int occupied(const struct attachment *a, const struct bpf_xdp_query_opts *query,
		    char error[SL_ERROR_MAX])
{
	uint32_t link = link_id_at(a->ifindex);
	uint32_t id = query->prog_id	   ? query->prog_id
		      : query->drv_prog_id ? query->drv_prog_id
					   : query->skb_prog_id;

	if (link)
		return fail(error, -EBUSY,
			    "%s: another XDP program is attached (id %u), by link %u; take it off "
			    "first: `bpftool link show id %u` tells whose it is, `bpftool link "
			    "detach id %u` detaches it",
			    a->device, id, link, link, link);
	return fail(error, -EBUSY,
		    "%s: another XDP program is attached (id %u, see `bpftool prog show id %u`); "
		    "take it off first: `ip link set dev %s %s off`",
		    a->device, id, id, a->device,
		    query->attach_mode == XDP_ATTACHED_SKB ? "xdpgeneric" : "xdpdrv");
}

static int link_fail(const struct attachment *a, int err, char error[SL_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query((int)a->ifindex, 0, &query) == 0 &&
	    query.attach_mode != XDP_ATTACHED_NONE)
		return occupied(a, &query, error);
	if (err == -EPERM)
		return fail(error, err,
			    "%s: not allowed to attach an XDP program; it takes CAP_NET_ADMIN",
			    a->device);
	if (err == -ENODEV)
		return fail(error, err, "%s: the interface is gone", a->device);
	return fail(error, err, "%s: can't attach the XDP program: %s", a->device, strerror(-err));
}

static bool lacks_native(int err)
{
	return err == -EOPNOTSUPP || err == -EINVAL || err == -ERANGE;
}

static int link_make(struct attachment *a, int program, char error[SL_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int native, fd;

	native = bpf_link_create(program, (int)a->ifindex, BPF_XDP, &opts);
	if (native >= 0) {
		a->link = native;
		return SL_XDP_NATIVE;
	}
	if (!lacks_native(native))
		return link_fail(a, native, error);
	opts.flags = XDP_FLAGS_SKB_MODE;
	fd = bpf_link_create(program, (int)a->ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return link_fail(a, fd, error);
	a->link = fd;
	fail(error, 0, "%s: generic XDP, which is slower: %s", a->device,
	     native == -EOPNOTSUPP ? "its driver has no native XDP"
				   : "its driver refuses native XDP; is its MTU too large?");
	return SL_XDP_GENERIC;
}

/* The kernel empties a map of programs when the last pin or descriptor of it goes, whatever program
 * uses it: so the new one's is pinned before it is attached, and the old one's goes after. */
static int tails_pin(const struct attachment *a, const struct sl_xdp_engine *skel,
		     char error[SL_ERROR_MAX])
{
	int err;

	if (unlink(a->tails_next) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", a->tails_next, strerror(errno));
	err = bpf_obj_pin(bpf_map__fd(skel->maps.tails), a->tails_next);
	return err ? fail(error, err, "%s: %s", a->tails_next, strerror(-err)) : 0;
}

static int tails_prune(const struct attachment *a, char error[SL_ERROR_MAX])
{
	if (rename(a->tails_next, a->tails_pin) == -1)
		return fail(error, -errno, "%s: %s", a->tails_pin, strerror(errno));
	return 0;
}

/* Drops what stood at the pins: dead, or at another interface. */
static int attach_new(struct attachment *a, const struct sl_xdp_engine *skel,
		      char error[SL_ERROR_MAX])
{
	const char *pin = a->xsks_pin;
	int how, err;

	if (unlink(a->link_pin) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", a->link_pin, strerror(errno));
	if (unlink(a->xsks_pin) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", a->xsks_pin, strerror(errno));
	how = link_make(a, bpf_program__fd(skel->progs.xsk_def_prog), error);
	if (how < 0)
		return how;
	err = bpf_obj_pin(bpf_map__fd(skel->maps.xsks_map), pin);
	if (!err) {
		pin = a->link_pin;
		err = bpf_obj_pin(a->link, pin);
	}
	if (err) {
		unlink(a->xsks_pin);
		return fail(error, err, "%s: %s", pin, strerror(-err)); /* the link goes with us */
	}
	return how;
}

static int attach_replace(struct attachment *a, const struct sl_xdp_engine *skel,
			  char error[SL_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int err = bpf_link_update(a->link, bpf_program__fd(skel->progs.xsk_def_prog), NULL);

	if (err)
		return fail(error, err, "%s: can't replace the XDP program: %s", a->device,
			    strerror(-err));
	if (bpf_xdp_query((int)a->ifindex, 0, &query) == 0 &&
	    query.attach_mode == XDP_ATTACHED_SKB) {
		fail(error, 0, "%s: generic XDP, which is slower: its driver had no native XDP",
		     a->device);
		return SL_XDP_GENERIC;
	}
	return SL_XDP_NATIVE;
}

static int attach(struct attachment *a, const struct sl_xdp_engine *skel, char error[SL_ERROR_MAX])
{
	/* Of a control that died before it had settled: its map may be the live program's. */
	int live = bpf_obj_get(a->tails_next);
	int err = tails_pin(a, skel, error), how;

	if (err)
		goto out;
	how = a->link >= 0 ? attach_replace(a, skel, error) : attach_new(a, skel, error);
	if (how >= 0)
		err = tails_prune(a, error);
	if (how < 0 && unlink(a->tails_next) == 0 && live >= 0)
		bpf_obj_pin(live, a->tails_next);
	err = err ? err : how;
out:
	if (live >= 0)
		close(live);
	return err;
}

int sl_xdp_attach(const struct sl_store *store, const struct sl_store_where *where,
		  const struct sl_config *config, uint32_t port, unsigned ifindex,
		  char error[SL_ERROR_MAX])
{
	struct attachment a;
	struct sl_xdp_engine *skel;
	int how;

	if (where->huge)
		return fail(error, -EINVAL, "XDP can't read tables in huge pages");
	how = attachment_find(&a, where, &config->dataplane.port[port], ifindex, error);
	if (how)
		return how;
	how = egress_open(&a, where, error);
	if (!how)
		how = egress_set(&a, port, error);
	if (!how)
		how = program_load(&skel, store, port, &a, error);
	if (!how) {
		how = attach(&a, skel, error);
		sl_xdp_engine__destroy(skel);
	}
	attachment_close(&a);
	return how;
}

int sl_xdp_detach_all(const struct sl_store_where *where, char error[SL_ERROR_MAX])
{
	DIR *dir = opendir(where->bpf_dir);
	struct dirent *entry;
	int err = 0;

	if (!dir)
		return errno == ENOENT
			       ? 0
			       : fail(error, -errno, "%s: %s", where->bpf_dir, strerror(errno));
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "link-", 5) != 0 &&
		    strncmp(entry->d_name, "xsks-", 5) != 0 &&
		    strncmp(entry->d_name, "tails-", 6) != 0 &&
		    strncmp(entry->d_name, "next-", 5) != 0 && strcmp(entry->d_name, "egress") != 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == -1 && errno != ENOENT && !err)
			err = fail(error, -errno, "%s/%s: %s", where->bpf_dir, entry->d_name,
				   strerror(errno));
	}
	closedir(dir);
	return err;
}
