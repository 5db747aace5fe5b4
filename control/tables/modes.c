/* SPDX-License-Identifier: BSD-2-Clause */
#include "modes.h"

#include "../../dataplane/abi/csum.h"

enum {
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	MSS_LEAST = 88,
	GUE_HEADER = 4,
	TTL = 64,
	PROTO_IPIP = 4,
	PROTO_UDP = 17,
	PROTO_IP6 = 41
};

static uint32_t ip_header(const union sl_addr *addr)
{
	return sl_addr_is4(addr) ? IP4_HEADER : IP6_HEADER;
}

/* The size of the headers that the mode puts in front of a packet to this backend, in bytes. */
static uint32_t overhead(const struct sl_config_service *conf, const union sl_addr *to)
{
	switch (conf->mode) {
	case SL_MODE_IPIP:
		return ip_header(to);
	case SL_MODE_GUE:
		return ip_header(to) + UDP_HEADER + (conf->gue_variant ? 0 : GUE_HEADER);
	default:
		return 0;
	}
}

/* The checksum of the constant part of an outer IPv4 header: version, TTL, protocol and both
 * addresses. core/tunnel.h adds the other fields. */
static uint16_t outer_sum(const struct sl_config_service *conf, const union sl_addr *to)
{
	uint32_t inner = sl_addr_is4(&conf->vip) ? PROTO_IPIP : PROTO_IP6;
	uint32_t protocol = conf->mode == SL_MODE_IPIP ? inner : PROTO_UDP;

	return sl_csum_fold(0x45u + (TTL | protocol << 8) + sl_csum_addr(&conf->source.prefix) +
			    sl_csum_addr(to));
}

/* The largest packet that fits the path to a backend, before the mode adds its headers. */
static uint16_t mtu_of(const struct sl_config_service *conf, const struct sl_model_backend *b)
{
	uint32_t mtu = b->hop.mtu < UINT16_MAX ? b->hop.mtu : UINT16_MAX;
	uint32_t more = overhead(conf, &b->addr);

	return (uint16_t)(mtu > more ? mtu - more : 0);
}

uint16_t sl_mode_mss(const struct sl_config_service *conf, const struct sl_model_backend *b)
{
	uint32_t mtu = mtu_of(conf, b), headers = ip_header(&conf->vip) + TCP_HEADER;

	if (conf->mss != SL_MSS_AUTO)
		return (uint16_t)conf->mss;
	return (uint16_t)(mtu > headers + MSS_LEAST ? mtu - headers : MSS_LEAST);
}

bool sl_mode_reaches(const struct sl_config_service *conf, const struct sl_model_backend *b)
{
	char why[SL_ERROR_MAX];

	return sl_mode_check_addr(conf, &b->addr, why) == 0;
}

void sl_mode_fill(struct sl_backend *r, const struct sl_config_service *conf,
		  const struct sl_model_backend *b)
{
	sl_be16 port = sl_htons(b->port); /* 0 for a range, whose ports stay as they are */
	sl_be16 vip_port = sl_config_is_range(conf) ? port : sl_htons(conf->port);
	const struct sl_config_source *source;

	r->port = port;
	r->mtu = mtu_of(conf, b);
	r->mss = sl_mode_mss(conf, b);
	switch (conf->mode) {
	case SL_MODE_NAT:
	case SL_MODE_FULLNAT:
		r->ip_delta = sl_csum_delta_addr(&conf->vip, &b->addr);
		r->l4_delta = sl_csum_delta_endpoint(&conf->vip, vip_port, &b->addr, port);
		break;
	case SL_MODE_GUE:
		r->port = sl_htons(conf->gue_port);
		r->flags |= conf->gue_variant ? 0 : SL_BACKEND_GUE_HEADER;
		/* fallthrough */
	case SL_MODE_IPIP:
		source = sl_config_source(conf, &b->addr);
		r->ip_delta = sl_addr_is4(&b->addr) ? outer_sum(conf, &b->addr) : 0;
		r->source = source->prefix;
		r->entropy = source->entropy;
		break;
	default:
		break;
	}
}
