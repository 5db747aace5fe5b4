/* SPDX-License-Identifier: BSD-2-Clause */
/* A network that follows from the configuration alone; replaces the kernel's (network/mirror.h).
 *
 * All ports are up. Whatever the file's next_hops don't say is made up, always in the same way:
 *
 *   - port N has the MAC address 02:73:6c:00:00:N; a host has 02:00: and its IPv4 address, or the
 *     last four bytes of its IPv6 address;
 *   - a backend that no next_hop leads to is on the link of the last port;
 *   - everything else, in both families, is behind a gateway 02:00:00:00:00:00 at the first port.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../network/mirror.h"

#define MTU 1500

struct sl_mirror {
	const struct sl_config *config;
	struct sl_net_port port[SL_PORTS_MAX];
};

int sl_mirror_open(struct sl_mirror **mirror, struct event_base *base,
		   const struct sl_config *config, void (*refreshed)(void *context), void *context,
		   char error[SL_ERROR_MAX])
{
	struct sl_mirror *m = calloc(1, sizeof(*m));

	(void)base;
	(void)refreshed;
	(void)context;
	*mirror = m;
	if (!m) {
		snprintf(error, SL_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	m->config = config;
	for (size_t i = 0; i < config->dataplane.n_ports; i++)
		m->port[i] = (struct sl_net_port){ .ifindex = (uint32_t)i + 1,
						   .mtu = MTU,
						   .mac = { 2, 's', 'l', 0, 0, (uint8_t)i },
						   .up = true,
						   .present = true };
	return 0;
}

void sl_mirror_close(struct sl_mirror *mirror)
{
	free(mirror);
}

const struct sl_net_port *sl_mirror_port(const struct sl_mirror *mirror)
{
	return mirror->port;
}

static bool holds(const struct sl_config_next_hop *hop, const union sl_addr *addr)
{
	uint32_t bytes = hop->length / 8, mask = 0xff00u >> hop->length % 8 & 0xff;

	return memcmp(&hop->prefix, addr, bytes) == 0 &&
	       (bytes == 16 || !((hop->prefix.b[bytes] ^ addr->b[bytes]) & mask));
}

static bool told(const struct sl_config *config, const union sl_addr *addr)
{
	for (size_t i = 0; i < config->n_next_hops; i++)
		if (holds(&config->next_hop[i], addr))
			return true;
	return false;
}

static struct sl_mirror_route made_up(const struct sl_mirror *m, const union sl_addr *addr,
				      uint32_t length, size_t port)
{
	struct sl_mirror_route r = { .record = { .prefix = *addr,
						 .length = length,
						 .port = (uint16_t)port,
						 .kind = SL_ROUTE_VIA,
						 .mtu = MTU,
						 .dst_mac = { 2, 0 } },
				     .own = -1 };

	memcpy(r.record.dst_mac + 2, &addr->w[3], 4);
	memcpy(r.record.src_mac, m->port[port].mac, 6);
	return r;
}

void sl_mirror_routes(struct sl_mirror *mirror,
		      void (*each)(void *context, const struct sl_mirror_route *route),
		      void *context)
{
	const struct sl_config *config = mirror->config;
	union sl_addr all4 = sl_addr4((sl_be32)0), all6 = { .q = { 0 } };
	struct sl_mirror_route r = made_up(mirror, &all4, 96, 0);

	each(context, &r);
	r = made_up(mirror, &all6, 0, 0);
	each(context, &r);
	for (size_t i = 0; i < config->n_services; i++) {
		const struct sl_config_service *s = &config->service[i];

		for (size_t k = 0; k < s->n_backends; k++) {
			if (told(config, &s->backend[k].addr))
				continue;
			r = made_up(mirror, &s->backend[k].addr, 128,
				    config->dataplane.n_ports - 1);
			each(context, &r);
		}
	}
}

void sl_mirror_neighbours(struct sl_mirror *mirror,
			  void (*each)(void *context, const struct sl_mirror_neighbour *neighbour),
			  void *context)
{
	(void)mirror;
	(void)each;
	(void)context;
}

void sl_mirror_touch(struct sl_mirror *mirror)
{
	(void)mirror;
}

void sl_mirror_ask(struct sl_mirror *mirror, const union sl_addr *addr, uint16_t port)
{
	(void)mirror;
	(void)addr;
	(void)port;
}

/* While a capture is replayed no interface changes, and the kernel's neighbours aren't used. */
uint32_t sl_mirror_link_events(const struct sl_mirror *mirror)
{
	(void)mirror;
	return 0;
}

bool sl_mirror_neighbours_full(const struct sl_mirror *mirror, bool is_ipv6)
{
	(void)mirror;
	(void)is_ipv6;
	return false;
}
