/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Global functions (global.h) for full NAT and for prefixes as VIPs. */
#ifndef SL_BPF_GLOBAL_FULLNAT_H
#define SL_BPF_GLOBAL_FULLNAT_H

/* What it looks at is in no bank. */
__attribute__((noinline)) uint32_t sl_window_global(uint64_t index, uint64_t seq_ack, uint64_t what)
{
	return sl_window_impl(NULL, (uint32_t)index, seq_ack, (uint32_t)what);
}

SL_INLINE uint32_t sl_window(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			     uint32_t what)
{
	(void)t;
	return sl_window_global(index, seq_ack, what);
}

/* place: 32..63 what. */
__attribute__((noinline)) int sl_segment_global(uint64_t index, uint64_t seq_ack, uint64_t flow,
						uint64_t now)
{
	struct sl_tables t;

	if (sl_tables_snapshot(&t))
		sl_segment_impl(&t, (uint32_t)index, seq_ack, index >> 32, flow, now);
	return 0;
}

SL_INLINE void sl_segment(const struct sl_tables *t, uint32_t index, uint64_t seq_ack,
			  uint32_t what, uint64_t key, uint64_t now)
{
	(void)t;
	sl_segment_global(index | (uint64_t)what << 32, seq_ack, key, now);
}

__attribute__((noinline)) uint64_t sl_snat_find_global(uint64_t key, uint64_t now, uint32_t pool)
{
	struct sl_tables t;

	return sl_tables_snapshot(&t) ? sl_snat_find_impl(&t, key, now, pool) : SL_SNAT_UNKNOWN;
}

SL_INLINE uint64_t sl_snat_find(const struct sl_tables *t, uint64_t key, uint64_t now,
				uint32_t pool)
{
	(void)t;
	return sl_snat_find_global(key, now, pool);
}

/* It needs no bank: a pool's table blocks don't change. */
__attribute__((noinline)) uint64_t sl_snat_find_anywhere_global(uint64_t key, uint64_t hash,
								uint32_t pool)
{
	return sl_snat_find_anywhere_impl(NULL, key, hash, pool);
}

SL_INLINE uint64_t sl_snat_find_anywhere(const struct sl_tables *t, uint64_t key, uint32_t pool)
{
	return sl_snat_find_anywhere_global(key, sl_hash_flow(key, t->root->flow_key), pool);
}

__attribute__((noinline)) int sl_snat_reclaim_global(uint64_t key, uint64_t now, uint32_t pool)
{
	struct sl_tables t;

	return sl_tables_snapshot(&t) && sl_snat_reclaim_impl(&t, key, now, pool);
}

SL_INLINE bool sl_snat_reclaim(const struct sl_tables *t, uint64_t key, uint64_t now, uint32_t pool)
{
	(void)t;
	return sl_snat_reclaim_global(key, now, pool);
}

/* what: 0..31 the pool, 32..47 the client's port. */
__attribute__((noinline)) uint64_t sl_snat_alloc_global(uint64_t key, uint64_t now, uint64_t what,
							uint64_t q0, uint64_t q1)
{
	union sl_addr client = { .q = { q0, q1 } };
	struct sl_tables t;

	if (!sl_tables_snapshot(&t))
		return 0;
	return sl_snat_alloc_impl(&t, key, now, (uint32_t)what, &client,
				  (sl_be16)(uint16_t)(what >> 32));
}

SL_INLINE uint64_t sl_snat_alloc(const struct sl_tables *t, uint64_t key, uint64_t now,
				 uint32_t pool, const union sl_addr *client, sl_be16 port)
{
	(void)t;
	return sl_snat_alloc_global(key, now, pool | (uint64_t)(uint16_t)port << 32, client->q[0],
				    client->q[1]);
}

__attribute__((noinline)) uint64_t sl_snat_source_global(uint32_t index, uint64_t key)
{
	return sl_snat_source_impl(NULL, index, key);
}

SL_INLINE uint64_t sl_snat_source(const struct sl_tables *t, uint32_t index, uint64_t key)
{
	(void)t;
	return sl_snat_source_global(index, key);
}

__attribute__((noinline)) uint32_t sl_snat_vip4_global(uint32_t index)
{
	return (uint32_t)sl_snat_vip4_impl(NULL, index);
}

SL_INLINE sl_be32 sl_snat_vip4(const struct sl_tables *t, uint32_t index)
{
	(void)t;
	return (sl_be32)sl_snat_vip4_global(index);
}

__attribute__((noinline)) uint32_t sl_called_delta_global(uint64_t called0, uint64_t called1,
							  uint64_t vip0, uint64_t vip1)
{
	union sl_addr called = { .q = { called0, called1 } }, vip = { .q = { vip0, vip1 } };

	return sl_csum_delta_addr(&called, &vip);
}

SL_INLINE uint16_t sl_called_delta(const union sl_addr *called, const union sl_addr *vip)
{
	return (uint16_t)sl_called_delta_global(called->q[0], called->q[1], vip->q[0], vip->q[1]);
}

__attribute__((noinline)) uint64_t sl_vip_source_global(uint64_t source, uint64_t q0, uint64_t q1)
{
	union sl_addr vip = { .q = { q0, q1 } };
	struct sl_tables t = { .root = sl_map_at(root, 0) };

	return sl_vip_source_impl(&t, source, &vip);
}

SL_INLINE uint64_t sl_vip_source(const struct sl_tables *t, uint64_t source,
				 const union sl_addr *vip)
{
	(void)t;
	return sl_vip_source_global(source, vip->q[0], vip->q[1]);
}

#endif
