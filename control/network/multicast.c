/* SPDX-License-Identifier: BSD-2-Clause */
#include "multicast.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../config/process.h"

/* One multicast address at one interface. VIPs that share their last three bytes share it. */
struct group {
	uint32_t ifindex;
	uint8_t mac[6];
	uint8_t pad[2];
};

struct groups {
	struct group *group; /* sorted, without duplicates */
	size_t n;
};

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct group));
}

static bool needed_groups(const struct sl_config *config, const struct sl_net *net,
			  const union sl_addr *vips, size_t n, struct groups *out)
{
	uint32_t ports = config->dataplane.n_ports;
	size_t kept = 0;

	out->group = calloc(n * ports + 1, sizeof(*out->group));
	out->n = 0;
	if (!out->group)
		return false;
	for (uint32_t i = 0; i < ports; i++) {
		const struct sl_net_port *port = sl_net_port(net, i);

		for (size_t k = 0; port->present && k < n; k++) {
			const uint8_t *vip = vips[k].b;

			if (!sl_addr_is4(&vips[k]))
				out->group[out->n++] = (struct group){
					.ifindex = port->ifindex,
					.mac = { 0x33, 0x33, 0xff, vip[13], vip[14], vip[15] },
				};
		}
	}
	qsort(out->group, out->n, sizeof(*out->group), by_bytes);
	for (size_t i = 0; i < out->n; i++)
		if (!kept || by_bytes(&out->group[kept - 1], &out->group[i]) != 0)
			out->group[kept++] = out->group[i];
	out->n = kept;
	return true;
}

static bool has(const struct groups *groups, const struct group *group)
{
	return groups->n &&
	       bsearch(group, groups->group, groups->n, sizeof(*group), by_bytes) != NULL;
}

/* Joins or leaves a group. A failure to join does no harm: an interface without multicast filters
 * needs no membership, nor does one that is gone. */
static void change(int fd, const struct group *group, unsigned long what)
{
	struct ifreq request = { .ifr_hwaddr.sa_family = AF_UNSPEC };
	const char *device = request.ifr_name;

	if (!if_indextoname(group->ifindex, request.ifr_name))
		return;
	memcpy(request.ifr_hwaddr.sa_data, group->mac, sizeof(group->mac));
	if (ioctl(fd, what, &request) == -1 && what == SIOCADDMULTI)
		sl_log("%s: can't join the group %02x:%02x:%02x:%02x:%02x:%02x, by which it is "
		       "asked for an IPv6 VIP: %s",
		       device, group->mac[0], group->mac[1], group->mac[2], group->mac[3],
		       group->mac[4], group->mac[5], strerror(errno));
}

void sl_multicast_follow(const struct sl_config *config, const struct sl_net *net,
			 const union sl_addr *vips, size_t n)
{
	static struct groups joined;
	struct groups now;
	int fd;

	if (!needed_groups(config, net, vips, n, &now))
		return;
	if (now.n == joined.n &&
	    (!now.n || memcmp(now.group, joined.group, now.n * sizeof(*now.group)) == 0)) {
		free(now.group);
		return;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (size_t i = 0; fd >= 0 && i < now.n; i++)
		if (!has(&joined, &now.group[i]))
			change(fd, &now.group[i], SIOCADDMULTI);
	for (size_t i = 0; fd >= 0 && i < joined.n; i++)
		if (!has(&now, &joined.group[i]))
			change(fd, &joined.group[i], SIOCDELMULTI);
	if (fd >= 0)
		close(fd);
	free(joined.group);
	joined = now;
}
