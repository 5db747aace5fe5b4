/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The instance's arrays as BPF maps: one map per line of SL_ARRAYS, with the array's name.
 *
 * Control creates and pins the arrays (abi/array.c). When it loads a program it replaces these
 * definitions by the pinned arrays, so the sizes given here are never used. Maps that belong to one
 * program (xsks_map) are defined with the program.
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
