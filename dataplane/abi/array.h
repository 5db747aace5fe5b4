/* SPDX-License-Identifier: BSD-2-Clause */
/* One array of an instance: creates it, opens it, maps it. Only store.c calls this. `i` is the
 * array's enum sl_array. All functions return 0 or -errno and leave a message in `error`, except
 * sl_array_path(), which leaves none.
 */
#ifndef SL_ABI_ARRAY_H
#define SL_ABI_ARRAY_H

#include <limits.h>

#include "store.h"

struct sl_array_kind {
	const char *name;
	uint32_t record; /* bytes */
	enum sl_array_writer writer;
};

extern const struct sl_array_kind sl_arrays[SL_ARRAY_COUNT];

struct sl_array_found {
	int fd;
	uint32_t record;
	uint32_t count; /* at least this many: a file in hugetlbfs is rounded up to whole pages */
	uint64_t bytes; /* size of the mapping */
};

/* Clamps a number of records to what an array can have. */
static inline uint32_t sl_array_bounded(uint64_t n)
{
	return n < 1 ? 1 : n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

int sl_array_path(const struct sl_store_where *where, int i, char path[PATH_MAX]);

/* Creates the array, zeroed. Fails where one exists. */
int sl_array_create(const struct sl_store_where *where, int i, uint32_t count,
		    struct sl_array_found *found, char error[512]);

/* Opens an existing array, whatever its size. -ENOENT: there is none. */
int sl_array_open(const struct sl_store_where *where, int i, bool write,
		  struct sl_array_found *found, char error[512]);

/* Maps `found` into the store and closes its descriptor, unless control still needs it (`keep`). */
int sl_array_map(struct sl_store *s, const struct sl_store_where *where, int i, bool write,
		 bool keep, const struct sl_array_found *found, char error[512]);
void sl_array_unmap(struct sl_store *s, int i);

#endif
