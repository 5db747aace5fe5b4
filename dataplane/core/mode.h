/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The forwarding modes in which replies bypass us: everything but NAT.
 *
 * They share one function apart from the rest of the decision, which engines call by numbers (core/
 * seam.h): it takes the backend's record by its index once more, and checks that the tables are
 * still the ones that the caller looked at before it touches the frame.
 */
#ifndef SL_CORE_MODE_H
#define SL_CORE_MODE_H

#include "direct.h"
#include "tunnel.h"

/* To the backend of that index; a reason. Defined by an engine, as those in seam.h. */
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
