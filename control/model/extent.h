/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocates extents, which are runs of records in a shared array (table_blocks, backends, limits).
 *
 * An extent counts its holders: the model, and each generation that names it. When the last holder
 * releases it, it goes into quarantine, because a reader may still be using it. Nobody may write
 * there before every live worker has acknowledged a generation that doesn't name it.
 *
 * A change writes a new extent before it releases the old one, so free space is of use only in one
 * piece. Extents are therefore taken from the smallest block that holds them. The length of a block
 * is a power of two, and it is aligned to its length. That keeps small extents together, and
 * released space becomes whole again. Extents whose lengths are powers of two, and that fill a
 * third of the array, can be changed one by one for ever (tests/unit/test_pool.c). If no block is
 * long enough, any free run will do.
 *
 * An allocator belongs to one thread and knows indices only. Whoever holds an extent writes its
 * records.
 */
#ifndef SL_CONTROL_MODEL_EXTENT_H
#define SL_CONTROL_MODEL_EXTENT_H

#include <stdint.h>
#include <sys/queue.h>

struct sl_extents;

struct sl_extent {
	uint32_t at; /* index of the first record */
	uint32_t n;  /* number of records */
	uint32_t refs;
	struct sl_extents *extents;
	uint64_t generation; /* in quarantine until workers acknowledge this generation */
	LIST_ENTRY(sl_extent) all;
};

/* Creates an allocator for an array of `size` records. Returns NULL if there is no memory. Freeing
 * it frees all its extents, held or not. */
struct sl_extents *sl_extents_new(uint32_t size);
void sl_extents_free(struct sl_extents *extents);

/* Allocates n records, at least one, for one holder. Returns NULL if no free run is that long, or
 * if there is no memory. */
struct sl_extent *sl_extents_alloc(struct sl_extents *extents, uint32_t n);

/* Allocates the very records that a live bank names, for one holder. Returns NULL if they overlap
 * another extent or lie outside the array, or if there is no memory. An extent that several records
 * name is adopted once; for the others use sl_extent_ref(). */
struct sl_extent *sl_extents_adopt(struct sl_extents *extents, uint32_t at, uint32_t n);

/* Adds a holder. Returns e. */
struct sl_extent *sl_extent_ref(struct sl_extent *e);

/* Releases an extent for one holder. generation: the first one that no longer names the extent, as
 * far as this holder knows; 0: the holder never published it. The highest one that any holder gave
 * counts; if all gave 0, the records are free at once. After the last holder has released it the
 * extent must not be used. e may be NULL. */
void sl_extent_unref(struct sl_extent *e, uint64_t generation);

/* To be called when every live worker has acknowledged this generation. Frees the extents that are
 * in quarantine until this generation or an older one. An extent that is released for it later
 * stays in quarantine until the next call. */
void sl_extents_acknowledged(struct sl_extents *extents, uint64_t generation);

uint32_t sl_extents_room(const struct sl_extents *extents); /* length of the longest free run */
uint32_t sl_extents_used(const struct sl_extents *extents); /* records held or in quarantine */

#endif
