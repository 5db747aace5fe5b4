/* SPDX-License-Identifier: BSD-2-Clause */
/* Random tables and random packets that fit together, from one seed.
 *
 * Addresses and ports come from small sets, so that packets hit services, flows occur repeatedly
 * and buckets overflow. Tables may be wrong too: slots that name no backend, extents beyond their
 * array, backends that don't serve, entries of services that don't exist.
 */
#ifndef SL_TEST_CHANCE_H
#define SL_TEST_CHANCE_H

#include "../unit/frames.h"
#include "../unit/world.h"

#define CHANCE_MS (1ull << 18) /* ticks: about a millisecond */

/* Fills an empty world and publishes it. Entries of its flow table have times around `now`
 * ticks. */
void chance_tables(struct world *w, uint64_t *state, uint64_t now);

/* A packet for that world: usually a good one, otherwise with some mistake. */
void chance_packet(const struct world *w, uint64_t *state, struct frame *f);

/* If the packet is a fragment whose fragment header comes right after the IP header, turns it into
 * another fragment of the same datagram; else false. */
bool chance_fragment(uint64_t *state, struct frame *f);

/* 0 to n - 1; true once in n. */
static inline uint32_t chance_of(uint64_t *state, uint32_t n)
{
	return (uint32_t)((world_random(state) >> 32) * n >> 32);
}

static inline bool chance_once(uint64_t *state, uint32_t n)
{
	return chance_of(state, n) == 0;
}

#endif
