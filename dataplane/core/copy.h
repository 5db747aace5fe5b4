/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the way to a backend (forward.h) and the way back (reply.h) have in common: the copies of
 * their code, the network header of either family, and what limits have to know of a packet.
 *
 * Both families are decided by the same lines, in which `six` is a constant wherever they are used.
 */
#ifndef SL_CORE_COPY_H
#define SL_CORE_COPY_H

#include "ecn.h"
#include "route.h"

#define SL_SERVICE_ENTRY	(SL_SERVICE_ENTRY_TO | SL_SERVICE_ENTRY_FROM)
#define SL_SERVICE_LIMITED_TO	(SL_SERVICE_ENTRY | SL_SERVICE_LIMIT_TO | SL_SERVICE_LIMIT_NEW)
#define SL_SERVICE_APART	(SL_SERVICE_LIMITED_TO | SL_SERVICE_QUIC | SL_SERVICE_FULLNAT)
#define SL_SERVICE_LIMITED_FROM (SL_SERVICE_ENTRY_FROM | SL_SERVICE_LIMIT_FROM)
/* Of replies, what a worker's steady ones have nothing to do with. */
#define SL_SERVICE_ODD_FROM (SL_SERVICE_LIMITED_FROM | SL_SERVICE_RANGE)

/* The code below exists in copies, so that the steady path pays nothing for what is rare and one
 * test for all that limits need. Which copy it is is a constant wherever it is used. */
enum sl_copy {
	SL_COPY_WHOLE,	 /* all but limits, and ids of QUIC's connections */
	SL_COPY_LIMITED, /* all but full NAT */
	SL_COPY_FULLNAT, /* that, limited or not; and no ids */
};

/* No reason, but: decide it by another copy. Nothing has changed but what may change so twice. Of
 * full NAT: all is done but what follows from the port, see sl_fullnat_first_with(). */
#define SL_ELSEWHERE SL_REASON_COUNT

SL_INLINE uint16_t sl_limits_here(enum sl_copy copy, uint16_t flags)
{
	return copy >= SL_COPY_LIMITED
		       ? flags
		       : flags & (uint16_t) ~(SL_SERVICE_LIMITED_TO | SL_SERVICE_LIMITED_FROM);
}

/* Whether what classify found is limited, may be followed by an id, or is of full NAT. */
SL_INLINE bool sl_work_limited(const struct sl_work *w)
{
	bool to = w->todo == SL_TODO_SERVICE || w->todo == SL_TODO_SERVICE6;
	bool from = w->todo == SL_TODO_REVERSE || w->todo == SL_TODO_REVERSE6;

	return (to && w->service->flags & SL_SERVICE_APART) ||
	       (from && w->reverse->flags & SL_SERVICE_LIMITED_FROM);
}

/* Of these, whether it is to a service of full NAT. */
SL_INLINE bool sl_work_fullnat(const struct sl_work *w)
{
	bool to = w->todo == SL_TODO_SERVICE || w->todo == SL_TODO_SERVICE6;

	return to && w->service->flags & SL_SERVICE_FULLNAT;
}

/* The network header, whichever it is; parse.h has found it whole. */
SL_INLINE const void *sl_l3_again(const struct sl_packet *p, const struct sl_work *w, bool six)
{
	return sl_packet_again(p, w->l3, six ? sizeof(struct sl_ip6) : sizeof(struct sl_ip4));
}

SL_INLINE uint8_t sl_l3_ttl(const void *l3, bool six)
{
	return six ? ((const struct sl_ip6 *)l3)->hops : ((const struct sl_ip4 *)l3)->ttl;
}

/* Of the whole packet. */
SL_INLINE uint32_t sl_l3_length(const void *l3, bool six)
{
	return six ? sl_ntohs(((const struct sl_ip6 *)l3)->length) + sizeof(struct sl_ip6)
		   : sl_ntohs(((const struct sl_ip4 *)l3)->length);
}

/* Extension headers may stand between: of IPv6 the record that it was found by knows. */
SL_INLINE uint8_t sl_l3_protocol(const void *l3, uint32_t endpoint, bool six)
{
	return six ? (uint8_t)(endpoint >> 16) : ((const struct sl_ip4 *)l3)->protocol;
}

SL_INLINE union sl_addr sl_l3_src(const void *l3, bool six)
{
	return six ? sl_addr_load(((const struct sl_ip6 *)l3)->src)
		   : sl_addr4(((const struct sl_ip4 *)l3)->src);
}

SL_INLINE union sl_addr sl_l3_dst(const void *l3, bool six)
{
	return six ? sl_addr_load(((const struct sl_ip6 *)l3)->dst)
		   : sl_addr4(((const struct sl_ip4 *)l3)->dst);
}

/* What limits have to know of a packet between this client and the service's backends. */
SL_INLINE struct sl_limit_ask sl_route_about(const struct sl_tables *t, const struct sl_packet *p,
					     const void *l3, uint8_t protocol,
					     const union sl_addr *client, sl_be16 port,
					     enum sl_limit_direction direction, bool six)
{
	return (struct sl_limit_ask){ .client = *client,
				      .now = sl_seam_clock(t),
				      .bytes = (uint16_t)(p->length < 65535 ? p->length : 65535),
				      .port = port,
				      .direction = (uint8_t)direction,
				      .may_mark =
					      protocol == SL_PROTO_TCP &&
					      (six ? sl_ecn_capable6(l3) : sl_ecn_capable(l3)) };
}

#endif
