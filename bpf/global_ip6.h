/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Global functions (global.h) for IPv6. */
#ifndef SL_BPF_GLOBAL_IP6_H
#define SL_BPF_GLOBAL_IP6_H

__attribute__((noinline)) uint32_t sl_layout6_global(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t type;

	return sl_layout6_impl(&p, sl_parse_link(&p, &type));
}

SL_INLINE uint32_t sl_layout6(const struct sl_tables *t, const struct sl_packet *p, uint32_t l3)
{
	(void)p;
	(void)l3;
	return t->layout;
}

__attribute__((noinline)) uint64_t sl_layout6_first_fragment_global(struct xdp_md *ctx)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	uint16_t type;

	return sl_layout6_first_fragment_impl(&p, sl_parse_link(&p, &type));
}

/* where: 0..15 the offset of the quoted packet, 16..31 the end of the message. */
__attribute__((noinline)) uint32_t sl_quote6_layout_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);

	return sl_quote6_layout_impl(&p, where & 0x1ff, where >> 16 & 0xffff);
}

SL_INLINE uint32_t sl_quote6_layout(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t at, uint32_t end)
{
	(void)t;
	return sl_quote6_layout_global(p->frame, at | (uint64_t)end << 16);
}

__attribute__((noinline)) uint32_t sl_route_find6_global(uint64_t first, uint64_t second,
							 uint32_t live)
{
	union sl_addr dst = { .q = { first, second } };
	struct sl_tables t;

	if (!sl_tables_snapshot_bank(&t, live,
				     0)) /* the caller checks whether the bank still is current */
		return ~0u;
	return sl_route_find6_impl(&t, &dst);
}

SL_INLINE uint32_t sl_route_find6(const struct sl_tables *t, const union sl_addr *dst)
{
	return sl_route_find6_global(dst->q[0], dst->q[1], t->live);
}

/* IPv6 has its own program (engine.bpf.c), which calls the _impl of these two itself. */
SL_INLINE void sl_classify6(const struct sl_tables *t, const struct sl_packet *p,
			    struct sl_lookup *w)
{
	(void)t;
	(void)p;
	w->packet_class = SL_CLASS_IP6;
}

SL_INLINE enum sl_reason sl_route6(const struct sl_tables *t, struct sl_packet *p,
				   const struct sl_lookup *w, uint16_t *egress)
{
	(void)t;
	(void)p;
	(void)w;
	(void)egress;
	return SL_REASON_bad_index;
}

#endif
