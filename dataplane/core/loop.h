/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A loop with a large body.
 *
 * The verifier of the XDP engine walks a normal loop once for each round and each way to reach it.
 * With bpf_loop() (Linux 5.17) it walks the body once, as a separate function. With eight limits
 * per service that means a few thousand instructions instead of 450,000 on Linux 6.1.
 */
#ifndef SL_CORE_LOOP_H
#define SL_CORE_LOOP_H

#include <stdint.h>

/* One round of the loop. Returns 0 to go on, 1 to end it. */
typedef long sl_loop_body(uint32_t i, void *state);

/* Calls round(0, state) to round(n - 1, state), or until one ends the loop. */
static inline __attribute__((always_inline)) void sl_loop(uint32_t n, sl_loop_body *round,
							  void *state)
{
#ifdef __bpf__
	bpf_loop(n, round, state, 0);
#else
	for (uint32_t i = 0; i < n && !round(i, state); i++)
		;
#endif
}

#endif
