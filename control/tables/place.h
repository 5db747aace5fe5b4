/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives the small records of a bank their indices: the writer's side of dataplane/abi/cuckoo.h.
 *
 * Each record may have either of two indices. A set of records fits if, and only if, every group of
 * records has at least as many indices to choose from as it has records. That depends on the seed
 * alone. It is decided here exactly, in linear time, whatever the order of the records. With up to
 * 0.45 records per index nearly every seed works. At 0.5 four of five do, so the caller tries a
 * few. Above that almost none does.
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

/* Sets place[i] to the index of key i in a table of `size` records, a power of two, under this
 * seed. Returns 0, or -EAGAIN: another seed is needed; -EEXIST: two keys are equal; -ENOSPC: there
 * are more keys than indices; -EINVAL: size is no power of two; -ENOMEM. On failure the contents of
 * place are undefined. */
int sl_cuckoo_assign(const struct sl_cuckoo_key *key, size_t n, uint32_t size, uint64_t seed,
		     uint32_t *place);

#endif
