/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A loop with a large body.
 *
 * The verifier of the XDP engine walks a loop once for each of its rounds and each way to come to
 * it. By bpf_loop() (Linux 5.17) it walks one round, as a function of its own: with eight limits a
 * service that is the difference between 450,000 instructions and a few thousand on Linux 6.1.
 */
#ifndef SL_CORE_LOOP_H
#define SL_CORE_LOOP_H

#include <stdint.h>

/* One round: 0 goes on, 1 ends the loop. */
typedef long sl_loop_body(uint32_t i, void *state);

/* Runs round(0, state) to round(n - 1, state), or until one ends it. */
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
