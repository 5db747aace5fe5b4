/* SPDX-License-Identifier: BSD-2-Clause */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_PATH (SL_PATH_MAX + 32)

static int fail(char error[SL_ERROR_MAX], const char *path, int err)
{
	snprintf(error, SL_ERROR_MAX, "%s: %s", path, strerror(-err));
	return err;
}

static int check_owner(const struct stat *st, const char *path, char error[SL_ERROR_MAX])
{
	if (st->st_uid == geteuid() && !(st->st_mode & 022))
		return 0;
	snprintf(error, SL_ERROR_MAX,
		 "%s: others may write it (owner %u, mode %04o); make it ours alone: `chown %u %s` "
		 "and `chmod go-w %s`",
		 path, st->st_uid, st->st_mode & 07777, geteuid(), path, path);
	return -EPERM;
}

/* Opens the state directory. Returns a descriptor, or -errno with a message. */
static int open_directory(const char *path, char error[SL_ERROR_MAX])
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct stat st;

	if (fd < 0)
		return fail(error, path, -errno);
	err = fstat(fd, &st) == 0 ? check_owner(&st, path, error) : fail(error, path, -errno);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int link_refused(const char *path, char error[SL_ERROR_MAX])
{
	snprintf(error, SL_ERROR_MAX,
		 "%s: is a symbolic link, which isn't followed: put the file "
		 "itself there",
		 path);
	return -ELOOP;
}

int sl_state_file_open(const char *state_dir, const char *name, char error[SL_ERROR_MAX])
{
	int dir = open_directory(state_dir, error), fd, err = 0;
	char path[STATE_PATH];
	struct stat st;

	/* Without the directory nothing can be saved. That isn't the same as an empty state. */
	if (dir < 0)
		return dir == -ENOENT ? -ENOTDIR : dir;
	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		err = errno == ENOENT  ? -ENOENT
		      : errno == ELOOP ? link_refused(path, error)
				       : fail(error, path, -errno);
	else
		err = fstat(fd, &st) == 0 ? check_owner(&st, path, error)
					  : fail(error, path, -errno);
	close(dir);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

static int write_all(int fd, const char *text, size_t length, bool durable)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n == -1 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
	return !durable || fsync(fd) == 0 ? 0 : -errno;
}

int sl_state_file_write(const char *state_dir, const char *name, const char *text, bool durable,
			char error[SL_ERROR_MAX])
{
	int dir = open_directory(state_dir, error), fd = -1, err = 0;
	char path[STATE_PATH], new[64];

	if (dir < 0)
		return dir;
	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	snprintf(new, sizeof(new), "%s.new", name);
	if (unlinkat(dir, new, 0) != 0 && errno != ENOENT)
		err = -errno;
	if (!err) {
		fd = openat(dir, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		err = fd < 0 ? -errno : write_all(fd, text, strlen(text), durable);
	}
	if (!err && renameat(dir, new, dir, name) != 0)
		err = -errno;
	if (!err && durable && fsync(dir) != 0)
		err = -errno;
	if (err)
		fail(error, path, err);
	if (fd >= 0)
		close(fd);
	close(dir);
	return err;
}
