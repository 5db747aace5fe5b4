/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Global functions (global.h) for fragments, and for quoted packets whose identification changes.
 */
#ifndef SL_BPF_GLOBAL_FRAGMENT_H
#define SL_BPF_GLOBAL_FRAGMENT_H

/* where: see fragment.h; bit 32: also use the last datagram of the same hosts. */
__attribute__((noinline)) uint64_t sl_fragment_find_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_fragment_find_impl(&t, &p, (uint32_t)where, where >> 32 & 1);
}

SL_INLINE uint64_t sl_fragment_find(const struct sl_tables *t, const struct sl_packet *p,
				    uint32_t where, bool guess)
{
	(void)t;
	return sl_fragment_find_global(p->frame, where | (uint64_t)guess << 32);
}

__attribute__((noinline)) int sl_fragment_enter_global(struct xdp_md *ctx, uint64_t where,
						       uint64_t what)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_fragment_enter_impl(&t, &p, (uint32_t)where, what, where >> 32 & 1);
	return 0;
}

SL_INLINE void sl_fragment_enter(const struct sl_tables *t, const struct sl_packet *p,
				 uint32_t where, uint64_t what, bool last)
{
	(void)t;
	sl_fragment_enter_global(p->frame, where | (uint64_t)last << 32, what);
}

/* where, to: as fragment_id.h has them. */
__attribute__((noinline)) int sl_fragment_rename_global(struct xdp_md *ctx, uint64_t where,
							uint64_t to)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_fragment_rename_impl(&t, &p, (uint32_t)where, to);
	return 0;
}

SL_INLINE void sl_fragment_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t where,
				  uint64_t to)
{
	(void)t;
	sl_fragment_rename_global(p->frame, where, to);
}

/* where: 0..7 the offset of the message, 32 whether it's IPv6. */
__attribute__((noinline)) int sl_quote_rename_global(struct xdp_md *ctx, uint64_t where)
{
	struct sl_packet p = sl_packet_of(ctx, 0);
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_quote_rename_impl(&t, &p, where & 0xff, where >> 32 & 1);
	return 0;
}

SL_INLINE void sl_quote_rename(const struct sl_tables *t, struct sl_packet *p, uint32_t l4,
			       bool is_ipv6)
{
	(void)t;
	sl_quote_rename_global(p->frame, l4 | (uint64_t)is_ipv6 << 32);
}

#endif
