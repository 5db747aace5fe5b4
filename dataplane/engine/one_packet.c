/* SPDX-License-Identifier: BSD-2-Clause */
/* See one_packet.h. */
#include "one_packet.h"

void sl_one_packet_classify(struct sl_one_packet *h, const struct sl_tables *t,
			    const struct sl_packet *p)
{
	struct sl_fast_keys keys = sl_fast_keys(t, p->ingress);
	uint32_t linear = (uint32_t)(p->end - p->data);

	sl_cache_flush(&h->cache, t->generation);
	sl_classify(t, p, &h->lookup);
	if (h->lookup.packet_class == SL_CLASS_SERVICE ||
	    h->lookup.packet_class == SL_CLASS_SERVICE6)
		sl_cache_fill(t, &h->cache, h->lookup.service);
	if (sl_fast_classify(t, &h->cache, keys, p->ingress, p->data, linear, p->length, &h->fast))
		sl_fast_to_lookup(t, &h->fast, &h->lookup);
}

enum sl_reason sl_one_packet_route(struct sl_one_packet *h, const struct sl_tables *t,
				   struct sl_packet *p, uint16_t *egress)
{
	enum sl_reason reason = sl_fast_route(t, &h->fast, (enum sl_fast_kind)h->fast.kind,
					      SL_PORT_VLANS, p, egress);

	if (reason == SL_RETRY_NEW_FLOW)
		reason = sl_fast_route_new_flow(t, &h->fast, SL_PORT_VLANS, p, egress);
	if (reason == SL_RETRY_SLOW_PATH)
		reason = sl_route(t, p, &h->lookup, egress);
	return sl_decide_end(t, p, reason, egress);
}
