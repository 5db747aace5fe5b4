/* SPDX-License-Identifier: BSD-2-Clause */
/* The features of an interface that merge segments, by the names that `ethtool -k` shows. */
#ifndef SL_CONTROL_XDP_OFFLOAD_H
#define SL_CONTROL_XDP_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SL_MERGES_GRO = 1,    /* rx-gro: the kernel merges what the driver delivers */
	SL_MERGES_GRO_HW = 2, /* rx-gro-hw */
	SL_MERGES_LRO = 4,    /* rx-lro */
};

/* The name of one feature, such as "rx-gro". */
const char *sl_offload_name(uint32_t bit);

/* The features that are on, by bit; 0 if that can't be known. */
uint32_t sl_offload_active(const char *device);

/* Turns features on or off. Returns 0 or -errno; -EOPNOTSUPP: the driver doesn't allow it. */
int sl_offload_set(const char *device, uint32_t bits, bool on);

#endif
