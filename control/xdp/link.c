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

struct sl_attachment {
	struct sl_programs *programs;
	const struct sl_config_port *port;
	const char *device;
	unsigned ifindex;
	char link_pin[PATH_MAX];
	char xsks_pin[PATH_MAX];
	char entry_name[SL_ENTRY_NAME_MAX]; /* its pin */
	int link;			    /* alive and at this interface, or -1 */
	int xsks;			    /* the map that its program redirects to */
	int entry;			    /* the program, or -1 */
};

static __attribute__((format(printf, 3, 4))) int fail(char *error, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SL_ERROR_MAX, format, args);
	va_end(args);
	return err;
}

/* ---- what is there already ---- */

/* Opens the pinned link if it is attached to this interface, else returns -1. The interface is
 * asked too, because the pin may come from another network namespace, where the same index means
 * another interface. */
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

static int pins_find(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	const struct sl_store_where *where = a->programs->where;
	char name[SL_NAME_MAX + 8];
	int err;

	snprintf(name, sizeof(name), "link-%s", a->port->name);
	err = sl_store_pin_path(where, name, a->link_pin, sizeof(a->link_pin));
	snprintf(name, sizeof(name), "xsks-%s", a->port->name);
	if (!err)
		err = sl_store_pin_path(where, name, a->xsks_pin, sizeof(a->xsks_pin));
	return err ? fail(error, err, "port %s: the path of its pins is too long", a->port->name)
		   : 0;
}

/* Opens the xsks_map of a dataplane that may be running, if the link is still attached to the
 * interface. Otherwise removes both pins, which belong to a dead or another interface, and creates
 * a new map. */
static int sockets_find(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	int err;

	a->link = link_adopt(a->link_pin, a->ifindex);
	if (a->link >= 0)
		a->xsks = bpf_obj_get(a->xsks_pin);
	if (a->xsks >= 0)
		return 0;
	if (a->link >= 0)
		close(a->link); /* a link without its xsks_map is no use */
	a->link = -1;
	if (unlink(a->xsks_pin) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", a->xsks_pin, strerror(errno));
	a->xsks = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks_map", 4, 4, SL_QUEUES_PER_PORT, NULL);
	if (a->xsks < 0)
		return fail(error, a->xsks, "%s: %s", a->xsks_pin, strerror(-a->xsks));
	err = bpf_obj_pin(a->xsks, a->xsks_pin);
	return err ? fail(error, err, "%s: %s", a->xsks_pin, strerror(-err)) : 0;
}

/* Enters the port in the two maps in which shared programs look up ports by index. An update of
 * `sockets` takes the kernel some 20 ms, so it is skipped where nothing changes. */
static int enter_port(const struct sl_attachment *a, uint32_t index, char error[SL_ERROR_MAX])
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info), there = 0;
	int err = bpf_map_update_elem(a->programs->egress, &index, &a->ifindex, BPF_ANY);

	if (err)
		return fail(error, err, "%s: can't be redirected to: %s", a->device,
			    strerror(-err));
	err = bpf_obj_get_info_by_fd(a->xsks, &info, &length);
	if (!err &&
	    (bpf_map_lookup_elem(a->programs->sockets, &index, &there) != 0 || there != info.id))
		err = bpf_map_update_elem(a->programs->sockets, &index, &a->xsks, BPF_ANY);
	return err ? fail(error, err, "%s: its sockets: %s", a->device, strerror(-err)) : 0;
}

/* Whether the interface's driver is veth. */
static bool is_veth(unsigned ifindex)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (void *)&info };
	int fd, err;

	if (!if_indextoname(ifindex, request.ifr_name))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	err = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return err == 0 && strcmp(info.driver, "veth") == 0;
}

/* ---- attaching ---- */

/* The id of the link that attaches an XDP program to this interface, or 0. */
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

