/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The forwarding modes whose replies bypass us: direct, ipip and gue.
 *
 * They share one function outside the rest of the decision, which engines call with plain numbers
 * (seam.h). It looks up the backend's record again by its index, and checks that the tables are
 * still those of the caller before it changes the frame.
 */
#ifndef SL_CORE_MODE_H
#define SL_CORE_MODE_H

#include "direct.h"
#include "tunnel.h"

/* Sends the packet to the backend with this index. Returns a reason. An engine defines this, like
 * the functions in seam.h. */
static int sl_mode(const struct sl_tables *t, struct sl_packet *p, uint64_t index, uint32_t l3,
		   uint32_t l4, uint8_t mode);

SL_INLINE int sl_mode_impl(const struct sl_tables *t, struct sl_packet *p, uint64_t index,
			   uint32_t l3, uint32_t l4, uint8_t mode)
{
	const struct sl_backend *b = sl_seam_backend(t, index);

	if (!b)
		return SL_REASON_bad_index;
	switch (mode) {
	case SL_MODE_DIRECT:
		return sl_direct(t, p, b);
	case SL_MODE_IPIP:
	case SL_MODE_GUE:
		return sl_tunnel(t, p, b, l3, l4, mode);
	default:
		return SL_REASON_bad_index;
	}
}

#endif
