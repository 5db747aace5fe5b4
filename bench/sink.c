/* SPDX-License-Identifier: BSD-2-Clause */
#include "sink.h"

#include <stdio.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "../dataplane/core/wire.h"

enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd, IN_IP4 = 4, IN_IP6 = 41, GUE_HEADER = 4, SENT_TTL = 64 };

/* An IP header of either version, and where its payload begins. */
struct layer {
	union sl_addr src;
	union sl_addr dst;
	uint8_t protocol;
	uint8_t ttl;
	bool whole; /* the header checksum is right, or there is none */
	const void *header;
	const uint8_t *next;
	bool is_ipv6;
};

static struct layer layer_at(const uint8_t *at, bool is_ipv6)
{
	struct layer l = { .header = at, .is_ipv6 = is_ipv6, .whole = true };

	if (is_ipv6) {
		const struct rte_ipv6_hdr *ip = (const void *)at;

		memcpy(&l.src, ip->src_addr, sizeof(l.src));
		memcpy(&l.dst, ip->dst_addr, sizeof(l.dst));
		l.protocol = ip->proto;
		l.ttl = ip->hop_limits;
		l.next = at + sizeof(*ip);
	} else {
		const struct rte_ipv4_hdr *ip = (const void *)at;

		l.src = sl_addr4(ip->src_addr);
		l.dst = sl_addr4(ip->dst_addr);
		l.protocol = ip->next_proto_id;
		l.ttl = ip->time_to_live;
		l.next = at + sizeof(*ip);
		l.whole = rte_ipv4_cksum(ip) == 0; /* sums over the checksum field too */
	}
	return l;
}

static bool sums_up(const struct layer *l)
{
	uint16_t sum = l->is_ipv6 ? rte_ipv6_udptcp_cksum(l->header, l->next)
				  : rte_ipv4_udptcp_cksum(l->header, l->next);

	return sum == (l->protocol == SL_PROTO_UDP ? 0xffff : 0);
}

/* With several services: the one that the generator meant. */
static const struct sl_config_service *service_of(const struct sl_config *config,
						  const struct layer *l)
{
	sl_be16 port;
	size_t nth;

	if (config->n_services == 1)
		return config->service;
	memcpy(&port, l->next + offsetof(struct sl_tcp, seq), sizeof(port));
	nth = (size_t)(sl_ntohs(port) - config->service[0].port);
	return nth < config->n_services ? &config->service[nth] : NULL;
}

static bool is_backend(const struct sl_config_service *s, const struct layer *l, bool port_too)
{
	sl_be16 port;

	memcpy(&port, l->next + 2, sizeof(port));
	for (size_t i = 0; s && i < s->n_backends; i++)
		if (sl_addr_equal(&s->backend[i].addr, &l->dst) &&
		    (!port_too || sl_htons(s->backend[i].port) == port))
			return true;
	return false;
}

static bool is_of_pool(const struct sl_config_snat_pool *pool, const union sl_addr *addr)
{
	for (uint32_t i = 0; i < pool->n; i++)
		if (sl_addr_equal(&pool->addr[i], addr))
			return true;
	return false;
}

/* Whether the client's packet is unchanged but for its TTL. */
static const char *wrong_inside(const struct sl_config_service *s, const struct layer *l)
{
	sl_be16 port;

	memcpy(&port, l->next + 2, sizeof(port));
	if (!sl_addr_equal(&l->dst, &s->vip) || port != sl_htons(s->port))
		return "inside isn't a packet to the VIP";
	if (l->ttl != SENT_TTL && l->ttl != SENT_TTL - 1)
		return "its TTL changed";
	return l->whole && sums_up(l) ? NULL : "a checksum is wrong";
}

static const char *wrong_with(struct sl_sink *sink, const struct rte_mbuf *m)
{
	const struct sl_config_service *s = &sink->config->service[0];
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct sl_eth *eth = (const void *)data;
	struct layer l = layer_at(data + sizeof(*eth), eth->type == sl_htons(ETH_IP6)), inner;
	bool tunnel = l.protocol == IN_IP4 || l.protocol == IN_IP6;

	if (eth->type != sl_htons(ETH_IP4) && !l.is_ipv6)
		return "it isn't IP";
	if (memcmp(eth->dst, sink->config->next_hop[0].mac, sizeof(eth->dst)) != 0)
		return "it goes to another MAC address than the next hop's";
	if (!l.whole)
		return "its IP checksum is wrong";
	if (sl_addr_equal(&l.dst, &s->vip)) {
		sink->form[SL_FORM_DIRECT]++;
		return wrong_inside(s, &l);
	}
	if (sl_addr_equal(&l.src, &s->vip) ||
	    (!tunnel && is_backend(service_of(sink->config, &l), &l, true))) {
		bool reply = sl_addr_equal(&l.src, &s->vip), pool = is_of_pool(&s->pool, &l.src);

		sink->form[reply ? SL_FORM_REPLY : pool ? SL_FORM_FULLNAT : SL_FORM_NAT]++;
		if (l.ttl != SENT_TTL - 1)
			return "its TTL isn't one less";
		return sums_up(&l) ? NULL : "its TCP or UDP checksum is wrong";
	}
	if (!is_backend(s, &l, false))
		return "it goes to no backend";
	sink->form[tunnel ? SL_FORM_IPIP : SL_FORM_GUE]++;
	data = l.next;
	if (!tunnel) {
		data += sizeof(struct rte_udp_hdr);
		data += *data >> 6 ? 0 : GUE_HEADER; /* variant 1: the packet follows at once */
	}
	inner = layer_at(data, *data >> 4 == 6);
	return wrong_inside(s, &inner);
}

uint16_t sl_sink_check(uint16_t device, uint16_t queue, struct rte_mbuf **frame, uint16_t n,
		       void *user)
{
	struct sl_sink *sink = user;

	(void)device, (void)queue;
	for (uint16_t i = 0; i < n; i++) {
		const char *wrong = wrong_with(sink, frame[i]);

		if (wrong && !sink->wrong++)
			snprintf(sink->first, sizeof(sink->first), "%s", wrong);
	}
	sink->frames += n;
	return n;
}
