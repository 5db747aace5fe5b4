/* SPDX-License-Identifier: BSD-2-Clause */
/* What an interface merges: its driver's features of that kind, looked at and switched by the
 * kernel's names for them, as `ethtool -k` shows them. */
#ifndef SL_CONTROL_XDP_OFFLOAD_H
#define SL_CONTROL_XDP_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SL_MERGES_GRO = 1,    /* rx-gro: the kernel, from what its driver hands up */
	SL_MERGES_GRO_HW = 2, /* rx-gro-hw */
	SL_MERGES_LRO = 4,    /* rx-lro */
};

/* "rx-gro" for one bit. */
const char *sl_offload_name(uint32_t bit);

/* The bits that are on; 0 where that can't be known. */
uint32_t sl_offload_active(const char *device);

/* Switches them. 0, or -errno; -EOPNOTSUPP where the driver doesn't let them be what is wanted. */
int sl_offload_set(const char *device, uint32_t bits, bool on);

#endif
