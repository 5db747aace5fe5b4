/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The instance's arrays as XDP sees them: one map for each line of SL_ARRAYS, of the same name.
 *
 * Control makes and pins the arrays (abi/array.c) and, when it loads a program, puts them in the
 * place of these definitions; the size that stands here is never used. What belongs to a program
 * alone (its xsks_map) stands beside the program.
 */
#ifndef SL_BPF_MAPS_H
#define SL_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "../dataplane/abi/layout.h"

#define SL_ARRAY_MAP(name_, record, writer)                                                        \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__type(key, uint32_t);                                                             \
		__type(value, record);                                                             \
	} name_ SEC(".maps");
SL_ARRAYS(SL_ARRAY_MAP)
#undef SL_ARRAY_MAP

#endif
