/* SPDX-License-Identifier: BSD-2-Clause */
/* What every process of Sluice does alike: it logs to stderr, reads the clock, and makes the
 * directories that it needs. */
#ifndef SL_CONFIG_PROCESS_H
#define SL_CONFIG_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* One line on stderr, after the program's name; the newline is added. */
__attribute__((format(printf, 1, 2))) void sl_log(const char *format, ...);

/* CLOCK_MONOTONIC, the one time base of the shared records. */
uint64_t sl_clock_ns(void);

static inline uint32_t sl_clock_ms(void)
{
	return (uint32_t)(sl_clock_ns() / 1000000u);
}

/* As mkdir -p: directories that are missing above the last one get mode 0755, the last one `mode`.
 * One that exists keeps its mode. 0, or -errno. */
int sl_make_directory(const char *path, mode_t mode);

#endif
