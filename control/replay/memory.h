/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance's arrays in private memory, without pins or files. They end with the process. */
#ifndef SL_REPLAY_MEMORY_H
#define SL_REPLAY_MEMORY_H

#include "../../config/config.h"
#include "../../dataplane/abi/store.h"

/* Makes all arrays, zeroed, with this many records each, and fills in the root's identity except
 * for the keys. bpf: as memory-mapped BPF arrays (needs CAP_BPF); otherwise as memory of this
 * process, which needs no privileges. sl_store_detach() frees them. 0, or -errno with a message. */
int sl_memory_make(struct sl_store *s, const uint32_t count[SL_ARRAY_COUNT], bool bpf,
		   char error[SL_ERROR_MAX]);

#endif
