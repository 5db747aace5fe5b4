/* SPDX-License-Identifier: BSD-2-Clause */
#include "merging.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include "offload.h"

enum { LOWERS_MAX = 1024 };

/* An interface below a port. */
struct lower {
	unsigned ifindex;
	char name[IFNAMSIZ];
	uint32_t port;	/* below this one */
	uint32_t unfit; /* features that must be off, by bit */
	uint32_t off;	/* of these, those that we turned off */
	uint32_t stuck; /* of these, those that can't be turned off */
	int why;	/* -errno of that */
};

struct sl_merging {
	struct lower lower[LOWERS_MAX];
	size_t n;
};

/* ---- which interfaces ---- */

/* Whether the interface is one of a pair: its link is then its peer, not a lower interface. */
static bool is_pair(struct rtnl_link *link)
{
	const char *type = rtnl_link_get_type(link);

	return type && (!strcmp(type, "veth") || !strcmp(type, "netkit") || !strcmp(type, "vxcan"));
}

static bool is_below(struct rtnl_link *link, struct rtnl_link *upper)
{
	int32_t other;

	if (rtnl_link_get_master(link) == rtnl_link_get_ifindex(upper))
		return true;
	return rtnl_link_get_link(upper) == rtnl_link_get_ifindex(link) && !is_pair(upper) &&
	       rtnl_link_get_link_netnsid(upper, &other) != 0;
}

static struct lower *find(struct lower *lower, size_t n, unsigned ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (lower[i].ifindex == ifindex)
			return &lower[i];
	return NULL;
}

static void add(struct sl_merging *m, struct rtnl_link *link, uint32_t port, uint32_t unfit)
{
	unsigned ifindex = (unsigned)rtnl_link_get_ifindex(link);
	struct lower *at = find(m->lower, m->n, ifindex);

	if (at)
		at->unfit |= unfit;
	if (at || m->n == LOWERS_MAX)
		return;
	at = &m->lower[m->n++];
	*at = (struct lower){ .ifindex = ifindex, .port = port, .unfit = unfit };
	snprintf(at->name, sizeof(at->name), "%s", rtnl_link_get_name(link));
}

/* Adds all interfaces below this one: those that have it as master, and those that it is stacked
 * on. */
static void add_below(struct sl_merging *m, struct nl_cache *links, struct rtnl_link *upper,
		      uint32_t port, int depth)
{
	struct nl_object *at;

	if (!depth)
		return;
	for (at = nl_cache_get_first(links); at; at = nl_cache_get_next(at)) {
		struct rtnl_link *link = (struct rtnl_link *)at;

		if (!is_below(link, upper))
			continue;
		add(m, link, port, SL_MERGES_GRO | SL_MERGES_GRO_HW | SL_MERGES_LRO);
		add_below(m, links, link, port, depth - 1);
	}
}

static void find_lowers(struct sl_merging *m, const struct sl_control *c, struct nl_cache *links)
{
	enum { DEPTH = 8 };

	for (uint32_t i = 0; i < c->config.dataplane.n_ports; i++) {
		struct rtnl_link *link;

		if (!c->attached[i])
			continue;
		link = rtnl_link_get(links, (int)c->attached[i]);
		if (!link)
			continue;
		if (c->generic >> i & 1)
			add_below(m, links, link, i, DEPTH);
		else
			add(m, link, i, SL_MERGES_GRO_HW | SL_MERGES_LRO);
		rtnl_link_put(link);
	}
}

static struct nl_cache *dump_links(void)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_cache *links = NULL;

	if (sock && nl_connect(sock, NETLINK_ROUTE) == 0)
		rtnl_link_alloc_cache(sock, AF_UNSPEC, &links);
	nl_socket_free(sock);
	return links;
}

/* ---- the file that says what was turned off ---- */

static void path_of(const char *run_dir, const char *suffix, char path[SL_PATH_MAX + 32])
{
	snprintf(path, SL_PATH_MAX + 32, "%s/merging%s", run_dir, suffix);
}

static void load(const char *run_dir, struct sl_merging *m)
{
	char path[SL_PATH_MAX + 32], line[64];
	FILE *f;

	path_of(run_dir, "", path);
	f = fopen(path, "re");
	while (f && m->n < LOWERS_MAX && fgets(line, sizeof(line), f)) {
		struct lower *at = &m->lower[m->n];

		*at = (struct lower){ 0 };
		m->n += sscanf(line, "%u %15s %x", &at->ifindex, at->name, &at->off) == 3;
	}
	if (f)
		fclose(f);
}

