/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP program over an instance's arrays, as whoever loads it needs it: control for each of its
 * ports, sluice-replay for the frames of a capture. */
#ifndef SL_CONTROL_XDP_PROGRAM_H
#define SL_CONTROL_XDP_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "../../dataplane/abi/store.h"

struct sl_xdp_engine; /* the skeleton (engine.skel.h), which is destroyed by its own */

/* Opens it for a port: the arrays are the store's, by its descriptors, and the sizes theirs. What
 * the verifier says of a program that it refuses goes to log. 0 or -errno. libbpf's own messages
 * are kept quiet from then on. Threads may load programs at once. */
int sl_program_open(struct sl_xdp_engine **skel, const struct sl_store *store, uint32_t port,
		    char *log, size_t log_size);

/* Loads what was opened. 0 or -errno. */
int sl_program_load(struct sl_xdp_engine *skel, const struct sl_store *store);

#endif
