/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance's arrays in this process's memory: made by control, attached to by everybody.
 *
 * They are pinned memory-mapped BPF arrays (BPF_DIR/NAME), or files in hugetlbfs where no XDP
 * program can ever need them (HUGE_DIR/sluice.INSTANCE.NAME). What isn't ours to write is mapped
 * read-only and its descriptor closed, so that a wild store faults here instead of misleading the
 * other side. A directory of pins has to belong to us and to nobody else, or it isn't trusted.
 */
#ifndef SL_ABI_STORE_H
#define SL_ABI_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "layout.h"

enum sl_store_role { SL_STORE_CONTROL, SL_STORE_ENGINE, SL_STORE_READER };

struct sl_store_where {
	bool huge;	      /* files in hugetlbfs, else pinned BPF arrays */
	const char *instance; /* its name */
	const char *bpf_dir;
	const char *huge_dir;
};

struct sl_store {
	void *base[SL_ARRAY_COUNT];
	size_t bytes[SL_ARRAY_COUNT];	/* mapped */
	uint32_t count[SL_ARRAY_COUNT]; /* records */
	int fd[SL_ARRAY_COUNT];		/* BPF map descriptors, kept by control alone; -1 */
};

static inline struct sl_root *sl_store_root(const struct sl_store *s)
{
	return (struct sl_root *)s->base[SL_ARRAY_root];
}

/* How many records each array needs for this capacity. */
void sl_store_size(const struct sl_capacity *capacity, uint32_t count[SL_ARRAY_COUNT]);

/* Makes all arrays, zeroed, with the root's identity filled in but for the keys; its magic is
 * stored last, by sl_store_publish(), so that nobody attaches to a half-made instance.
 * -EEXIST where one of that name stands already. All errors leave a message in error. */
int sl_store_create(struct sl_store *s, const struct sl_store_where *where,
		    const struct sl_capacity *capacity, char error[512]);
void sl_store_publish(struct sl_store *s);

/* Attaches. -ENOENT: there is none yet. -EPROTO: another ABI version or layout; never touched. */
int sl_store_attach(struct sl_store *s, const struct sl_store_where *where, enum sl_store_role role,
		    char error[512]);

/* Unmaps; the instance stays. */
void sl_store_detach(struct sl_store *s);

/* Removes the instance's arrays from the file system. */
int sl_store_remove(const struct sl_store_where *where, char error[512]);

/* A path like BPF_DIR/NAME, for pins that stand beside the arrays. */
int sl_store_pin_path(const struct sl_store_where *where, const char *name, char *path,
		      size_t size);

#endif
