/* SPDX-License-Identifier: BSD-2-Clause */
/* What every process of Sluice does alike: it logs to stderr, reads the clock, makes the
 * directories that it needs, and has as many file descriptors as it may. */
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

/* A port's XDP programs take some 30 descriptors each while they are loaded, and sockets one each:
 * the soft limit is made the hard one. */
void sl_descriptors_raise(void);

/* Says what to do where -errno means that there were too few; else nothing. */
void sl_descriptors_log(int err);

#endif