/* Explains whose program is attached, and how to detach it. */
static int occupied(const struct sl_attachment *a, const struct bpf_xdp_query_opts *query,
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

static int link_fail(const struct sl_attachment *a, int err, char error[SL_ERROR_MAX])
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

static int link_create(const struct sl_attachment *a, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	return bpf_link_create(a->entry, (int)a->ifindex, BPF_XDP, &opts);
}

static int link_make(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	int native = link_create(a, XDP_FLAGS_DRV_MODE);

	a->link = native;
	if (native >= 0)
		return SL_XDP_NATIVE;
	if (!lacks_native(native))
		return link_fail(a, native, error);
	a->link = link_create(a, XDP_FLAGS_SKB_MODE);
	if (a->link < 0)
		return link_fail(a, a->link, error);
	fail(error, 0, "%s: generic XDP, which is slower: %s", a->device,
	     native == -EOPNOTSUPP ? "its driver has no native XDP"
				   : "its driver refuses native XDP; is its MTU too large?");
	return SL_XDP_GENERIC;
}

/* Without a pin, the link would end with this process. */
static int link_pin(const struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	int err = bpf_obj_pin(a->link, a->link_pin);

	return err ? fail(error, err, "%s: %s", a->link_pin, strerror(-err)) : 0;
}

static int link_unpin(const struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	if (unlink(a->link_pin) == -1 && errno != ENOENT)
		return fail(error, -errno, "%s: %s", a->link_pin, strerror(errno));
	return 0;
}

static int attach_new(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	int how = link_unpin(a, error), err;

	if (!how)
		how = link_make(a, error);
	if (how < 0)
		return how;
	err = link_pin(a, error);
	return err ? err : how;
}

/* Whether the link runs the port's own entry program already. */
static bool is_attached(const struct sl_attachment *a)
{
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info program = { 0 };
	uint32_t length = sizeof(link), size = sizeof(program);

	return bpf_obj_get_info_by_fd(a->link, &link, &length) == 0 &&
	       bpf_obj_get_info_by_fd(a->entry, &program, &size) == 0 && link.prog_id == program.id;
}

static int attach_replace(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int err = is_attached(a) ? 0 : bpf_link_update(a->link, a->entry, NULL);

	if (err)
		return fail(error, err, "%s: can't replace the XDP program: %s", a->device,
			    strerror(-err));
	if (bpf_xdp_query((int)a->ifindex, 0, &query) == 0 &&
	    query.attach_mode == XDP_ATTACHED_SKB) {
		fail(error, 0, "%s: generic XDP, which is slower, as it was attached before",
		     a->device);
		return SL_XDP_GENERIC;
	}
	return SL_XDP_NATIVE;
}

int sl_xdp_prepare(struct sl_attachment **attachment, struct sl_programs *programs,
		   const struct sl_config_port *port, uint32_t index, unsigned ifindex,
		   char error[SL_ERROR_MAX])
{
	struct sl_attachment *a = malloc(sizeof(*a));
	int err;

	*attachment = NULL;
	if (!a)
		return fail(error, -ENOMEM, "out of memory");
	*a = (struct sl_attachment){ .programs = programs,
				     .port = port,
				     .device = port->device,
				     .ifindex = ifindex,
				     .link = -1,
				     .xsks = -1,
				     .entry = -1 };
	err = pins_find(a, error);
	if (!err)
		err = sockets_find(a, error);
	if (!err)
		err = enter_port(a, index, error);
	if (!err) {
		a->entry = sl_programs_entry(programs, port, index, is_veth(ifindex), a->xsks,
					     a->entry_name, error);
		err = a->entry < 0 ? a->entry : 0;
	}
	if (err) {
		sl_xdp_release(a);
		return err;
	}
	*attachment = a;
	return 0;
}

int sl_xdp_attach(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	int how = a->link >= 0 ? attach_replace(a, error) : attach_new(a, error);

	if (how >= 0)
		sl_programs_drop_entries(a->programs, a->port, a->entry);
	return how;
}

int sl_xdp_make_generic(struct sl_attachment *a, char error[SL_ERROR_MAX])
{
	int err = link_unpin(a, error);

	if (err)
		return err;
	close(a->link);
	a->link = link_create(a, XDP_FLAGS_SKB_MODE);
	return a->link < 0 ? link_fail(a, a->link, error) : link_pin(a, error);
}

unsigned sl_xdp_ifindex(const struct sl_attachment *a)
{
	return a->ifindex;
}

bool sl_xdp_stands(struct sl_attachment *a)
{
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);

	if (a->link >= 0 && bpf_obj_get_info_by_fd(a->link, &info, &length) == 0 &&
	    info.xdp.ifindex == a->ifindex)
		return true;
	if (a->link >= 0)
		close(a->link);
	a->link = -1;
	return false;
}

int sl_xdp_repin(const struct sl_attachment *a)
{
	const struct {
		const char *name;
		int fd;
	} pins[] = { { strrchr(a->link_pin, '/') + 1, a->link },
		     { strrchr(a->xsks_pin, '/') + 1, a->xsks },
		     { a->entry_name, a->entry } };
	int missing = 0;

	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		int one = pins[i].fd < 0 ? 0
					 : sl_store_repin_one(a->programs->where, pins[i].name,
							      pins[i].fd);

		if (one < 0)
			return one;
		missing += one;
	}
	return missing;
}

void sl_xdp_release(struct sl_attachment *a)
{
	if (!a)
		return;
	if (a->link >= 0)
		close(a->link);
	if (a->xsks >= 0)
		close(a->xsks);
	if (a->entry >= 0)
		close(a->entry);
	free(a);
}

static bool is_ours(const char *pin)
{
	static const char *const names[] = { "egress", "sockets", "handoffs" };
	static const char *const kinds[] = { "link-", "xsks-", "tails-", "entry-" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(pin, names[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(pin, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
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
		if (!is_ours(entry->d_name))
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == -1 && errno != ENOENT && !err)
			err = fail(error, -errno, "%s/%s: %s", where->bpf_dir, entry->d_name,
				   strerror(errno));
	}
	closedir(dir);
	return err;
}
