/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's list of locks is read. Trying to take the lock would tell as well, but would make a
 * control that starts at that moment believe that another runs. */
#include "starting.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../../config/config.h"

bool sl_control_is_starting(const char *socket)
{
	const char *slash = strrchr(socket, '/');
	char path[SL_PATH_MAX + 32], line[256];
	bool held = false;
	struct stat st;
	FILE *locks;

	snprintf(path, sizeof(path), "%.*scontrol.lock", slash ? (int)(slash - socket + 1) : 0,
		 socket);
	locks = stat(path, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
	if (!locks)
		return false;
	while (!held && fgets(line, sizeof(line), locks)) {
		unsigned high, low;
		unsigned long inode;

		held = sscanf(line, "%*s FLOCK %*s WRITE %*s %x:%x:%lu", &high, &low, &inode) ==
			       3 &&
		       inode == st.st_ino && high == major(st.st_dev) && low == minor(st.st_dev);
	}
	fclose(locks);
	return held;
}
