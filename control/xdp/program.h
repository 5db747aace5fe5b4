/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens and loads the XDP programs over an instance's arrays. Control loads them one by one
 * (programs.h); sluice-replay loads all at once. */
#ifndef SL_CONTROL_XDP_PROGRAM_H
#define SL_CONTROL_XDP_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "../../dataplane/abi/store.h"
#include "../../dataplane/abi/tails.h"

struct sl_xdp_engine; /* the skeleton in engine.skel.h, which also destroys it */
struct bpf_program;

/* Opens all programs over the arrays of the store, with their sizes as constants. If the verifier
 * refuses a program, its explanation is in log. Returns 0 or -errno. From then on libbpf prints no
 * messages. Threads may open and load programs at the same time. */
int sl_program_open(struct sl_xdp_engine **skel, const struct sl_store *store, char *log,
		    size_t log_size);

/* The programs that packets can reach by tail calls in this generation, which is live or is about
 * to be: a bit for each enum sl_tail. */
uint32_t sl_program_needed(const struct sl_store *store, uint64_t generation);

/* A program by its index in the map of tail calls, and its name. */
struct bpf_program *sl_program_tail(const struct sl_xdp_engine *skel, enum sl_tail tail);
const char *sl_program_name(enum sl_tail tail);

/* Loads the opened programs and enters them in the map of tail calls. Returns 0 or -errno. */
int sl_program_load(struct sl_xdp_engine *skel);

#endif
