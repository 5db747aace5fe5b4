/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Rare packets that take much code: ICMP and fragments. They have the same two passes as other
 * packets, but apart from them, so that the common path's stack and verifier budget don't pay: in
 * the worker a separate function, in XDP separate programs (bpf/engine.bpf.c). Speed matters little
 * here, so offsets are checked again at each use.
 */
#ifndef SL_CORE_RARE_H
#define SL_CORE_RARE_H

#include "fragment_id.h"

/* First pass. packet_class: as classify found it, ICMP, a datagram's first fragment, or another
 * fragment. If it ends here, the packet is left to the kernel or dropped. */
SL_INLINE void sl_rare_classify(const struct sl_tables *t, const struct sl_packet *p,
				uint8_t packet_class, struct sl_lookup *w)
{
	struct sl_parsed o = { 0 };
	union sl_addr dst;

	sl_parse(p, &o);
	w->l3 = (uint8_t)o.l3;
	w->l4 = (uint8_t)o.l4;
	w->hash = 0;
	sl_lookup_decided(w, SL_REASON_not_ours);
	if (packet_class == SL_CLASS_ICMP && o.kind == SL_PARSED_IP4)
		sl_icmp_classify(t, p, &o, w);
	else if (packet_class == SL_CLASS_FIRST_FRAGMENT && o.kind == SL_PARSED_FIRST_FRAGMENT)
		sl_fragment_classify(t, p, &o, true, w);
	else if (packet_class == SL_CLASS_FRAGMENT && o.kind == SL_PARSED_FRAGMENT)
		sl_fragment_classify(t, p, &o, false, w);
	dst = sl_addr4(o.dst);
	sl_yield_shared(t, &dst, w);
}

SL_INLINE enum sl_reason sl_rare_end(const struct sl_tables *t, const struct sl_lookup *w)
{
	return sl_seam_current(t) ? (enum sl_reason)w->reason : SL_REASON_torn_table;
}

SL_INLINE enum sl_reason sl_icmp_route(const struct sl_tables *t, struct sl_packet *p,
				       const struct sl_lookup *w, uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_ECHO:
		*egress = p->ingress;
		return sl_icmp_echo(t, p, w, true);
	case SL_CLASS_ERROR_TO_BACKEND:
		return sl_icmp_to_backend(t, p, w, egress);
	case SL_CLASS_ERROR_TO_CLIENT:
		return sl_icmp_to_client(t, p, w, egress);
	case SL_CLASS_ERROR_SNAT:
		return sl_fullnat_error(t, p, w, egress, false);
	default:
		return sl_rare_end(t, w);
	}
}

/* A first fragment is routed like a whole packet. */
SL_INLINE enum sl_reason sl_first_fragment_route(const struct sl_tables *t, struct sl_packet *p,
						 const struct sl_lookup *w, uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_SNAT_REPLY:
		return sl_fullnat_reply(t, p, w, egress);
	case SL_CLASS_SERVICE:
		if (w->service->flags & SL_SERVICE_FULLNAT)
			return sl_fullnat(t, p, w, egress);
		return sl_route_service(t, p, w, egress, false, SL_VARIANT_EXTENDED);
	case SL_CLASS_REPLY:
		return sl_route_reply(t, p, w, egress, false, SL_VARIANT_EXTENDED);
	case SL_CLASS_ECHO:
		*egress = p->ingress;
		return sl_icmp_echo(t, p, w, true);
	default:
		return sl_rare_end(t, w);
	}
}

SL_INLINE enum sl_reason sl_fragment_route(const struct sl_tables *t, struct sl_packet *p,
					   const struct sl_lookup *w, uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_FRAGMENT_ECHO:
		*egress = p->ingress;
		return sl_icmp_echo(t, p, w, false);
	case SL_CLASS_FRAGMENT_TO_BACKEND:
		return sl_fragment_to_backend(t, p, w, sl_fragment_port4(t, p, w), egress, false);
	case SL_CLASS_FRAGMENT_TO_CLIENT:
		return sl_fragment_to_client(t, p, w, sl_fragment_port4(t, p, w), egress, false);
	case SL_CLASS_FRAGMENT_SNAT:
		return sl_fragment_snat(t, p, w, sl_fragment_port4(t, p, w), egress, false);
	default:
		return sl_rare_end(t, w);
	}
}

