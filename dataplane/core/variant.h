/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the two directions, to a backend (forward.h) and to a client (reply.h), have in common: the
 * variants of their code, access to the network header of either family, and the policer query.
 *
 * IPv4 and IPv6 share the code: `is_ipv6` is a constant at every call.
 */
#ifndef SL_CORE_VARIANT_H
#define SL_CORE_VARIANT_H

#include "ecn.h"
#include "route.h"

#define SL_SERVICE_ENTRY	(SL_SERVICE_ENTRY_TO | SL_SERVICE_ENTRY_FROM)
#define SL_SERVICE_LIMITED_TO	(SL_SERVICE_ENTRY | SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW)
#define SL_SERVICE_EXTENDED	(SL_SERVICE_LIMITED_TO | SL_SERVICE_QUIC | SL_SERVICE_FULLNAT)
#define SL_SERVICE_LIMITED_FROM (SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_FROM)
/* Flags of a reply entry for which the worker's fast path leaves the reply to the slow path. */
#define SL_SERVICE_SLOW_REPLY (SL_SERVICE_LIMITED_FROM | SL_SERVICE_RANGE)

/* The functions below are compiled in several variants, so that plain packets pay only one test for
 * everything that is rare. The variant is a constant at every call. */
enum sl_variant {
	SL_VARIANT_PLAIN,    /* without limits, and without QUIC server ids */
	SL_VARIANT_EXTENDED, /* everything but mode fullnat */
	SL_VARIANT_FULLNAT,  /* mode fullnat, with limits, without QUIC server ids */
};

/* Not a verdict: retry with another variant. Everything done so far is safe to repeat. In mode
 * fullnat: all is done except what depends on the SNAT port, see sl_fullnat_new_flow_impl(). */
#define SL_RETRY_SLOW_PATH SL_REASON_COUNT

SL_INLINE uint16_t sl_variant_flags(enum sl_variant variant, uint16_t flags)
{
	return variant >= SL_VARIANT_EXTENDED
		       ? flags
		       : flags & (uint16_t) ~(SL_SERVICE_LIMITED_TO | SL_SERVICE_LIMITED_FROM);
}

/* Whether the packet needs another variant than the plain one: limits, QUIC server ids, or full
 * NAT. */
SL_INLINE bool sl_needs_extended_path(const struct sl_lookup *w)
{
	bool to = w->packet_class == SL_CLASS_SERVICE || w->packet_class == SL_CLASS_SERVICE6;
	bool from = w->packet_class == SL_CLASS_REPLY || w->packet_class == SL_CLASS_REPLY6;

	return (to && w->service->flags & SL_SERVICE_EXTENDED) ||
	       (from && w->reply->flags & SL_SERVICE_LIMITED_FROM);
}

/* Whether it is a packet to a service in mode fullnat. */
SL_INLINE bool sl_lookup_is_fullnat(const struct sl_lookup *w)
{
	bool to = w->packet_class == SL_CLASS_SERVICE || w->packet_class == SL_CLASS_SERVICE6;

	return to && w->service->flags & SL_SERVICE_FULLNAT;
}

/* The network header. Parsing has checked that it is complete. */
SL_INLINE const void *sl_l3_header(const struct sl_packet *p, const struct sl_lookup *w,
				   bool is_ipv6)
{
	return sl_packet_at_parsed(p, w->l3,
				   is_ipv6 ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
}

SL_INLINE uint8_t sl_l3_ttl(const void *l3, bool is_ipv6)
{
	return is_ipv6 ? ((const struct sl_ip6 *)l3)->hops : ((const struct sl_ip4 *)l3)->ttl;
}

/* The length of the IP packet. */
SL_INLINE uint32_t sl_l3_length(const void *l3, bool is_ipv6)
{
	return is_ipv6 ? sl_ntohs(((const struct sl_ip6 *)l3)->length) + sizeof(struct sl_ip6)
		       : sl_ntohs(((const struct sl_ip4 *)l3)->length);
}

/* IPv6 extension headers may precede the transport header, so the protocol comes from the matched
 * record. */
SL_INLINE uint8_t sl_l3_protocol(const void *l3, uint32_t endpoint, bool is_ipv6)
{
	return is_ipv6 ? sl_endpoint_protocol(endpoint) : ((const struct sl_ip4 *)l3)->protocol;
}

SL_INLINE union sl_addr sl_l3_src(const void *l3, bool is_ipv6)
{
	return is_ipv6 ? sl_addr_load(((const struct sl_ip6 *)l3)->src)
		       : sl_addr4(((const struct sl_ip4 *)l3)->src);
}

SL_INLINE union sl_addr sl_l3_dst(const void *l3, bool is_ipv6)
{
	return is_ipv6 ? sl_addr_load(((const struct sl_ip6 *)l3)->dst)
		       : sl_addr4(((const struct sl_ip4 *)l3)->dst);
}

/* The policer query of a packet between this client and a backend of the service. */
SL_INLINE struct sl_policer_query
sl_policer_query_of(const struct sl_tables *t, const struct sl_packet *p, const void *l3,
		    uint8_t protocol, const union sl_addr *client, sl_be16 port,
		    enum sl_limit_direction direction, bool is_ipv6)
{
	return (struct sl_policer_query){
		.client = *client,
		.now = sl_seam_clock(t),
		.bytes = (uint16_t)(p->length < 65535 ? p->length : 65535),
		.port = port,
		.direction = (uint8_t)direction,
		.may_mark = protocol == SL_PROTO_TCP &&
			    (is_ipv6 ? sl_ecn_capable6(l3) : sl_ecn_capable(l3))
	};
}

#endif
