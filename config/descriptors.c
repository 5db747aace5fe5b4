/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/resource.h>

#include "process.h"

void sl_descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void sl_descriptors_log(int err)
{
	struct rlimit limit;

	if (err == -EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0)
		sl_log("file descriptors ran out: raise LimitNOFILE= of the unit, or `ulimit -n`, "
		       "above %llu",
		       (unsigned long long)limit.rlim_max);
	else if (err == -ENFILE)
		sl_log("the machine's file descriptors ran out: raise the sysctl fs.file-max, see "
		       "/proc/sys/fs/file-nr");
}
