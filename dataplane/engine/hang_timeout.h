/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a worker may give no sign of life before XDP takes its queues (bpf/owner.h): the less,
 * the less else there is that may keep it from its core. */
#ifndef SL_ENGINE_HANG_TIMEOUT_H
#define SL_ENGINE_HANG_TIMEOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <rte_common.h>

enum {
	SL_HANG_TIMEOUT_ALONE_MS = 10, /* the core is isolated from other work */
	SL_HANG_TIMEOUT_SHARED_MS = 100,
};

/* Whether the kernel keeps other work off this core (isolcpus). */
static inline bool sl_core_is_isolated(unsigned cpu)
{
	FILE *list = fopen("/sys/devices/system/cpu/isolated", "re");
	unsigned first, last;
	bool found = false;
	int n;

	while (list && !found && (n = fscanf(list, "%u-%u,", &first, &last)) > 0)
		found = cpu == first || (n == 2 && cpu > first && cpu <= last);
	if (list)
		fclose(list);
	return found;
}

/* XDP reads the coarse clock, which is up to one step behind, and only when a packet comes in. So
 * the timeout it is told is shorter by a step and a millisecond; then it takes over after the time
 * that is meant at the latest. */
static inline uint64_t sl_hang_timeout_ns(bool adaptive, unsigned cpu)
{
	bool alone = !adaptive && sl_core_is_isolated(cpu);
	uint64_t ns = (alone ? SL_HANG_TIMEOUT_ALONE_MS : SL_HANG_TIMEOUT_SHARED_MS) * 1000000ull;
	struct timespec resolution = { 0 };

	clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
	return ns - RTE_MIN((uint64_t)resolution.tv_nsec + 1000000, ns / 2);
}

#endif
