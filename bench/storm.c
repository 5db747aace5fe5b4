/* SPDX-License-Identifier: BSD-2-Clause */
#include "storm.h"

#include <stdio.h>
#include <string.h>

#include <rte_ip.h>

#include "../dataplane/core/wire.h"

/* The backend's number + 1; 0: no backend has this address and port. */
static uint32_t backend_of(const struct sl_config *config, sl_be32 addr, sl_be16 port)
{
	const struct sl_config_service *s = &config->service[0];

	for (uint32_t i = 0; i < s->n_backends; i++)
		if (s->backend[i].addr.w[3] == addr && sl_htons(s->backend[i].port) == port)
			return i + 1;
	return 0;
}

static const char *wrong_with(struct sl_storm *s, const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct sl_eth *eth = (const void *)data;
	const struct sl_ip4 *ip = (const void *)(eth + 1);
	const struct sl_udp *udp = (const void *)(ip + 1);
	uint32_t k = (uint32_t)eth->dst[1] << 16 | (uint32_t)eth->dst[2] << 8 | eth->dst[3];
	uint32_t backend = backend_of(s->config, ip->dst, udp->dst), flow;
	uint16_t *owner;

	memcpy(&flow, udp + 1, sizeof(flow));
	if (!backend)
		return "address and port belong to no backend";
	if (eth->dst[0] != 2 || memcmp(&eth->dst[4], (const uint8_t *)&ip->dst + 2, 2) != 0)
		return "the MAC address is another backend's";
	if (rte_ipv4_cksum((const void *)ip) != 0)
		return "the IP checksum is wrong";
	if (rte_ipv4_udptcp_cksum((const void *)ip, udp) != 0xffff)
		return "the UDP checksum is wrong";
	if (flow >= SL_STORM_FLOWS)
		return "the payload changed";
	owner = &s->owner[k & 1][flow];
	if (s->learn && !*owner)
		*owner = (uint16_t)backend;
	if (*owner != backend)
		return "rows and backends are of two generations";
	if (k == s->k)
		return NULL;
	if (k < s->k || __atomic_load_n(&s->root->generation, __ATOMIC_ACQUIRE) == s->generation)
		return "frames of one generation have records of two";
	s->later++;
	return NULL;
}

uint32_t sl_storm_differ(const struct sl_storm *s, uint32_t flows)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < flows; i++)
		n += s->owner[0][i] && s->owner[1][i] && s->owner[0][i] != s->owner[1][i];
	return n;
}

uint16_t sl_storm_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
			void *user)
{
	struct sl_storm *s = user;

	(void)device, (void)queue;
	if (s->self->generation != s->generation) {
		const uint8_t *mac = rte_pktmbuf_mtod(frame[0], const uint8_t *);
		uint32_t k = (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3];

		s->generations++;
		s->generation = s->self->generation;
		if (k < s->k && !s->torn++)
			snprintf(s->first, sizeof(s->first), "an older generation came back");
		s->k = k;
	}
	for (uint16_t i = 0; i < n; i++) {
		const char *wrong = wrong_with(s, frame[i]);

		if (wrong && !s->torn++)
			snprintf(s->first, sizeof(s->first), "%s", wrong);
	}
	s->frames += n;
	return n;
}
