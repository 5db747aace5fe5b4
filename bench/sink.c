/* SPDX-License-Identifier: BSD-2-Clause */
#include "sink.h"

#include <stdio.h>
#include <string.h>

#include <rte_ip.h>

#include "../dataplane/core/wire.h"

static const struct sl_config_backend *backend_of(const struct sl_config *config, sl_be32 addr,
						  sl_be16 port)
{
	const struct sl_config_service *s = &config->service[0];

	for (size_t i = 0; i < s->n_backends; i++)
		if (s->backend[i].addr.w[3] == addr && sl_htons(s->backend[i].port) == port)
			return &s->backend[i];
	return NULL;
}

static const char *wrong_with(const struct sl_config *config, const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct sl_eth *eth = (const void *)data;
	const struct sl_ip4 *ip = (const void *)(eth + 1);
	const struct sl_tcp *tcp = (const void *)(ip + 1);

	if (memcmp(eth->dst, config->next_hop[0].mac, sizeof(eth->dst)) != 0)
		return "it goes to another MAC address than the next hop's";
	if (!backend_of(config, ip->dst, tcp->dst))
		return "it goes to no backend's address and port";
	if (ip->ttl != 63)
		return "its TTL isn't one less";
	if (rte_ipv4_cksum((const void *)ip) != 0) /* over the field itself */
		return "its IP checksum is wrong";
	if (rte_ipv4_udptcp_cksum((const void *)ip, tcp) !=
	    (ip->protocol == SL_PROTO_UDP ? 0xffff : 0))
		return "its TCP or UDP checksum is wrong";
	return NULL;
}

uint16_t sl_sink_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
		       void *user)
{
	struct sl_sink *sink = user;

	(void)device, (void)queue;
	for (uint16_t i = 0; i < n; i++) {
		const char *wrong = wrong_with(sink->config, frame[i]);

		if (wrong && !sink->wrong++)
			snprintf(sink->first, sizeof(sink->first), "%s", wrong);
	}
	sink->frames += n;
	return n;
}
