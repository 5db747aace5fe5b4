/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance's arrays, mapped into this process. Control creates them; everybody attaches.
 *
 * Arrays are pinned memory-mapped BPF arrays (BPF_DIR/NAME), or files in hugetlbfs
 * (HUGE_DIR/sluice.INSTANCE.NAME) where no XDP program can ever need them. A process maps what it
 * may not write read-only and closes the descriptor, so that a wild store faults here instead of
 * misleading the other side. A directory of pins is trusted only if it belongs to us and nobody
 * else may write to it.
 */
#ifndef SL_ABI_STORE_H
#define SL_ABI_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "layout.h"

enum sl_store_role { SL_STORE_CONTROL, SL_STORE_ENGINE, SL_STORE_READER };

struct sl_store_where {
	bool huge;	      /* files in hugetlbfs, else pinned BPF arrays */
	const char *instance; /* name of the instance */
	const char *bpf_dir;
	const char *huge_dir;
};

struct sl_store {
	void *base[SL_ARRAY_COUNT];
	size_t bytes[SL_ARRAY_COUNT];	/* mapped */
	uint32_t count[SL_ARRAY_COUNT]; /* records */
	int fd[SL_ARRAY_COUNT]; /* BPF map descriptors, which control alone keeps; else -1 */
};

static inline struct sl_root *sl_store_root(const struct sl_store *s)
{
	return (struct sl_root *)s->base[SL_ARRAY_root];
}

/* Computes how many records each array needs for this capacity. */
void sl_store_size(const struct sl_capacity *capacity, uint32_t count[SL_ARRAY_COUNT]);

/* Creates all arrays, zeroed, and fills in the root's identity except for the keys. The root's
 * magic isn't set yet: sl_store_publish() stores it last, so that nobody attaches to a half-made
 * instance. -EEXIST: an instance of this name exists. All errors leave a message in `error`. */
int sl_store_create(struct sl_store *s, const struct sl_store_where *where,
		    const struct sl_capacity *capacity, char error[512]);
void sl_store_publish(struct sl_store *s);

/* Attaches to an instance. -ENOENT: there is none. -EPROTO: it has another ABI version or layout,
 * and was left untouched. */
int sl_store_attach(struct sl_store *s, const struct sl_store_where *where, enum sl_store_role role,
		    char error[512]);

/* Unmaps the arrays. The instance stays. */
void sl_store_detach(struct sl_store *s);

/* Removes the instance's arrays from the file system. */
int sl_store_remove(const struct sl_store_where *where, char error[512]);

/* Pins again what control holds and somebody unpinned, also where the whole directory is gone: else
 * nobody who starts later would find it. The first is for all arrays; the second for one descriptor
 * of any kind, as BPF_DIR/NAME. How many pins were missing, or -errno; the arrays' with a message.
 * Files in hugetlbfs can't be put back, and count as none. */
int sl_store_repin(const struct sl_store *s, const struct sl_store_where *where, char error[512]);
int sl_store_repin_one(const struct sl_store_where *where, const char *name, int fd);

/* The path of a pin beside the arrays, BPF_DIR/NAME. */
int sl_store_pin_path(const struct sl_store_where *where, const char *name, char *path,
		      size_t size);

#endif
