/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool: who has which records of an array that holds extents (slots, backends).
 *
 * An extent is counted by its holders: the model, and each generation that names it. When the last
 * holder lets go it rests, because a reader may still be on its way through it: nobody may write
 * there before every live worker has acknowledged a generation that doesn't name it.
 *
 * What is changed is written anew before the old is let go, so room that is only there in pieces is
 * no room. Extents are therefore taken from the smallest block that holds them, a block being a
 * power of two long and aligned to that: the small stay together, and what is let go of becomes
 * whole again. Extents of powers of two that fill a third of the pool can be changed one by one for
 * ever (tests/unit/test_pool.c). Where no block is long enough, any free run will do.
 *
 * A pool is of one thread, and knows indices only: the records themselves are written by whoever
 * holds the extent.
 */
#ifndef SL_CONTROL_MODEL_EXTENT_H
#define SL_CONTROL_MODEL_EXTENT_H

#include <stdint.h>
#include <sys/queue.h>

struct sl_extents;

struct sl_extent {
	uint32_t at; /* first record */
	uint32_t n;  /* records */
	uint32_t refs;
	struct sl_extents *extents;
	uint64_t generation; /* the one that it rests for, once it was let go */
	LIST_ENTRY(sl_extent) all;
};

/* NULL: no memory. Freeing a pool frees all its extents, held or not. */
struct sl_extents *sl_extents_new(uint32_t size);
void sl_extents_free(struct sl_extents *extents);

/* n records, at least one, held once. NULL: no free run is that long, or no memory. */
struct sl_extent *sl_extents_alloc(struct sl_extents *extents, uint32_t n);

/* The very records that a live bank names, held once. NULL: they overlap another extent, or leave
 * the pool. An extent that several records name is adopted once and held by sl_extent_ref(). */
struct sl_extent *sl_extents_adopt(struct sl_extents *extents, uint32_t at, uint32_t n);

/* Returns e. */
struct sl_extent *sl_extent_ref(struct sl_extent *e);

/* Lets go. generation: the first that no longer names the extent, as far as this holder knows; 0:
 * it never published it. The highest that any holder gave counts; where all gave 0, the records are
 * free at once. After the last holder the extent must not be touched. NULL does nothing. */
void sl_extent_unref(struct sl_extent *e, uint64_t generation);

/* Every live worker has acknowledged this generation: frees what rested for it or for an older
 * one. What is let go for it later rests until the next call. */
void sl_extents_acknowledged(struct sl_extents *extents, uint64_t generation);

uint32_t sl_extents_room(const struct sl_extents *extents); /* records of the longest free run */
uint32_t sl_extents_used(const struct sl_extents *extents); /* records held or resting */

#endif
