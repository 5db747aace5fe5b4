/* SPDX-License-Identifier: BSD-2-Clause */
/* The schedulers that meson.build lists. */
#include "scheduler.h"

#include <string.h>

#include "../../dataplane/abi/hash.h"

const struct sl_scheduler *const sl_schedulers[] = {
#define SL_SCHEDULER(name, pick) &sl_scheduler_##name,
#include "schedulers.list.h"
#undef SL_SCHEDULER
	NULL,
};

const struct sl_scheduler *sl_scheduler_find(const char *name)
{
	for (const struct sl_scheduler *const *s = sl_schedulers; *s; s++) {
		if (strcmp((*s)->name, name) == 0)
			return *s;
	}
	return NULL;
}

bool sl_scheduler_may_fill(uint32_t slots, const struct sl_candidate *candidate, size_t n)
{
	if (slots < SL_SCHEDULER_SLOTS_MIN || slots > SL_SCHEDULER_SLOTS_MAX ||
	    slots & (slots - 1) || n > SL_BACKENDS_PER_SERVICE)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!candidate[i].number || candidate[i].number > SL_BACKENDS_PER_SERVICE)
			return false;
	}
	return true;
}

/* The key needs no secrecy, because only the operator chooses backends. It must never change, or
 * gateways of two versions would disagree. */
uint64_t sl_candidate_identity(const union sl_addr *addr, uint16_t port)
{
	static const uint64_t key[2] = { 0x9e3779b97f4a7c15ull, 0xd6e8feb86659fd93ull };

	return sl_hash_mix(addr->q[0], sl_hash_mix(addr->q[1], port, key), key);
}
