/* SPDX-License-Identifier: BSD-2-Clause */
#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config.h"

int sl_make_directory(const char *path, mode_t mode)
{
	char part[SL_PATH_MAX];

	for (size_t i = 1; i < sizeof(part); i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		if (mkdir(part, path[i] ? 0755 : mode) != 0 && errno != EEXIST)
			return -errno;
		if (!path[i])
			return 0;
	}
	return -ENAMETOOLONG;
}
