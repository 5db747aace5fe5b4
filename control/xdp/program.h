/* SPDX-License-Identifier: BSD-2-Clause */
/* The XDP programs over an instance's arrays, as whoever loads them needs them: control one by one
 * (programs.h), sluice-replay all at once for the frames of a capture. */
#ifndef SL_CONTROL_XDP_PROGRAM_H
#define SL_CONTROL_XDP_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "../../dataplane/abi/store.h"
#include "../../dataplane/abi/tails.h"

struct sl_xdp_engine; /* the skeleton (engine.skel.h), which is destroyed by its own */
struct bpf_program;

/* Opens all programs: the arrays are the store's, by its descriptors, and the sizes theirs. What
 * the verifier says of one that it refuses goes to log. 0 or -errno. libbpf's own messages are kept
 * quiet from then on. Threads may open and load programs at once. */
int sl_program_open(struct sl_xdp_engine **skel, const struct sl_store *store, char *log,
		    size_t log_size);

/* Those for tail calls that packets can get to by the records of this generation, which may be live
 * or about to be; by bit of enum sl_tail. */
uint32_t sl_program_needed(const struct sl_store *store, uint64_t generation);

/* One of them by its place in the map of tail calls, and its name. */
struct bpf_program *sl_program_tail(const struct sl_xdp_engine *skel, enum sl_tail tail);
const char *sl_program_name(enum sl_tail tail);

/* Loads what was opened, and enters in `tails` those of it that stand there. 0 or -errno. */
int sl_program_load(struct sl_xdp_engine *skel);

#endif