/* False if it can't be written. Nothing may be turned off then. */
static bool save(const char *run_dir, const struct sl_merging *m)
{
	char path[SL_PATH_MAX + 32], next[SL_PATH_MAX + 32];
	bool good = true, any = false;
	FILE *f;

	path_of(run_dir, "", path);
	path_of(run_dir, ".new", next);
	for (size_t i = 0; i < m->n; i++)
		any |= m->lower[i].off != 0;
	if (!any)
		return unlink(path) == 0 || errno == ENOENT;
	f = fopen(next, "we");
	for (size_t i = 0; f && i < m->n; i++)
		if (m->lower[i].off)
			good &= fprintf(f, "%u %s %x\n", m->lower[i].ifindex, m->lower[i].name,
					m->lower[i].off) > 0;
	if (!f || (fclose(f) != 0) | !good || rename(next, path) != 0) {
		sl_log("%s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static void put_back(const struct lower *l)
{
	if (l->off && if_nametoindex(l->name) == l->ifindex &&
	    sl_offload_set(l->name, l->off, true) == 0)
		sl_log("%s merges segments again, as before", l->name);
}

void sl_merging_restore(const char *run_dir)
{
	struct sl_merging *m = calloc(1, sizeof(*m));
	char path[SL_PATH_MAX + 32];

	if (!m)
		return;
	load(run_dir, m);
	for (size_t i = 0; i < m->n; i++)
		put_back(&m->lower[i]);
	path_of(run_dir, "", path);
	unlink(path);
	free(m);
}

/* ---- following ---- */

static void names_of(uint32_t bits, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (uint32_t bit = 1; bit <= bits; bit <<= 1)
		if (bits & bit && n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "",
					      sl_offload_name(bit));
}

static void turn_off(struct sl_control *c, struct lower *l, uint32_t active)
{
	const struct sl_config_port *port = &c->config.dataplane.port[l->port];
	char names[64];

	l->why = sl_offload_set(l->name, active, false);
	l->stuck = l->why ? sl_offload_active(l->name) & l->unfit : 0;
	active &= ~l->stuck;
	if (!active)
		return;
	names_of(active, names, sizeof(names));
	if (c->generic >> l->port & 1)
		sl_log("port %s: %s merges segments, which don't fit the way on by generic XDP at "
		       "%s: turned off (%s)",
		       port->name, l->name, port->device, names);
	else
		sl_log("port %s: %s merges segments before XDP sees them: turned off (%s)",
		       port->name, l->name, names);
}

/* Carries over what was turned off before, and turns it on again where the interface is no longer
 * below a port. */
static void take_over(struct sl_merging *now, const struct sl_merging *before)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct lower *was = &before->lower[i];
		struct lower *is = find(now->lower, now->n, was->ifindex);

		if (is) {
			is->off = was->off & is->unfit;
			is->stuck = was->stuck;
		} else {
			put_back(was);
		}
	}
}

static void tell_stuck(struct sl_control *c)
{
	char names[64];

	json_decref(c->still_merging);
	c->still_merging = json_array();
	for (size_t i = 0; i < c->merging->n; i++) {
		const struct lower *l = &c->merging->lower[i];

		if (!l->stuck)
			continue;
		names_of(l->stuck, names, sizeof(names));
		json_array_append_new(
			c->still_merging,
			json_sprintf(
				"port %s: %s merges segments (%s), and it can't be turned off: "
				"%s; merged ones are dropped (too_big, missed), see `ethtool "
				"-k %s`",
				c->config.dataplane.port[l->port].name, l->name, names,
				strerror(-l->why), l->name));
	}
}

void sl_merging_follow(struct sl_control *c)
{
	struct sl_merging *now = calloc(1, sizeof(*now)), *before = c->merging;
	struct nl_cache *links = dump_links();
	bool noted = false;

	if (!now || !links)
		goto out;
	if (!before) { /* left by an earlier process */
		before = calloc(1, sizeof(*before));
		if (!before)
			goto out;
		load(c->config.run_dir, before);
		c->merging = before;
	}
	find_lowers(now, c, links);
	take_over(now, before);
	for (size_t i = 0; i < now->n; i++) {
		struct lower *l = &now->lower[i];

		l->off |= sl_offload_active(l->name) & l->unfit;
	}
	noted = save(c->config.run_dir, now);
	for (size_t i = 0; i < now->n && noted; i++) {
		uint32_t active = sl_offload_active(now->lower[i].name) & now->lower[i].unfit;

		if (active)
			turn_off(c, &now->lower[i], active);
	}
	c->merging = now;
	now = before;
	tell_stuck(c);
out:
	nl_cache_free(links);
	free(now);
}

void sl_merging_free(struct sl_control *c)
{
	free(c->merging);
	c->merging = NULL;
	json_decref(c->still_merging);
	c->still_merging = NULL;
}
