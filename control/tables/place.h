/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the small records of a bank stand: the writer's side of dataplane/abi/cuckoo.h.
 *
 * Each record may stand in either of two places. A set of records fits exactly where no group of
 * places is wanted by more records than it has places; that depends on the seed alone, and is
 * decided here exactly, in linear time, whatever the order of the records. Up to 0.45 of the places
 * nearly every seed does; at 0.5 four of five do, so the caller tries a few; above that almost
 * none.
 */
#ifndef SL_CONTROL_TABLES_PLACE_H
#define SL_CONTROL_TABLES_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "../../dataplane/abi/cuckoo.h"

struct sl_cuckoo_key {
	const union sl_addr *addr;
	uint32_t what; /* an endpoint or a prefix length, see sl_cuckoo_hash() */
};

/* place[i] = index of key i among `size` places, a power of two, under this seed. 0; -EAGAIN:
 * another seed is needed; -EEXIST: two keys are equal; -ENOSPC: more keys than places;
 * -EINVAL: size is no power of two; -ENOMEM. Unless 0, place holds nothing of use. */
int sl_cuckoo_assign(const struct sl_cuckoo_key *key, size_t n, uint32_t size, uint64_t seed,
		     uint32_t *place);

#endif
