/* SPDX-License-Identifier: BSD-2-Clause */
#include "modes.h"

#include "../dataplane/abi/csum.h"

enum {
	IP4_HEADER = 20,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	MSS_LEAST = 88,
	GUE_HEADER = 4,
	TTL = 64,
	PROTO_IPIP = 4,
	PROTO_UDP = 17
};

/* What the mode puts in front of a packet. */
static uint32_t overhead(const struct sl_config_service *conf)
{
	switch (conf->mode) {
	case SL_MODE_IPIP:
		return IP4_HEADER;
	case SL_MODE_GUE:
		return IP4_HEADER + UDP_HEADER + (conf->gue_variant ? 0 : GUE_HEADER);
	default:
		return 0;
	}
}

/* As core/tunnel.h adds to it: version, TTL, protocol and both addresses. */
static uint16_t outer_sum(const struct sl_config_service *conf, const union sl_addr *to)
{
	uint32_t protocol = conf->mode == SL_MODE_IPIP ? PROTO_IPIP : PROTO_UDP;

	return sl_csum_fold(0x45u + (TTL | protocol << 8) + sl_csum_addr(&conf->source.prefix) +
			    sl_csum_addr(to));
}

/* The largest packet that fits the way to a backend, as it comes. */
static uint16_t mtu_of(const struct sl_config_service *conf, const struct sl_model_backend *b)
{
	uint32_t mtu = b->hop.mtu < UINT16_MAX ? b->hop.mtu : UINT16_MAX, more = overhead(conf);

	return (uint16_t)(mtu > more ? mtu - more : 0);
}

uint16_t sl_mode_mss(const struct sl_config_service *conf, const struct sl_model_backend *b)
{
	uint32_t mtu = mtu_of(conf, b);

	if (conf->mss != SL_MSS_AUTO)
		return (uint16_t)conf->mss;
	return (uint16_t)(mtu > IP4_HEADER + TCP_HEADER + MSS_LEAST ? mtu - IP4_HEADER - TCP_HEADER
								    : MSS_LEAST);
}

void sl_mode_fill(struct sl_backend *r, const struct sl_config_service *conf,
		  const struct sl_model_backend *b)
{
	sl_be16 vip_port = sl_htons(conf->port), port = sl_htons(b->port);

	r->port = port;
	r->mtu = mtu_of(conf, b);
	r->mss = sl_mode_mss(conf, b);
	switch (conf->mode) {
	case SL_MODE_NAT:
		r->ip_delta = sl_csum_delta_addr(&conf->vip, &b->addr);
		r->l4_delta = sl_csum_delta_endpoint(&conf->vip, vip_port, &b->addr, port);
		break;
	case SL_MODE_GUE:
		r->port = sl_htons(conf->gue_port);
		r->flags |= conf->gue_variant ? 0 : SL_BACKEND_GUE_HEADER;
		/* fallthrough */
	case SL_MODE_IPIP:
		r->ip_delta = outer_sum(conf, &b->addr);
		r->source = conf->source.prefix;
		r->entropy = conf->source.entropy;
		break;
	default:
		break;
	}
}
