/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance's arrays that nobody else sees: no pins, no files. They go with the process. */
#ifndef SL_REPLAY_MEMORY_H
#define SL_REPLAY_MEMORY_H

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"

/* All arrays, zeroed, of that many records each, with the root's identity filled in but for its
 * keys. bpf: in memory-mapped BPF arrays (takes CAP_BPF), else in this process's own memory, which
 * anybody may have. sl_store_detach() frees them. 0 or -errno with a message. */
int sl_memory_make(struct sl_store *s, const uint32_t count[SL_ARRAY_COUNT], bool bpf,
		   char error[SL_ERROR_MAX]);

#endif
