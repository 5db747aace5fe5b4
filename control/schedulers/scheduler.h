/* SPDX-License-Identifier: BSD-2-Clause */
/* Schedulers: how the slots of a service are shared among its backends.
 *
 * A scheduler fills the table at control rate; the packet path only picks a slot of it, in the one
 * way that `pick` says. It must be a pure function of the set of candidates, whatever their order:
 * gateways that never talk to each other have to come to the same slots.
 *
 * A new one is a file NAME.c here that defines struct sl_scheduler sl_scheduler_NAME, and its name
 * in the list `schedulers` of meson.build, from which the array, the declarations and the words of
 * the configuration come.
 */
#ifndef SL_SCHEDULER_H
#define SL_SCHEDULER_H

#include <stddef.h>
#include <stdint.h>

#include "../../dataplane/abi/backend.h"
#include "../../dataplane/abi/service.h"

#define SL_SCHEDULER_SLOTS_MIN 256u
#define SL_SCHEDULER_SLOTS_MAX (1u << 20)

struct sl_candidate {
	uint32_t number;   /* of the backend in its service, from 1 */
	uint32_t weight;   /* 0: gets no slot */
	uint64_t identity; /* hash of address and port: the same on every gateway */
};

struct sl_scheduler {
	const char *name;
	const char *help;
	uint8_t pick; /* enum sl_pick */
	/* cur[0..slots) becomes numbers of candidates, or 0 in all slots where nobody has a weight.
	 * slots is a power of two. 0, -EINVAL (slots or a number out of range) or -ENOMEM; cur is
	 * then untouched. */
	int (*fill)(uint32_t *cur, uint32_t slots, const struct sl_candidate *candidate, size_t n);
};

#define SL_SCHEDULER(name) extern const struct sl_scheduler sl_scheduler_##name;
#include "schedulers.list.h"
#undef SL_SCHEDULER

/* All of them, the default first; NULL ends the array. */
extern const struct sl_scheduler *const sl_schedulers[];

/* NULL: no scheduler of that name. */
const struct sl_scheduler *sl_scheduler_find(const char *name);

/* The first that has its slots picked in this way (enum sl_pick); NULL: none has. */
const struct sl_scheduler *sl_scheduler_of_pick(uint8_t pick);

uint64_t sl_candidate_identity(const union sl_addr *addr, uint16_t port);

#endif
