/* SPDX-License-Identifier: BSD-2-Clause */
#include "announce.h"

#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

enum {
	RING = 256,
	FRAMES_A_RUN = 128,
};

static bool is_owned(const struct sl_announcer *a, uint32_t port)
{
	return a->ports->config->dataplane.port[port].kind != SL_PORT_KERNEL;
}

int sl_announcer_init(struct sl_announcer *a, struct sl_ports *ports)
{
	uint32_t n = (uint32_t)ports->config->dataplane.n_ports, owned = 0;

	*a = (struct sl_announcer){ .ports = ports };
	for (uint32_t p = 0; p < n; p++)
		owned += is_owned(a, p);
	if (!owned)
		return 0;
	a->schedule = sl_announce_new(n);
	if (!a->schedule)
		return -ENOMEM;
	a->ring = rte_ring_create("announcements", RING, (int)rte_socket_id(),
				  RING_F_SP_ENQ | RING_F_SC_DEQ);
	return a->ring ? 0 : -rte_errno;
}

void sl_announcer_fini(struct sl_announcer *a)
{
	sl_announce_free(a->schedule);
	rte_ring_free(a->ring);
}

static void look_at_port(struct sl_announcer *a, uint32_t port)
{
	struct sl_announce_port now = { 0 };
	struct rte_eth_link link = { 0 };
	bool up = rte_eth_link_get_nowait(a->ports->device[port][0], &link) == 0 &&
		  link.link_status == RTE_ETH_LINK_UP;

	a->downs[port] += a->up[port] && !up;
	a->up[port] = up;
	if (up) {
		now.answers = true;
		now.downs = a->downs[port];
		sl_ports_mac(a->ports, port, now.mac);
	}
	sl_announce_port(a->schedule, port, &now);
}

static bool send_frame(void *context, uint32_t port, const uint8_t *frame, size_t size)
{
	struct sl_announcer *a = context;
	struct rte_mbuf *m = rte_pktmbuf_alloc(a->ports->pool);

	if (!m)
		return false;
	memcpy(rte_pktmbuf_append(m, (uint16_t)size), frame, size);
	m->port = (uint16_t)port;
	if (rte_ring_enqueue(a->ring, m) == 0)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

void sl_announcer_run(struct sl_announcer *a, const struct sl_store *store, uint64_t now_ns)
{
	if (!a->ring)
		return;
	for (uint32_t p = 0; p < a->ports->config->dataplane.n_ports; p++)
		if (is_owned(a, p))
			look_at_port(a, p);
	sl_announce_follow(a->schedule, store);
	sl_announce_run(a->schedule, now_ns, FRAMES_A_RUN, send_frame, a);
}
