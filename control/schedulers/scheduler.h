/* SPDX-License-Identifier: BSD-2-Clause */
/* Schedulers decide how the slots of a service are shared among its backends.
 *
 * A scheduler fills the table when control publishes. The packet path only picks a slot of the
 * table, in the way that the list `schedulers` in meson.build says (enum sl_pick). A scheduler must
 * be a pure function of the set of candidates, whatever their order, because gateways that never
 * talk to each other must come to the same slots.
 *
 * To add one, write a file NAME.c here that defines struct sl_scheduler sl_scheduler_NAME, and add
 * a line to that list. The array, the declarations and the keywords of the configuration are made
 * from it.
 */
#ifndef SL_SCHEDULER_H
#define SL_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../dataplane/abi/backend.h"
#include "../../dataplane/abi/service.h"

#define SL_SCHEDULER_SLOTS_MIN 256u
#define SL_SCHEDULER_SLOTS_MAX (1u << 20)

struct sl_candidate {
	uint32_t number;   /* number of the backend in its service, from 1 */
	uint32_t weight;   /* 0: it gets no slot */
	uint64_t identity; /* hash of address and port, the same on every gateway */
};

struct sl_scheduler {
	const char *name;
	/* Sets cur[0..slots) to numbers of candidates, or all of it to 0 if no candidate has a
	 * weight. slots is a power of two. Returns 0, -EINVAL (slots or a number is out of range)
	 * or -ENOMEM; on failure cur is untouched. */
	int (*fill)(uint32_t *cur, uint32_t slots, const struct sl_candidate *candidate, size_t n);
	/* With SL_PICK_TURN, else NULL: the number of slots, from 1 to `slots`, after which turns
	 * begin anew. */
	uint32_t (*cycle)(uint32_t slots, const struct sl_candidate *candidate, size_t n);
};

#define SL_SCHEDULER(name, pick) extern const struct sl_scheduler sl_scheduler_##name;
#include "schedulers.list.h"
#undef SL_SCHEDULER

/* All schedulers. The first is the default, and NULL ends the array. */
extern const struct sl_scheduler *const sl_schedulers[];

/* Returns NULL if no scheduler has that name. */
const struct sl_scheduler *sl_scheduler_find(const char *name);

/* Whether fill() may be called with these. */
bool sl_scheduler_may_fill(uint32_t slots, const struct sl_candidate *candidate, size_t n);

uint64_t sl_candidate_identity(const union sl_addr *addr, uint16_t port);

#endif