SL_INLINE enum sl_reason sl_rare_route(const struct sl_tables *t, struct sl_packet *p,
				       uint8_t packet_class, const struct sl_lookup *w,
				       uint16_t *egress)
{
	if (packet_class == SL_CLASS_ICMP)
		return sl_icmp_route(t, p, w, egress);
	return packet_class == SL_CLASS_FIRST_FRAGMENT ? sl_first_fragment_route(t, p, w, egress)
						       : sl_fragment_route(t, p, w, egress);
}

/* The same for IPv6. */
SL_INLINE enum sl_reason sl_first_fragment6_route(const struct sl_tables *t, struct sl_packet *p,
						  const struct sl_lookup *w, uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_SNAT_REPLY6:
		return sl_fullnat_reply(t, p, w, egress);
	case SL_CLASS_SERVICE6:
		if (w->service->flags & SL_SERVICE_FULLNAT)
			return sl_fullnat(t, p, w, egress);
		return sl_route_service(t, p, w, egress, true, SL_VARIANT_EXTENDED);
	case SL_CLASS_REPLY6:
		return sl_route_reply(t, p, w, egress, true, SL_VARIANT_EXTENDED);
	case SL_CLASS_ECHO:
		*egress = p->ingress;
		return sl_icmp6_echo(t, p, w, true);
	default:
		return sl_rare_end(t, w);
	}
}

SL_INLINE enum sl_reason sl_fragment6_route(const struct sl_tables *t, struct sl_packet *p,
					    const struct sl_lookup *w, sl_be16 port,
					    uint16_t *egress)
{
	switch (w->packet_class) {
	case SL_CLASS_FRAGMENT_ECHO:
		*egress = p->ingress;
		return sl_icmp6_echo(t, p, w, false);
	case SL_CLASS_FRAGMENT_TO_BACKEND:
		return sl_fragment_to_backend(t, p, w, port, egress, true);
	case SL_CLASS_FRAGMENT_TO_CLIENT:
		return sl_fragment_to_client(t, p, w, port, egress, true);
	case SL_CLASS_FRAGMENT_SNAT:
		return sl_fragment_snat(t, p, w, port, egress, true);
	default:
		return sl_rare_end(t, w);
	}
}

/* Both passes. */
SL_INLINE enum sl_reason sl_rare6_impl(const struct sl_tables *t, struct sl_packet *p,
				       uint8_t packet_class, uint16_t *egress)
{
	struct sl_lookup w = { 0 };
	uint16_t type;
	uint32_t l3 = sl_parse_link(p, &type);
	sl_be16 port;

	if (packet_class == SL_CLASS_FIRST_FRAGMENT6) {
		sl_first_fragment6_classify(t, p, sl_layout6_first_fragment_impl(p, l3), &w);
		return sl_first_fragment6_route(t, p, &w, egress);
	}
	if (packet_class == SL_CLASS_FRAGMENT6) {
		port = sl_fragment6_classify(t, p, sl_layout6_impl(p, l3), &w);
		return sl_fragment6_route(t, p, &w, port, egress);
	}
	w.l3 = (uint8_t)l3;
	w.l4 = (uint8_t)sl_layout_l4(sl_layout6_impl(p, l3));
	sl_icmp6_classify(t, p, &w);
	return sl_icmp6_route(t, p, &w, egress);
}

SL_INLINE enum sl_reason sl_rare_impl(const struct sl_tables *t, struct sl_packet *p,
				      uint8_t packet_class, uint16_t *egress)
{
	struct sl_lookup w = { 0 };

	if (packet_class == SL_CLASS_ICMP6 || packet_class == SL_CLASS_FIRST_FRAGMENT6 ||
	    packet_class == SL_CLASS_FRAGMENT6)
		return sl_rare6_impl(t, p, packet_class, egress);
	sl_rare_classify(t, p, packet_class, &w);
	return sl_rare_route(t, p, packet_class, &w, egress);
}

#endif
